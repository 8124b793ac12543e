"""Options of the command line that override `[tool.bundler]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from bundler.errors import JobError
from bundler.sources.tool_table import KEYS, Settings, near_key, parse_keys
from wheelhouse import toml

# Keys that concern bundles or whole jobs, not steps.
_NOT_PER_STEP = (
    "python",
    "platform",
    "inputs",
    "parameters",
    "output-parameters",
    "application",
    "priority",
    "fitness",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options that override `[tool.bundler]`, in the same units; None if not set.

    `scripts` are the steps, `inputs` the input files of every job, and `overrides` texts `[SCRIPT:]KEY=VALUE`. The
    others have the names of the fields of `Settings`.
    """

    scripts: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
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


_OWN = ("scripts", "inputs", "overrides")


def override(
    names: Sequence[str],
    settings: Sequence[Settings],
    options: Options,
) -> list[Settings]:
    """Return the `settings` of the scripts `names` with `options`.

    Software, outputs and environment variables are added to those of the scripts; everything else replaces the value of
    the script. An override of one script wins over one of all scripts. Raises `JobError` with all wrong overrides.
    """
    overrides = _parse_overrides(names, options.overrides)
    common = overrides.get("", {})
    result = []
    for name, about in zip(names, settings, strict=True):
        own = overrides.get(name, {})
        changed = _with_options(about, options)
        result.append(replace(changed, **{**common, **own}))
    for name, about in zip(names, result, strict=True):
        strange = sorted(set(about.monitor).difference(about.outputs, about.optional_outputs))
        if strange:
            problem = f"{name} does not write {', '.join(strange)}, so it cannot be monitored"
            raise JobError(problem, hint="add it with --output")
    return result


def _parse_overrides(names: Sequence[str], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the fields of `Settings` that `texts` set, by script; "" for all scripts."""
    result: dict[str, dict[str, Any]] = {}
    problems, hints = [], []
    for text in texts:
        target, _, value = text.partition("=")
        script, _, key = target.rpartition(":")
        problem = _problem_of(text, script, key, names)
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
            hints.append(f"to set a string, quote it: --set '{target}=\"{value}\"'")
        result.setdefault(script, {}).update(values)
    if problems:
        hints.append("see `bundler guide scripts` for the keys")
        raise JobError("; ".join(problems), hint=hints[0])
    return result


def _problem_of(
    text: str,
    script: str,
    key: str,
    names: Sequence[str],
) -> str:
    """Return why nothing can be overridden by `text`, which names `script` and `key`, or ""."""
    if "=" not in text or not key:
        return "must be [SCRIPT:]KEY=VALUE"
    if script and script not in names:
        return f"there is no script {script} (the scripts are {', '.join(names)})"
    if key in _NOT_PER_STEP:
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
