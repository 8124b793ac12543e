"""Archives that are unpacked for as long as a command needs them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bundler.bundles import parts
from bundler.bundles.unpacking import unpack
from bundler.progress import Report
from wheelhouse import atomic, files


@contextlib.contextmanager
def unpacked(
    paths: Sequence[Path],
    report: Report,
    base: Callable[[], Mapping[str, Sequence[Path]]],
    within: Path | None = None,
) -> Iterator[list[Path]]:
    """Yield the bundle or publication `paths`, or the bundles in the archive `paths`, unpacked for the block.

    An archive may have several paths, of its parts. It is unpacked to a hidden folder in `within`, or in the folder for
    temporary files; what a killed run left there is deleted after a day. Raises the errors of `unpack` and
    `parts.opened`.
    """
    if not parts.is_archive(paths[0]):
        yield list(paths)
        return
    place = (within or Path(tempfile.gettempdir())) / "unpacked"
    folder = atomic.beside(place)
    with files.explained(folder):
        atomic.tidy(place)
        folder.mkdir(mode=0o700)
    try:
        with parts.opened(paths) as source:
            bundles = unpack(source, paths[0], folder, base, report=report)
        yield bundles
    finally:
        shutil.rmtree(folder, ignore_errors=True)
