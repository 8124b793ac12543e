"""Resolve inputs of every kind for all targets together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.pylock import Pylock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from wheelhouse import toml
from wheelhouse.errors import UvError
from wheelhouse.resolve import uv, uv_settings
from wheelhouse.resolve.uv_settings import Settings
from wheelhouse.resolve.uv_words import plain_words
from wheelhouse.target import Target, environment_markers

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
    settings: Settings = field(default_factory=dict)
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
    own: Settings
    settings: Settings


def resolve(
    wanted: Wanted,
    targets: Sequence[Target],
    folder: Path,
    keep: Sequence[str] = (),
) -> Resolution:
    """Resolve `wanted` for all `targets` together, and only for these, in the empty `folder`.

    The Python that runs uv does not matter. The versions in `keep` ("name==version") are preferred, since uv keeps
    versions of an outdated lock. Raises `UvError`.
    """
    if wanted.own:
        _check_settings(wanted, folder)
    environments = environment_markers(targets, wanted.requires_python)
    variables = _write_project(wanted, folder, environments)
    if keep:
        pins = _pins(keep, source={"registry": "none"})
        lock = {"version": 1, "requires-python": _ANY_PYTHON, "package": pins}
        _write(folder / "uv.lock", lock)
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


def _check_settings(wanted: Wanted, folder: Path) -> None:
    """Raise `UvError` if uv rejects the settings of a script, which allow less than those of a project."""
    tables = {"dependencies": [], "tool": {"uv": dict(wanted.own)}}
    script = folder / "settings.py"
    script.write_text(toml.script_block(tables), encoding="utf-8")
    variables = uv_settings.write_config({}, folder / "no-settings.toml")
    try:
        uv.export_script(script, offline=True, env=variables)
    except UvError as error:
        raise UvError(f"{wanted.subject}: uv rejected its [tool.uv]", error.words) from None


def _failure_of_each(
    wanted: Wanted,
    targets: Sequence[Target],
    folder: Path,
    environments: Sequence[str],
    first: UvError,
) -> UvError:
    """Return the reasons why each of `environments` alone cannot be resolved; uv stops at the `first`."""
    # The names of the targets for which uv says the same, apart from these names.
    names: dict[str, list[str]] = {}
    for number, environment in enumerate(environments):
        alone = folder / f"alone-{number}"
        alone.mkdir()
        variables = _write_project(wanted, alone, [environment])
        try:
            uv.export(wanted.subject, alone, env=variables)
        except UvError as error:
            here = [
                target
                for target in targets
                if environment_markers([target], wanted.requires_python) == [environment]
            ]
            name = " and ".join(map(str, here))
            words = plainly(error, wanted.subject, here).words
            names.setdefault(words.replace(name, "{}"), []).append(name)
    if not names:
        return plainly(first, wanted.subject, targets)
    reasons = [words.replace("{}", ", ".join(group)) for words, group in names.items()]
    return UvError(first.message, "\n".join(reasons))


def _plain_warnings(
    warnings: Iterable[str], subject: str, targets: Sequence[Target]
) -> tuple[str, ...]:
    return tuple(plain_words(warning, _NAME, subject, targets) for warning in warnings)


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
    variables = _write_project(wanted, folder, [])
    option: str | None = "explicit"
    if prereleases or "prerelease" in wanted.settings or "UV_PRERELEASE" in os.environ:
        option = None
    resolution = compiled(
        wanted.subject,
        folder / "pyproject.toml",
        target,
        folder,
        keep,
        option,
        variables,
        buildable,
    )
    return replace(
        resolution,
        prereleases=prereleases or _asks_for_prereleases(wanted),
        settings=wanted.settings,
    )


def _write_project(wanted: Wanted, folder: Path, environments: Sequence[str]) -> dict[str, str]:
    """Write `wanted` as a project for `environments` to `folder`; return environment variables for uv."""
    write_pyproject(wanted, folder, environments)
    return uv_settings.write_config(wanted.settings, folder / "uv.toml")


def write_pyproject(wanted: Wanted, folder: Path, environments: Sequence[str]) -> None:
    """Write `wanted` as the pyproject.toml of a project for `environments` to `folder`."""
    project = {
        "name": _NAME,
        "version": "0",
        "requires-python": _ANY_PYTHON,
        "dependencies": list(wanted.dependencies),
    }
    settings = dict(wanted.settings)
    if environments:
        settings["environments"] = list(environments)
    _write(folder / "pyproject.toml", {"project": project, "tool": {"uv": settings}})


def _write(path: Path, tables: Settings) -> None:
    path.write_text(toml.dumps(tables), encoding="utf-8")


def _asks_for_prereleases(wanted: Wanted) -> bool:
    settings = wanted.settings
    if settings.get("prerelease", os.environ.get("UV_PRERELEASE")) == "allow":
        return True
    constraints = settings.get("constraint-dependencies", [])
    overrides = settings.get("override-dependencies", [])
    for text in (*wanted.dependencies, *constraints, *overrides):
        with contextlib.suppress(InvalidRequirement):  # uv accepts more forms.
            if Requirement(str(text)).specifier.prereleases:
                return True
    return False


def _pins(keep: Sequence[str], **more: object) -> list[dict[str, object]]:
    pins = []
    for pin in keep:
        name, _, version = pin.partition("==")
        pins.append({"name": name, "version": version, **more})
    return pins


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
        _write(path, {"lock-version": "1.0", "created-by": "wheelhouse", "packages": _pins(keep)})
    return path
