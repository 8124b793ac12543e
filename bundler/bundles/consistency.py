"""Check that the locks and index pages of a bundle list the wheels in its manifest, with the same digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from bundler.errors import ContradictionError
from bundler.layout import script_files
from bundler.manifest import Manifest
from wheelhouse import files, toml
from wheelhouse.index import Link, project_page, root_page
from wheelhouse.wheel import parse_filename

# Bytes of a lock for one target, and of a line in it. Parsing TOML takes time that grows with the square of both.
_LIMIT, _LIMIT_PER_WHEEL, _LINE_LIMIT = 64 << 10, 8 << 10, 16 << 10
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def require_consistent(folder: Path, manifest: Manifest) -> None:
    """Raise `ContradictionError` with every file of the bundle in `folder` that lists other wheels than `manifest`.

    The files must have been verified before. Raises `FileError`.
    """
    digests = {file.path: file.sha256 for file in manifest.files}
    errors: list[str] = []

    def compare(
        path: str, prefix: str, wheels: Mapping[str, str], read: Callable[[str], Iterator[tuple[str, str]]]
    ) -> None:
        expected = {(f"{prefix}{name}", sha256) for name, sha256 in wheels.items()}
        try:
            stated = set(read(_text(folder / path, _LIMIT + _LIMIT_PER_WHEEL * len(wheels))))
        except _UNREADABLE as error:
            errors.append(f"{path}: cannot be read ({type(error).__name__})")
            return
        names = {place.rpartition("/")[2] for place, _ in expected ^ stated}
        if names:
            errors.append(f"{path}: does not list the same wheels as the manifest: {', '.join(sorted(names))}")

    pages: dict[str, str] = {}
    for target in manifest.targets:
        # The wheels of each folder with an index: those of one script, or of all scripts in format 1.
        every: dict[str, dict[str, str]] = {}
        for script in manifest.scripts:
            place = manifest.folder(target, script.name)
            up = way_up(place)
            wheels = {name: digests[f"wheels/{name}"] for name in target.wheels[script.name]}
            every.setdefault(place, {}).update(wheels)
            _, lock, pylock = script_files(script.name)
            # uv writes paths in a lock as if they were relative to the index next to it.
            compare(f"{place}/{lock}", f"{up}../wheels/", wheels, _of_lock)
            compare(f"{place}/{pylock}", f"{up}wheels/", wheels, _of_pylock)
        for place, wheels in every.items():
            for path, page in index_pages(place, wheels).items():
                pages[f"{place}/simple/{path}"] = hashlib.sha256(page).hexdigest()
    errors += [
        f"{path}: does not list the wheels in the manifest"
        for path, sha256 in digests.items()
        if path.startswith("targets/") and path.endswith("/index.html") and pages.get(path) != sha256
    ]
    if errors:
        raise ContradictionError(folder, errors)


def way_up(place: str) -> str:
    """Return the path from the folder `place` of a bundle to the bundle."""
    return "../" * (place.count("/") + 1)


def index_pages(place: str, wheels: Mapping[str, str]) -> dict[str, bytes]:
    """Return the pages of the simple index in the folder `place` of a bundle by path.

    `wheels` are SHA-256 digests by file name.
    """
    projects: dict[str, list[Link]] = {}
    for name, sha256 in wheels.items():
        link = Link(filename=name, path=f"{way_up(place)}../../wheels/{name}", sha256=sha256)
        projects.setdefault(parse_filename(name)[0], []).append(link)
    pages = {f"{project}/index.html": project_page(project, links) for project, links in projects.items()}
    return {"index.html": root_page(projects)} | pages


def _text(path: Path, limit: int) -> str:
    if path.stat().st_size > limit:
        raise ValueError("is too large for the number of wheels")
    text = files.read_plain(path, limit).decode()
    if any(len(line) > _LINE_LIMIT for line in text.splitlines()):
        raise ValueError("a line is too long")
    return text


def _of_lock(text: str) -> Iterator[tuple[str, str]]:
    """Yield the path and digest of every file in a uv lock, and an entry for anything that is not a wheel."""
    for package in toml.loads(text).get("package", []):
        wheels = package.get("wheels", [])
        if package["source"] != {"registry": "simple"} or "sdist" in package or not _all_of(package, wheels):
            yield f"the source of {package['name']!r}", ""
        for wheel in wheels:
            yield _place(wheel), str(wheel["hash"]).removeprefix("sha256:")


def _of_pylock(text: str) -> Iterator[tuple[str, str]]:
    """Yield the path and digest of every file in a pylock.toml (PEP 751), and an entry for anything not a wheel."""
    for package in toml.loads(text).get("packages", []):
        wheels = package.get("wheels", [])
        if {"vcs", "directory", "archive", "sdist"} & set(package) or not _all_of(package, wheels):
            yield f"the source of {package['name']!r}", ""
        for wheel in wheels:
            yield _place(wheel), str(wheel["hashes"]["sha256"])


def _all_of(package: Mapping[str, Any], wheels: list[Any]) -> bool:
    """Return whether `package` has wheels, and all of them have its name and version."""
    own = (package["name"], Version(package["version"]))
    named = [parse_filename(_place(wheel).rpartition("/")[2]) for wheel in wheels]
    return bool(wheels) and all(name == own for name in named)


def _place(wheel: Mapping[str, Any]) -> str:
    """Return the location of `wheel`. Raises `ValueError` if it has two, of which readers choose differently."""
    places = [str(wheel[key]) for key in ("path", "url") if key in wheel]
    if len(places) != 1:
        raise ValueError("a wheel must have exactly one location")
    return places[0]
