"""Removes from the uv cache of a node what no publication needs any more.

    python cache_gc.py CACHE [LIMIT]

Execution scripts leave in CACHE/bundler one file per script that they ran: which publication it is from, which folders
of the cache it uses, and, as the time of its last change, when it last ran. What goes: what belongs to publications
that are gone from the share, what was not used for a month, and, while the cache is larger than LIMIT ("20 GB" unless
told otherwise), uv's wheels, of which environments have links of their own, and then what was used longest ago. Jobs
hold a lock while they run, and while any of them does, nothing goes. It needs Python 3.8 and the standard library.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import time

try:
    import fcntl
except ImportError:  # Windows: what is in use cannot be removed there, and says so
    fcntl = None

LIMIT = "20 GB"
UNUSED = 30 * 24 * 3600
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
# What execution scripts unpack: a uv, a Python, a filled cache, an environment.
UNPACKED = re.compile(r"[0-9a-f]{16}")
# The folders of uv's cache that hold wheels, see `uv cache dir`; without them it unpacks wheels again.
WHEELS = re.compile(r"(wheels|archive|built-wheels|simple|sdists)-v\d+")


def parse_size(text):
    """Return the bytes that `text` means, such as 512 MB or 1.5GiB; raise `ValueError`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", str(text), re.IGNORECASE)
    if not found:
        raise ValueError("{!r} is no size; write it like 512 MB".format(text))
    return int(float(found.group(1)) * UNITS[found.group(2).upper()])


@contextlib.contextmanager
def exclusively(path):
    """Yield whether nobody else holds the lock `path`, and hold it meanwhile."""
    if fcntl is None:
        yield True
        return
    with open(path, "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = True
        except OSError:
            mine = False
        yield mine


def size_of(folder):
    """Return the bytes below `folder`, each file once however many links it has."""
    seen = {}
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(base, name))
                seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())


def is_gone(publication):
    """Return whether `publication` was removed from its store; not when the whole share is out of reach."""
    store = os.path.join(os.path.dirname(os.path.dirname(publication)), "store.json")
    return not os.path.isdir(publication) and os.path.isfile(store)


def read_uses(kept):
    """Return (last use, path of the record, publication, folders in use), the longest unused first."""
    found = []
    for name in os.listdir(kept):
        path = os.path.join(kept, name)
        if name.endswith(".use"):
            try:
                with open(path, encoding="utf-8") as source:
                    use = json.load(source)
                found.append(
                    (os.stat(path).st_mtime, path, str(use["publication"]), [str(one) for one in use["holds"]])
                )
            except (OSError, ValueError, KeyError, TypeError):
                found.append((0.0, path, "", []))  # torn; the next job writes it again
    return sorted(found)


def inside(folder, cache):
    """Return whether `folder` is a folder in `cache` that may be removed: nothing but what jobs recorded there."""
    real, base = os.path.realpath(folder), os.path.realpath(cache)
    return os.path.dirname(os.path.dirname(real)) == base and os.path.isdir(real)


def remove(folder):
    """Remove `folder`, first its name, so that nobody finds it half removed."""
    going = "{}.going-{}".format(folder, os.getpid())
    with contextlib.suppress(OSError):
        os.rename(folder, going)
        shutil.rmtree(going, ignore_errors=True)


def drop(use, uses, cache):
    """Remove the record `use` and the folders that no other of `uses` holds; return the uses that are left."""
    left = [other for other in uses if other is not use]
    held = {folder for other in left for folder in other[3]}
    for folder in use[3]:
        if folder not in held and inside(folder, cache):
            remove(folder)
    with contextlib.suppress(OSError):
        os.remove(use[1])
    return left


def collect(cache, limit=None, now=None):
    """Clean the cache in the folder `cache` down to `limit` bytes; return the bytes freed, None while jobs run."""
    kept = os.path.join(cache, "bundler")
    if not os.path.isdir(kept):
        return 0
    with contextlib.ExitStack() as held:
        for lock in (os.path.join(kept, "jobs.lock"), os.path.join(cache, ".lock")):
            if not held.enter_context(exclusively(lock)):
                return None
        before = size_of(cache)
        now = time.time() if now is None else now
        uses = read_uses(kept)
        for use in list(uses):
            if is_gone(use[2]) or now - use[0] > UNUSED:
                uses = drop(use, uses, cache)
        remove_leftovers(kept, uses, now)
        shrink(cache, uses, parse_size(LIMIT) if limit is None else limit)
        with contextlib.suppress(OSError):
            os.remove(os.path.join(kept, "gc-due"))
        return before - size_of(cache)


def remove_leftovers(kept, uses, now):
    """Remove from the folder `kept` what was unpacked for nobody any more, and old notes."""
    held = {os.path.basename(folder) for use in uses for folder in use[3]}
    for name in os.listdir(kept):
        path = os.path.join(kept, name)
        if UNPACKED.fullmatch(name) and name not in held:
            remove(path)
        with contextlib.suppress(OSError):
            if name.endswith(".json") and now - os.stat(path).st_mtime > UNUSED:
                os.remove(path)


def shrink(cache, uses, limit):
    """Remove what costs least to lose first, until the cache has `limit` bytes at most."""
    if size_of(cache) > limit:
        for name in os.listdir(cache):
            if WHEELS.fullmatch(name):
                remove(os.path.join(cache, name))
        remove(os.path.join(cache, "bundler", "pycache"))
    while uses and size_of(cache) > limit:
        uses = drop(uses[0], uses, cache)
    remove_leftovers(os.path.join(cache, "bundler"), uses, 0)


def main(arguments):
    """Clean the cache that is named, to the limit that may be."""
    freed = collect(arguments[0], *map(parse_size, arguments[1:]))
    if freed:
        print("Removed {:.1f} MB from the cache {} that no publication needs.".format(freed / 1e6, arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
