"""Removes from the uv cache of a node what no publication needs any more.

    python cache_gc.py CACHE [LIMIT]

Execution scripts leave in CACHE/bundler one file per script that they ran: which publication it is from, which folders
of the cache it uses, and, as the time of its last change, when it last ran. What goes: what belongs to publications
that are gone from the share, what was not used for a month, and, while the cache is larger than LIMIT ("20 GB" unless
told otherwise), uv's wheels, of which environments have links of their own, and then what was used longest ago. Jobs
hold a lock while they run, and while any of them does, nothing goes. It needs Python 3.8 and the standard library.

What goes is first moved into one folder under the lock, which is quick, and deleted after that: whoever is killed in
between leaves nothing half removed under its name, and the next one deletes what is left.
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
except ImportError:  # Windows: nobody can tell there whether jobs run, so execution scripts do not clean
    fcntl = None  # type: ignore[assignment]  # as everybody does

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import List, Tuple

    # When it last ran, the path of the record, the publication, and the folders in use.
    Use = Tuple[float, str, str, List[str]]

LIMIT = "20 GB"
UNUSED = 30 * 24 * 3600
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
# Bytes; no disk has as many.
MOST = 2**63
# What execution scripts unpack: a uv, a Python, a filled cache, an environment.
UNPACKED = re.compile(r"[0-9a-f]{16}")
# The folders of uv's cache that hold wheels, see `uv cache dir`; without them it unpacks wheels again. The archives,
# to which the others point, come last.
WHEELS = re.compile(r"(wheels|built-wheels|simple|sdists|archive)-v\d+")
GOING = ".going"
# Bytes of a record of a use, which has a few hundred.
LARGEST_USE = 1 << 20


def parse_size(text: object) -> int:
    """Return the bytes that `text` means, such as 512 MB or 1.5GiB; raise `ValueError`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*((?:[KMGT]I?)?)B?\s*", str(text), re.IGNORECASE)
    if not found:
        raise ValueError("{!r} is no size; write it like 512 MB".format(text))
    size = float(found.group(1)) * UNITS[found.group(2).upper()]
    if size >= MOST:
        raise ValueError("{!r} is more than there is".format(str(text)[:60]))
    return int(size)


@contextlib.contextmanager
def exclusively(path: str) -> Iterator[bool]:
    """Yield whether nobody else holds the lock `path`, and hold it meanwhile."""
    if fcntl is None:
        yield True
        return
    # Readable too, since NFS gives shared locks on nothing else; not by a link, which might lead anywhere.
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


def size_of(folder: str) -> int:
    """Return the bytes below `folder`, each file once however many links it has, without what is going already."""
    seen = {}
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != GOING]
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(base, name))
                seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())


def is_gone(publication: str) -> bool:
    """Return whether `publication` was removed from its store; not when it, or the share, is out of reach."""
    try:
        os.stat(publication)
    except FileNotFoundError:
        return os.path.isfile(os.path.join(os.path.dirname(os.path.dirname(publication)), "store.json"))
    except (OSError, ValueError):
        return False
    return False


def read_uses(kept: str) -> list[Use]:
    """Return (last use, path of the record, publication, folders in use), the longest unused first."""
    found = []
    for name in os.listdir(kept):
        path = os.path.join(kept, name)
        if name.endswith(".use") and stat.S_ISREG(os.lstat(path).st_mode):
            try:
                with open(path, encoding="utf-8") as source:
                    use = json.loads(source.read(LARGEST_USE))
                holds = [str(folder) for folder in use["holds"] if b"\0" not in os.fsencode(str(folder))]
                found.append((os.stat(path).st_mtime, path, str(use["publication"]), holds))
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                found.append((0.0, path, "", []))  # torn; the next job writes it again
    return sorted(found)


def inside(folder: str, cache: str) -> bool:
    """Return whether `folder` is a folder in `cache` that may be removed: nothing but what jobs recorded there."""
    real, base = os.path.realpath(folder), os.path.realpath(cache)
    return os.path.dirname(os.path.dirname(real)) == base and os.path.isdir(real)


def is_running(folder: str) -> bool:
    """Return whether a program of `folder` runs, as far as Linux tells; its job may have been killed before it."""
    prefix = os.fsencode(os.path.realpath(folder)) + b"/"
    for process in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with contextlib.suppress(OSError):
            if process.isdigit():
                with open("/proc/{}/cmdline".format(process), "rb") as source:
                    if source.read(4096).startswith(prefix):
                        return True
    return False


def remove(folder: str, kept: str) -> bool:
    """Move `folder` out of the way, to be deleted later; return whether that went well."""
    going = os.path.join(kept, GOING)
    with contextlib.suppress(OSError):
        os.makedirs(going, exist_ok=True)
        os.rename(folder, os.path.join(going, "{}-{}".format(os.path.basename(folder), time.time())))
    return not os.path.lexists(folder)


def drop(use: Use, uses: list[Use], cache: str) -> list[Use]:
    """Remove the record `use` and the folders that no other of `uses` holds; return the uses that are left."""
    left = [other for other in uses if other is not use]
    held = {folder for other in left for folder in other[3]}
    mine = [folder for folder in use[3] if folder not in held and inside(folder, cache)]
    if any(is_running(folder) for folder in mine):
        return uses
    removed = [remove(folder, os.path.join(cache, "bundler")) for folder in mine]
    if all(removed):
        with contextlib.suppress(OSError):
            os.remove(use[1])
    return left


def collect(cache: str, limit: int | None = None, now: float | None = None) -> int | None:
    """Clean the cache in the folder `cache` down to `limit` bytes; return the bytes freed, None while jobs run."""
    kept = os.path.join(cache, "bundler")
    if os.path.islink(kept) or not os.path.isdir(kept):
        return 0
    with contextlib.ExitStack() as held:
        for lock in (os.path.join(kept, "jobs.lock"), os.path.join(cache, ".lock")):
            if not held.enter_context(exclusively(lock)):
                return None
        before = size = size_of(cache)
        now = time.time() if now is None else now
        uses = read_uses(kept)
        for use in list(uses):
            if is_gone(use[2]) or now - use[0] > UNUSED:
                uses = drop(use, uses, cache)
        remove_leftovers(kept, uses, now)
        limit = parse_size(LIMIT) if limit is None else limit
        # To walk through a cache takes a while: once, unless something went.
        size = size_of(cache) if os.path.isdir(os.path.join(kept, GOING)) else size
        if size > limit:
            remove_leftovers(kept, shrink(cache, uses, limit), now)
            size = size_of(cache)
        with contextlib.suppress(OSError):
            os.remove(os.path.join(kept, "gc-due"))
    shutil.rmtree(os.path.join(kept, GOING), ignore_errors=True)
    return before - size


def remove_leftovers(kept: str, uses: list[Use], now: float) -> None:
    """Remove from the folder `kept` what nobody holds any more: nobody is at work, so what is half made is nobody's."""
    held = {os.path.basename(folder) for use in uses for folder in use[3]}
    for name in os.listdir(kept):
        path = os.path.join(kept, name)
        unheld = UNPACKED.fullmatch(name) and name not in held and not is_running(path)
        if unheld or name.startswith(".unpacking-") or name == "locks":
            remove(path, kept)
        with contextlib.suppress(OSError):
            if name.endswith((".json", ".turn")) and now - os.stat(path).st_mtime > UNUSED:
                os.remove(path)


def shrink(cache: str, uses: list[Use], limit: int) -> list[Use]:
    """Remove what costs least to lose first, until the cache has `limit` bytes at most; return the uses that are left.

    What was used last stays, since the next job would bring it again, and so does everything where removing it all
    would not do.
    """
    kept = os.path.join(cache, "bundler")
    for name in sorted(filter(WHEELS.fullmatch, os.listdir(cache)), key=lambda name: name.startswith("archive")):
        remove(os.path.join(cache, name), kept)
    remove(os.path.join(kept, "pycache"), kept)
    size = size_of(cache)
    sizes = {use[1]: sum(size_of(folder) for folder in use[3] if inside(folder, cache)) for use in uses}
    if size - sum(sizes.values()) > limit:
        return uses
    for use in uses[:-1]:
        if size > limit:
            uses = drop(use, uses, cache)
            size -= sizes[use[1]]
    return uses


def collect_as_owner(cache: str, limit: int | None = None) -> int | None:
    """Do what `collect` does with the rights of the owner of `cache`, who may have put anything there."""
    found = os.lstat(cache)
    if not stat.S_ISDIR(found.st_mode):
        return 0
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or found.st_uid == 0:
        return collect(cache, limit)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(found.st_gid)
            os.setuid(found.st_uid)
            os.write(writer, json.dumps(collect(cache, limit)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as source:
        told = source.read()
    os.waitpid(child, 0)
    freed: int | None = json.loads(told or b"0")
    return freed


def main(arguments: Sequence[str]) -> None:
    """Clean the cache that is named, to the limit that may be."""
    try:
        limit = parse_size((arguments[1:] or [LIMIT])[0])
    except ValueError as fault:
        print("BUNDLER_CACHE_LIMIT: {}; taking {}.".format(fault, LIMIT))
        limit = parse_size(LIMIT)
    freed = collect(arguments[0], limit)
    if freed:
        print("Removed {:.1f} MB from the cache {} that no publication needs.".format(freed / 1e6, arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
