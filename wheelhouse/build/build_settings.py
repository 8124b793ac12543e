"""The settings of uv for builds of one project: constraints, additional requirements and variables, and isolation."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wheelhouse.errors import BuildError
from wheelhouse.resolve import uv_settings
from wheelhouse.resolve.uv_settings import Settings

# How uv resolves build requirements, whatever it is told about those of the input.
_NOT_OF_BUILDS = (
    "resolution",
    "prerelease",
    "prerelease-package",
    "fork-strategy",
)
_TRUE = ("1", "true", "t", "yes", "y", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """How to build a project.

    Build requirements come from the indexes in `config` (settings of uv), within `constraints`; `requirements` are
    added to them. `variables` are environment variables of the backend, `config_settings` its settings (PEP 517). With
    `environment`, there is no isolation: the backend sees these requirements and nothing else.
    """

    config: Settings = field(default_factory=dict, repr=False)
    constraints: Sequence[str] = ()
    requirements: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    config_settings: Mapping[str, str | list[str]] = field(default_factory=dict)
    environment: Sequence[str] | None = None

    def key(self) -> str:
        """Return a text that differs for settings that may change the result; "" for the default ones."""
        parts = (self.constraints, self.requirements, self.variables, self.config_settings)
        if not any(parts) and self.environment is None:
            return ""
        text = json.dumps((*parts, self.environment), sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_settings(project: str, settings: Settings, versions: Mapping[str, str]) -> BuildSettings:
    """Return how uv builds `project` with its `settings` for an input that installs `versions` by project.

    Raises `BuildError` for settings that cannot be applied.
    """
    environment = None
    if _applies("no-build-isolation", project, settings):
        others = [
            f"{name}=={version}" for name, version in sorted(versions.items()) if name != project
        ]
        environment = tuple(others)
    variables = _of_project("extra-build-variables", project, settings) or {}
    own = _of_project("config-settings-package", project, settings) or {}
    return BuildSettings(
        config={key: value for key, value in settings.items() if key not in _NOT_OF_BUILDS},
        constraints=tuple(map(str, settings.get("build-constraint-dependencies", []))),
        requirements=tuple(_requirements(project, settings, versions)),
        variables={str(name): str(text) for name, text in variables.items()},
        config_settings=uv_settings.combined(own, settings.get("config-settings", {})),
        environment=environment,
    )


def is_forbidden(project: str, settings: Settings) -> bool:
    """Return whether `settings` forbid to build `project`."""
    return _applies("no-build", project, settings)


def is_required(project: str, settings: Settings) -> bool:
    """Return whether `settings` forbid to take a wheel of `project` from an index, so that it is built."""
    return _applies("no-binary", project, settings)


def write_build_config(config: Settings, path: Path) -> dict[str, str]:
    """Write the uv.toml `path` for build requirements; return environment variables for uv.

    The constraints and overrides of the input do not count for its build requirements.
    """
    return uv_settings.write_config(uv_settings.outside_of_inputs(config), path)


def _requirements(project: str, settings: Settings, versions: Mapping[str, str]) -> Iterator[str]:
    """Yield the requirements in `extra-build-dependencies`, with the version of the input if they ask for that."""
    for entry in _of_project("extra-build-dependencies", project, settings) or []:
        if not isinstance(entry, dict):
            yield str(entry)
            continue
        requirement = str(entry["requirement"])
        if entry.get("match-runtime"):
            yield _matching(project, requirement, versions)
        else:
            yield requirement


def _matching(project: str, text: str, versions: Mapping[str, str]) -> str:
    try:
        name = canonicalize_name(Requirement(text).name)
    except InvalidRequirement as error:
        reason = f"its extra-build-dependencies contain {text!r}, which is not a requirement"
        raise BuildError(project, reason) from error
    if name not in versions:
        raise BuildError(
            project, f"its build needs the installed version of {name}, which is not installed"
        )
    return f"{text}=={versions[name]}"


def _of_project(key: str, project: str, settings: Settings) -> Any:
    """Return the entry of `project` in the table `key` of `settings`, or None."""
    table = settings.get(key)
    if not isinstance(table, dict):
        return None
    for name, value in table.items():
        if canonicalize_name(str(name)) == project:
            return value
    return None


def _applies(key: str, project: str, settings: Settings) -> bool:
    """Return whether `key` is on for all projects, or its list for single ones has `project`."""
    return _is_on(key, settings) or project in _projects(f"{key}-package", settings)


def _is_on(key: str, settings: Settings) -> bool:
    text = os.environ.get(_variable(key))
    if text:
        return text.lower() in _TRUE
    return settings.get(key) is True


def _projects(key: str, settings: Settings) -> set[str]:
    """Return the projects in the list `key` of `settings` and in its environment variable."""
    names = os.environ.get(_variable(key), "").split()
    listed = settings.get(key)
    if isinstance(listed, list):
        names += map(str, listed)
    return set(map(canonicalize_name, names))


def _variable(key: str) -> str:
    return f"UV_{key.upper().replace('-', '_')}"
