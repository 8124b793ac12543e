"""Publish a bundle: complete, immutable, and named after its content."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from bundler.bundle_folder import Bundle, open_bundle
from bundler.bundles.readme import readme
from bundler.bundles.verify import verify
from bundler.errors import BundlerError, DamagedError, SignatureError
from bundler.layout import (
    COLLECTOR,
    EXEC_SCRIPT,
    MANIFEST,
    PUBLICATION,
    README,
    RUN,
    RUN_SHELL,
    SUMS,
    sums,
)
from bundler.manifest import Manifest
from bundler.manifest_reader import MANIFEST_LIMIT, read_manifest
from bundler.progress import Progress, Report
from bundler.publications.approval import Policy, require_approval, signed_at
from bundler.publications.delivery import Delivery, deliver, ensure_logged, put_wheels
from bundler.publications.execution import (
    archive_path,
    collector,
    describe,
    render,
    render_run,
    render_shell,
    to_json,
)
from bundler.publications.history import log
from bundler.publications.strategy import INDEX, Draft, Strategy
from bundler.trust.attachments import attach
from wheelhouse import atomic, files
from wheelhouse.errors import FileError, WheelhouseError
from wheelhouse.store.sharing import sharing
from wheelhouse.store.store import Store
from wheelhouse.unpack import require_interpreter

_ID_LENGTH = 12


def bundles_in(folder: Path) -> list[Path]:
    """Return the only bundle in `folder`. Raises `BundlerError` if there is none or several."""
    with files.explained(folder):
        bundles = [
            path
            for path in folder.iterdir()
            if path.suffix == ".bundle" and (path / MANIFEST).is_file()
        ]
    if not bundles:
        fact = f"{folder.absolute()} contains no bundle"
        raise BundlerError(fact, hint="create one with `bundle SCRIPT`, or name one")
    if len(bundles) > 1:
        raise BundlerError(
            f"{folder.absolute()} contains {len(bundles)} bundles",
            facts=sorted(path.name for path in bundles),
            hint="name the bundles to publish",
        )
    return bundles


def require_bundle(path: Path) -> None:
    """Raise `BundlerError` or `ManifestError` unless `path` looks like a bundle."""
    read_manifest(path, "bundle")


def publish(
    folder: Path,
    destination: Store,
    seen_at: str,
    strategy: Strategy = INDEX,
    note: str = "",
    policy: Policy | None = None,
    *,
    report: Report,
) -> Path:
    """Verify the bundle in `folder`, publish it to the store `destination`; return the folder of the publication.

    `seen_at` is the path of the store on the nodes, `note` a text for the history of the store, `policy` says whose
    signature is required. Publishing again restores missing and damaged files, adds signatures, and changes nothing
    else. Raises the errors of `verify`, of `require_approval`, of `adding.add`, of `require` and `pack` of the
    strategy, and `ArchiveError` and `FileError`.
    """
    report(Progress(text=f"Verifying {folder.name}"))
    bundle = verify(folder)
    if not bundle.manifest.scripts:
        raise BundlerError(
            f"{folder} contains no script", hint="name the folder of its wheels to publish these"
        )
    require_approval(bundle, destination, policy)
    draft = Draft(bundle=bundle, store=destination, seen_at=seen_at, note=note, policy=policy)
    strategy.require(draft)
    _require_interpreters(bundle)
    with sharing(destination.path):
        if not strategy.has_base:
            return _publish(draft, strategy, report=report)
        base = _publish(draft, INDEX, is_base=True, report=report)
        return _publish(draft, strategy, base, report=report)


def _require_interpreters(bundle: Bundle) -> None:
    """Raise `ArchiveError` for an interpreter that nodes could not unpack."""
    for path, is_windows in {
        (target.interpreter, target.system == "Windows") for target in bundle.manifest.targets
    }:
        if path is not None:
            require_interpreter(bundle.folder / path, windows=is_windows)


def _publish(
    draft: Draft,
    strategy: Strategy,
    base: Path | None = None,
    *,
    is_base: bool = False,
    report: Report,
) -> Path:
    """Publish with `strategy`, with archives made from the publication `base`, or as such a base itself."""
    bundle, store = draft.bundle, draft.store
    manifest = bundle.manifest
    delivery = Delivery(
        store=store,
        name=_name(draft, strategy, is_base=is_base),
        manifest=bundle.read(MANIFEST, MANIFEST_LIMIT),
        wheels={file: bundle.path(file) for file in manifest.wheels},
        origin=bundle.folder.name,
        others=sum(file.size for file in manifest.files if not file.is_wheel),
        note=draft.note,
    )

    def fill(folder: Path) -> str:
        # uv considers a cached wheel outdated if its change time differs, and every new hard link to a file changes
        # that time.
        put_wheels(delivery, folder, files.copy if is_base else files.link)
        _copy_others(bundle, folder)
        archives = _write_archives(manifest, strategy, base or folder, folder, report)
        seen = _join(draft.seen_at, "publications", delivery.name)
        _write_program(
            manifest, describe(manifest, seen, strategy.name, archives, str(base or seen)), folder
        )
        with contextlib.suppress(
            WheelhouseError
        ):  # There may be no publication yet, or a damaged one.
            attach(delivery.place, folder, store.scratch)
        attach(bundle.folder, folder, store.scratch)
        _seal(folder, manifest, archives)
        # Of what is published, not of what was read.
        approvals = require_approval(open_bundle(folder), store, draft.policy)
        _warn_if_unreadable(delivery, report)
        return signed_at(approvals)

    def is_current(place: Path) -> bool:
        return _is_whole(place) and _signed_again(draft, delivery)

    return deliver(delivery, is_current=is_current, fill=fill, report=report)


def _warn_if_unreadable(delivery: Delivery, report: Report) -> None:
    """Report a warning if only the user who publishes can read the store."""
    store = delivery.store
    if not store.path.stat().st_mode & (stat.S_IXOTH | stat.S_ISGID):
        text = f"{delivery.name} is not readable by other users; nodes may not be able to read it"
        report(Progress(kind="warning", text=f"{text}\nhint: run `chmod -R o+rX {store.path}`"))


def _name(draft: Draft, strategy: Strategy, *, is_base: bool) -> str:
    """Return the name of a publication, which depends on its content."""
    manifest = draft.bundle.manifest
    # The execution script contains the path, so the same bundle at two paths makes two publications.
    identity = draft.bundle.read(MANIFEST, MANIFEST_LIMIT)
    identity += render(describe(manifest, draft.seen_at, strategy.name))
    kind = "-base" if is_base else ""
    return f"{manifest.name}{kind}-{hashlib.sha256(identity).hexdigest()[:_ID_LENGTH]}"


def _copy_others(bundle: Bundle, folder: Path) -> None:
    """Copy the files of `bundle` that are no wheels to `folder`."""
    for file in bundle.manifest.files:
        if not file.is_wheel:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path(file), path)


def _write_archives(
    manifest: Manifest, strategy: Strategy, root: Path, folder: Path, report: Report
) -> dict[str, str]:
    """Write the archives of `strategy` to `folder`, made from the publication in `root`; return their digests."""
    archives: dict[str, str] = {}
    if not strategy.has_archives:
        return archives
    for target in manifest.targets:
        for script in manifest.scripts:
            report(Progress(text=f"Packing the {strategy.name} of {script.name} for {target.name}"))
            name = archive_path(script.name, target)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            strategy.pack(root, script.name, target, manifest.folder(target, script.name), path)
            archives[name] = files.sha256(path)
    return archives


def _write_program(manifest: Manifest, described: Mapping[str, Any], folder: Path) -> None:
    """Write what a publication has in addition to its bundle: the execution script and its description."""
    atomic.write(folder / README, readme(manifest, published=True))
    atomic.write(folder / EXEC_SCRIPT, render(described))
    atomic.write(folder / PUBLICATION, to_json(described))
    atomic.write(folder / COLLECTOR, collector())
    atomic.write(folder / RUN, render_run(described))
    atomic.write(folder / RUN_SHELL, render_shell(described))


def _seal(folder: Path, manifest: Manifest, archives: Mapping[str, str]) -> None:
    """Write SHA256SUMS, verify all copies in case the bundle was changed meanwhile, and make them read-only."""
    digests = {**manifest.digests(), **archives}
    for name in (EXEC_SCRIPT, PUBLICATION, COLLECTOR, RUN, RUN_SHELL, README, MANIFEST):
        digests[name] = files.sha256(folder / name)
    atomic.write(folder / SUMS, sums(digests))
    verify(folder)
    for file in folder.rglob("*"):
        # Wheels are links to files in the store, which may belong to others and are read-only already.
        if file.is_file() and (mode := file.stat().st_mode) & 0o222:
            file.chmod(mode & ~0o222)


def _join(folder: str, *names: str) -> str:
    """Join path components with the separator of `folder`, which may be a path on another system."""
    is_windows = "\\" in folder or re.match(r"[A-Za-z]:", folder)
    return str((PureWindowsPath if is_windows else PurePosixPath)(folder, *names))


def _is_whole(place: Path) -> bool:
    """Return whether the publication `place` needs no repair."""
    try:
        return verify(place).is_published
    except DamagedError as damage:
        # Files that somebody added there are no reason to replace the published ones.
        return (place / EXEC_SCRIPT).is_file() and all(kind == "foreign" for kind, _ in damage.rows)
    except (WheelhouseError, FileNotFoundError):  # Somebody may be removing it.
        return False


def _signed_again(draft: Draft, delivery: Delivery) -> bool:
    """Add the signatures of the bundle to its publication; return False if somebody has just removed that.

    Raises `SignatureError` if the publication lacks the required signatures, which the bundle has.
    """
    place, store = delivery.place, draft.store
    try:
        if not ensure_logged(delivery):
            return False
        is_new = attach(draft.bundle.folder, place, store.scratch)
        published = Bundle(folder=place, manifest=draft.bundle.manifest)
        approved = require_approval(published, store, draft.policy)
        if is_new:
            digest = files.sha256(place / MANIFEST)
            log(
                store,
                "sign",
                place.name,
                sha256=digest,
                detail=signed_at(approved),
                note=draft.note,
            )
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
