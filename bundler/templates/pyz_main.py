"""Starts the tool from a zip file: unpacks it once per user, so that later starts find compiled modules.

The zip file contains another one with the modules, so that Python reads a small directory at every start.
"""

import os
import sys

BUILD = "digest of the contents"

if sys.version_info < (3, 10):
    sys.exit("error: this tool needs Python 3.10 or newer (this is %d.%d)" % sys.version_info[:2])


def cache_folder():
    """Return the folder for unpacked versions: in the user's cache folder."""
    home = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return os.path.join(home or os.path.join(os.path.expanduser("~"), ".cache"), "hps-bundler")


def is_private(folder):
    """Return whether only this user can have written to `folder`."""
    status = os.lstat(folder)
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def unpacked(archive):
    """Return a folder with the modules in `archive`: unpacked once in the user's cache, or for this run only."""
    parent = cache_folder()
    folder = os.path.join(parent, "pyz-" + BUILD)
    try:
        os.makedirs(parent, mode=0o700, exist_ok=True)
        if is_private(parent):
            return folder if os.path.isdir(folder) else unpack(archive, parent, folder)
    except OSError:
        if os.path.isdir(folder) and is_private(parent):  # Another start was faster.
            return folder
    return temporary(archive)


def unpack(archive, parent, folder):
    """Unpack `archive` to `folder`, and delete earlier versions and what killed starts left; return `folder`."""
    import shutil
    import tempfile

    for name in os.listdir(parent):
        if name.startswith("pyz-"):
            shutil.rmtree(os.path.join(parent, name), ignore_errors=True)
    partial = tempfile.mkdtemp(prefix="pyz-", dir=parent)
    extract(archive, partial)
    os.rename(partial, folder)
    return folder


def temporary(archive):
    """Return a temporary folder with the modules in `archive`, which is deleted at the end."""
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="bundler-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    extract(archive, folder)
    return folder


def extract(archive, folder):
    """Extract the inner zip file of `archive` to `folder`."""
    import io
    import zipfile

    with zipfile.ZipFile(archive) as outer, zipfile.ZipFile(io.BytesIO(outer.read("contents.zip"))) as inner:
        inner.extractall(folder)


def main():
    """Run the tool."""
    sys.path[0] = unpacked(os.path.dirname(os.path.abspath(__file__)))
    from bundler.cli import main as run

    run()


main()
