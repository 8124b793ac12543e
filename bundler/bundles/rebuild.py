"""Build a bundle again from what it contains, and compare the bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bundler.bundles import create
from bundler.bundles.papers import Papers
from bundler.bundles.plan import Tools
from bundler.bundles.site import adopted
from bundler.bundles.targets import requested_targets
from bundler.bundles.upgrade import keeping_all
from bundler.errors import BundlerError
from bundler.layout import ATTESTATIONS, SBOMS
from bundler.manifest import Manifest
from bundler.manifest_reader import read_manifest
from bundler.progress import Report
from bundler.sources.additions import Additions, Resolver
from bundler.sources.reader import read_sources
from wheelhouse import files
from wheelhouse.wheel import BUILT_FROM, parse_filename

_OPTIONS = ("--with", "--constraint", "--override", "--resolver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The paths of files that differ, or that only the old or the new bundle has."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return a line for each file."""
        kinds = (("changed", self.changed), ("only in the original", self.removed), ("only in the rebuild", self.added))
        return [f"{kind}  {path}" for kind, paths in kinds for path in paths]


def rebuild(bundle: Path, scratch: Path, cache: Path, *, build: bool = False, report: Report) -> Difference:
    """Build `bundle`, whose files were verified, again in the empty folder `scratch`; return how the two differ.

    Scripts, locks, targets and versions are those in the bundle; everything else is downloaded again, unless it is in
    the cache `cache`. Building wheels from source runs code that the bundle names, so it needs `build`. Raises
    `BundlerError` for a bundle that was not made from scripts, or needs builds, and the errors of `build`.
    """
    manifest = read_manifest(bundle, "bundle")
    built = [parse_filename(file.path[7:])[0] for file in manifest.files if (file.origin or "").startswith(BUILT_FROM)]
    if built and not build:
        raise BundlerError(
            f"{bundle} contains wheels that were built from source ({', '.join(sorted(set(built)))})",
            hint="building them runs code that the bundle names; repeat with --build on a machine without secrets",
        )
    paths = [_input(bundle, manifest, script.name, scratch) for script in manifest.scripts]
    sources = keeping_all(read_sources(paths, _additions(manifest)), bundle)
    pythons = list(dict.fromkeys(target.python for target in manifest.targets))
    platforms = list(dict.fromkeys(target.platform for target in manifest.targets))
    targets = requested_targets(sources, pythons, platforms, own_python=False)
    wanted = {target.name for target in manifest.targets}
    tools = Tools(
        uv=any(target.uv for target in manifest.targets), python=any(target.interpreter for target in manifest.targets)
    )
    output = scratch / "again" / bundle.absolute().name
    output.parent.mkdir()
    with adopted(sources, cache) as site:  # Restores the environment variables.
        if not build:
            # The manifest may lie about what was built.
            os.environ["UV_NO_BUILD"] = "1"
        create.build(
            sources,
            [target for target in targets if target.name in wanted],
            output,
            cache,
            tools,
            create.Builds(names=tuple(built)),
            Papers(
                sbom=any(file.path.startswith(SBOMS) for file in manifest.files),
                attestations=any(file.path.startswith(ATTESTATIONS) for file in manifest.files),
            ),
            pooled=site.pooled,
            report=report,
        )
    return compare(manifest, read_manifest(output))


def compare(old: Manifest, new: Manifest) -> Difference:
    """Return how the files of two bundles differ."""
    before, after = ({file.path: file.sha256 for file in manifest.files} for manifest in (old, new))
    return Difference(
        changed=tuple(sorted(path for path in before.keys() & after.keys() if before[path] != after[path])),
        removed=tuple(sorted(before.keys() - after.keys())),
        added=tuple(sorted(after.keys() - before.keys())),
    )


def _input(bundle: Path, manifest: Manifest, name: str, scratch: Path) -> Path:
    """Copy a script and its lock file from the bundle to `scratch`; return the path of the copy."""
    script = next(script for script in manifest.scripts if script.name == name)
    place = bundle / manifest.folder(manifest.targets[0], name) / name
    lock = bundle / "locks" / f"{name}.lock"
    if script.lock_sha256 and not lock.is_file():
        raise BundlerError(
            f"{bundle}: {name} was made from a project or lock file that is not in the bundle",
            hint="run `bundle` on the project or lock file again, and compare manifest.json",
        )
    files.copy(place, scratch / name)
    if lock.is_file():
        files.copy(lock, scratch / f"{name}.lock")
    return scratch / name


def _additions(manifest: Manifest) -> Additions:
    """Return the options with which the scripts of `manifest` were resolved."""
    options: dict[str, list[str]] = {name: [] for name in _OPTIONS}
    for option in dict.fromkeys(option for script in manifest.scripts for option in script.resolved_with):
        name, _, text = option.partition(" ")
        options.get(name, []).append(text)
    resolver = options["--resolver"]
    if resolver and resolver[0] not in [known.value for known in Resolver]:
        raise BundlerError(f"{manifest.name}: unknown resolver {resolver[0]!r}", hint="use the version that created it")
    return Additions(
        requirements=tuple(options["--with"]),
        constraints=tuple(options["--constraint"]),
        overrides=tuple(options["--override"]),
        resolver=Resolver(resolver[0]) if resolver else Resolver.UV,
    )
