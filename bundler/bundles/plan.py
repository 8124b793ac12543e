"""The contents of a bundle: the wheels that each script installs on each target, and tools for nodes."""

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
    """Tools to include for nodes: uv, and Python from `mirror` or from uv's own downloads."""

    uv: bool = False
    python: bool = False
    mirror: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sources, targets, the wheels of each source on each target (by the names of both), and the tools of targets.

    `notes` are sentences about results that users may not expect.
    """

    sources: Sequence[Source]
    targets: Sequence[Target]
    installs: Mapping[tuple[str, str], Sequence[Pin]]
    uvs: Mapping[str, Wheel] = field(default_factory=dict)
    interpreters: Mapping[str, Archive] = field(default_factory=dict)
    notes: Sequence[str] = ()

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


def make_plan(
    sources: Sequence[Source],
    targets: Sequence[Target],
    tools: Tools,
    builder: Builder,
    scratch: Path,
    pool: ThreadPoolExecutor,
) -> Plan:
    """Resolve `sources` for `targets` in the empty folder `scratch`. Raises `CombinedError` with everything missing."""
    stand_in = _uv_script(sources[0], scratch) if tools.uv else None
    resolved = [*sources, *([stand_in] if stand_in else [])]
    resolving = []
    for number, source in enumerate(resolved):
        (scratch / f"all-{number}").mkdir()
        resolving.append(pool.submit(_resolve, source, targets, scratch / f"all-{number}"))
    # Importing requests takes a tenth of a second, while uv resolves.
    import wheelhouse.download  # noqa: F401 - see `create`
    from wheelhouse.http import fetch

    resolutions, errors = attempt_all(lambda future: future.result(), resolving)
    if errors:
        raise CombinedError(errors)
    pairs = [
        (source, resolution, target)
        for source, resolution in zip(resolved, resolutions, strict=True)
        for target in targets
    ]
    selecting = []
    for number, (source, resolution, target) in enumerate(pairs):
        (scratch / str(number)).mkdir()
        selecting.append(pool.submit(_select, source, resolution, target, builder, scratch / str(number)))
    selected, errors = attempt_all(lambda future: future.result(), selecting)
    if errors:
        raise CombinedError(errors)
    installs = {
        (source.name, target.name): choice.pins
        for (source, _, target), (choice, _) in zip(pairs, selected, strict=True)
    }
    archives, errors = attempt_all(
        lambda target: interpreter.find(target, tools.mirror, fetch), targets if tools.python else []
    )
    if errors:
        raise CombinedError(errors)
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
    except UvError as error:
        error.hint = error.hint or meant(error.words)
        raise


def _select(
    source: Source, resolution: Resolution, target: Target, builder: Builder, folder: Path
) -> tuple[Selection, list[str]]:
    """Return the wheels that `source` installs on `target`, and a note about changed versions, if any.

    If the universal resolution selects versions without a wheel for the target (it does not consider glibc), resolves
    for the target alone, with wheels only, and with pre-releases if the universal resolution has any. Raises
    `BundlerError`, `NoWheelsError`, `LockError`.
    """
    try:
        return selection.select(resolution, target, builder), []
    except NoWheelsError as error:
        if resolution.locked:
            raise
        first = error
    try:
        other = source.resolve_for(target, folder, prereleases=bool(selection.prereleases(first.versions)))
    except UvError as error:
        # uv's message would be about wheels only, not about what can be built.
        first.words = "" if builder.names or builder.everything else error.words
        raise first from error
    second = selection.select(other, target, builder)
    changed = selection.changes(first.versions, second.versions)
    unwanted = selection.prereleases(second.versions) & {name for name, _, _ in changed}
    if unwanted and not other.prereleases:
        rows = ", ".join(f"{name} {second.versions[name]}" for name in sorted(unwanted))
        first.words = f"only pre-releases have suitable wheels: {rows}"
        raise first
    rows = ", ".join(f"{name} {before} -> {after}" for name, before, after in changed)
    note = f"{source.name}: {target} gets other versions, because no wheels fit: {rows}"
    return second, [note] if changed else []


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
