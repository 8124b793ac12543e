"""Starts the tool from a zip file: unpacks it once per user, so that later starts find compiled modules.

The zip file contains another one with the modules, so that Python reads a small directory at every start.
"""

import atexit
import io
import os
import shutil
import sys
import tempfile
import time
import zipfile

try:
    import fcntl
except ImportError:  # On Windows, a folder with an open file cannot be moved.
    fcntl = None

BUILD = "digest of the contents"
# A file in each unpacked version that its processes hold open and locked.
IN_USE = "in-use"
HELD = []
A_DAY = 24 * 3600

if sys.version_info < (3, 10):
    sys.exit("error: this tool needs Python 3.10 or newer (this is %d.%d)" % sys.version_info[:2])


def cache_folder():
    """Return the folder for unpacked versions: in the user's cache folder."""
    home = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return os.path.join(home or os.path.join(os.path.expanduser("~"), ".cache"), "hps-bundler")


def is_private(folder):
    """Return whether only this user can have written to `folder`."""
    status = os.lstat(folder)
    return not hasattr(os, "getuid") or (
        status.st_uid == os.getuid() and not status.st_mode & 0o022
    )


def unpacked(archive):
    """Return a folder with the modules in `archive`: unpacked once in the user's cache, or for this run only."""
    parent = cache_folder()
    folder = os.path.join(parent, "pyz-" + BUILD)
    try:
        os.makedirs(parent, mode=0o700, exist_ok=True)
        if is_private(parent):
            if not held(folder):
                unpack(archive, parent, folder)
            if held(folder):
                return folder
    except OSError:
        pass
    return temporary(archive)


def held(folder):
    """Return whether `folder` is there; if so, no other version deletes it while this process runs."""
    try:
        source = open(os.path.join(folder, IN_USE), "rb")  # noqa: SIM115 - it stays open as long as this process runs
    except OSError:
        return False
    lock(source, exclusive=False)
    HELD.append(source)
    # Another version may have moved it away between both steps.
    return os.path.isdir(folder) and os.path.samestat(
        os.stat(source.name), os.fstat(source.fileno())
    )


def lock(source, exclusive):
    """Lock the open file `source`; an exclusive lock does not wait. Raises `OSError` if that is not possible."""
    if fcntl is None:
        return
    try:
        fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError:
        # Where locks are not supported, nothing can be deleted, so that using it needs none.
        if exclusive:
            raise


def unpack(archive, parent, folder):
    """Unpack `archive` to `folder`, and delete other versions that nobody uses and what killed starts left."""
    for name in os.listdir(parent):
        if name.startswith("pyz-"):
            forget(os.path.join(parent, name))
    partial = tempfile.mkdtemp(prefix="pyz-new-", dir=parent)
    try:
        extract(archive, partial)
        with open(os.path.join(partial, IN_USE), "wb"):
            pass
        os.rename(partial, folder)
    except OSError:  # Another start was faster, or the disk is full.
        shutil.rmtree(partial, ignore_errors=True)


def forget(folder):
    """Delete a version that no process uses; it is moved away first, so that it is complete or absent."""
    parent, name = os.path.split(folder)
    kind = name[:8]
    try:
        if kind == "pyz-old-":
            shutil.rmtree(folder, ignore_errors=True)
        elif kind == "pyz-new-" or not os.path.exists(os.path.join(folder, IN_USE)):
            if time.time() - os.stat(folder).st_mtime > A_DAY:
                shutil.rmtree(folder, ignore_errors=True)
        else:
            with open(os.path.join(folder, IN_USE), "rb") as source:
                lock(source, exclusive=True)
                moved = os.path.join(parent, "pyz-old-%s-%d" % (name[4:], os.getpid()))
                if os.name == "nt":
                    source.close()
                os.rename(folder, moved)
            shutil.rmtree(moved, ignore_errors=True)
    except OSError:
        pass


def temporary(archive):
    """Return a temporary folder with the modules in `archive`, which is deleted at the end."""
    folder = tempfile.mkdtemp(prefix="bundler-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    extract(archive, folder)
    return folder


def extract(archive, folder):
    """Extract the inner zip file of `archive` to `folder`."""
    with zipfile.ZipFile(archive) as outer:
        contents = io.BytesIO(outer.read("contents.zip"))
    with zipfile.ZipFile(contents) as inner:
        inner.extractall(folder)


def main():
    """Run the tool."""
    sys.path[0] = unpacked(os.path.dirname(os.path.abspath(__file__)))
    from bundler.cli import main as run  # noqa: PLC0415 - it is there now

    run()


main()
