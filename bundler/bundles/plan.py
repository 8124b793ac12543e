"""The contents of a bundle: the wheels that each script installs on each target, and tools for nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from bundler.bundles.indexes import Indexes
from bundler.errors import CombinedError, attempt_all
from bundler.hints import remedies
from bundler.sources.script import read_script
from bundler.sources.source import Source
from bundler.suggestions import meant
from wheelhouse import toml
from wheelhouse.build.builder import Builder, is_direct
from wheelhouse.errors import NoWheelsError, UvError, not_as_locked
from wheelhouse.resolve import uv
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.select import interpreter, selection
from wheelhouse.select.interpreter import Archive
from wheelhouse.select.misfit import misfits
from wheelhouse.select.selection import Pin, Selection
from wheelhouse.target import Target
from wheelhouse.wheel import Wheel

_INDEX_SETTINGS = (
    "index",
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "index-strategy",
)
_Result = TypeVar("_Result")
# In a warning of uv about a requested extra.
_NO_EXTRA = "does not have an extra named"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Tools to include for nodes: uv, and Python from `mirror` or from uv's own downloads."""

    uv: bool = False
    python: bool = False
    mirror: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sources, targets, the wheels of each source on each target (by the names of both), and the tools of targets.

    `warnings` are sentences about results that users may not expect.
    """

    sources: Sequence[Source]
    targets: Sequence[Target]
    installs: Mapping[tuple[str, str], Sequence[Pin]]
    uvs: Mapping[str, Wheel] = field(default_factory=dict)
    interpreters: Mapping[str, Archive] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def wheels(self) -> list[Wheel]:
        """Return each wheel once. Raises `LockError` if two wheels have the same name but different bytes."""
        pins = (pin.wheel for pins in self.installs.values() for pin in pins)
        return distinct([*pins, *self.uvs.values()])

    def archives(self) -> list[Archive]:
        """Return each archive of an interpreter once."""
        return list({archive.filename: archive for archive in self.interpreters.values()}.values())


def distinct(wheels: Iterable[Wheel]) -> list[Wheel]:
    """Return each wheel once, by file name. Raises `LockError` if two have the same name but different bytes."""
    result: dict[str, Wheel] = {}
    clashes = set()
    for wheel in wheels:
        if result.setdefault(wheel.filename, wheel).sha256 != wheel.sha256:
            clashes.add(f"{wheel.filename} has different bytes on two indexes")
    if clashes:
        raise not_as_locked("the scripts together", clashes)
    return [result[filename] for filename in sorted(result)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What all resolutions of a bundle need.

    `pooled` says that each file may come from any index, as for pip. uv's universal resolution locks the files of one
    index for a version, so that it would avoid versions that this index has for other platforms only.
    """

    builder: Builder
    indexes: Indexes
    pooled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The wheels of a source on a target, and warnings about them."""

    selection: Selection
    warnings: Sequence[str] = ()


def make_plan(
    sources: Sequence[Source],
    targets: Sequence[Target],
    tools: Tools,
    builder: Builder,
    scratch: Path,
    pool: ThreadPoolExecutor,
    indexes: Indexes,
    *,
    pooled: bool,
) -> Plan:
    """Resolve `sources` for `targets` in the empty folder `scratch`. Raises `CombinedError` with everything missing."""
    work = _Work(builder=builder, indexes=indexes, pooled=pooled)
    resolved = list(sources)
    if tools.uv:
        resolved.append(_uv_script(sources[0], scratch))
    resolving = []
    for number, source in enumerate(resolved):
        folder = scratch / f"all-{number}"
        folder.mkdir()
        resolving.append(pool.submit(_resolve, source, targets, folder, work))
    # Importing requests takes a tenth of a second, while uv resolves.
    from wheelhouse.fetch.http import fetch  # noqa: PLC0415

    pairs: list[tuple[str, str]] = []
    selecting = []
    for source, resolution in zip(resolved, _results(resolving), strict=True):
        for target in targets:
            folder = scratch / str(len(pairs))
            folder.mkdir()
            pairs.append((source.name, target.name))
            selecting.append(pool.submit(_select, source, resolution, target, folder, work))
    chosen = dict(zip(pairs, _results(selecting), strict=True))
    uvs = {}
    if tools.uv:
        uvs = {
            target.name: chosen[resolved[-1].name, target.name].selection.pins[0].wheel
            for target in targets
        }
    warnings = [warning for choice in chosen.values() for warning in choice.warnings]
    return Plan(
        sources=sources,
        targets=targets,
        installs={pair: choice.selection.pins for pair, choice in chosen.items()},
        uvs=uvs,
        interpreters=_interpreters(targets, tools, fetch) if tools.python else {},
        warnings=list(dict.fromkeys(warnings)),
    )


def _interpreters(
    targets: Sequence[Target], tools: Tools, fetch: Callable[[str], bytes]
) -> dict[str, Archive]:
    """Return the Python for each target by its name. Raises `CombinedError` with all targets that have none."""
    archives, errors = attempt_all(
        lambda target: interpreter.find(target, tools.mirror, fetch), targets
    )
    if errors:
        raise CombinedError(errors)
    return {target.name: archive for target, archive in zip(targets, archives, strict=True)}


def _results(work: Sequence[Future[_Result]]) -> list[_Result]:
    """Return the results of `work`. Raises `CombinedError` with everything that failed."""
    results, errors = attempt_all(lambda future: future.result(), work)
    if errors:
        raise CombinedError(errors)
    return results


def _resolve(
    source: Source, targets: Sequence[Target], folder: Path, work: _Work
) -> Resolution | None:
    """Return the resolution of `source` for all `targets`, or None if each target is resolved alone."""
    if work.pooled and not source.locked and not source.additions.pip_tools:
        return None
    try:
        resolution = source.resolve(targets, folder)
    except UvError as error:
        error.hint = error.hint or meant(error.words)
        raise
    return _without_yanked(resolution, targets, work)


def _without_yanked(resolution: Resolution, targets: Sequence[Target], work: _Work) -> Resolution:
    from wheelhouse.select.choice import without_yanked  # noqa: PLC0415 - needs requests, which is imported meanwhile

    indexes = work.indexes
    return replace(
        resolution,
        pylock=without_yanked(resolution.pylock, targets, indexes.urls, indexes.credentials),
    )


def _select(
    source: Source, resolution: Resolution | None, target: Target, folder: Path, work: _Work
) -> _Chosen:
    """Return the wheels that `source` installs on `target`, from its `resolution` if there is one.

    Raises `BundlerError`, `NoWheelsError`, `LockError`.
    """
    if resolution is None:
        (folder / "pooled").mkdir()
        chosen = _pooled(source, target, folder / "pooled", work)
        if chosen is not None:
            return chosen
        # Something must be built, or nothing fits, which the universal resolution explains best.
        (folder / "all").mkdir()
        resolution = _resolve(source, [target], folder / "all", replace(work, pooled=False))
        assert resolution is not None  # noqa: S101 - it is not pooled
    warnings = _named(resolution)
    try:
        return _Chosen(
            selection=selection.select(resolution, target, work.builder), warnings=warnings
        )
    except NoWheelsError as error:
        if resolution.locked:
            raise
        first = error
    return _with_other_versions(source, resolution, target, folder, work, first)


def _named(resolution: Resolution) -> list[str]:
    return [f"{resolution.subject}: {warning}" for warning in resolution.warnings]


def _pooled(source: Source, target: Target, folder: Path, work: _Work) -> _Chosen | None:
    """Return the wheels of the newest versions of which some index has wheels for `target`; None if that fails."""
    try:
        resolution = source.resolve_for(
            target, folder, prereleases=True, buildable=source.direct_projects()
        )
        if any(_NO_EXTRA in warning for warning in resolution.warnings):
            return None
        resolution = _without_yanked(resolution, [target], work)
        return _Chosen(
            selection=selection.select(resolution, target, work.builder),
            warnings=_named(resolution),
        )
    except (UvError, NoWheelsError):
        return None


def _with_other_versions(
    source: Source,
    resolution: Resolution,
    target: Target,
    folder: Path,
    work: _Work,
    first: NoWheelsError,
) -> _Chosen:
    """Return the wheels of other versions than those in `resolution`, of which some have no wheel: the error `first`.

    The universal resolution does not consider glibc. Resolves for the target alone, with wheels only for all that
    cannot be built, and with pre-releases if the universal resolution has any. Raises `first` if that leads to versions
    that nobody asked for.
    """
    buildable = _buildable(resolution, work.builder, target)
    try:
        other = source.resolve_for(
            target,
            folder,
            prereleases=bool(selection.prereleases(first.versions)),
            buildable=buildable,
        )
    except UvError as error:
        first.words = error.words
        raise first from error
    second = selection.select(_without_yanked(other, [target], work), target, work.builder)
    changed = selection.changes(first.versions, second.versions)
    first.words = _unwanted(resolution, other, second, [name for name, _, _ in changed])
    if first.words:
        raise first
    warnings = [*_named(resolution), *_named(other)]
    if changed:
        rows = ", ".join(f"{name} {before} -> {after}" for name, before, after in changed)
        sentence = f"{source.name}: {target} gets other versions, because no wheels fit: {rows}"
        hints = [f"hint: to keep the versions, {remedy}" for remedy in remedies(first)]
        warnings.append("\n".join([sentence, *hints]))
    return _Chosen(selection=second, warnings=warnings)


def _unwanted(
    resolution: Resolution, other: Resolution, chosen: Selection, changed: Sequence[str]
) -> str:
    """Return why nobody asked for the versions `chosen` from `other` instead of `resolution`, or nothing.

    `changed` are the projects whose versions differ.
    """
    unwanted = selection.prereleases(chosen.versions).intersection(changed)
    if unwanted and not other.prereleases:
        rows = ", ".join(f"{name} {chosen.versions[name]}" for name in sorted(unwanted))
        return f"only pre-releases have suitable wheels: {rows}"
    lost = [
        text for text in other.warnings if _NO_EXTRA in text and text not in resolution.warnings
    ]
    if lost:
        return "\n".join(["only versions without a requested extra have suitable wheels:", *lost])
    return ""


def _buildable(resolution: Resolution, builder: Builder, target: Target) -> frozenset[str] | None:
    """Return the projects of `resolution` without a wheel for `target` that may be built, or None for all."""
    if builder.everything:
        return None
    packages = resolution.pylock.packages
    without = {misfit.project for misfit in misfits(packages, target).values()}
    return frozenset(
        {str(package.name) for package in packages if is_direct(package)}
        | (without & builder.names)
    )


def _uv_script(like: Source, folder: Path) -> Source:
    """Return a script that depends on the uv that resolves, so that uv is resolved like any other package.

    It uses the indexes of the source `like`.
    """
    settings = like.effective_settings()
    tables = {
        "requires-python": ">=3.8",
        "dependencies": [f"uv=={uv.version()}"],
        "tool": {"uv": {key: settings[key] for key in _INDEX_SETTINGS if key in settings}},
    }
    return read_script(folder / "uv itself", toml.script_block(tables).encode())
