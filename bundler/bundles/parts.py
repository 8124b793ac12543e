"""Archives in parts, for media of limited size.

The parts `eval.tar.001`, `eval.tar.002` and so on are slices of the archive, so `cat` joins them. The list
`eval.tar.parts` has the format of `sha256sum`, and tells which parts belong together.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from bundler.path_kinds import is_inside, kind_of, mismatch
from wheelhouse import files
from wheelhouse.errors import ArchiveError

LIST = ".parts"
# With three digits, the names of parts are in order for `cat`.
MOST = 999
_PART = re.compile(r"(.+)\.\d{3}", re.DOTALL)
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+\.\d{3})")
_CHUNK = 1 << 20


def base_name(path: Path) -> str | None:
    """Return the name of the archive of which `path` is a part or the list, by its name; None for other files."""
    if path.name.endswith(LIST):
        return path.name.removesuffix(LIST)
    match = _PART.fullmatch(path.name)
    return match[1] if match else None


def part_of(path: Path, number: int) -> Path:
    """Return the path of part `number` of the archive `path`."""
    return Path(f"{path}.{number:03}")


def list_of(path: Path) -> Path:
    """Return the path of the list of parts of the archive `path`."""
    return Path(f"{path}{LIST}")


def is_archive(path: Path) -> bool:
    """Return whether `path` is a file, or the name of an archive of which the list of parts is next to it."""
    return path.is_file() or (not path.exists() and list_of(path).is_file())


def grouped(paths: Sequence[Path]) -> list[list[Path]]:
    """Return `paths` with the parts and lists of each archive together."""
    groups: dict[str, list[Path]] = {}
    for number, path in enumerate(paths):
        base = base_name(path) if path.is_file() else None
        groups.setdefault(base or f"/{number}", []).append(path)  # No base name has a slash.
    return list(groups.values())


def read_list(path: Path) -> dict[str, str]:
    """Return the digests of the parts in the list `path` by name, in order. Raises `ArchiveError`, `FileError`."""
    with files.explained(path):
        lines = os.fsdecode(files.read_input(path)).removesuffix("\n").split("\n")
    digests = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if not match or match[2] != f"{path.name.removesuffix(LIST)}.{number:03}" or number > MOST:
            raise ArchiveError(path, "is not a list of parts", "copy it again")
        digests[match[2]] = match[1]
    return digests


class _Joined:
    """The bytes of all parts in order, each compared with its digest at its end."""

    def __init__(self, parts: Sequence[tuple[Path, str]]) -> None:
        self._parts = list(parts)
        self._source: IO[bytes] | None = None
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""
        while self._parts:
            path, sha256 = self._parts[0]
            if self._source is None:
                self._source, self._digest = files.open_input(path), hashlib.sha256()
            data = self._source.read(size if size >= 0 else _CHUNK)
            if data:
                self._digest.update(data)
                return data
            self.close()
            if self._digest.hexdigest() != sha256:
                raise ArchiveError(
                    path, "is damaged, or a part of another archive", "copy this part again"
                )
            del self._parts[0]
        return b""

    def require_current_part(self) -> None:
        """Raise `ArchiveError` if the part that is being read is damaged."""
        number = len(self._parts)
        while len(self._parts) == number and self.read(_CHUNK):
            pass

    def close(self) -> None:
        """Close the current part."""
        if self._source:
            self._source.close()
            self._source = None


@contextlib.contextmanager
def opened(paths: Sequence[Path]) -> Iterator[IO[bytes]]:
    """Yield the bytes of the archive `paths`: one file, or the list or any part of an archive in parts.

    Parts may be named in any order, and are also looked for next to the named ones. Raises `ArchiveError` for parts
    that are missing, foreign or damaged, `FileError`.
    """
    kind = kind_of(paths[0])
    listed = _find_list(paths)
    is_other = kind not in ("archive", "file") or (kind == "file" and is_inside(paths[0]))
    if listed is None and is_other:
        raise ArchiveError(paths[0], *mismatch(paths[0], "bundle"))
    with files.explained(paths[0]):
        if listed is None:
            with files.open_input(paths[0]) as source:
                yield source
            return
        joined = _Joined(_located(listed, paths))
        try:
            yield joined  # type: ignore[misc]  # what tarfile needs of a file
        except ArchiveError:
            joined.require_current_part()  # A damaged part is what the user can copy again.
            raise
        finally:
            joined.close()


def require_rest(source: IO[bytes]) -> None:
    """Raise `ArchiveError` if a part of the archive `source`, whose members were all read, is damaged after them."""
    if isinstance(source, _Joined):
        while source.read(_CHUNK):
            pass


def _find_list(paths: Sequence[Path]) -> Path | None:
    """Return the list of parts that `paths` belong to, or None for a single file. Raises `ArchiveError`."""
    if len(paths) == 1 and paths[0].is_file() and base_name(paths[0]) is None:
        return None  # A list next to it belongs to an earlier archive of the same name.
    if len(paths) == 1 and not paths[0].name:
        return None
    for path in paths:
        if path.is_dir():
            raise ArchiveError(
                path, "is a folder, not a part of an archive", "name the parts of one archive"
            )
        if _list_beside(path).is_file():
            return _list_beside(path)
    if len(paths) == 1 and not paths[0].is_file():
        return None
    hint = f"copy {_list_beside(paths[0]).name}, or join the parts with cat"
    raise ArchiveError(paths[0], "is a part of an archive without the list of its parts", hint)


def _list_beside(path: Path) -> Path:
    """Return where the list of parts would be to which `path` belongs: an archive, a part, or the list."""
    return path.with_name(f"{base_name(path) or path.name}{LIST}")


def _located(listed: Path, paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the path and digest of each part in the list `listed`. Raises `ArchiveError` with everything wrong."""
    digests = read_list(listed)
    ours = {listed.name.removesuffix(LIST), listed.name, *digests}
    foreign = sorted(str(path) for path in paths if path.name not in ours)
    folders = [*(path.parent for path in paths), listed.parent]
    located = []
    missing = []
    for name, digest in digests.items():
        place = _first_file(name, folders)
        if place is None:
            missing.append(name)
        else:
            located.append((place, digest))
    remedies = []
    if missing:
        remedies.append("copy the missing parts")
    if foreign:
        remedies.append("leave out the foreign ones")
    if remedies:
        error = ArchiveError(listed, "does not match the parts", " and ".join(remedies))
        error.facts = [
            *(f"missing  {name}" for name in missing),
            *(f"foreign  {name}" for name in foreign),
        ]
        raise error
    return located


def _first_file(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the file `name` in the first of `folders` that has it, or None."""
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    return None
