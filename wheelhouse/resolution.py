"""What uv finds for inputs of every kind, on all platforms at once."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from packaging.pylock import Pylock, PylockValidationError
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from wheelhouse import files, toml, uv
from wheelhouse.errors import StaleLock, UnusableLock, UvFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What uv found for an input called `subject`; `locked` when a lock dictated it.

    Paths in `pylock` are relative to `base`; `text` is what uv, or the author of a lock, wrote.
    """

    subject: str
    pylock: Pylock
    text: str
    locked: bool
    base: Path

    @property
    def requires_python(self) -> SpecifierSet:
        """The Python versions that the lock is for."""
        return self.pylock.requires_python or SpecifierSet()


def lock_path(script: Path) -> Path:
    """Return where uv keeps the lock of `script`."""
    return script.with_name(f"{script.name}.lock")


def resolve_script(script: Path) -> Resolution:
    """Resolve `script` with uv for all platforms and Pythons it allows; a lock beside it is taken as it is.

    Raises `StaleLock` when that lock does not fit the script, `UvFailed` for all else that uv refuses.
    """
    locked = lock_path(script).is_file()
    code, out, err = uv.export(script, locked=locked)
    if code and locked and "needs to be updated" in err:
        changes = uv.lock_changes(["--script", script.absolute()], script.absolute().parent)
        raise StaleLock(lock_path(script), f"uv lock --script {script.name}", changes)
    return _resolution(script.name, code, out, err, locked=locked, base=Path.cwd())


def resolve_copy(script: Path, keep: Sequence[str]) -> Resolution:
    """Resolve `script`, which lies alone in its folder, as `resolve_script` does; raise `UvFailed`.

    The versions in `keep` ("name==version") stand as far as they can: uv keeps those of a lock that does not fit.
    """
    if keep:
        lock = {"version": 1, "requires-python": ">=3", "package": _pins(keep, source={"registry": "none"})}
        lock_path(script).write_text(toml.dumps(lock), encoding="utf-8")
    code, out, err = uv.export(script, locked=False)
    return _resolution(script.name, code, out, err, locked=False, base=Path.cwd())


def _pins(keep: Sequence[str], **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "version": version, **more} for name, _, version in (pin.partition("==") for pin in keep)]


def resolve_requirements(path: Path, python: str, folder: Path, keep: Sequence[str] = ()) -> Resolution:
    """Resolve a requirements.txt, with the options, constraints and hashes in it, in the empty `folder`.

    It is for Python `python` and newer. The versions in `keep` stand as far as they can. Raises `UvFailed`, and
    `UnusableLock` where an index has no file with one of the hashes.
    """
    pylock = preferences(folder, keep)
    code, _, err = uv.compile_universal(path.absolute(), pylock, python=python)
    out = "" if code else pylock.read_text(encoding="utf-8")
    found = _resolution(path.name, code, out, err, locked=False, base=folder)
    return replace(found, pylock=_only_hashed(path.name, found.pylock, _hashes(path)))


def preferences(folder: Path, keep: Sequence[str]) -> Path:
    """Return where uv writes a lock in `folder`; its versions there are to be those of `keep`, as far as they can."""
    path = folder / "pylock.toml"
    if keep:
        lock = {"lock-version": "1.0", "created-by": "bundler", "packages": _pins(keep)}
        path.write_text(toml.dumps(lock), encoding="utf-8")
    return path


def included(path: Path) -> dict[Path, str]:
    """Return the text of a requirements file and of all that it includes, by path, its continued lines made one."""
    found: dict[Path, str] = {}
    left = [path]
    while left:
        here = Path(os.path.realpath(left.pop()))  # one name for each, and no fault for a link to itself
        if here in found or (found and not here.is_file()):
            continue
        with files.explained(here):
            found[here] = re.sub(r"\\\r?\n", " ", here.read_text(encoding="utf-8", errors="replace"))
        names = re.findall(r"(?m)^\s*(?:-r\s*|--requirement[= ]\s*)([^#\n]+)", found[here])
        left += [here.parent / name.strip() for name in names]
    return found


def _hashes(path: Path) -> dict[str, set[str]]:
    """Return the SHA-256 digests that a requirements file, and those it includes, allow for each project."""
    found: dict[str, set[str]] = {}
    for line in "\n".join(included(path).values()).splitlines():
        named = re.match(r"\s*([A-Za-z0-9][\w.-]*)", line)
        digests = re.findall(r"--hash[= ]sha256:([0-9a-f]{64})", line)
        if named and digests:
            found.setdefault(canonicalize_name(named[1]), set()).update(digests)
    return found


def _only_hashed(subject: str, pylock: Pylock, hashes: Mapping[str, set[str]]) -> Pylock:
    """Return `pylock` with only those files of each package that `hashes` allow."""
    packages, faults = [], []
    for package in pylock.packages:
        allowed = hashes.get(package.name)
        if allowed is not None:
            wheels = [wheel for wheel in package.wheels or [] if wheel.hashes.get("sha256") in allowed]
            sdist = package.sdist if package.sdist and package.sdist.hashes.get("sha256") in allowed else None
            if not wheels and not sdist:
                faults.append(f"{package.name} {package.version}: no file of it has a hash that {subject} allows")
                continue
            package = replace(package, wheels=wheels, sdist=sdist)  # noqa: PLW2901 - the same, with less
        packages.append(package)
    if faults:
        raise UnusableLock(subject, faults)
    return replace(pylock, packages=packages)


def resolve_folder(folder: Path, subject: str) -> Resolution:
    """Return what the uv.lock of the project in `folder` says; raise `StaleLock`, `UvFailed`."""
    code, out, err = uv.export_project(folder)
    if code and "needs to be updated" in err:
        raise StaleLock(folder / "uv.lock", "uv lock", uv.lock_changes([], folder))
    return _resolution(subject, code, out, err, locked=True, base=folder.absolute())


def read_pylock(path: Path) -> Resolution:
    """Return what a pylock.toml says; raise `UnusableLock`, `FileFault`."""
    with files.explained(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    return Resolution(
        subject=path.name, pylock=parse(text, path.name), text=text, locked=True, base=path.absolute().parent
    )


def _resolution(subject: str, code: int, out: str, err: str, *, locked: bool, base: Path) -> Resolution:
    if code:
        raise UvFailed(f"{subject}: uv could not resolve its dependencies.", err)
    return Resolution(subject=subject, pylock=parse(out, subject), text=out, locked=locked, base=base)


def parse(text: str, subject: str) -> Pylock:
    """Parse what uv exported; what an index calls its files may still break the rules of PEP 751."""
    try:
        tables = toml.loads(text)
        _check_places(tables)
        return Pylock.from_dict(tables)
    except (PylockValidationError, ValueError) as fault:
        raise UnusableLock(subject, [str(fault)]) from fault


def _check_places(value: object) -> None:
    """Raise `ValueError` for what no system takes in a path, and for a URL that is none, anywhere in `value`."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{value!r} holds a null character")
        if "://" in value:
            urlsplit(value)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _check_places(each)
