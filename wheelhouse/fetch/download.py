"""Download files in parallel to a cache by digest, hashing them while they arrive."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol

from wheelhouse import atomic, files
from wheelhouse.errors import DownloadError
from wheelhouse.fetch.credentials import Credentials
from wheelhouse.fetch.fallback import mirrors
from wheelhouse.fetch.http import Client, FetchError, Resume
from wheelhouse.wheel import Wheel

_logger = logging.getLogger(__name__)
# More connections gain nothing on a fast network, annoy small indexes, and fight for the lock of the interpreter.
_THREADS = 4
_TICK = 0.1
# Seconds before an interrupted download is resumed, doubled each time.
_PAUSE, _LONGEST_PAUSE = 0.25, 8.0


class Remote(Protocol):
    """A file to download: `size` in bytes if known, `sha256` in hex."""

    @property
    def filename(self) -> str:
        """Its file name."""

    @property
    def url(self) -> str:
        """Its URL."""

    @property
    def sha256(self) -> str:
        """The required digest."""

    @property
    def size(self) -> int | None:
        """The required size."""


class Downloads:
    """Files to download to `cache`: `absent` is the number of missing files, `total` the bytes of all files.

    `expected` is `total`, or 0 if not all sizes are known. `absent_bytes` are the bytes to download, as far as sizes
    are known, and `fetched` the files that were downloaded. `credentials` are those of
    indexes. A wheel that its URL does not deliver is searched for, by digest, on the indexes that `elsewhere` returns
    for its project.
    """

    def __init__(
        self,
        remotes: Sequence[Remote],
        cache: Path,
        credentials: Credentials | None = None,
        elsewhere: Callable[[str], Sequence[str]] = lambda _: (),
    ) -> None:
        self.remotes = remotes
        self.cache = cache
        self.total = sum(map(_known_size, remotes))
        # Only with all sizes can progress have an end.
        is_sized = all(remote.size is not None for remote in remotes)
        self.expected = self.total if is_sized else 0
        absent = [remote for remote in remotes if not self.path(remote).exists()]
        self.absent = len(absent)
        self.absent_bytes = sum(map(_known_size, absent))
        self.fetched: list[Remote] = []
        self._received = {remote.sha256: 0 for remote in remotes}
        self._elsewhere = elsewhere
        self._stop = threading.Event()
        self._client = Client(_THREADS, credentials)

    def path(self, remote: Remote) -> Path:
        """Return the path of `remote` in the cache."""
        return self.cache / "files" / remote.sha256[:2] / remote.sha256

    def run(self) -> Iterator[int]:
        """Download and verify every file; yield the bytes received so far, several times per second.

        Files in the cache are verified again, since bundles are links to them that somebody may have written to.
        After the first failure no new download starts. Raises `DownloadError` with all failures.
        """
        started = time.monotonic()
        atomic.clear_abandoned(self.cache / "partial")
        pool = ThreadPoolExecutor(_THREADS)
        try:
            # The largest first, or the other threads would be idle at the end.
            order = sorted(self.remotes, key=_known_size, reverse=True)
            futures = [pool.submit(self._bring, remote) for remote in order]
            pending = set(futures)
            while pending:
                done, pending = wait(pending, timeout=_TICK, return_when=FIRST_EXCEPTION)
                yield sum(self._received.values())
                if any(future.exception() for future in done):
                    self._stop.set()
                    pool.shutdown(cancel_futures=True)
                    break
            _raise_failures(order, futures)
            _logger.debug(
                "downloads: %d files in %.2f s", len(self.fetched), time.monotonic() - started
            )
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            self._client.close()

    def _bring(self, remote: Remote) -> None:
        path = self.path(remote)
        if path.exists() and files.sha256(path) == remote.sha256:
            self._received[remote.sha256] = remote.size or 0
            return
        with files.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        partial = atomic.beside(self.cache / "partial" / remote.sha256)
        try:
            self._arrive(remote, partial)
            with files.explained(path):
                partial.replace(path)
            self.fetched.append(remote)
        finally:
            partial.unlink(missing_ok=True)

    def _arrive(self, remote: Remote, partial: Path) -> None:
        """Download the file to `partial` from the first location that has it. Raises `FetchError`."""
        try:
            self._try(remote, remote.url, partial)
        except FetchError:
            if self._stop.is_set() or not self._found_elsewhere(remote, partial):
                raise

    def _found_elsewhere(self, remote: Remote, partial: Path) -> bool:
        """Download a wheel to `partial` from another index; return whether one has it."""
        if not isinstance(remote, Wheel):
            return False
        indexes = self._elsewhere(remote.project)
        for url in mirrors(remote.project, remote.sha256, indexes, self._client.read):
            if url == remote.url:
                continue
            with contextlib.suppress(FetchError):
                self._try(remote, url, partial)
                return True
        return False

    def _try(self, remote: Remote, url: str, partial: Path) -> None:
        """Download the file from `url` to `partial`, resuming it if it is interrupted."""
        arriving = _Arriving()
        pause = _PAUSE
        for _ in range(self._client.retries):
            try:
                self._stream(remote, url, partial, arriving)
            except FetchError as error:
                if not error.again or self._stop.is_set():
                    raise
            else:
                return
            # Many interrupted downloads should not resume at the same time.
            self._stop.wait(pause * random.uniform(0.5, 1))  # noqa: S311 - not for secrets
            pause = min(pause * 2, _LONGEST_PAUSE)
        self._stream(remote, url, partial, arriving)

    def _stream(
        self,
        remote: Remote,
        url: str,
        partial: Path,
        arriving: _Arriving,
    ) -> None:
        """Download the file, or the rest of it, to `partial`, and record the progress."""
        size = remote.size
        resume = arriving.resume
        with (
            contextlib.closing(self._client.chunks(url, resume)) as chunks,
            files.explained(partial),
        ):
            partial.touch()
            with partial.open("r+b") as out:
                for chunk in chunks:
                    if self._stop.is_set():
                        raise FetchError("")  # Another download failed, so this one ends.
                    if resume.start == 0:
                        arriving.digest = hashlib.sha256()
                    out.seek(resume.start)
                    out.write(chunk)
                    arriving.digest.update(chunk)
                    resume.start += len(chunk)
                    self._received[remote.sha256] = resume.start
                    if size is not None and resume.start > size:
                        raise FetchError(f"is longer than the {size} bytes in the lock")
                out.truncate(resume.start)
        if size is not None and resume.start < size:
            raise FetchError(f"ended after {resume.start} of {size} bytes", again=True)
        sha256 = arriving.digest.hexdigest()
        if sha256 != remote.sha256:
            raise FetchError(f"has the digest {sha256}, but the lock says {remote.sha256}")


def _known_size(remote: Remote) -> int:
    return remote.size or 0


def _raise_failures(remotes: Sequence[Remote], futures: Sequence[Future[None]]) -> None:
    """Raise the first error that is no failed download, or `DownloadError` with all failed ones."""
    failures = []
    for remote, future in zip(remotes, futures, strict=True):
        error = None if future.cancelled() else future.exception()
        if error is None:
            continue
        if not isinstance(error, FetchError):
            raise error
        reason = str(error)
        if reason:  # None for a download that ended because another one failed.
            failures.append((remote.filename, remote.url, reason))
    if failures:
        raise DownloadError(failures)


class _Arriving:
    """The received part of a file: its size and digest."""

    def __init__(self) -> None:
        self.resume = Resume()
        self.digest = hashlib.sha256()
