"""What uv finds for inputs of every kind, for all targets at once."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from wheelhouse import toml, uv, uv_settings
from wheelhouse.errors import UvError
from wheelhouse.target import environment_markers
from wheelhouse.uv_words import plain_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.pylock import Pylock

    from wheelhouse.target import Target

# No other project has it: uv leaves out dependencies of a project on itself.
_NAME = "bundled-by-wheelhouse"
# Any Python, since the environments say which ones, and uv wants the one that it runs with to be allowed.
_ANY_PYTHON = ">=3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What uv found for an input called `subject`; `locked` when a lock dictated it.

    Paths in `pylock` are relative to `base`. `prereleases` says whether somebody asked for any pre-release.
    """

    subject: str
    pylock: Pylock
    locked: bool
    base: Path
    prereleases: bool = False

    @property
    def requires_python(self) -> SpecifierSet:
        """The Python versions that the lock is for."""
        return self.pylock.requires_python or SpecifierSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a script or a project asks for: `settings` is its `[tool.uv]`, with absolute paths."""

    subject: str
    dependencies: Sequence[str]
    requires_python: SpecifierSet
    settings: Mapping[str, Any]


def resolve(wanted: Wanted, targets: Sequence[Target], folder: Path, keep: Sequence[str] = ()) -> Resolution:
    """Resolve `wanted` for all `targets` at once and for nothing else, in the empty `folder`.

    The Python that runs uv does not count. The versions in `keep` ("name==version") stand as far as they can: uv keeps
    those of a lock that does not fit. Raises `UvError`.
    """
    if wanted.settings:
        _check_settings(wanted, folder)
    environments = environment_markers(targets, wanted.requires_python)
    variables = write_project(wanted, folder, environments, uv_settings.working_settings())
    if keep:
        lock = {"version": 1, "requires-python": _ANY_PYTHON, "package": _pins(keep, source={"registry": "none"})}
        (folder / "uv.lock").write_text(toml.dumps(lock), encoding="utf-8")
    try:
        pylock = uv.export(wanted.subject, folder, env=variables)
    except UvError as fault:
        if len(environments) > 1:
            raise _failure_of_each(wanted, targets, folder, environments, fault) from None
        raise plainly(fault, wanted.subject, targets) from None
    pylock = replace(pylock, requires_python=wanted.requires_python, environments=None)
    return Resolution(subject=wanted.subject, pylock=pylock, locked=False, base=folder)


def _failure_of_each(
    wanted: Wanted, targets: Sequence[Target], folder: Path, environments: Sequence[str], first: UvError
) -> UvError:
    """Return why each of `environments` cannot be resolved on its own: uv stops at the `first`."""
    names: dict[str, list[str]] = {}
    for number, environment in enumerate(environments):
        alone = folder / f"alone-{number}"
        alone.mkdir()
        variables = write_project(wanted, alone, [environment], uv_settings.working_settings())
        try:
            uv.export(wanted.subject, alone, env=variables)
        except UvError as fault:
            here = [
                target for target in targets if environment_markers([target], wanted.requires_python) == [environment]
            ]
            name = " and ".join(map(str, here))
            names.setdefault(plainly(fault, wanted.subject, here).words.replace(name, "{}"), []).append(name)
    told = [text.replace("{}", ", ".join(those)) for text, those in names.items()]
    return UvError(first.message, "\n".join(told)) if told else plainly(first, wanted.subject, targets)


def plainly(fault: UvError, subject: str, targets: Sequence[Target]) -> UvError:
    """Return `fault` of uv with `subject` in terms of `targets` and without invented names."""
    return UvError(fault.message, plain_words(fault.words, _NAME, subject, targets), fault.hint)


def resolve_for(
    wanted: Wanted, target: Target, folder: Path, keep: Sequence[str] = (), *, prereleases: bool = False
) -> Resolution:
    """Resolve `wanted` for `target` alone, wheels only, in the empty `folder`; raise `UvError`.

    Without `prereleases`, pre-releases are taken only where a requirement or a setting asks for them.
    """
    variables = write_project(wanted, folder, [], uv_settings.working_settings())
    decided = prereleases or "prerelease" in wanted.settings or "UV_PRERELEASE" in os.environ
    option = None if decided else "explicit"
    found = compiled(wanted.subject, folder / "pyproject.toml", target, folder, keep, option, variables)
    return replace(found, prereleases=prereleases or _asks_for_prereleases(wanted))


def _check_settings(wanted: Wanted, folder: Path) -> None:
    """Raise `UvError` where uv refuses the settings in a script, which may hold less than those of a project."""
    script = folder / "settings.py"
    script.write_text(toml.script_block({"dependencies": [], "tool": {"uv": dict(wanted.settings)}}), encoding="utf-8")
    try:
        uv.export_script(script, offline=True)
    except UvError as fault:
        raise UvError(f"{wanted.subject}: uv refuses its [tool.uv].", fault.words) from None


def write_project(
    wanted: Wanted, folder: Path, environments: Sequence[str], around: Mapping[str, Any]
) -> dict[str, str]:
    """Write `wanted` as a project for `environments` into `folder`; return the variables with which uv honours it.

    `around` are the settings of the folder that uv would run in. uv lets UV_CONFIG_FILE and UV_NO_CONFIG count more
    than the settings of a project, and less than those of a script.
    """
    project = {"name": _NAME, "version": "0", "requires-python": _ANY_PYTHON, "dependencies": [*wanted.dependencies]}
    settings = uv_settings.combined(wanted.settings, around)
    if environments:
        settings["environments"] = list(environments)
    tables = {"project": project, "tool": {"uv": settings}}
    (folder / "pyproject.toml").write_text(toml.dumps(tables), encoding="utf-8")
    if not (os.environ.get("UV_NO_CONFIG") or os.environ.get("UV_CONFIG_FILE")):
        return {}
    config = folder / "uv.toml"
    everything = uv_settings.combined(wanted.settings, uv_settings.user_settings())
    config.write_text(toml.dumps(uv_settings.outside_of_projects(everything)), encoding="utf-8")
    return {"UV_CONFIG_FILE": str(config), "UV_NO_CONFIG": "false"}


def _asks_for_prereleases(wanted: Wanted) -> bool:
    if wanted.settings.get("prerelease", os.environ.get("UV_PRERELEASE")) == "allow":
        return True
    lists = [wanted.settings.get(f"{key}-dependencies", []) for key in ("constraint", "override")]
    for text in (*wanted.dependencies, *(each for texts in lists for each in texts)):
        with contextlib.suppress(InvalidRequirement):  # uv knows more forms
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
) -> Resolution:
    """Resolve `source`, a pyproject.toml or a requirements file, for `target` alone, wheels only; raise `UvError`."""
    lock, platform = preferences(folder, keep), target.platform.name
    try:
        pylock = uv.compile_for(
            subject, source, lock, python=target.python, platform=platform, prerelease=prerelease, env=variables
        )
    except UvError as fault:
        raise plainly(fault, subject, [target]) from None
    return Resolution(subject=subject, pylock=pylock, locked=False, base=folder)


def preferences(folder: Path, keep: Sequence[str]) -> Path:
    """Return where uv writes a lock in `folder`; its versions there are to be those of `keep`, as far as they can."""
    path = folder / "pylock.toml"
    if keep:
        lock = {"lock-version": "1.0", "created-by": "wheelhouse", "packages": _pins(keep)}
        path.write_text(toml.dumps(lock), encoding="utf-8")
    return path
