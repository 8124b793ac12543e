"""What a path is, for the errors of commands that need something else there."""

from __future__ import annotations

import difflib
import os
import shlex
from pathlib import Path

from bundler.layout import EXEC_SCRIPT, MANIFEST, PUBLICATION, SUMS
from wheelhouse import files

_TAR_MAGIC, _ZSTD_MAGIC = b"ustar", b"\x28\xb5\x2f\xfd"
_TAR_OFFSET = 257


def kind_of(path: Path) -> str:
    """Return "nothing", "script", "archive", "file", "bundle", "publication", "store" or "folder"."""
    if not os.path.lexists(path):
        return "nothing"
    if path.is_dir():
        return _kind_of_folder(path)
    if path.suffix == ".py":
        return "script"
    try:
        with files.open_input(path) as source:
            start = source.read(512)
    except OSError:
        return "file"
    is_tar = start[_TAR_OFFSET:].startswith(_TAR_MAGIC)
    return "archive" if is_tar or start.startswith(_ZSTD_MAGIC) else "file"


def _kind_of_folder(path: Path) -> str:
    if (path / MANIFEST).is_file():
        is_published = (path / EXEC_SCRIPT).is_file() or (path / PUBLICATION).is_file()
        return "publication" if is_published else "bundle"
    if (path / "store.json").is_file():
        return "store"
    return "folder"


def mismatch(path: Path, expected: str) -> tuple[str, str]:
    """Return what is wrong with `path`, where a command needs what `expected` names, and a hint."""
    kind = kind_of(path)
    if kind == "nothing":
        return "does not exist", _near(path) or _made_by(expected)
    if kind == "folder" and (path / SUMS).is_file():
        return f"has no {MANIFEST}, so it is damaged", "copy it again"
    if kind in ("file", "folder"):
        above = _owner(path)
        if above is not None:
            return f"is inside of a {kind_of(above)}", f"name {shlex.quote(str(above))}"
        article = "an" if expected.startswith("a") else "a"
        return f"is not {article} {expected}", _made_by(expected)
    article = "an" if kind == "archive" else "a"
    return f"is {article} {kind}, not a {expected}", _hint(path, kind, expected)


def is_inside(path: Path) -> bool:
    """Return whether `path` is in the folder of a bundle, publication or store."""
    return _owner(path) is not None


def _owner(path: Path) -> Path | None:
    """Return the bundle, publication or store that contains `path`."""
    for above in list(path.parents)[:3]:
        if _kind_of_folder(above) != "folder":
            return above
    return None


def _near(path: Path) -> str:
    """Return a hint about something at nearly the same path."""
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else ""


def _made_by(expected: str) -> str:
    """Return a hint about where what is `expected` comes from."""
    if expected == "store":
        return "name the folder that was given to publish-index"
    if expected == "publication":
        return "give the folder that `publish-index` printed"
    if expected == "script":
        return "give the path of a Python script"
    return "give the folder that `bundle` or `publish-index` printed"


def _hint(path: Path, kind: str, expected: str) -> str:
    """Return what to do with `path`, which is of another kind than `expected`."""
    name = shlex.quote(str(path))
    if expected == "script" and kind != "store":
        return f"give a script, or publish it with `publish-index STORE {name}`"
    if expected == "publication" and kind in ("bundle", "archive"):
        return f"publish it first: publish-index STORE {name}"
    if expected == "store" and kind == "publication":
        return f"its store is {path.absolute().parent.parent}"
    hints = {
        "script": f"run `bundle {name}` first",
        "store": f"name a publication in it; `bundler store list {name}` lists them",
        "publication": "give the bundle from which it was published",
    }
    if expected == "script":
        return _made_by(expected)
    return hints.get(kind) or _made_by(expected)
