"""Read a manifest, which is untrusted until it is parsed."""

from __future__ import annotations

import json
import re
import reprlib
import stat
import unicodedata
from pathlib import Path
from typing import Any, TypeVar

from bundler.errors import BundlerError, ManifestError
from bundler.layout import ATTESTATIONS, MANIFEST, README, SBOMS, script_files
from bundler.manifest import FORMAT, SHARED_FOLDERS, File, Manifest, ScriptEntry, TargetEntry
from wheelhouse import files
from wheelhouse.files import safe_path
from wheelhouse.target import PLATFORMS
from wheelhouse.wheel import parse_filename

_FOLDERS = ("targets", "wheels", "pythons", "locks", "sbom", "attestations")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Larger than any file system.
_SIZE_LIMIT = 1 << 63
# A manifest has about 300 bytes for each file; a larger one would be an attack on memory.
MANIFEST_LIMIT = 64 << 20
_T = TypeVar("_T")


def read_manifest(folder: Path, expected: str = "bundle or publication") -> Manifest:
    """Return the manifest of the bundle or publication in `folder`; `expected` is for messages.

    Raises `BundlerError` if there is none, `ManifestError` if it is invalid, `FileError` if it cannot be read.
    """
    path = folder / MANIFEST
    with files.explained(folder):
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise BundlerError(
                f"{folder}: is not a {expected} (it has no manifest.json)",
                hint="give the folder that `bundle` or `publish-index` printed",
            ) from None
        if not stat.S_ISREG(status.st_mode):
            raise ManifestError(path, "is not a regular file")
        if status.st_size > MANIFEST_LIMIT:
            raise ManifestError(path, f"is larger than {MANIFEST_LIMIT} bytes")
        return parse(files.read_plain(path, MANIFEST_LIMIT), path)


def parse(data: bytes, path: Path) -> Manifest:
    """Return the manifest in `data`; `path` is for messages. Raises `ManifestError`."""
    if len(data) > MANIFEST_LIMIT:
        raise ManifestError(path, f"is larger than {MANIFEST_LIMIT} bytes")
    try:
        tables = json.loads(data)
        version = tables["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ManifestError(path, "is not a manifest") from None
    if version not in (SHARED_FOLDERS, FORMAT) or isinstance(version, bool):
        if isinstance(version, int) and version > FORMAT:
            raise ManifestError(
                path,
                f"has format {version}, but this version supports up to {FORMAT}",
                "use a newer version of bundler",
            )
        raise ManifestError(path, f"has the unknown format {version!r}")
    try:
        manifest = Manifest(
            name=_matching(_PLAIN, tables["name"]),
            scripts=tuple(_script(table) for table in _typed(list, tables["scripts"])),
            targets=tuple(_target(table) for table in _typed(list, tables["targets"])),
            files=tuple(_file(table) for table in _typed(list, tables["files"])),
            format=version,
        )
        _check(manifest)
    except KeyError as error:
        raise ManifestError(path, f"lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise ManifestError(path, str(error)) from None
    return manifest


def _check(manifest: Manifest) -> None:
    """Check that the parts agree with each other. Raises `KeyError`, `ValueError`."""
    folded = [unicodedata.normalize("NFC", file.path).casefold() for file in manifest.files]
    if len(set(folded)) != len(folded):
        raise ValueError("lists the same file twice")
    paths = {file.path for file in manifest.files}
    scripts = [script.name for script in manifest.scripts]
    if not scripts and not manifest.targets:
        # The publication of a folder of wheels.
        if not paths or not all(path.startswith("wheels/") for path in paths):
            raise ValueError("lists no script, and not only wheels")
        return
    if not scripts or not manifest.targets or len(set(scripts)) != len(scripts):
        raise ValueError("lists no script, no target, or a script twice")
    if len({target.name for target in manifest.targets}) != len(manifest.targets):
        raise ValueError("lists a target twice")
    used: set[str] = set()
    for target in manifest.targets:
        used |= _check_target(manifest, target, paths)
    unused = {path for path in paths - used if not path.startswith(("locks/", SBOMS, ATTESTATIONS)) and path != README}
    if unused:
        raise ValueError(f"lists {min(unused)!r}, which no target needs")


def _check_target(manifest: Manifest, target: TargetEntry, paths: set[str]) -> set[str]:
    """Check that the bundle has the files that `target` needs, with consistent digests; return their paths.

    Raises `ValueError`.
    """
    scripts = {script.name: script.sha256 for script in manifest.scripts}
    if target.platform not in PLATFORMS:
        raise ValueError(f"has the unknown platform {target.platform!r}")
    if set(target.wheels) != set(scripts):
        raise ValueError(f"does not list the wheels of each script on {target.name}")
    needed = {f"wheels/{name}" for names in target.wheels.values() for name in names}
    needed |= {f"{manifest.folder(target, name)}/{file}" for name in scripts for file in script_files(name)}
    needed |= {path for path in (target.uv, target.interpreter) if path}
    if needed - paths:
        raise ValueError(f"does not list {min(needed - paths)!r}, which {target.name} needs")
    for name, sha256 in scripts.items():
        if manifest.file(f"{manifest.folder(target, name)}/{name}").sha256 != sha256:
            raise ValueError(f"gives two digests for {name!r}")
    for script, names in target.wheels.items():
        simple = f"{manifest.folder(target, script)}/simple"
        needed.add(f"{simple}/index.html")
        needed |= {f"{simple}/{parse_filename(name)[0]}/index.html" for name in names}
    return needed


def _script(table: Any) -> ScriptEntry:
    name = _typed(str, table["name"])
    if not safe_path(name) or "/" in name:
        raise ValueError(f"has the script {name!r}, which is not a plain file name")
    return ScriptEntry(
        name=name,
        sha256=_matching(_SHA256, table["sha256"]),
        requires_python=_typed(str, table["requires-python"]),
        dependencies=tuple(_typed(str, dependency) for dependency in _typed(list, table["dependencies"])),
        lock_sha256=None if table["lock-sha256"] is None else _matching(_SHA256, table["lock-sha256"]),
        resolved_with=tuple(_typed(str, option) for option in _typed(list, table.get("resolved-with", []))),
    )


def _target(table: Any) -> TargetEntry:
    libc = table["libc"]
    if libc is not None:
        name, major, minor = _typed(list, libc)
        libc = (_typed(str, name), _typed(int, major), _typed(int, minor))
    return TargetEntry(
        name=_matching(_PLAIN, table["name"]),
        python=_matching(re.compile(r"(pypy)?3\.[0-9]{1,2}(\.[0-9]{1,2})?t?"), table["python"]),
        platform=_matching(_PLAIN, table["platform"]),
        system=_matching(re.compile("Linux|Windows|Darwin"), table["system"]),
        machine=_typed(str, table["machine"]),
        libc=libc,
        wheels={
            _typed(str, script): tuple(_wheel_name(name) for name in _typed(list, names))
            for script, names in _typed(dict, table["wheels"]).items()
        },
        uv=None if table["uv"] is None else _typed(str, table["uv"]),
        interpreter=None if table["interpreter"] is None else _typed(str, table["interpreter"]),
    )


def _wheel_name(value: Any) -> str:
    parse_filename(_typed(str, value))
    return str(value)


def _file(table: Any) -> File:
    path = _typed(str, table["path"])
    folder, _, filename = path.partition("/")
    if not safe_path(path) or (path != README and folder not in _FOLDERS):
        raise ValueError(f"lists the file {path!r}, which does not belong in a bundle")
    if folder == "wheels":
        parse_filename(filename)
    size = _typed(int, table["size"])
    if not 0 <= size < _SIZE_LIMIT:
        raise ValueError(f"gives {path!r} the size {size}")
    origin = table["origin"]
    return File(
        path=path,
        size=size,
        sha256=_matching(_SHA256, table["sha256"]),
        origin=None if origin is None else _typed(str, origin),
    )


def _typed(kind: type[_T], value: Any) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"has {reprlib.repr(value)} instead of a value of type {kind.__name__}")
    if isinstance(value, str) and files.CONTROL.search(value):
        # They would control a terminal, or could not be written at all.
        raise ValueError(f"has unprintable characters in {reprlib.repr(value)}")
    return value


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    if not pattern.fullmatch(_typed(str, value)):
        raise ValueError(f"has the malformed value {reprlib.repr(value)}")
    return str(value)
