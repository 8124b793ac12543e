"""Publish a bundle: complete, immutable, and named after its content."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from bundler.bundles.readme import readme
from bundler.bundles.verify import verify
from bundler.errors import BundlerError, DamagedError, SignatureError
from bundler.layout import COLLECTOR, EXEC_SCRIPT, MANIFEST, PUBLICATION, README, SUMS, sums
from bundler.manifest import Manifest, TargetEntry
from bundler.manifest_reader import read_manifest
from bundler.progress import Progress, Report
from bundler.publications.approval import Policy, require_approval, signed_at
from bundler.publications.execution import archive_path, collector, describe, render, to_json
from bundler.publications.history import is_logged, log
from bundler.publications.stored_wheels import store_wheels, stored
from bundler.publications.strategy import INDEX, Draft, Strategy
from bundler.trust.attached import attach
from bundler.units import counted
from wheelhouse import adding, atomic, files
from wheelhouse.errors import FileError, WheelhouseError
from wheelhouse.sharing import sharing
from wheelhouse.store import Store
from wheelhouse.unpack import require_interpreter

_ID_LENGTH = 12


def bundles_in(folder: Path) -> list[Path]:
    """Return the only bundle in `folder`. Raises `BundlerError` if there is none or several."""
    with files.explained(folder):
        bundles = [path for path in folder.iterdir() if path.suffix == ".bundle" and (path / MANIFEST).is_file()]
    if len(bundles) != 1:
        names = sorted(path.name for path in bundles)
        raise BundlerError(
            f"{folder.absolute()} contains {f'{len(bundles)} bundles' if bundles else 'no bundle'}",
            facts=names,
            hint="name the bundles to publish" if bundles else "create one with `bundle SCRIPT`, or name one",
        )
    return bundles


def require_bundle(path: Path) -> None:
    """Raise `BundlerError` or `ManifestError` unless `path` looks like a bundle."""
    read_manifest(path, "bundle")


def publish(
    bundle: Path,
    destination: Store,
    seen_at: str,
    strategy: Strategy = INDEX,
    note: str = "",
    policy: Policy | None = None,
    *,
    report: Report,
) -> Path:
    """Verify `bundle`, publish it to the store `destination`, and return the folder of the publication.

    `seen_at` is the path of the store on the nodes, `note` a text for the history of the store, `policy` says whose
    signature is required. Publishing again restores missing and damaged files, adds signatures, and changes nothing
    else. Raises the errors of `verify`, of `require_approval`, of `adding.add`, of `require` and `pack` of the
    strategy, and `ArchiveError` and `FileError`.
    """
    report(Progress(text=f"Verifying {bundle.name}"))
    manifest = verify(bundle)
    if not manifest.scripts:
        raise BundlerError(f"{bundle} contains no script", hint="name the folder of its wheels to publish these")
    require_approval(bundle, manifest, destination, policy)
    draft = Draft(bundle=bundle, manifest=manifest, store=destination, seen_at=seen_at, note=note, policy=policy)
    strategy.require(draft)
    _require_interpreters(bundle, manifest)
    with sharing(destination.path):
        base = _publish(draft, INDEX, is_base=True, report=report) if strategy.has_base else None
        return _publish(draft, strategy, base, report=report)


def _publish(
    draft: Draft, strategy: Strategy, base: Path | None = None, *, is_base: bool = False, report: Report
) -> Path:
    """Publish with `strategy`, with archives made from the publication `base`, or as such a base itself."""
    manifest = draft.manifest
    place = draft.store.publications / _name(draft, strategy, is_base=is_base)
    is_repair = place.exists()
    if is_repair:
        restored = store_wheels(draft, report=report)
        if _is_whole(place) and _signed_again(draft, place):
            if restored:
                log(draft.store, "repair", place.name, detail=f"restored {counted(restored, 'wheel')}", note=draft.note)
            text = f" (restored {counted(restored, 'wheel')} in the store)" if restored else ""
            report(Progress(kind="note", text=f"{place.name} is already published{text}"))
            return place
    with atomic.building(place, replace=is_repair, scratch=draft.store.scratch) as folder, files.explained(place):
        # First, since it announces the wheels to processes that remove files right now.
        shutil.copyfile(draft.bundle / MANIFEST, folder / MANIFEST)
        others = sum(file.size for file in manifest.files if not file.path.startswith("wheels/"))
        store_wheels(draft, others, report=report)
        # uv considers a cached wheel outdated if its change time differs, and every new hard link to a file changes
        # that time.
        _copy(draft, folder, files.copy if is_base else files.link)
        archives: dict[str, str] = {}
        for target, script in _pairs(manifest) if strategy.has_archives else []:
            report(Progress(text=f"Packing the {strategy.name} of {script} for {target.name}"))
            path = archive_path(script, target)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            strategy.pack(base or folder, script, target, manifest.folder(target, script), folder / path)
            archives[path] = files.sha256(folder / path)
        seen = _join(draft.seen_at, "publications", place.name)
        described = describe(manifest, seen, strategy.name, archives, str(base or seen))
        atomic.write(folder / README, readme(manifest, published=True))
        atomic.write(folder / EXEC_SCRIPT, render(described))
        atomic.write(folder / PUBLICATION, to_json(described))
        atomic.write(folder / COLLECTOR, collector())
        with contextlib.suppress(WheelhouseError):  # There may be no publication yet, or a damaged one.
            attach(place, folder, draft.store.scratch)
        attach(draft.bundle, folder, draft.store.scratch)
        _seal(folder, manifest, archives)
        # Of what is published, not of what was read.
        approved = require_approval(folder, manifest, draft.store, draft.policy)
    wheels = [(file.path.removeprefix("wheels/"), file.sha256) for file in draft.wheels]
    if not all(adding.is_complete(draft.store, *wheel) for wheel in wheels):  # Somebody has removed some meanwhile.
        store_wheels(draft, report=report)
    action = "repair" if is_repair else "publish"
    digest = files.sha256(draft.bundle / MANIFEST)
    log(draft.store, action, place.name, sha256=digest, detail=signed_at(approved), note=draft.note)
    if not draft.store.path.stat().st_mode & (stat.S_IXOTH | stat.S_ISGID):
        report(
            Progress(
                kind="warning",
                text=f"{place.name} is not readable by other users; nodes may not be able to read it\n"
                f"hint: run `chmod -R o+rX {draft.store.path}`",
            )
        )
    return place


def _signed_again(draft: Draft, place: Path) -> bool:
    """Add the signatures of the bundle to its publication `place`; return False if somebody has just removed that.

    Raises `SignatureError` if the publication lacks the required signatures, which the bundle has.
    """
    try:
        if not is_logged(draft.store, place.name):  # Its publisher was killed before that.
            log(draft.store, "publish", place.name, sha256=files.sha256(place / MANIFEST), note=draft.note)
        is_new = attach(draft.bundle, place, draft.store.scratch)
        approved = require_approval(place, draft.manifest, draft.store, draft.policy)
        if is_new:
            digest = files.sha256(place / MANIFEST)
            log(draft.store, "sign", place.name, sha256=digest, detail=signed_at(approved), note=draft.note)
    except FileError as error:
        if isinstance(error.error, FileNotFoundError):
            return False
        raise
    except SignatureError as error:
        if not (place / MANIFEST).exists():
            return False
        raise SignatureError(
            f"{place.name} is already published with another provenance.json, which the signature does not cover",
            problem=error.problem,
            hint=f"sign the publication: bundler sign {place} --key KEY",
        ) from error
    return True


def _name(draft: Draft, strategy: Strategy, *, is_base: bool) -> str:
    """Return the name of a publication, which depends on its content."""
    # The execution script contains the path, so the same bundle at two paths makes two publications.
    identity = (draft.bundle / MANIFEST).read_bytes()
    identity += render(describe(draft.manifest, draft.seen_at, strategy.name))
    kind = "-base" if is_base else ""
    return f"{draft.manifest.name}{kind}-{hashlib.sha256(identity).hexdigest()[:_ID_LENGTH]}"


def _require_interpreters(bundle: Path, manifest: Manifest) -> None:
    """Raise `ArchiveError` for an interpreter that nodes could not unpack."""
    for path, windows in {(target.interpreter, target.system == "Windows") for target in manifest.targets}:
        if path is not None:
            require_interpreter(bundle / path, windows=windows)


def _pairs(manifest: Manifest) -> list[tuple[TargetEntry, str]]:
    return [(target, script.name) for target in manifest.targets for script in manifest.scripts]


def _copy(draft: Draft, folder: Path, put: Callable[[Path, Path], None]) -> None:
    """Copy the files of the bundle to `folder`, and its wheels from the store with `put`."""
    for file in draft.manifest.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.path.startswith("wheels/"):
            try:
                put(stored(draft, file), path)
                continue
            except FileError as error:  # Somebody has just removed it, and puts it back.
                if not isinstance(error.error, FileNotFoundError):
                    raise
        shutil.copyfile(draft.bundle / file.path, path)


def _seal(folder: Path, manifest: Manifest, archives: Mapping[str, str]) -> None:
    """Write SHA256SUMS, verify all copies in case the bundle was changed meanwhile, and make them read-only."""
    digests = {file.path: file.sha256 for file in manifest.files} | dict(archives)
    on_top = (EXEC_SCRIPT, PUBLICATION, COLLECTOR, README, MANIFEST)
    digests |= {name: files.sha256(folder / name) for name in on_top}
    atomic.write(folder / SUMS, sums(digests))
    verify(folder)
    for file in folder.rglob("*"):
        # Wheels are links to files in the store, which may belong to others and are read-only already.
        if file.is_file() and (mode := file.stat().st_mode) & 0o222:
            file.chmod(mode & ~0o222)


def _join(folder: str, *names: str) -> str:
    """Join path components with the separator of `folder`, which may be a path on another system."""
    windows = "\\" in folder or re.match(r"[A-Za-z]:", folder)
    return str((PureWindowsPath if windows else PurePosixPath)(folder, *names))


def _is_whole(place: Path) -> bool:
    try:
        verify(place)
    except DamagedError as damage:
        # Files that somebody added there are no reason to replace the published ones.
        return all(kind == "foreign" for kind, _ in damage.rows) and (place / EXEC_SCRIPT).is_file()
    except (WheelhouseError, FileNotFoundError):  # Somebody may be removing it.
        return False
    return (place / EXEC_SCRIPT).is_file()
