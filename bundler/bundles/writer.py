"""Write the contents of a bundle: targets, README, manifest and checksums."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

from bundler.bundle_folder import Bundle
from bundler.bundles.consistency import index_pages, way_up
from bundler.bundles.plan import Plan
from bundler.bundles.readme import readme
from bundler.layout import (
    MANIFEST,
    PYTHONS,
    README,
    SUMS,
    WHEELS,
    script_files,
    script_folder,
    sums,
)
from bundler.lazily import lazily
from bundler.manifest import File, Manifest, TargetEntry
from wheelhouse import atomic, files
from wheelhouse.errors import redacted
from wheelhouse.select import node_lock
from wheelhouse.select.interpreter import Archive
from wheelhouse.target import Target
from wheelhouse.wheel import Wheel

with lazily():
    from bundler.assessment import sbom


# Bytes of the bundle's name in that of a publication; scripts can have names of any length.
_NAME_LENGTH = 60


def write_target(folder: Path, target: Target, plan: Plan) -> None:
    """Write the files of `target`: a folder for each script, with its locks and a simple index of its wheels.

    A lock names versions and an index offers files, so scripts with other files of one version cannot share an index.
    """
    for source in plan.sources:
        name, _, pylock = script_files(source.name)
        pins = plan.installs[name, target.name]
        place = f"targets/{target.name}/{script_folder(name)}"
        digests = {pin.wheel.filename: pin.wheel.sha256 for pin in pins}
        for path, page in index_pages(place, digests).items():
            atomic.write(folder / place / "simple" / path, page)
        node_lock.write_node_lock(folder / place / name, pins, target)
        atomic.write(folder / place / name, source.data)
        atomic.write(
            folder / place / pylock, node_lock.target_pylock(pins, f"{way_up(place)}wheels")
        )


def write_manifest(folder: Path, plan: Plan, *, sbom: bool = False) -> Manifest:
    """Write README.txt, manifest.json and SHA256SUMS of the bundle whose other files are in `folder`.

    With `sbom`, also writes a bill of materials for each script and target.
    """
    manifest = Manifest(
        name=_plain(Path(plan.sources[0].name).stem),
        scripts=tuple(source.entry() for source in plan.sources),
        targets=tuple(_target_entry(target, plan) for target in plan.targets),
        files=(),
    )
    atomic.write(folder / README, readme(manifest))
    for source in plan.sources:
        if source.lock is not None:
            _keep_evidence(source.name, source.lock, folder)
    entries = [*_fetched_files(folder, plan), *_written_files(folder)]
    if sbom:
        entries += _write_sboms(folder, replace(manifest, files=tuple(entries)))
    manifest = replace(manifest, files=tuple(sorted(entries, key=lambda file: file.path)))
    data = manifest.to_json()
    atomic.write(folder / MANIFEST, data)
    digests = manifest.digests()
    digests[MANIFEST] = hashlib.sha256(data).hexdigest()
    atomic.write(folder / SUMS, sums(digests))
    return manifest


def _fetched_files(folder: Path, plan: Plan) -> list[File]:
    """Return the entries of what was downloaded or built, with digests that were checked then."""
    entries = [_fetched(folder, f"{WHEELS}{wheel.filename}", wheel) for wheel in plan.wheels()]
    entries += [
        _fetched(folder, f"{PYTHONS}{archive.filename}", archive) for archive in plan.archives()
    ]
    return entries


def _written_files(folder: Path) -> list[File]:
    """Return the entries of what this tool has written."""
    paths = [folder / README]
    for name in ("targets", "locks", "attestations"):
        paths += (folder / name).rglob("*")
    entries = []
    for path in paths:
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            entries.append(File(path=name, size=path.stat().st_size, sha256=files.sha256(path)))
    return entries


def _write_sboms(folder: Path, manifest: Manifest) -> list[File]:
    entries = []
    for path, data in sbom.sboms(Bundle(folder=folder, manifest=manifest)).items():
        atomic.write(folder / path, data)
        entries.append(File(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest()))
    return entries


def _keep_evidence(name: str, lock: Path, folder: Path) -> None:
    """Copy the lock file of the source `name` into the bundle, byte for byte, unless it contains a secret.

    Not next to the script, where uv would follow the URLs in it and fail without network access.
    """
    with files.explained(lock):
        data = files.read_input(lock)
    text = files.decoded(data)
    if redacted(text) == text:
        atomic.write(folder / "locks" / f"{name}.{lock.name.removeprefix(f'{name}.')}", data)


def _fetched(folder: Path, path: str, remote: Wheel | Archive) -> File:
    origin = remote.origin if isinstance(remote, Wheel) else None
    # A path of this machine does not belong in a bundle, and a query may contain a token.
    if origin is None and not remote.url.startswith("file:"):
        origin = redacted(remote.url).partition("?")[0]
    return File(path=path, size=(folder / path).stat().st_size, sha256=remote.sha256, origin=origin)


def _target_entry(target: Target, plan: Plan) -> TargetEntry:
    wheels = {}
    for source in plan.sources:
        pins = plan.installs[source.name, target.name]
        wheels[source.name] = tuple(pin.wheel.filename for pin in pins)
    uv, interpreter = plan.uvs.get(target.name), plan.interpreters.get(target.name)
    return TargetEntry(
        name=target.name,
        python=target.python,
        platform=target.platform.name,
        system=target.platform.system,
        machine=target.platform.machine,
        libc=target.platform.libc,
        wheels=wheels,
        uv=f"{WHEELS}{uv.filename}" if uv else None,
        interpreter=f"{PYTHONS}{interpreter.filename}" if interpreter else None,
    )


def _plain(text: str) -> str:
    """Return `text` as a name that is safe on all systems, or `script` if nothing is left of it."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", ascii_text)[:_NAME_LENGTH].strip("-_") or "script"
