"""The settings of uv for builds of one project: constraints, additional requirements and variables, and isolation."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from wheelhouse import uv_settings
from wheelhouse.errors import BuildError

# How uv resolves build requirements, whatever it is told about those of the input.
_NOT_OF_BUILDS = ("resolution", "prerelease", "prerelease-package", "fork-strategy")
_TRUE = ("1", "true", "t", "yes", "y", "on")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """How to build a project.

    Build requirements come from the indexes in `config` (settings of uv), within `constraints`; `requirements` are
    added to them. `variables` are environment variables of the backend, `config_settings` its settings (PEP 517). With
    `environment`, there is no isolation: the backend sees these requirements and nothing else.
    """

    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    constraints: Sequence[str] = ()
    requirements: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    config_settings: Mapping[str, str | list[str]] = field(default_factory=dict)
    environment: Sequence[str] | None = None

    def key(self) -> str:
        """Return a text that differs for settings that may change the result; "" for the default ones."""
        parts = (self.constraints, self.requirements, self.variables, self.config_settings, self.environment)
        text = json.dumps(parts, sort_keys=True, default=list)
        default = json.dumps(((), (), {}, {}, None))
        return "" if text == default else hashlib.sha256(text.encode()).hexdigest()[:16]


def build_settings(project: str, settings: Mapping[str, Any], versions: Mapping[str, str]) -> BuildSettings:
    """Return how uv builds `project` with its `settings` for an input that installs `versions` by project.

    Raises `BuildError` for settings that cannot be applied.
    """
    isolated = not (_is_on(settings, "no-build-isolation") or project in _names(settings, "no-build-isolation-package"))
    others = [f"{name}=={version}" for name, version in sorted(versions.items()) if name != project]
    variables = _of_project(settings, "extra-build-variables", project)
    return BuildSettings(
        config={key: value for key, value in settings.items() if key not in _NOT_OF_BUILDS},
        constraints=tuple(map(str, settings.get("build-constraint-dependencies", []))),
        requirements=tuple(_requirements(project, settings, versions)),
        variables={str(name): str(text) for name, text in (variables or {}).items()},
        config_settings=uv_settings.combined(
            dict(_of_project(settings, "config-settings-package", project) or {}), settings.get("config-settings", {})
        ),
        environment=None if isolated else tuple(others),
    )


def is_forbidden(project: str, settings: Mapping[str, Any]) -> bool:
    """Return whether `settings` forbid to build `project`."""
    return _is_on(settings, "no-build") or project in _names(settings, "no-build-package")


def is_required(project: str, settings: Mapping[str, Any]) -> bool:
    """Return whether `settings` forbid to take a wheel of `project` from an index, so that it is built."""
    return _is_on(settings, "no-binary") or project in _names(settings, "no-binary-package")


def write_build_config(config: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Write the uv.toml `path` for build requirements; return environment variables for uv.

    The constraints and overrides of the input do not count for its build requirements.
    """
    return uv_settings.write_config(uv_settings.outside_of_inputs(config), path)


def _requirements(project: str, settings: Mapping[str, Any], versions: Mapping[str, str]) -> list[str]:
    """Return the requirements in `extra-build-dependencies`, with the version of the input if they ask for that."""
    result = []
    for entry in _of_project(settings, "extra-build-dependencies", project) or []:
        text = str(entry["requirement"] if isinstance(entry, dict) else entry)
        if isinstance(entry, dict) and entry.get("match-runtime"):
            text = _matching(project, text, versions)
        result.append(text)
    return result


def _matching(project: str, text: str, versions: Mapping[str, str]) -> str:
    try:
        name = canonicalize_name(Requirement(text).name)
    except InvalidRequirement as error:
        raise BuildError(
            project, f"its extra-build-dependencies contain {text!r}, which is not a requirement"
        ) from error
    if name not in versions:
        raise BuildError(project, f"its build needs the installed version of {name}, which is not installed")
    return f"{text}=={versions[name]}"


def _of_project(settings: Mapping[str, Any], key: str, project: str) -> Any:
    table = settings.get(key)
    entries = table.items() if isinstance(table, dict) else ()
    return next((value for name, value in entries if canonicalize_name(str(name)) == project), None)


def _names(settings: Mapping[str, Any], key: str) -> set[str]:
    """Return the projects in the list `key` of `settings` and in its environment variable."""
    listed = settings.get(key)
    own = [str(name) for name in listed] if isinstance(listed, list) else []
    return {str(canonicalize_name(name)) for name in (*own, *os.environ.get(_variable(key), "").split())}


def _is_on(settings: Mapping[str, Any], key: str) -> bool:
    text = os.environ.get(_variable(key), "")
    return text.lower() in _TRUE if text else settings.get(key) is True


def _variable(key: str) -> str:
    return f"UV_{key.upper().replace('-', '_')}"
