"""Removes unused entries from the uv cache of a node.

    python cache_gc.py CACHE [LIMIT]

Execution scripts leave a record in CACHE/bundler for each script that they ran: its publication, the folders of the
cache that it uses, and, as modification time, its last run. This program removes entries whose publication was deleted
and entries that were not used for 30 days. If the cache is then still larger than LIMIT (20 GB by default), it removes
uv's unpacked wheels, to which environments have links of their own, and then the entries that were used longest ago.
Jobs hold a lock; nothing is removed while a job is running. Needs Python 3.8 or newer and the standard library.

Entries are first moved to one folder while the lock is held, which is quick, and deleted afterwards. If the program is
killed, no entry is half-deleted under its name, and the next run deletes the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import sys
import time
from typing import TYPE_CHECKING

try:
    import fcntl
except (
    ImportError
):  # Windows: no lock shows whether jobs are running, so execution scripts do not clean.
    fcntl = None  # type: ignore[assignment]  # The usual idiom.

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import List, Tuple

    # Last run, path of the record, publication, folders in use.
    Use = Tuple[float, str, str, List[str]]

LIMIT = "20 GB"
UNUSED = 30 * 24 * 3600
UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "KI": 2**10,
    "MI": 2**20,
    "GI": 2**30,
    "TI": 2**40,
}
# Bytes; more than any disk has.
MOST = 2**63
# Folders of unpacked archives: uv, Python, a filled cache or an environment.
UNPACKED = re.compile(r"[0-9a-f]{16}")
# The folders of uv's cache that contain wheels; without them, uv unpacks wheels again. The archives, to which the
# others refer, come last.
WHEELS = re.compile(r"(wheels|built-wheels|simple|sdists|archive)-v\d+")
GOING = ".going"
# Bytes; a record has a few hundred.
LARGEST_USE = 1 << 20


def parse_size(text: object) -> int:
    """Return the bytes in `text`, such as 512 MB or 1.5GiB. Raises `ValueError`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*((?:[KMGT]I?)?)B?\s*", str(text), re.IGNORECASE)
    if not match:
        raise ValueError("must be a size such as 512 MB (got {!r})".format(text))
    size = float(match.group(1)) * UNITS[match.group(2).upper()]
    if size >= MOST:
        raise ValueError("is larger than any disk (got {!r})".format(str(text)[:60]))
    return int(size)


@contextlib.contextmanager
def _exclusively(path: str) -> Iterator[bool]:
    """Hold the lock file `path`; yield whether that was possible."""
    if fcntl is None:
        yield True
        return
    # Opened for reading, too, since NFS needs that for shared locks; not through a link, which could point anywhere.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = True
        except OSError:
            mine = False
        yield mine
    finally:
        os.close(descriptor)


def _size_of(folder: str) -> int:
    """Return the bytes below `folder`, counting hard-linked files once, without entries that are being deleted."""
    seen = {}
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != GOING]
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(base, name))
                seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def _is_gone(publication: str) -> bool:
    """Return whether `publication` was deleted from its store; False if the store cannot be read."""
    try:
        os.stat(publication)
    except FileNotFoundError:
        return os.path.isfile(
            os.path.join(os.path.dirname(os.path.dirname(publication)), "store.json")
        )
    except (OSError, ValueError):
        return False
    return False


def _read_uses(state: str) -> list[Use]:
    """Return (last use, path of the record, publication, folders in use), least recently used first."""
    uses = []
    for name in os.listdir(state):
        path = os.path.join(state, name)
        if name.endswith(".use") and stat.S_ISREG(os.lstat(path).st_mode):
            try:
                with open(path, encoding="utf-8") as source:
                    use = json.loads(source.read(LARGEST_USE))
                holds = [
                    str(folder) for folder in use["holds"] if b"\0" not in os.fsencode(str(folder))
                ]
                uses.append((os.stat(path).st_mtime, path, str(use["publication"]), holds))
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                uses.append((0.0, path, "", []))  # Damaged; the next job writes it again.
    return sorted(uses)


def inside(folder: str, cache: str) -> bool:
    """Return whether `folder` is a folder in `cache` that may be removed, not just any path in a record."""
    real, base = os.path.realpath(folder), os.path.realpath(cache)
    return os.path.dirname(os.path.dirname(real)) == base and os.path.isdir(real)


def _is_running(folder: str) -> bool:
    """Return whether a program in `folder` is running, on Linux; its job may have been killed before it."""
    prefix = os.fsencode(os.path.realpath(folder)) + b"/"
    for process in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with contextlib.suppress(OSError):
            if process.isdigit():
                with open("/proc/{}/cmdline".format(process), "rb") as source:
                    if source.read(4096).startswith(prefix):
                        return True
    return False


def remove(folder: str, state: str) -> bool:
    """Move `folder` away, to be deleted later; return whether that succeeded."""
    going = os.path.join(state, GOING)
    with contextlib.suppress(OSError):
        os.makedirs(going, exist_ok=True)
        os.rename(
            folder, os.path.join(going, "{}-{}".format(os.path.basename(folder), time.time()))
        )
    return not os.path.lexists(folder)


def drop(use: Use, uses: list[Use], cache: str) -> list[Use]:
    """Remove the record `use` and the folders that no other of `uses` needs; return the remaining uses."""
    remaining = [other for other in uses if other is not use]
    held = {folder for other in remaining for folder in other[3]}
    mine = [folder for folder in use[3] if folder not in held and inside(folder, cache)]
    if any(_is_running(folder) for folder in mine):
        return uses
    removed = [remove(folder, os.path.join(cache, "bundler")) for folder in mine]
    if all(removed):
        with contextlib.suppress(OSError):
            os.remove(use[1])
    return remaining


def collect(cache: str, limit: int | None = None, now: float | None = None) -> int | None:
    """Clean the folder `cache` down to `limit` bytes; return the freed bytes, or None if jobs are running."""
    state = os.path.join(cache, "bundler")
    if os.path.islink(state) or not os.path.isdir(state):
        return 0
    with contextlib.ExitStack() as held:
        for lock in (os.path.join(state, "jobs.lock"), os.path.join(cache, ".lock")):
            if not held.enter_context(_exclusively(lock)):
                return None
        before = size = _size_of(cache)
        now = time.time() if now is None else now
        uses = _read_uses(state)
        for use in list(uses):
            if _is_gone(use[2]) or now - use[0] > UNUSED:
                uses = drop(use, uses, cache)
        _remove_leftovers(state, uses, now)
        limit = parse_size(LIMIT) if limit is None else limit
        # Measuring a cache takes a while, so only do it again if something was removed.
        size = _size_of(cache) if os.path.isdir(os.path.join(state, GOING)) else size
        if size > limit:
            _remove_leftovers(state, shrink(cache, uses, limit), now)
            size = _size_of(cache)
        with contextlib.suppress(OSError):
            os.remove(os.path.join(state, "gc-due"))
    shutil.rmtree(os.path.join(state, GOING), ignore_errors=True)
    return before - size


def _remove_leftovers(state: str, uses: list[Use], now: float) -> None:
    """Remove entries from the folder `state` that no use refers to; no job is running, so nothing is being created."""
    held = {os.path.basename(folder) for use in uses for folder in use[3]}
    for name in os.listdir(state):
        path = os.path.join(state, name)
        unheld = UNPACKED.fullmatch(name) and name not in held and not _is_running(path)
        if unheld or name.startswith(".unpacking-") or name == "locks":
            remove(path, state)
        with contextlib.suppress(OSError):
            if name.endswith((".json", ".turn")) and now - os.stat(path).st_mtime > UNUSED:
                os.remove(path)


def shrink(cache: str, uses: list[Use], limit: int) -> list[Use]:
    """Remove entries, the cheapest first, until the cache has at most `limit` bytes; return the remaining uses.

    The most recently used entry is kept, since the next job would create it again. Nothing is removed if removing
    everything else would not be enough.
    """
    state = os.path.join(cache, "bundler")
    for name in sorted(
        filter(WHEELS.fullmatch, os.listdir(cache)), key=lambda name: name.startswith("archive")
    ):
        remove(os.path.join(cache, name), state)
    remove(os.path.join(state, "pycache"), state)
    size = _size_of(cache)
    sizes = {
        use[1]: sum(_size_of(folder) for folder in use[3] if inside(folder, cache)) for use in uses
    }
    if size - sum(sizes.values()) > limit:
        return uses
    for use in uses[:-1]:
        if size > limit:
            uses = drop(use, uses, cache)
            size -= sizes[use[1]]
    return uses


def collect_as_owner(cache: str, limit: int | None = None) -> int | None:
    """Like `collect`, but with the permissions of the owner of `cache`, who may have put anything there."""
    status = os.lstat(cache)
    if not stat.S_ISDIR(status.st_mode):
        return 0
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or status.st_uid == 0:
        return collect(cache, limit)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(status.st_gid)
            os.setuid(status.st_uid)
            os.write(writer, json.dumps(collect(cache, limit)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as source:
        output = source.read()
    os.waitpid(child, 0)
    freed: int | None = json.loads(output or b"0")
    return freed


def main(arguments: Sequence[str]) -> None:
    """Clean the cache in the first argument, down to the limit in the second."""
    try:
        limit = parse_size((arguments[1:] or [LIMIT])[0])
    except ValueError as error:
        print("BUNDLER_CACHE_LIMIT {}; using {}.".format(error, LIMIT))
        limit = parse_size(LIMIT)
    freed = collect(arguments[0], limit)
    if freed:
        print(
            "Removed {:.1f} MB of unused entries from the cache {}.".format(
                freed / 1e6, arguments[0]
            )
        )


if __name__ == "__main__":
    main(sys.argv[1:])
