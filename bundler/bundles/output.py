"""The file of an archive that is being written, or its parts: complete at the end, or as before."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from bundler.bundles.parts import MOST, base_name, list_of, part_of, read_list
from bundler.errors import BundlerError
from bundler.units import size_text
from wheelhouse import atomic, files
from wheelhouse.errors import WheelhouseError

# Bytes of the smallest parts that make sense; smaller ones are a mistake in the unit.
SMALLEST = 10_000


@contextlib.contextmanager
def writing(path: Path, size: int | None = None) -> Iterator[tuple[IO[bytes], list[Path]]]:
    """Yield a file for the archive `path`, in parts of `size` bytes if that is set, and a list for its paths.

    If the block succeeds, the archive replaces an earlier one, in parts or not, and the list has its paths; otherwise
    everything is as before. Raises `BundlerError` for an unusable name or size, `FileError`.
    """
    _require_usable(path, size)
    written: list[Path] = []
    if size is None:
        with atomic.creating(path) as partial, files.explained(path), partial.open("xb") as out:
            yield out, written
        written.append(path)
        _remove(_earlier_parts(path))
        return
    slices = _Slices(path, size)
    with files.explained(path):
        files.make_folder(path.parent)
        atomic.tidy(path)
        try:
            yield slices, written  # type: ignore[misc]  # what tarfile needs of a file
            written += slices.finish()
        finally:
            slices.discard()


@contextlib.contextmanager
def standard_output() -> Iterator[tuple[IO[bytes], list[Path]]]:
    """Yield standard output for an archive, and the empty list of its paths. Raises `BundlerError` if it is full."""
    try:
        yield sys.stdout.buffer, []
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise BundlerError(
            f"standard output: {error.strerror}", hint="make room, or pipe it elsewhere"
        ) from error


def _require_usable(path: Path, size: int | None) -> None:
    if base_name(path) is not None:
        raise BundlerError(
            f"{path}: its name is that of a part", hint="use another suffix, such as .tar"
        )
    if size is None:
        return
    if size < SMALLEST:
        raise BundlerError(
            f"parts must have at least {size_text(SMALLEST)} (got {size} bytes)",
            hint="use larger parts",
        )
    if not path.name.isprintable() or not path.name:
        raise BundlerError(
            f"{path}: this name cannot be in a list of parts", hint="use letters, digits and .-_"
        )


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
        self.close()
        if len(self._parts) == MOST:
            raise BundlerError(
                f"{self._path} would have more than {MOST} parts", hint="use larger parts"
            )
        partial = atomic.beside(self._path)
        self._parts.append((partial, hashlib.sha256()))
        self._out = partial.open("xb")
        self._room = self._size

    def finish(self) -> list[Path]:
        """Give the parts their names and write their list; return their paths. Restores the earlier ones on failure."""
        self.close()
        self._write_list()
        paths = [part_of(self._path, number) for number in range(1, len(self._parts))]
        paths.append(list_of(self._path))
        moves = [(partial, path) for (partial, _), path in zip(self._parts, paths, strict=True)]
        hidden = [(path, atomic.beside(self._path)) for path in self._in_the_way(paths)]
        _move_all([*hidden, *moves])
        _remove([path for _, path in hidden])
        return paths

    def _write_list(self) -> None:
        """Write the list of the parts, under a hidden name like theirs."""
        lines = []
        for number, (_, digest) in enumerate(self._parts, 1):
            lines.append(f"{digest.hexdigest()}  {part_of(self._path, number).name}\n")
        listed = atomic.beside(self._path)
        self._parts.append((listed, None))
        listed.write_bytes(os.fsencode("".join(lines)))

    def _in_the_way(self, paths: Sequence[Path]) -> list[Path]:
        """Return the files of an earlier archive, which `paths` replace. Raises `BundlerError` for anything else."""
        earlier = [
            path for path in {*paths, *_earlier_parts(self._path), self._path} if path.exists()
        ]
        for path in sorted(earlier):
            if not path.is_file():
                raise BundlerError(
                    f"{path} is not a regular file", hint="remove it, or choose another name"
                )
        return earlier

    def close(self) -> None:
        """Close the current part."""
        if self._out:
            self._out.close()

    def discard(self) -> None:
        """Delete what was not finished."""
        with contextlib.suppress(
            OSError
        ):  # The disk may be full, and keeps what Python has not yet written.
            self.close()
        _remove([partial for partial, _ in self._parts])


def _move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    """Rename each first path to the second one; undo all of it if one fails."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            source.rename(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _earlier_parts(path: Path) -> list[Path]:
    """Return the list and the parts of an earlier archive `path`; only those in the list are its own."""
    listed = list_of(path)
    if not listed.is_file():
        return []
    try:
        names = read_list(listed)
    except WheelhouseError:
        return []
    return [listed, *(path.with_name(name) for name in names)]


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
