"""A script and its inline metadata (PEP 723)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bundler.errors import SameName, ScriptFault
from bundler.layout import target_files
from wheelhouse import toml, uv_settings
from wheelhouse.errors import redacted
from wheelhouse.files import read_input, safe_path
from wheelhouse.locks import lock_path
from wheelhouse.resolution import Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The expression that the specification of inline script metadata gives.
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
_OPENED = re.compile(r"(?m)^# /// script\s*$")
_EXACT_MINOR = re.compile(r"==\s*(\d+\.\d+)$")
# Leaves room for what the files of a target add to it.
_NAME_BYTES = 200
_HINT = 'Add a "# /// script" block (PEP 723) that names its dependencies.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script as it was read once: `data` are its bytes, `metadata` the tables of its block.

    `kind` is script, or requirements, pylock or project where it only stands for such an input, which is `source` then.
    `lock` is the file that dictates what it installs, `resolved_with` what the command line adds to what it asks for,
    `keep` the versions ("name==version") that are to stand as far as they can when it is resolved.
    """

    path: Path
    data: bytes
    requires_python: SpecifierSet
    dependencies: tuple[str, ...]
    metadata: dict[str, Any]
    kind: str = "script"
    source: Path | None = None
    lock: Path | None = None
    resolved_with: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file name."""
        return self.path.name

    @property
    def sha256(self) -> str:
        """The digest of the script's bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    def warnings(self) -> list[str]:
        """Return sentences about what is allowed but hardly meant."""
        exact = [match[1] for part in str(self.requires_python).split(",") if (match := _EXACT_MINOR.match(part))]
        sentences = [
            f'{self.path}: requires-python "=={minor}" means {minor}.0 only, and uv makes a new environment every time '
            f'for any other. Write "=={minor}.*".'
            for minor in exact
        ]
        if redacted(str(self.metadata)) != str(self.metadata):
            sentences.append(f"{self.path}: a URL in its metadata holds a password or a query, which travel with it.")
        return sentences

    def uv_settings(self) -> dict[str, Any]:
        """Return `[tool.uv]` of the script, or of the project that it stands for, the paths in it made absolute."""
        folder = self.source if self.kind == "project" and self.source else self.path.absolute().parent
        return uv_settings.absolute(self.metadata.get("tool", {}).get("uv", {}), folder.absolute())

    def wanted(self) -> Wanted:
        """Return what uv is to resolve, for any folder: paths in it are absolute."""
        folder = self.path.absolute().parent
        return Wanted(
            subject=self.name,
            dependencies=[_with_absolute_path(dependency, folder) for dependency in self.dependencies],
            requires_python=self.requires_python,
            settings=self.uv_settings(),
        )


def _with_absolute_path(dependency: str, folder: Path) -> str:
    """Return `dependency`, made absolute if it is a path relative to `folder`, such as "alpha @ ./alpha"."""
    requirement = Requirement(dependency)
    if requirement.url is None or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:|\$\{", requirement.url):
        return dependency
    requirement.url = (folder / requirement.url).resolve().as_uri()
    return str(requirement)


def require_distinct(scripts: Sequence[Script]) -> list[Exception]:
    """Return a `SameName` for all of `scripts` that would make the same file of a bundle."""
    makers: dict[str, list[Path]] = {}
    for script in scripts:
        for name in {unicodedata.normalize("NFC", name).casefold() for name in target_files(script.name)}:
            makers.setdefault(name, []).append(script.source or script.path)
    return [SameName(makers_of_one) for makers_of_one in makers.values() if len(makers_of_one) > 1]


def read_script(path: Path, data: bytes | None = None) -> Script:
    """Read `path`, or `data` in its place, and its metadata block; raise `ScriptFault`."""
    given = data is not None
    try:
        data = read_input(path) if data is None else data
        text = data.decode()
    except OSError as fault:
        raise ScriptFault(path, str(fault.strerror), "Name a Python script.") from fault
    except UnicodeDecodeError as fault:
        raise ScriptFault(
            path, f"is not UTF-8 (byte {fault.start})", "Save it as UTF-8; uv reads nothing else."
        ) from fault
    if text.startswith("\ufeff"):
        raise ScriptFault(path, "starts with a byte order mark", "Save it as UTF-8 without one; uv does not read it.")
    if not safe_path(path.name) or path.name.casefold() == "simple" or len(path.name.encode()) > _NAME_BYTES:
        raise ScriptFault(path, "has a name that no bundle can carry to every system", "Rename it.")
    metadata = parse_block(path, text.replace("\r\n", "\n"))
    requires_python, dependencies = _check(path, metadata)
    beside = lock_path(path)
    return Script(
        path=path,
        data=data,
        requires_python=requires_python,
        dependencies=dependencies,
        metadata=metadata,
        source=path if given else None,
        lock=beside if not given and beside.is_file() else None,
    )


def parse_block(path: Path, text: str) -> dict[str, Any]:
    """Return the tables of the script block in `text`; `path` is for messages. Raises `ScriptFault`."""
    blocks = [match for match in _BLOCK.finditer(text) if match["type"] == "script"]
    if len(blocks) > 1:
        raise ScriptFault(path, f"has {len(blocks)} script metadata blocks", "Keep one.")
    if not blocks:
        if _OPENED.search(text):
            raise ScriptFault(
                path,
                "its script metadata block does not end",
                'Every line of it starts with "#", and the last one is "# ///".',
            )
        raise ScriptFault(path, "no inline script metadata", _HINT)
    first = text[: blocks[0].start("content")].count("\n") + 1
    # As the specification's reference implementation strips it.
    content = "".join(
        line[2:] if line.startswith("# ") else line[1:] for line in blocks[0]["content"].splitlines(keepends=True)
    )
    try:
        return toml.loads(content)
    except (ValueError, RecursionError) as fault:  # TOMLDecodeError, and numbers and nesting beyond Python's limits
        line = re.search(r"line (\d+)", str(fault))
        where = f" (line {first - 1 + int(line[1])} of the script)" if line else ""
        raise ScriptFault(path, f"its script metadata is not TOML: {fault}{where}", "Fix the block.") from fault


def _check(path: Path, metadata: dict[str, Any]) -> tuple[SpecifierSet, tuple[str, ...]]:
    faults = []
    requires_python, dependencies = metadata.get("requires-python", ""), metadata.get("dependencies", [])
    specifiers = SpecifierSet()
    try:
        specifiers = SpecifierSet(requires_python)
    except (InvalidSpecifier, TypeError, AttributeError):
        faults.append(f"requires-python {requires_python!r} is no version specifier")
    if not isinstance(dependencies, list):
        faults.append(f"dependencies is {dependencies!r}, not a list")
        dependencies = []
    for dependency in dependencies:
        try:
            Requirement(dependency)
        except (InvalidRequirement, TypeError) as fault:
            faults.append(f"dependency {dependency!r} is no dependency specifier ({str(fault).splitlines()[0]})")
    if not isinstance(metadata.get("tool", {}), dict) or not isinstance(metadata.get("tool", {}).get("uv", {}), dict):
        faults.append("tool or tool.uv is not a table")
    else:
        faults += uv_settings.faults_of(metadata.get("tool", {}).get("uv", {}))
    if faults:
        raise ScriptFault(path, "; ".join(faults), "Fix the block.")
    return specifiers, tuple(dependencies)
