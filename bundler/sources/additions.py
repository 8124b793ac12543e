"""Options that change how inputs are resolved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from bundler.errors import ScriptError
from wheelhouse import files

_COMMENT = re.compile(r"(^|\s+)#.*")


class Resolver(Enum):
    """The tool that resolves, by its name in `--resolver`."""

    UV = "uv"
    PIP_TOOLS = "pip-tools"


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """Additional requirements, constraints and overrides; with `locked`, every input must have a lock file."""

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    resolver: Resolver = Resolver.UV
    locked: bool = False

    @property
    def dependencies(self) -> bool:
        """Whether these options can change the selected versions, with either resolver."""
        return bool(self.requirements or self.constraints or self.overrides)

    @property
    def pip_tools(self) -> bool:
        """Whether pip-tools resolves."""
        return self.resolver is Resolver.PIP_TOOLS

    def as_options(self) -> tuple[str, ...]:
        """Return the options as text for the manifest."""
        words = [f"--with {text}" for text in self.requirements]
        words += [f"--constraint {text}" for text in self.constraints]
        words += [f"--override {text}" for text in self.overrides]
        if self.pip_tools:
            words.append(f"--resolver {self.resolver.value}")
        return tuple(words)


def requirement_lines(path: Path) -> tuple[str, ...]:
    """Return the requirements in a file with one per line. Raises `ScriptError` for anything else."""
    lines = [_COMMENT.sub("", line).strip() for line in files.read_text(path).splitlines()]
    texts = tuple(filter(None, lines))
    require_requirements(path, texts)
    return texts


def require_requirements(path: Path, texts: Sequence[str]) -> None:
    """Raise `ScriptError` unless each of `texts` from the file `path` is a dependency specifier (PEP 508)."""
    for text in texts:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            raise ScriptError(
                path, f"{text!r} is not a requirement ({reason})", "fix it"
            ) from error


def require_no_overrides(path: Path, additions: Additions) -> None:
    """Raise `ScriptError` if pip-tools would have to apply overrides to the input `path`."""
    if additions.pip_tools and additions.overrides:
        raise ScriptError(
            path,
            "pip-tools does not support overrides",
            "resolve with uv instead",
        )


def require_nothing_added(path: Path, lock: Path, additions: Additions) -> None:
    """Raise `ScriptError` if options would change the input `path`, whose versions `lock` determines."""
    if additions.dependencies or additions.pip_tools:
        advice = f"remove --with, --constraint, --override and --resolver, or delete {lock.name}"
        raise ScriptError(
            path,
            f"all versions come from {lock.name}, so no option can change them",
            advice,
        )
