"""Resolve inputs of every kind for all targets together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.pylock import Pylock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from wheelhouse import toml, uv, uv_settings
from wheelhouse.errors import UvError
from wheelhouse.target import Target, environment_markers
from wheelhouse.uv_words import plain_words

# No real project has this name: uv drops dependencies of a project on itself.
_NAME = "bundled-by-wheelhouse"
# Any Python, since environments restrict it, and uv requires the running one to be allowed.
_ANY_PYTHON = ">=3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The resolved packages of the input `subject`; `locked` if they come from a lock file.

    Paths in `pylock` are relative to `base`. `settings` are those of uv that count for the input, also for builds.
    `prereleases` says whether pre-releases were requested, `warnings` are those of uv. `hashes` are the digests
    ("sha512:ab...") that the input allows for the files of a project, if it states any.
    """

    subject: str
    pylock: Pylock
    locked: bool
    base: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    prereleases: bool = False
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def requires_python(self) -> SpecifierSet:
        """The Python versions of the lock."""
        return self.pylock.requires_python or SpecifierSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The requirements of a script or project.

    `own` is its `[tool.uv]`, `settings` are all settings of uv that count for it, both with absolute paths.
    """

    subject: str
    dependencies: Sequence[str]
    requires_python: SpecifierSet
    own: Mapping[str, Any]
    settings: Mapping[str, Any]


def resolve(wanted: Wanted, targets: Sequence[Target], folder: Path, keep: Sequence[str] = ()) -> Resolution:
    """Resolve `wanted` for all `targets` together, and only for these, in the empty `folder`.

    The Python that runs uv does not matter. The versions in `keep` ("name==version") are preferred, since uv keeps
    versions of an outdated lock. Raises `UvError`.
    """
    if wanted.own:
        _check_settings(wanted, folder)
    environments = environment_markers(targets, wanted.requires_python)
    variables = write_project(wanted, folder, environments)
    if keep:
        lock = {"version": 1, "requires-python": _ANY_PYTHON, "package": _pins(keep, source={"registry": "none"})}
        (folder / "uv.lock").write_text(toml.dumps(lock), encoding="utf-8")
    try:
        answer = uv.export(wanted.subject, folder, env=variables)
    except UvError as error:
        if len(environments) > 1:
            raise _failure_of_each(wanted, targets, folder, environments, error) from None
        raise plainly(error, wanted.subject, targets) from None
    return Resolution(
        subject=wanted.subject,
        pylock=replace(answer.pylock, requires_python=wanted.requires_python, environments=None),
        locked=False,
        base=folder,
        settings=wanted.settings,
        warnings=_plain_warnings(answer.warnings, wanted.subject, targets),
    )


def _plain_warnings(warnings: Iterable[str], subject: str, targets: Sequence[Target]) -> tuple[str, ...]:
    return tuple(plain_words(warning, _NAME, subject, targets) for warning in warnings)


def _failure_of_each(
    wanted: Wanted, targets: Sequence[Target], folder: Path, environments: Sequence[str], first: UvError
) -> UvError:
    """Return the reasons why each of `environments` alone cannot be resolved; uv stops at the `first`."""
    names: dict[str, list[str]] = {}
    for number, environment in enumerate(environments):
        alone = folder / f"alone-{number}"
        alone.mkdir()
        variables = write_project(wanted, alone, [environment])
        try:
            uv.export(wanted.subject, alone, env=variables)
        except UvError as error:
            here = [
                target for target in targets if environment_markers([target], wanted.requires_python) == [environment]
            ]
            name = " and ".join(map(str, here))
            names.setdefault(plainly(error, wanted.subject, here).words.replace(name, "{}"), []).append(name)
    reasons = [text.replace("{}", ", ".join(group)) for text, group in names.items()]
    return UvError(first.message, "\n".join(reasons)) if reasons else plainly(first, wanted.subject, targets)


def plainly(error: UvError, subject: str, targets: Sequence[Target]) -> UvError:
    """Return the error `error` of uv about `subject` in terms of `targets`, without invented names."""
    return UvError(error.message, plain_words(error.words, _NAME, subject, targets), error.hint)


def resolve_for(
    wanted: Wanted,
    target: Target,
    folder: Path,
    keep: Sequence[str] = (),
    *,
    prereleases: bool = False,
    buildable: Collection[str] | None = (),
) -> Resolution:
    """Resolve `wanted` for `target` alone in the empty `folder`. Raises `UvError`.

    Only wheels are used, except for the projects that are `buildable`: those without a suitable wheel that may be
    built from source (None for all). Without `prereleases`, only pre-releases that a requirement or setting requests
    are allowed.
    """
    variables = write_project(wanted, folder, [])
    decided = prereleases or "prerelease" in wanted.settings or "UV_PRERELEASE" in os.environ
    option = None if decided else "explicit"
    pylock = compiled(wanted.subject, folder / "pyproject.toml", target, folder, keep, option, variables, buildable)
    return replace(pylock, prereleases=prereleases or _asks_for_prereleases(wanted), settings=wanted.settings)


def _check_settings(wanted: Wanted, folder: Path) -> None:
    """Raise `UvError` if uv rejects the settings of a script, which allow less than those of a project."""
    script = folder / "settings.py"
    script.write_text(toml.script_block({"dependencies": [], "tool": {"uv": dict(wanted.own)}}), encoding="utf-8")
    try:
        uv.export_script(script, offline=True, env=uv_settings.write_config({}, folder / "no-settings.toml"))
    except UvError as error:
        raise UvError(f"{wanted.subject}: uv rejected its [tool.uv]", error.words) from None


def write_project(wanted: Wanted, folder: Path, environments: Sequence[str]) -> dict[str, str]:
    """Write `wanted` as a project for `environments` to `folder`; return environment variables for uv."""
    write_pyproject(wanted, folder, environments)
    return uv_settings.write_config(wanted.settings, folder / "uv.toml")


def write_pyproject(wanted: Wanted, folder: Path, environments: Sequence[str]) -> None:
    """Write `wanted` as the pyproject.toml of a project for `environments` to `folder`."""
    project = {"name": _NAME, "version": "0", "requires-python": _ANY_PYTHON, "dependencies": [*wanted.dependencies]}
    settings = dict(wanted.settings)
    if environments:
        settings["environments"] = list(environments)
    tables = {"project": project, "tool": {"uv": settings}}
    (folder / "pyproject.toml").write_text(toml.dumps(tables), encoding="utf-8")


def _asks_for_prereleases(wanted: Wanted) -> bool:
    if wanted.settings.get("prerelease", os.environ.get("UV_PRERELEASE")) == "allow":
        return True
    lists = [wanted.settings.get(f"{key}-dependencies", []) for key in ("constraint", "override")]
    for text in (*wanted.dependencies, *(item for texts in lists for item in texts)):
        with contextlib.suppress(InvalidRequirement):  # uv accepts more forms.
            if Requirement(str(text)).specifier.prereleases:
                return True
    return False


def _pins(keep: Sequence[str], **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "version": version, **more} for name, _, version in (pin.partition("==") for pin in keep)]


def compiled(
    subject: str,
    source: Path,
    target: Target,
    folder: Path,
    keep: Sequence[str],
    prerelease: str | None,
    variables: Mapping[str, str],
    buildable: Collection[str] | None,
) -> Resolution:
    """Resolve `source`, a pyproject.toml or requirements file, for `target` alone, as `resolve_for` does."""
    try:
        answer = uv.compile_for(
            subject,
            source,
            preferences(folder, keep),
            python=target.python,
            platform=target.platform.name,
            prerelease=prerelease,
            buildable=buildable,
            env=variables,
        )
    except UvError as error:
        raise plainly(error, subject, [target]) from None
    return Resolution(
        subject=subject,
        pylock=answer.pylock,
        locked=False,
        base=folder,
        warnings=_plain_warnings(answer.warnings, subject, [target]),
    )


def preferences(folder: Path, keep: Sequence[str]) -> Path:
    """Return the path of uv's lock in `folder`, which starts with the versions in `keep`."""
    path = folder / "pylock.toml"
    if keep:
        lock = {"lock-version": "1.0", "created-by": "wheelhouse", "packages": _pins(keep)}
        path.write_text(toml.dumps(lock), encoding="utf-8")
    return path
