"""Archives in parts, for media of limited size.

The parts `eval.tar.001`, `eval.tar.002` and so on are slices of the archive, so `cat` joins them. The list
`eval.tar.parts` has the format of `sha256sum`, and tells which parts belong together.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from wheelhouse import files
from wheelhouse.errors import ArchiveError, WheelhouseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIST = ".parts"
# Bytes of the smallest parts that make sense; smaller ones are a mistake in the unit, and would fill the folder.
SMALLEST = 10_000
_PART = re.compile(r"(.+)\.(\d{3,})")
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)\.(\d{3,})")
# Bytes of a list; ten thousand parts have one of 1 MB.
_LIST_LIMIT = 16 << 20
_CHUNK = 1 << 20


class _Slices:
    """A file whose bytes become parts of at most `size` bytes next to `path`, with hidden names until `finish`."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._parts: list[tuple[Path, Any]] = []
        self._out: IO[bytes] | None = None
        self._room = 0

    def write(self, data: bytes) -> int:
        """Write `data`, and start new parts where one is full."""
        view = memoryview(data)
        while view:
            if not self._room:
                self._begin()
            piece = view[: self._room]
            assert self._out is not None  # noqa: S101 - begun above
            self._out.write(piece)
            self._parts[-1][1].update(piece)
            self._room -= len(piece)
            view = view[len(piece) :]
        return len(data)

    def flush(self) -> None:
        """Do nothing: parts are complete once they are closed."""

    def _begin(self) -> None:
        if self._out:
            self._out.close()
        partial = files.beside(self._path)
        self._parts.append((partial, hashlib.sha256()))
        self._out = partial.open("xb")
        self._room = self._size

    def finish(self) -> list[Path]:
        """Give the parts their names and write their list; return their paths."""
        self.close()
        listed = Path(f"{self._path}{LIST}")
        listed.unlink(missing_ok=True)  # It does not describe the parts from here on.
        paths = [Path(f"{self._path}.{number:03}") for number in range(1, len(self._parts) + 1)]
        for (partial, _), path in zip(self._parts, paths, strict=True):
            partial.replace(path)
        for path in self._path.parent.glob(f"{glob_escaped(self._path.name)}.*"):
            if _PART.fullmatch(path.name) and path not in paths:
                path.unlink()  # Of an archive with more parts.
        lines = (f"{digest.hexdigest()}  {path.name}\n" for (_, digest), path in zip(self._parts, paths, strict=True))
        files.write(listed, "".join(lines).encode())
        return [*paths, listed]

    def close(self) -> None:
        """Close the current part."""
        if self._out:
            self._out.close()

    def discard(self) -> None:
        """Delete what was not finished."""
        self.close()
        for partial, _ in self._parts:
            partial.unlink(missing_ok=True)


def glob_escaped(name: str) -> str:
    """Return a glob pattern that matches `name` only."""
    return re.sub(r"([*?[])", r"[\1]", name)


@contextlib.contextmanager
def writing(path: Path, size: int | None) -> Iterator[tuple[IO[bytes], list[Path]]]:
    """Yield a file for the archive `path`, in parts of `size` bytes if that is set, and a list for its paths.

    The archive and the list of its paths are complete if the block succeeds; otherwise nothing is left. Raises
    `FileError`.
    """
    written: list[Path] = []
    with files.explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
        if size is None:
            partial = files.beside(path)
            try:
                with partial.open("xb") as out:
                    yield out, written
                partial.replace(path)
                written.append(path)
            finally:
                partial.unlink(missing_ok=True)
            return
        slices = _Slices(path, size)
        try:
            yield slices, written  # type: ignore[misc]  # what tarfile needs of a file
            written += slices.finish()
        finally:
            slices.discard()


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
                self._source, self._digest = files.open_plain(path), hashlib.sha256()
            data = self._source.read(size if size >= 0 else _CHUNK)
            if data:
                self._digest.update(data)
                return data
            self.close()
            if self._digest.hexdigest() != sha256:
                raise ArchiveError(path, "is damaged, or a part of another archive", "copy this part again")
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
    listed = _list_of(paths)
    with files.explained(paths[0]):
        if listed is None:
            with paths[0].open("rb") as source:
                yield source
            return
        joined = _Joined(_located(listed, paths))
        try:
            yield joined  # type: ignore[misc]  # what tarfile needs of a file
        except WheelhouseError:
            joined.require_current_part()  # A damaged part is what the user can copy again.
            raise
        finally:
            joined.close()


def is_archive(path: Path) -> bool:
    """Return whether `path` is a file, or the name of an archive of which the list of parts is next to it."""
    return path.is_file() or (not path.exists() and Path(f"{path}{LIST}").is_file())


def _list_of(paths: Sequence[Path]) -> Path | None:
    """Return the list of parts that `paths` belong to, or None for a single file. Raises `ArchiveError`."""
    for path in paths:
        match = _PART.fullmatch(path.name)
        for listed in (path, Path(f"{path}{LIST}"), path.with_name(f"{match[1] if match else path.name}{LIST}")):
            if listed.name.endswith(LIST) and listed.is_file():
                return listed
    if len(paths) > 1:
        raise ArchiveError(paths[0], f"has no list of parts ({LIST})", "copy the list, or join the parts with cat")
    if _PART.fullmatch(paths[0].name) and paths[0].is_file():
        raise ArchiveError(
            paths[0], "is a part of an archive without the list of its parts", "copy the file .parts, too"
        )
    return None


def _located(listed: Path, paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return the path and digest of each part in the list `listed`. Raises `ArchiveError` with everything wrong."""
    lines = files.read_plain(listed, _LIST_LIMIT).decode(errors="replace").splitlines()
    entries = [_LINE.fullmatch(line) for line in lines]
    base = listed.name.removesuffix(LIST)
    digests = {f"{match[2]}.{match[3]}": match[1] for match in entries if match}
    if list(digests) != [f"{base}.{number:03}" for number in range(1, len(lines) + 1)] or not digests:
        raise ArchiveError(listed, "is not a list of parts", "copy it again")
    foreign = sorted(str(path) for path in paths if path.name not in (base, listed.name, *digests))
    folders = list(dict.fromkeys([*(path.parent for path in paths), listed.parent]))
    places = {name: next((folder / name for folder in folders if (folder / name).is_file()), None) for name in digests}
    missing = [name for name, place in places.items() if place is None]
    if missing or foreign:
        error = ArchiveError(listed, "does not match the parts", "copy the missing parts, and leave out foreign ones")
        error.facts = [*(f"missing  {name}" for name in missing), *(f"foreign  {name}" for name in foreign)]
        raise error
    return [(place, digests[name]) for name, place in places.items() if place is not None]
