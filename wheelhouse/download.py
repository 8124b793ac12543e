"""Parallel downloads into a cache of files by digest, each hashed while it streams."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Protocol

from wheelhouse import files
from wheelhouse.errors import DownloadError
from wheelhouse.fallback import mirrors
from wheelhouse.http import Client, FetchError, Resume
from wheelhouse.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from wheelhouse.credentials import Credentials

# More connections than this gain nothing on a fast path and annoy small indexes.
THREADS = 8
_TICK = 0.1
# Seconds before a broken download is taken up again, doubled each time.
_PAUSE, _LONGEST_PAUSE = 0.25, 8.0


class Remote(Protocol):
    """A file elsewhere: `size` in bytes where it is known, `sha256` in hex."""

    @property
    def filename(self) -> str:
        """The name that people know it by."""

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def sha256(self) -> str:
        """The digest that it must have."""

    @property
    def size(self) -> int | None:
        """How long it must be."""


class Downloads:
    """Files on their way into `cache`: `absent` of them it does not hold yet, `total` counts the bytes of all.

    `absent_bytes` are those that have to be brought, as far as their size is known.

    `fetched` are those that were brought.

    `credentials` are those of indexes. A wheel that does not come from where the lock says is looked for, by
    its digest, in the indexes that `elsewhere` gives for its project.
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
        self.total = sum(remote.size or 0 for remote in remotes)
        absent = [remote for remote in remotes if not self.path(remote).exists()]
        self.absent = len(absent)
        self.absent_bytes = sum(remote.size or 0 for remote in absent)
        self.fetched: list[Remote] = []
        self._received = {remote.sha256: 0 for remote in remotes}
        self._elsewhere = elsewhere
        self._stop = threading.Event()
        self._client = Client(THREADS, credentials)

    def path(self, remote: Remote) -> Path:
        """Return where `remote` lies in the cache once it has arrived."""
        return self.cache / "files" / remote.sha256[:2] / remote.sha256

    def run(self) -> Iterator[int]:
        """Bring every file into the cache, whole and verified; yield the bytes received so far, some times a second.

        What the cache holds already is hashed again, since bundles are links to it that somebody may have written to.
        After the first fault no new download starts. Raises `DownloadError` with every fault.
        """
        # The largest first: a big one that starts last would leave the other threads idle.
        order = sorted(self.remotes, key=lambda remote: -(remote.size or 0))
        files.clear_abandoned(self.cache / "partial")
        pool = ThreadPoolExecutor(THREADS)
        try:
            futures = {pool.submit(self._bring, remote): remote for remote in order}
            pending: set[Future[None]] = set(futures)
            while pending:
                done, pending = wait(pending, timeout=_TICK, return_when=FIRST_EXCEPTION)
                yield sum(self._received.values())
                if any(future.exception() for future in done):
                    self._stop.set()
                    pool.shutdown(cancel_futures=True)
                    break
            faults = [(futures[future], future.exception()) for future in futures if not future.cancelled()]
            for _, fault in faults:
                if fault is not None and not isinstance(fault, FetchError):
                    raise fault
            named = [(remote, str(fault)) for remote, fault in faults if fault is not None and str(fault)]
            if named:
                raise DownloadError((remote.filename, remote.url, reason) for remote, reason in named)
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
        partial = files.beside(self.cache / "partial" / remote.sha256)
        try:
            self._arrive(remote, partial)
            with files.explained(path):
                partial.replace(path)
            self.fetched.append(remote)
        finally:
            partial.unlink(missing_ok=True)

    def _arrive(self, remote: Remote, partial: Path) -> None:
        """Bring the file into `partial` from the first place that has it; raise `FetchError`."""
        try:
            self._try(remote, remote.url, partial)
        except FetchError as first:
            if not isinstance(remote, Wheel) or self._stop.is_set():
                raise
            for url in mirrors(remote.project, remote.sha256, self._elsewhere(remote.project), self._client.read):
                if url != remote.url:
                    with contextlib.suppress(FetchError):
                        self._try(remote, url, partial)
                        return
            raise first from None

    def _try(self, remote: Remote, url: str, partial: Path) -> None:
        """Bring the file from `url` into `partial`, taking it up again where it broke off."""
        arriving = _Arriving()
        for attempt in range(self._client.retries + 1):
            try:
                return self._stream(remote, url, partial, arriving)
            except FetchError as fault:
                if not fault.again or attempt == self._client.retries or self._stop.is_set():
                    raise
            # Many that broke off at once should not come back at once.
            self._stop.wait(min(_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1))  # noqa: S311 - not for secrets
        return None

    def _stream(self, remote: Remote, url: str, partial: Path, arriving: _Arriving) -> None:
        """Bring the file, or what is left of it, into `partial`, and take note of what arrived."""
        resume = arriving.resume
        with contextlib.closing(self._client.chunks(url, resume)) as chunks, files.explained(partial):
            partial.touch()
            with partial.open("r+b") as out:
                for number, chunk in enumerate(chunks):
                    if self._stop.is_set():
                        raise FetchError("")  # another one failed; this one has nothing to say
                    if number == 0 and resume.start == 0:
                        arriving.digest = hashlib.sha256()
                    out.seek(resume.start)
                    out.write(chunk)
                    arriving.digest.update(chunk)
                    resume.start += len(chunk)
                    self._received[remote.sha256] = resume.start
                    if remote.size is not None and resume.start > remote.size:
                        raise FetchError(f"is longer than the {remote.size} bytes that the lock says")
                out.truncate(resume.start)
        if remote.size is not None and resume.start < remote.size:
            raise FetchError(f"ended after {resume.start} of {remote.size} bytes", again=True)
        if arriving.digest.hexdigest() != remote.sha256:
            raise FetchError(f"has sha256 {arriving.digest.hexdigest()}, the lock says {remote.sha256}")


class _Arriving:
    """What arrived of a file so far: how far, and the digest of that."""

    def __init__(self) -> None:
        self.resume = Resume()
        self.digest = hashlib.sha256()
