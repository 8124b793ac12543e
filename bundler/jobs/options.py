"""Options of the command line that override `[tool.bundler]`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import starmap
from pathlib import Path
from typing import Any

from bundler.errors import JobError
from bundler.manifest import Manifest
from bundler.sources.tool_table import KEYS, Settings, near_key, parse_keys
from wheelhouse import files, toml

# Keys that concern bundles, and whole jobs.
_OF_BUNDLES = ("python", "platform")
_OF_JOBS = ("application", "priority", "fitness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options that override `[tool.bundler]`, in the same units; None if not set.

    `scripts` are the steps as `[STEP=]SCRIPT`, `inputs` the input files of every job, `settings` is a TOML file, and
    `overrides` are texts `[STEP:]KEY=VALUE`. The others have the names of the fields of `Settings`.
    """

    scripts: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    settings: Path | None = None
    overrides: tuple[str, ...] = ()
    application: str | None = None
    software: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: float | None = None
    memory: int | None = None
    disk: int | None = None
    timeout: float | None = None
    trials: int | None = None
    priority: int | None = None
    compute_resource_set: str | None = None
    queue: str | None = None
    exclusive: bool | None = None
    cores_per_node: int | None = None
    gpus_per_node: int | None = None
    native_submit_options: str | None = None


_OWN = ("scripts", "inputs", "settings", "overrides")


def choose_steps(
    publication: str,
    manifest: Manifest,
    texts: Sequence[str],
) -> list[tuple[str, str]]:
    """Return the name and the script of each step: those in `texts`, `[STEP=]SCRIPT`, or all scripts of `manifest`.

    The name is "" if it is that of the script. Raises `JobError` with everything that is wrong.
    """
    existing = [script.name for script in manifest.scripts]
    if not texts:
        return [("", script) for script in existing]
    chosen = []
    for text in texts:
        name, equals, script = text.partition("=")
        if text in existing or not equals:
            name, script = "", text
        chosen.append((name, script))
    missing = sorted({script for _, script in chosen} - set(existing))
    if missing:
        raise JobError(
            f"{publication} has no script {', '.join(missing)}",
            hint=f"its scripts are {', '.join(sorted(existing))}",
        )
    titles = list(starmap(_title, chosen))
    twice = sorted({title for title in titles if titles.count(title) > 1})
    if twice:
        raise JobError(
            f"several steps are called {', '.join(twice)}",
            hint=f"name them: --script first={chosen[0][1]} --script second={chosen[0][1]}",
        )
    return chosen


def _title(name: str, script: str) -> str:
    return name or script


def override(
    chosen: Sequence[tuple[str, str]],
    settings: Sequence[Settings],
    options: Options,
) -> list[Settings]:
    """Return the `settings` of the steps `chosen`, each a name and a script, with `options`.

    Software, outputs and environment variables are added to those of the scripts; everything else replaces the value of
    the script. The file of settings comes first, then the options, then overrides; those of one step win over those of
    its script, and these over those of all. Raises `JobError` with everything that is wrong.
    """
    targets = {_title(name, script) for name, script in chosen} | {script for _, script in chosen}
    own: dict[str, dict[str, Any]] = {}
    if options.settings:
        own = read_settings(options.settings, targets)
    overrides = _parse_overrides(targets, options.overrides)
    result = []
    for (name, script), about in zip(chosen, settings, strict=True):
        changed = replace(about, **_values_for(own, name, script))
        changed = _with_options(changed, options)
        result.append(replace(changed, **_values_for(overrides, name, script)))
    for (name, script), about in zip(chosen, result, strict=True):
        strange = sorted(set(about.monitor).difference(about.outputs, about.optional_outputs))
        if strange:
            problem = f"{_title(name, script)} does not write {', '.join(strange)}, so it cannot be monitored"
            raise JobError(problem, hint="add it with --output")
    return result


def _values_for(values: Mapping[str, dict[str, Any]], name: str, script: str) -> dict[str, Any]:
    """Return the fields of `Settings` that `values`, by step or script or "" for all, have for a step."""
    result = {**values.get("", {}), **values.get(script, {})}
    if name:
        result.update(values.get(name, {}))
    return result


def read_settings(path: Path, targets: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the fields of `Settings` in the TOML file `path`, by step or script; "" for all.

    The file has the keys of `[tool.bundler]`, and tables `[steps.NAME]` with those of single steps. Raises `JobError`.
    """
    with files.explained(path):
        data = files.read_input(path)
    try:
        table = toml.loads(data.decode())
    except ValueError as error:
        raise JobError(f"{path} is not valid TOML: {error}", hint="correct it") from error
    steps = table.pop("steps", {})
    tables = {"": table}
    if isinstance(steps, dict):
        tables.update(steps)
    problems = []
    result = {}
    for target, keys in tables.items():
        if not isinstance(keys, dict):
            problems.append(f"steps.{target} is not a table")
            continue
        if target and target not in targets:
            problems.append(
                f"there is no step {target} (the steps are {', '.join(sorted(targets))})"
            )
        for key in keys:
            problem = _problem_of_key(target, key)
            if problem:
                problems.append(problem)
        result[target], wrong = parse_keys(keys)
        problems += [text.replace("tool.bundler.", "", 1) for text in wrong]
    if problems:
        raise JobError(
            f"{path}: {'; '.join(problems)}", hint="see `bundler guide scripts` for the keys"
        )
    return result


def _parse_overrides(targets: Collection[str], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the fields of `Settings` that `texts` set, by step or script; "" for all."""
    result: dict[str, dict[str, Any]] = {}
    problems, hints = [], []
    for text in texts:
        name, _, value = text.partition("=")
        target, _, key = name.rpartition(":")
        problem = _problem_of(text, target, key, targets)
        if problem:
            problems.append(f"--set {text}: {problem}")
            continue
        parsed = toml.value(value)
        values, wrong = parse_keys({key: parsed})
        for problem in wrong:
            detail = problem.replace(f"tool.bundler.{key}: ", "", 1)
            problems.append(f"--set {text}: {detail}")
        if key not in KEYS:
            hints.append(near_key(key))
        elif wrong and not isinstance(parsed, str):
            hints.append(f"to set a string, quote it: --set '{name}=\"{value}\"'")
        result.setdefault(target, {}).update(values)
    if problems:
        hints.append("see `bundler guide scripts` for the keys")
        raise JobError("; ".join(problems), hint=hints[0])
    return result


def _problem_of(
    text: str,
    target: str,
    key: str,
    targets: Collection[str],
) -> str:
    """Return why nothing can be overridden by `text`, which names `target` and `key`, or ""."""
    if "=" not in text or not key:
        return "must be [STEP:]KEY=VALUE"
    if target and target not in targets:
        return f"there is no step {target} (the steps are {', '.join(sorted(targets))})"
    return _problem_of_key(target, key)


def _problem_of_key(target: str, key: str) -> str:
    """Return why `key` cannot be set for the step `target`, or for all if that is "", or ""."""
    if key in _OF_BUNDLES:
        return f"{key} is a key for bundling, not for jobs"
    if target and key in _OF_JOBS:
        return f"{key} cannot be set for a step"
    return ""


def _with_options(about: Settings, options: Options) -> Settings:
    changes: dict[str, Any] = {}
    for entry in fields(options):
        value = getattr(options, entry.name)
        if value is None or entry.name in _OWN:
            continue
        if isinstance(value, tuple):
            value = tuple(dict.fromkeys((*getattr(about, entry.name), *value)))
        elif entry.name == "environment":
            value = {**about.environment, **value}
        changes[entry.name] = value
    return replace(about, **changes)
