"""What a bundle will hold: what each script installs on each target, and the tools for nodes that have none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import CombinedError, attempt_all
from bundler.sources.script import read_script
from bundler.suggestions import meant
from wheelhouse import interpreter, selection, toml, uv
from wheelhouse.errors import NoWheelsError, UvError, not_as_locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from bundler.sources.source import Source
    from wheelhouse.build import Builder
    from wheelhouse.interpreter import Archive
    from wheelhouse.resolution import Resolution
    from wheelhouse.selection import Pin, Selection
    from wheelhouse.target import Target
    from wheelhouse.wheel import Wheel

_INDEX_SETTINGS = ("index", "index-url", "extra-index-url", "find-links", "no-index", "index-strategy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a bundle carries for nodes that have nothing: uv, and Python from `mirror` or from uv's own list."""

    uv: bool = False
    python: bool = False
    mirror: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sources, targets, what each source installs on each target (by the names of both), and the tools of targets.

    `notes` are sentences about what people would not expect.
    """

    sources: Sequence[Source]
    targets: Sequence[Target]
    installs: Mapping[tuple[str, str], Sequence[Pin]]
    uvs: Mapping[str, Wheel] = field(default_factory=dict)
    interpreters: Mapping[str, Archive] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def wheels(self) -> list[Wheel]:
        """Return each wheel once; raise `LockError` when one name stands for different bytes."""
        pins = (pin.wheel for pins in self.installs.values() for pin in pins)
        return distinct([*pins, *self.uvs.values()])

    def archives(self) -> list[Archive]:
        """Return each archive of an interpreter once."""
        return list({archive.filename: archive for archive in self.interpreters.values()}.values())


def distinct(wheels: Iterable[Wheel]) -> list[Wheel]:
    """Return each wheel once, by file name; raise `LockError` when one name stands for different bytes."""
    found: dict[str, Wheel] = {}
    clashes = set()
    for wheel in wheels:
        if found.setdefault(wheel.filename, wheel).sha256 != wheel.sha256:
            clashes.add(f"{wheel.filename} comes from two places with different bytes")
    if clashes:
        raise not_as_locked("The scripts together", clashes)
    return [found[filename] for filename in sorted(found)]


def make_plan(
    sources: Sequence[Source],
    targets: Sequence[Target],
    tools: Tools,
    builder: Builder,
    scratch: Path,
    pool: ThreadPoolExecutor,
) -> Plan:
    """Resolve `sources` for `targets` in the empty folder `scratch`; raise `CombinedError` with all that is missing."""
    stand_in = _uv_script(sources[0], scratch) if tools.uv else None
    resolved = [*sources, *([stand_in] if stand_in else [])]
    resolving = []
    for number, source in enumerate(resolved):
        (scratch / f"all-{number}").mkdir()
        resolving.append(pool.submit(_resolve, source, targets, scratch / f"all-{number}"))
    # requests takes a tenth of a second to import; uv resolves meanwhile.
    import wheelhouse.download  # noqa: F401 - for `create`
    from wheelhouse.http import fetch

    resolutions, faults = attempt_all(lambda future: future.result(), resolving)
    if faults:
        raise CombinedError(faults)
    pairs = [
        (source, resolution, target)
        for source, resolution in zip(resolved, resolutions, strict=True)
        for target in targets
    ]
    selecting = []
    for number, (source, resolution, target) in enumerate(pairs):
        (scratch / str(number)).mkdir()
        selecting.append(pool.submit(_select, source, resolution, target, builder, scratch / str(number)))
    selected, faults = attempt_all(lambda future: future.result(), selecting)
    if faults:
        raise CombinedError(faults)
    installs = {
        (source.name, target.name): chosen.pins
        for (source, _, target), (chosen, _) in zip(pairs, selected, strict=True)
    }
    archives, faults = attempt_all(
        lambda target: interpreter.find(target, tools.mirror, fetch), targets if tools.python else []
    )
    if faults:
        raise CombinedError(faults)
    return Plan(
        sources=sources,
        targets=targets,
        installs=installs,
        uvs={target: pins[0].wheel for (name, target), pins in installs.items() if stand_in and name == stand_in.name},
        interpreters={target.name: archive for target, archive in zip(targets, archives, strict=False)},
        notes=[note for _, notes in selected for note in notes],
    )


def _resolve(source: Source, targets: Sequence[Target], folder: Path) -> Resolution:
    try:
        return source.resolve(targets, folder)
    except UvError as fault:
        fault.hint = fault.hint or meant(fault.words)
        raise


def _select(
    source: Source, resolution: Resolution, target: Target, builder: Builder, folder: Path
) -> tuple[Selection, list[str]]:
    """Return what `source` installs on `target`, and what to say of it.

    Where the universal lock pins versions that have no wheel for the target (it knows nothing of glibc), the source is
    resolved for the target alone, wheels only, with pre-releases if the universal lock has any.
    Raises `BundlerError`, `NoWheelsError`, `LockError`.
    """
    try:
        return selection.select(resolution, target, builder), []
    except NoWheelsError as fault:
        if resolution.locked:
            raise
        first = fault
    try:
        other = source.resolve_for(target, folder, prereleases=bool(selection.prereleases(first.versions)))
    except UvError as fault:
        # uv was asked for wheels only, and would speak of what is to be built.
        first.words = "" if builder.names or builder.everything else fault.words
        raise first from fault
    second = selection.select(other, target, builder)
    changed = selection.changes(first.versions, second.versions)
    unwanted = selection.prereleases(second.versions) & {name for name, _, _ in changed}
    if unwanted and not other.prereleases:
        rows = ", ".join(f"{name} {second.versions[name]}" for name in sorted(unwanted))
        first.words = f"Of other versions, only pre-releases would do: {rows}"
        raise first
    rows = ", ".join(f"{name} {before} -> {after}" for name, before, after in changed)
    note = f"{source.name} installs other versions on {target}, since no wheels fit: {rows}"
    return second, [note] if changed else []


def _uv_script(like: Source, folder: Path) -> Source:
    """Return a stand-in script that depends on the uv that makes the locks, so that uv is resolved like all else.

    It comes from the indexes of the source that it is `like`.
    """
    settings = like.uv_settings()
    tables = {
        "requires-python": ">=3.8",
        "dependencies": [f"uv=={uv.version()}"],
        "tool": {"uv": {key: settings[key] for key in _INDEX_SETTINGS if key in settings}},
    }
    return read_script(folder / "uv itself", toml.script_block(tables).encode())
