"""Whether the locks and pages of a bundle name just the wheels that its manifest names, with the same digests."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from bundler.errors import Inconsistent
from bundler.manifest import target_files
from wheelhouse import files, toml
from wheelhouse.wheel import parse_filename

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from bundler.manifest import Manifest

# Where wheels are, as seen from the index beside a lock of uv, from a pylock.toml and from a page of the index.
_FROM_LOCK, _FROM_PYLOCK, _FROM_PAGE = "../../../wheels/", "../../wheels/", "../../../../wheels/"
_ANCHOR = re.compile(r"<a\b[^>]*>", re.IGNORECASE)
_LINK = re.compile(r'href="([^"#]*)#sha256=([0-9a-f]{64})"')
# Bytes of a lock or a page, which has a few hundred for each wheel.
_LIMIT = 64 << 20


def require_consistent(folder: Path, manifest: Manifest) -> None:
    """Raise `Inconsistent` with all files of the bundle in `folder` that name other wheels than `manifest` does.

    Their own bytes must have been verified. Raises `FileFault`.
    """
    digests = {file.path: file.sha256 for file in manifest.files}
    faults: list[str] = []

    def compare(
        path: str, prefix: str, wheels: Mapping[str, str], read: Callable[[str], Iterator[tuple[str, str]]]
    ) -> None:
        wanted = {(f"{prefix}{name}", sha256) for name, sha256 in wheels.items()}
        try:
            found = set(read(files.read_plain(folder / path, _LIMIT).decode()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
            faults.append(f"{path}: cannot be read ({type(fault).__name__})")
            return
        names = {place.rpartition("/")[2] for place, _ in wanted ^ found}
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
        for path in digests:
            if path.startswith(simple) and path != f"{simple}index.html":
                project = path.removeprefix(simple).partition("/")[0]
                own = {name: sha256 for name, sha256 in every.items() if _project(name) == project}
                compare(path, _FROM_PAGE, own, _of_page)
    if faults:
        raise Inconsistent(folder, faults)


def _project(filename: str) -> str:
    return parse_filename(filename)[0]


def _of_lock(text: str) -> Iterator[tuple[str, str]]:
    """Yield place and SHA-256 of every file that a lock of uv names, and anything that is no wheel of the index."""
    for package in toml.loads(text).get("package", []):
        if package["source"] != {"registry": "simple"} or "sdist" in package or not package.get("wheels"):
            yield f"the source of {package['name']}", ""
        for wheel in package.get("wheels", []):
            yield str(wheel.get("path") or wheel.get("url")), str(wheel["hash"]).removeprefix("sha256:")


def _of_pylock(text: str) -> Iterator[tuple[str, str]]:
    """Yield place and SHA-256 of every file that a pylock.toml (PEP 751) names; anything but a wheel too."""
    for package in toml.loads(text).get("packages", []):
        if {"vcs", "directory", "archive", "sdist"} & set(package) or not package.get("wheels"):
            yield f"the source of {package['name']}", ""
        for wheel in package.get("wheels", []):
            yield str(wheel.get("url") or wheel.get("path")), str(wheel["hashes"]["sha256"])


def _of_page(text: str) -> Iterator[tuple[str, str]]:
    """Yield place and SHA-256 of every file to which a page of a simple index (PEP 503) links."""
    for anchor in _ANCHOR.findall(text):
        link = _LINK.search(anchor)
        yield (unquote(html.unescape(link[1])), link[2]) if link else (anchor, "")
