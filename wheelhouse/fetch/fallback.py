"""Search indexes for a file by its digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wheelhouse.fetch.listing import Read, list_files


def mirrors(
    project: str,
    sha256: str,
    indexes: Iterable[str],
    read: Read,
) -> Iterator[str]:
    """Yield the URLs of the file of `project` with the digest `sha256` on `indexes`, in order.

    `read` is as for `list_files`; an index that cannot be read is skipped.
    """
    for index in indexes:
        for file in list_files(project, index, read):
            if file.sha256 == sha256:
                yield file.url
