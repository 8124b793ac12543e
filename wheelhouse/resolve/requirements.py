"""Resolve requirements files with their options, constraints and hashes."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.pylock import Package, Pylock
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from wheelhouse import files
from wheelhouse.errors import UvError, not_as_locked
from wheelhouse.hashes import normalized, sha256_in
from wheelhouse.resolve import uv, uv_settings
from wheelhouse.resolve.resolution import (
    Resolution,
    Wanted,
    compiled,
    plainly,
    preferences,
    write_pyproject,
)
from wheelhouse.target import Target, environment_markers

if TYPE_CHECKING:  # It takes a sixth of a second, and is rarely needed.
    from pip_requirements_parser import InstallRequirement, RequirementsFile

# What a requirement without a name may start with: a URL, or a path.
_SCHEMES = re.compile(r"(?i)((git|hg|svn|bzr)\+)?(https?|file|ftp|ssh|git)[:+]|[^:]*$|[a-z]:[\\/]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """The contents of a requirements file and of all files that it includes: `texts` by path.

    `hashes` are the allowed digests ("sha256:ab...") of each project that has some, `prereleases` says whether the
    file asks for pre-releases, `invalid` lists lines that are not requirements, without quoting them.
    """

    texts: Mapping[Path, str]
    hashes: Mapping[str, frozenset[str]]
    prereleases: bool
    invalid: Sequence[str]


def resolve(
    path: Path,
    targets: Sequence[Target],
    folder: Path,
    keep: Sequence[str] = (),
) -> Resolution:
    """Resolve the requirements file `path` for all `targets` together, in the empty `folder`.

    The versions in `keep` ("name==version") are kept where possible. Raises `UvError`, and `LockError` if an index
    has no file with one of the hashes, or a hash cannot be compared.
    """
    contents = read(path)
    project = folder / "settings"
    project.mkdir()
    settings = uv_settings.effective({}, path.absolute().parent)
    nothing = Wanted(
        subject=path.name,
        dependencies=(),
        requires_python=SpecifierSet(),
        own={},
        settings=settings,
    )
    write_pyproject(nothing, project, environment_markers(targets, SpecifierSet()))
    pythons = [target.request.minor for target in targets]
    try:
        answer = uv.compile_universal(
            path.name,
            path.absolute(),
            preferences(folder, keep),
            python=min(pythons, key=Version),
            settings=project,
            # Only the settings of a project can contain environments, so uv must read these.
            env=uv_settings.NO_CONFIG_FILE,
        )
    except UvError as error:
        raise plainly(error, path.name, targets) from None
    pylock = replace(answer.pylock, requires_python=None, environments=None)
    return Resolution(
        subject=path.name,
        pylock=only_hashed(path.name, pylock, contents.hashes),
        locked=False,
        base=folder,
        settings=settings,
        hashes=contents.hashes,
        warnings=answer.warnings,
    )


def resolve_for(
    path: Path,
    target: Target,
    folder: Path,
    keep: Sequence[str] = (),
    *,
    buildable: Collection[str] | None = (),
) -> Resolution:
    """Resolve the requirements file `path` for `target` alone, with wheels only, except for `buildable` projects.

    Raises the errors of `resolve`.
    """
    contents = read(path)
    settings = uv_settings.effective({}, path.absolute().parent)
    variables = uv_settings.write_config(settings, folder / "uv.toml")
    resolution = compiled(
        path.name,
        path.absolute(),
        target,
        folder,
        keep,
        None,
        variables,
        buildable,
    )
    return replace(
        resolution,
        pylock=only_hashed(path.name, resolution.pylock, contents.hashes),
        prereleases=contents.prereleases,
        settings=settings,
        hashes=contents.hashes,
    )


def read(path: Path) -> _Contents:
    """Return the contents of the requirements file `path`. Raises `LockError` for a hash that cannot be compared."""
    texts: dict[Path, str] = {}
    hashes: dict[str, set[str]] = {}
    prereleases = False
    errors: list[str] = []
    invalid: list[str] = []
    for here, text, content in _parsed(path):
        texts[here] = text
        prereleases = prereleases or _asks_for_prereleases(content)
        for requirement in content.requirements:
            number = requirement.line_number
            errors += _add_hashes(requirement, f"{here.name}, line {number}", hashes)
            # Taken for a URL of an unknown scheme, such as a line of a password file.
            if requirement.link and not _SCHEMES.match(requirement.link.url):
                invalid.append(f"{here.name}: line {number} is not a requirement")
        for line in content.invalid_lines:
            number = line.line_number
            invalid.append(f"{here.name}: line {number} is not a requirement")
            if "--hash" in (line.line or ""):
                errors.append(f"{here.name}, line {number}: has a hash that cannot be read")
    if errors:
        raise not_as_locked(path.name, errors)
    return _Contents(
        texts=texts,
        hashes={name: frozenset(digests) for name, digests in hashes.items()},
        prereleases=prereleases,
        invalid=invalid,
    )


def _parsed(path: Path) -> Iterator[tuple[Path, str, RequirementsFile]]:
    """Yield path, text and contents of a requirements file and of all files that it includes, each once."""
    seen: set[Path] = set()
    pending = [path]
    while pending:
        here = files.real(pending.pop())  # One name for each, and no error for a link to itself.
        if here in seen:
            continue
        if seen and not here.is_file():
            continue
        seen.add(here)
        with files.explained(here):
            text = files.decoded(files.read_input(here))
        content = _parsed_text(text)
        yield here, text, content
        for option in content.options:
            for key in ("requirements", "constraints"):
                names = option.options.get(key, [])
                pending += [here.parent / name for name in names]


def _parsed_text(text: str) -> RequirementsFile:
    from pip_requirements_parser import RequirementsFile  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "requirements.txt")
        # With a byte order mark, or the parser would decode it as the locale says.
        copy.write_text(text, encoding="utf-8-sig")
        return RequirementsFile.from_file(str(copy))


def _add_hashes(
    requirement: InstallRequirement, place: str, hashes: dict[str, set[str]]
) -> list[str]:
    """Add the digests of `requirement` to those of its project in `hashes`; return what cannot be compared."""
    if not requirement.hash_options:
        return []
    if requirement.name is None:
        return [f"{place}: has a hash, but no name"]
    allowed = hashes.setdefault(canonicalize_name(requirement.name), set())
    errors = []
    for text in requirement.hash_options:
        try:
            allowed.add(normalized(text))
        except ValueError as error:
            errors.append(f"{place}: {error}")
    return errors


def _asks_for_prereleases(content: RequirementsFile) -> bool:
    for option in content.options:
        if option.options.get("pre"):
            return True
    return any(
        requirement.req and requirement.req.specifier.prereleases
        for requirement in content.requirements
    )


def only_hashed(subject: str, pylock: Pylock, hashes: Mapping[str, Collection[str]]) -> Pylock:
    """Return `pylock` with only the files of each package that may have one of its `hashes`. Raises `LockError`.

    A file whose SHA-256 is not allowed may have an allowed digest of another algorithm, if there are such digests.
    """
    packages = []
    errors = []
    for package in pylock.packages:
        allowed = hashes.get(package.name, ())
        sha256 = sha256_in(allowed)
        if not allowed or len(sha256) < len(allowed):
            packages.append(package)
            continue
        hashed = _with_hashes(package, sha256)
        if hashed is None:
            errors.append(
                f"{package.name} {package.version}: none of its files has a hash that {subject} allows"
            )
        else:
            packages.append(hashed)
    if errors:
        raise not_as_locked(subject, errors)
    return replace(pylock, packages=packages)


def _with_hashes(package: Package, allowed: Collection[str]) -> Package | None:
    """Return `package` with only the files whose SHA-256 is `allowed`, or None if there are none."""
    wheels = [wheel for wheel in package.wheels or [] if wheel.hashes.get("sha256") in allowed]
    sdist = package.sdist
    if sdist and sdist.hashes.get("sha256") not in allowed:
        sdist = None
    if not wheels and not sdist:
        return None
    return replace(package, wheels=wheels, sdist=sdist)
