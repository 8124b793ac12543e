"""A script with inline metadata (PEP 723) as an input, with or without a lock file."""

from __future__ import annotations

import ast
import os
import re
import sys
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from packaging.requirements import Requirement

from bundler.errors import ScriptError
from bundler.sources.additions import (
    Additions,
    require_no_overrides,
    require_nothing_added,
)
from bundler.sources.metadata import (
    check,
    has_block,
    no_metadata,
    read_metadata,
    unknown_keys,
)
from bundler.sources.source import Source
from bundler.sources.tool_table import settings_of
from wheelhouse.errors import redacted
from wheelhouse.files import real, safe_path
from wheelhouse.resolve import locks, pip_tools, resolution
from wheelhouse.resolve.locks import lock_path
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.target import Target

_EXACT_MINOR = re.compile(r"==\s*(\d+\.\d+)$")
# Leaves room for the suffixes of the files of a target.
_NAME_BYTES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Source):
    """A script without a lock file, which is resolved.

    `ignored` are keys of its metadata that uv ignores, each with a hint.
    """

    ignored: tuple[tuple[str, str], ...] = ()

    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:
        """Resolve for all `targets` together, with the chosen resolver."""
        if self.additions.pip_tools:
            constraints = self.tool.get("uv", {}).get("constraint-dependencies", [])
            return pip_tools.resolve(self.name, self.dependencies, constraints, folder, self.keep)
        return resolution.resolve(self.wanted(), targets, folder, self.keep)

    def resolve_for(
        self,
        target: Target,
        folder: Path,
        *,
        prereleases: bool,
        buildable: Collection[str] | None,
    ) -> Resolution:
        """Resolve for `target` alone, with wheels only for all that is not `buildable`."""
        wanted = self.wanted()
        return resolution.resolve_for(
            wanted,
            target,
            folder,
            self.keep,
            prereleases=prereleases,
            buildable=buildable,
        )

    def wanted(self) -> resolution.Wanted:
        """Return the request for uv, with absolute paths."""
        return resolution.Wanted(
            subject=self.name,
            dependencies=[
                _with_absolute_path(dependency, self.folder()) for dependency in self.dependencies
            ],
            requires_python=self.requires_python,
            own=self.uv_settings(),
            settings=self.effective_settings(),
        )

    def texts(self) -> list[str]:
        """Return its dependencies, and pip's settings if pip-tools resolves."""
        texts = list(self.dependencies)
        if self.additions.pip_tools:
            texts.append(pip_tools.settings())
        return texts

    def warnings(self) -> list[str]:
        """Return warnings about settings that are valid but unlikely to be intended."""
        facts = []
        for bound in str(self.requires_python).split(","):
            match = _EXACT_MINOR.match(bound)
            if match:
                minor = match[1]
                facts.append(
                    f'requires-python "=={minor}" means only {minor}.0, so uv recreates the environment on every '
                    f'run with another {minor} version\nhint: use "=={minor}.*"'
                )
        text = str((self.dependencies, self.tool))
        if redacted(text) != text:
            facts.append(
                "a URL in its metadata contains a password or query, which the bundle includes"
            )
        behind = Path(os.path.realpath(self.path))
        if self.lock is None and behind != self.path.absolute() and lock_path(behind).is_file():
            facts.append(
                f"is a link to {behind}, whose lock file uv does not use\nhint: bundle {behind}, or use --locked"
            )
        for key, hint in self.ignored:
            facts.append(f"the key {key} in its metadata has no effect\nhint: {hint}")
        for name, file in self.missing_modules():
            facts.append(
                f"imports {name} from {file}, which lies next to it and is not in the bundle\n"
                f'hint: add it to inputs in [tool.bundler], such as inputs = ["{name}.py"], '
                "or use --input when you rehearse or submit it"
            )
        return [f"{self.path}: {fact}" for fact in facts]

    def missing_modules(self) -> list[tuple[str, str]]:
        """Return the modules that it imports from its own folder, which jobs do not have, each with its file."""
        inputs = settings_of(self.path, self.tool).inputs
        present = {path.split("/")[0] for path in inputs}
        missing = []
        for module in sorted(_imported_modules(self.data)):
            file = f"{module}.py"
            if module == self.path.stem or not present.isdisjoint((module, file)):
                continue
            # The module search path of a script begins with its folder.
            for name in (file, module):
                if (self.folder() / name).exists():
                    missing.append((module, name))
                    break
        return missing

    def upgrade_command(self) -> str:
        """Return how to upgrade the package NAME in the lock file."""
        return f"run `uv lock --script {self.name} --upgrade-package NAME`"


@dataclass(frozen=True, slots=True, kw_only=True)
class _LockedScript(Script):
    """A script with a lock file, which determines its versions."""

    locked: ClassVar[bool] = True

    def resolve(self, targets: Sequence[Target], folder: Path) -> Resolution:  # noqa: ARG002 - a lock needs neither
        """Return the contents of its lock file."""
        return locks.read_script_lock(self.path, self.dependencies, self.requires_python)

    resolve_for = Source.resolve_for


def read_script(path: Path, data: bytes | None = None) -> Script:
    """Return the script `path`, with `data` instead of its bytes if given. Raises `ScriptError`."""
    data, metadata = read_metadata(path, data)
    if not safe_path(path.name) or len(path.name.encode()) > _NAME_BYTES:
        raise ScriptError(path, "its file name is not valid on all systems", "rename it")
    requires_python, dependencies = check(path, metadata)
    return Script(
        path=path,
        name=path.name,
        data=data,
        requires_python=requires_python,
        dependencies=dependencies,
        tool=metadata.get("tool", {}),
        ignored=tuple(unknown_keys(metadata)),
    )


def _imported_modules(data: bytes) -> set[str]:
    """Return the top-level modules that the script `data` imports; none if it is not Python of this version."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # About its style, which is not our business.
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def locked_script(script: Script, additions: Additions) -> Script:
    """Return `script` with its lock file, if there is one, or with `additions`. Raises `ScriptError`."""
    path = script.path
    if additions.locked and not lock_path(path).is_file():
        # uv does not follow a link to a script, and would not use the lock there.
        path = Path(os.path.realpath(path))
    lock = lock_path(path)
    if not lock.is_file():
        return script_with(script, additions)
    require_nothing_added(script.path, lock, additions)
    return _LockedScript(
        path=path,
        name=script.name,
        data=script.data,
        requires_python=script.requires_python,
        dependencies=script.dependencies,
        tool=script.tool,
        ignored=script.ignored,
        lock=lock,
        additions=additions,
    )


def script_with(script: Script, additions: Additions) -> Script:
    """Return `script`, which has no lock file, with `additions`. Raises `ScriptError`."""
    if additions.locked:
        raise ScriptError(
            script.path,
            "has no lock file",
            f"create it with `uv lock --script {script.name}`",
        )
    _require_declared(script, additions)
    require_no_overrides(script.path, additions)
    settings: dict[str, Any] = dict(script.tool.get("uv", {}))
    if additions.pip_tools and settings:
        fact = f"has [tool.uv] with {', '.join(sorted(settings))}, which pip-tools would ignore"
        raise ScriptError(script.path, fact, "resolve with uv, or remove the table")
    for key, texts in (
        ("constraint-dependencies", additions.constraints),
        ("override-dependencies", additions.overrides),
    ):
        if texts:
            settings[key] = [*settings.get(key, []), *texts]
    tool = dict(script.tool)
    if settings:
        tool["uv"] = settings
    return replace(
        script,
        dependencies=(*script.dependencies, *additions.requirements),
        tool=tool,
        additions=additions,
    )


def _require_declared(script: Script, additions: Additions) -> None:
    """Raise `ScriptError` if `script` says in no way what it needs, but imports more than the standard library.

    Modules next to it may become input files of its jobs; there is a warning about these.
    """
    if has_block(script.data) or additions.requirements:
        return
    beside = {name for name, _ in script.missing_modules()}
    foreign = _imported_modules(script.data) - sys.stdlib_module_names - beside
    if foreign:
        raise no_metadata(script.path, sorted(foreign))


def _with_absolute_path(dependency: str, folder: Path) -> str:
    """Return `dependency` with an absolute path if its path is relative to `folder`, as in "alpha @ ./alpha"."""
    requirement = Requirement(dependency)
    if requirement.url is None:
        return dependency
    # uv replaces this variable by the current folder, which is another one while it resolves.
    url = requirement.url.replace(
        "${PROJECT_ROOT}",
        os.environ.get("PROJECT_ROOT") or Path.cwd().as_posix(),
    )
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:|\$\{", url):
        url = real(folder / url).as_uri()
    requirement.url = url
    return str(requirement)
