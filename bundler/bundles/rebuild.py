"""Build a bundle again from what it contains, and compare the bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.bundle_folder import Bundle, open_bundle
from bundler.bundles import create
from bundler.bundles.documents import Documents
from bundler.bundles.network import adopted
from bundler.bundles.plan import Tools
from bundler.bundles.targets import requested_targets
from bundler.bundles.upgrade import keeping_all
from bundler.errors import BundlerError
from bundler.layout import ATTESTATIONS, SBOMS
from bundler.manifest import Manifest, ScriptEntry
from bundler.manifest_reader import read_manifest
from bundler.progress import Report
from bundler.sources.additions import Additions, Resolver
from bundler.sources.reader import read_sources
from bundler.sources.source import Source
from wheelhouse import files
from wheelhouse.target import Target
from wheelhouse.wheel import parse_filename

_OPTIONS = ("--with", "--constraint", "--override", "--resolver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The paths of files that differ, or that only the old or the new bundle has."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return a line for each file."""
        kinds = (
            ("changed", self.changed),
            ("only in the original", self.removed),
            ("only in the rebuild", self.added),
        )
        return [f"{kind}  {path}" for kind, paths in kinds for path in paths]


def rebuild(
    folder: Path, scratch: Path, cache: Path, *, build: bool = False, report: Report
) -> Difference:
    """Build the bundle `folder`, whose files were verified, again in the empty folder `scratch`; return what differs.

    Scripts, locks, targets and versions are those in the bundle; everything else is downloaded again, unless it is in
    the cache `cache`. Building wheels from source runs code that the bundle names, so it needs `build`. Raises
    `BundlerError` for a bundle that was not made from scripts, or needs builds, and the errors of `build`.
    """
    bundle = open_bundle(folder, "bundle")
    manifest = bundle.manifest
    built = sorted({parse_filename(file.filename)[0] for file in manifest.files if file.is_built})
    if built and not build:
        raise BundlerError(
            f"{folder} contains wheels that were built from source ({', '.join(built)})",
            hint="building them runs code that the bundle names; repeat with --build on a machine without secrets",
        )
    paths = [_input(bundle, script, scratch) for script in manifest.scripts]
    sources = keeping_all(read_sources(paths, _additions(manifest)), folder)
    output = scratch / "again" / folder.absolute().name
    output.parent.mkdir()
    with adopted(sources, cache) as site:  # Restores the environment variables.
        if not build:
            # The manifest may lie about what was built.
            os.environ["UV_NO_BUILD"] = "1"
        create.build(
            sources,
            _targets(manifest, sources),
            output,
            cache,
            _tools(manifest),
            create.Builds(names=tuple(built)),
            _documents(manifest),
            pooled=site.pooled,
            report=report,
        )
    return compare(manifest, read_manifest(output))


def compare(old: Manifest, new: Manifest) -> Difference:
    """Return how the files of two bundles differ."""
    before, after = old.digests(), new.digests()
    return Difference(
        changed=tuple(
            sorted(path for path in before if path in after and before[path] != after[path])
        ),
        removed=tuple(sorted(path for path in before if path not in after)),
        added=tuple(sorted(path for path in after if path not in before)),
    )


def _input(bundle: Bundle, script: ScriptEntry, scratch: Path) -> Path:
    """Copy `script` and its lock file from `bundle` to `scratch`; return the path of the copy."""
    lock = bundle.folder / "locks" / f"{script.name}.lock"
    if script.lock_sha256 and not lock.is_file():
        raise BundlerError(
            f"{bundle.folder}: {script.name} was made from a project or lock file that is not in the bundle",
            hint="run `bundle` on the project or lock file again, and compare manifest.json",
        )
    copy = scratch / script.name
    files.copy(bundle.script(script.name), copy)
    if lock.is_file():
        files.copy(lock, scratch / lock.name)
    return copy


def _targets(manifest: Manifest, sources: Sequence[Source]) -> list[Target]:
    """Return the targets of `manifest`, which need not be all combinations of its Pythons and platforms."""
    pythons = list(dict.fromkeys(target.python for target in manifest.targets))
    platforms = list(dict.fromkeys(target.platform for target in manifest.targets))
    wanted = {target.name for target in manifest.targets}
    targets = requested_targets(sources, pythons, platforms, own_python=False).targets
    return [target for target in targets if target.name in wanted]


def _tools(manifest: Manifest) -> Tools:
    return Tools(
        uv=any(target.uv for target in manifest.targets),
        python=any(target.interpreter for target in manifest.targets),
    )


def _documents(manifest: Manifest) -> Documents:
    return Documents(
        sbom=any(file.path.startswith(SBOMS) for file in manifest.files),
        attestations=any(file.path.startswith(ATTESTATIONS) for file in manifest.files),
    )


def _additions(manifest: Manifest) -> Additions:
    """Return the options with which the scripts of `manifest` were resolved."""
    options: dict[str, list[str]] = {name: [] for name in _OPTIONS}
    for option in dict.fromkeys(
        option for script in manifest.scripts for option in script.resolved_with
    ):
        name, _, text = option.partition(" ")
        if name in options:
            options[name].append(text)
    resolver = (options["--resolver"] or [Resolver.UV.value])[0]
    if resolver not in [known.value for known in Resolver]:
        raise BundlerError(
            f"{manifest.name}: unknown resolver {resolver!r}",
            hint="use the version that created it",
        )
    return Additions(
        requirements=tuple(options["--with"]),
        constraints=tuple(options["--constraint"]),
        overrides=tuple(options["--override"]),
        resolver=Resolver(resolver),
    )
