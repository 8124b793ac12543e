"""Check that the locks and index pages of a bundle list the wheels in its manifest, with the same digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from bundler.bundle_folder import Bundle
from bundler.errors import ContradictionError
from bundler.layout import WHEELS, script_files
from bundler.manifest import Manifest, TargetEntry
from wheelhouse import files, toml
from wheelhouse.store.index import Link, project_page, root_page
from wheelhouse.wheel import parse_filename

# Bytes of a lock for one target, and of a line in it. Parsing TOML takes time that grows with the square of both.
_LIMIT, _LIMIT_PER_WHEEL, _LINE_LIMIT = 64 << 10, 8 << 10, 16 << 10
# Keys of a package in a pylock.toml that is not installed from wheels.
_NO_WHEELS = frozenset({"vcs", "directory", "archive", "sdist"})
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


# Reads the location and digest of every file that a lock lists.
_Reader = Callable[[str], Iterator[tuple[str, str]]]


def require_consistent(bundle: Bundle) -> None:
    """Raise `ContradictionError` with every lock and index page of `bundle` that lists other wheels than its manifest.

    The files must have been verified before. Raises `FileError`.
    """
    errors: list[str] = []
    pages: dict[str, str] = {}
    for target in bundle.manifest.targets:
        errors += _wrong_locks(bundle, target)
        for place, wheels in _indexed_wheels(bundle.manifest, target).items():
            for path, page in index_pages(place, wheels).items():
                pages[f"{place}/simple/{path}"] = hashlib.sha256(page).hexdigest()
    for file in bundle.manifest.files:
        is_page = file.path.startswith("targets/") and file.path.endswith("/index.html")
        if is_page and pages.get(file.path) != file.sha256:
            errors.append(f"{file.path}: does not list the wheels in the manifest")
    if errors:
        raise ContradictionError(bundle.folder, errors)


def _wrong_locks(bundle: Bundle, target: TargetEntry) -> list[str]:
    """Return a sentence for each lock of `target` that lists other wheels than the manifest."""
    manifest = bundle.manifest
    sentences = []
    for script in manifest.scripts:
        place = manifest.folder(target, script.name)
        up = way_up(place)
        wheels = _wheels_of(manifest, target, script.name)
        _, lock, pylock = script_files(script.name)
        # uv writes paths in a lock as if they were relative to the index next to it.
        sentences.append(
            _wrong_lock(bundle, f"{place}/{lock}", f"{up}../{WHEELS}", wheels, _of_lock)
        )
        sentences.append(
            _wrong_lock(bundle, f"{place}/{pylock}", f"{up}{WHEELS}", wheels, _of_pylock)
        )
    return [sentence for sentence in sentences if sentence]


def _wrong_lock(
    bundle: Bundle, path: str, prefix: str, wheels: Mapping[str, str], read: _Reader
) -> str:
    """Return what is wrong with the lock at `path`, or nothing; it should list `wheels` below `prefix`."""
    try:
        stated = set(read(_text(bundle.folder / path, _LIMIT + _LIMIT_PER_WHEEL * len(wheels))))
    except _UNREADABLE as error:
        return f"{path}: cannot be read ({type(error).__name__})"
    expected = {(f"{prefix}{name}", sha256) for name, sha256 in wheels.items()}
    different = {place.rpartition("/")[2] for place, _ in expected ^ stated}
    if not different:
        return ""
    return f"{path}: does not list the same wheels as the manifest: {', '.join(sorted(different))}"


def _wheels_of(manifest: Manifest, target: TargetEntry, script: str) -> dict[str, str]:
    """Return the digests of the wheels that `script` installs on `target`, by file name."""
    digests = manifest.digests()
    return {name: digests[f"{WHEELS}{name}"] for name in target.wheels[script]}


def _indexed_wheels(manifest: Manifest, target: TargetEntry) -> dict[str, dict[str, str]]:
    """Return the wheels of each folder with an index: those of one script, or of all scripts in format 1."""
    wheels: dict[str, dict[str, str]] = {}
    for script in manifest.scripts:
        place = manifest.folder(target, script.name)
        wheels.setdefault(place, {}).update(_wheels_of(manifest, target, script.name))
    return wheels


def way_up(place: str) -> str:
    """Return the path from the folder `place` of a bundle to the bundle."""
    return "../" * (place.count("/") + 1)


def index_pages(place: str, wheels: Mapping[str, str]) -> dict[str, bytes]:
    """Return the pages of the simple index in the folder `place` of a bundle by path.

    `wheels` are SHA-256 digests by file name.
    """
    projects: dict[str, list[Link]] = {}
    for name, sha256 in wheels.items():
        link = Link(filename=name, path=f"{way_up(place)}../../{WHEELS}{name}", sha256=sha256)
        projects.setdefault(parse_filename(name)[0], []).append(link)
    pages = {
        f"{project}/index.html": project_page(project, links) for project, links in projects.items()
    }
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
        is_foreign = package["source"] != {"registry": "simple"} or "sdist" in package
        if is_foreign or not _all_of(package, wheels):
            yield f"the source of {package['name']!r}", ""
        for wheel in wheels:
            yield _place(wheel), str(wheel["hash"]).removeprefix("sha256:")


def _of_pylock(text: str) -> Iterator[tuple[str, str]]:
    """Yield the path and digest of every file in a pylock.toml (PEP 751), and an entry for anything not a wheel."""
    for package in toml.loads(text).get("packages", []):
        wheels = package.get("wheels", [])
        is_foreign = not _NO_WHEELS.isdisjoint(package)
        if is_foreign or not _all_of(package, wheels):
            yield f"the source of {package['name']!r}", ""
        for wheel in wheels:
            yield _place(wheel), str(wheel["hashes"]["sha256"])


def _all_of(package: Mapping[str, Any], wheels: list[Any]) -> bool:
    """Return whether `package` has wheels, and all of them have its name and version."""
    own = (package["name"], Version(package["version"]))
    for wheel in wheels:
        if parse_filename(_place(wheel).rpartition("/")[2]) != own:
            return False
    return bool(wheels)


def _place(wheel: Mapping[str, Any]) -> str:
    """Return the location of `wheel`. Raises `ValueError` if it has two, of which readers choose differently."""
    places = [str(wheel[key]) for key in ("path", "url") if key in wheel]
    if len(places) != 1:
        raise ValueError("a wheel must have exactly one location")
    return places[0]
