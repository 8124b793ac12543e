"""Whether the locks and pages of a bundle name just the wheels that its manifest names, with the same digests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from packaging.version import Version

from bundler.errors import ContradictionError
from bundler.layout import target_files
from wheelhouse import files, toml
from wheelhouse.index import Link, project_page, root_page
from wheelhouse.wheel import parse_filename

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from bundler.manifest import Manifest

# Where wheels are, as seen from the index beside a lock of uv, from a pylock.toml and from a page of the index.
_FROM_LOCK, _FROM_PYLOCK, _FROM_PAGE = "../../../wheels/", "../../wheels/", "../../../../wheels/"
# Bytes of a lock of one target, and of a line of it. The time that TOML takes grows with the square of both.
_LIMIT, _LIMIT_PER_WHEEL, _LINE_LIMIT = 64 << 10, 8 << 10, 16 << 10
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def require_consistent(folder: Path, manifest: Manifest) -> None:
    """Raise `DamagedError` with all files of the bundle in `folder` that name other wheels than `manifest` does.

    Their own bytes must have been verified. Raises `FileError`.
    """
    digests = {file.path: file.sha256 for file in manifest.files}
    faults: list[str] = []

    def compare(
        path: str, prefix: str, wheels: Mapping[str, str], read: Callable[[str], Iterator[tuple[str, str]]]
    ) -> None:
        wanted = {(f"{prefix}{name}", sha256) for name, sha256 in wheels.items()}
        try:
            stated = set(read(_text(folder / path, _LIMIT + _LIMIT_PER_WHEEL * len(wheels))))
        except _UNREADABLE as fault:
            faults.append(f"{path}: cannot be read ({type(fault).__name__})")
            return
        names = {place.rpartition("/")[2] for place, _ in wanted ^ stated}
        if names:
            faults.append(f"{path}: does not name the same wheels as the manifest: {', '.join(sorted(names))}")

    for target in manifest.targets:
        every: dict[str, str] = {}
        for script in manifest.scripts:
            wheels = {name: digests[f"wheels/{name}"] for name in target.wheels[script.name]}
            every |= wheels
            _, lock, pylock = target_files(script.name)
            compare(f"{target.folder()}/{lock}", _FROM_LOCK, wheels, _of_lock)
            compare(f"{target.folder()}/{pylock}", _FROM_PYLOCK, wheels, _of_pylock)
        simple = f"{target.folder()}/simple/"
        pages = {f"{simple}{path}": hashlib.sha256(page).hexdigest() for path, page in index_pages(every).items()}
        faults += [
            f"{path}: is not the page of the wheels in the manifest"
            for path, sha256 in digests.items()
            if path.startswith(simple) and pages.get(path) != sha256
        ]
    if faults:
        raise ContradictionError(folder, faults)


def index_pages(wheels: Mapping[str, str]) -> dict[str, bytes]:
    """Return the pages of the simple index of one target by their paths; `wheels` are SHA-256 by file name."""
    projects: dict[str, list[Link]] = {}
    for name, sha256 in wheels.items():
        link = Link(filename=name, path=f"{_FROM_PAGE}{name}", sha256=sha256)
        projects.setdefault(parse_filename(name)[0], []).append(link)
    pages = {f"{project}/index.html": project_page(project, links) for project, links in projects.items()}
    return {"index.html": root_page(projects)} | pages


def _text(path: Path, limit: int) -> str:
    if path.stat().st_size > limit:
        raise ValueError("is too large for a lock of so few wheels")
    text = files.read_plain(path, limit).decode()
    if any(len(line) > _LINE_LIMIT for line in text.splitlines()):
        raise ValueError("a line is too long")
    return text


def _of_lock(text: str) -> Iterator[tuple[str, str]]:
    """Yield place and SHA-256 of every file that a lock of uv names, and anything that is no wheel of the index."""
    for package in toml.loads(text).get("package", []):
        wheels = package.get("wheels", [])
        if package["source"] != {"registry": "simple"} or "sdist" in package or not _all_of(package, wheels):
            yield f"the source of {package['name']!r}", ""
        for wheel in wheels:
            yield _place(wheel), str(wheel["hash"]).removeprefix("sha256:")


def _of_pylock(text: str) -> Iterator[tuple[str, str]]:
    """Yield place and SHA-256 of every file that a pylock.toml (PEP 751) names; anything but a wheel too."""
    for package in toml.loads(text).get("packages", []):
        wheels = package.get("wheels", [])
        if {"vcs", "directory", "archive", "sdist"} & set(package) or not _all_of(package, wheels):
            yield f"the source of {package['name']!r}", ""
        for wheel in wheels:
            yield _place(wheel), str(wheel["hashes"]["sha256"])


def _all_of(package: Mapping[str, Any], wheels: list[Any]) -> bool:
    """Return whether `package` has wheels, and they are its own by name and version."""
    own = (package["name"], Version(package["version"]))
    named = [parse_filename(_place(wheel).rpartition("/")[2]) for wheel in wheels]
    return bool(wheels) and all(name == own for name in named)


def _place(wheel: Mapping[str, Any]) -> str:
    """Return where `wheel` is; raise `ValueError` where it is in two places, of which a reader takes either."""
    places = [str(wheel[key]) for key in ("path", "url") if key in wheel]
    if len(places) != 1:
        raise ValueError("a wheel has just one place")
    return places[0]
