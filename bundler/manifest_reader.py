"""Read a manifest, which is untrusted until it is parsed."""

from __future__ import annotations

import json
import re
import reprlib
import stat
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from bundler.errors import BundlerError, ManifestError
from bundler.layout import ATTESTATIONS, MANIFEST, README, SBOMS, WHEELS, script_files
from bundler.manifest import FORMAT, SHARED_FOLDERS, File, Manifest, ScriptEntry, TargetEntry
from bundler.path_kinds import mismatch
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
            fact, hint = mismatch(folder, expected)
            raise BundlerError(f"{folder}: {fact}", hint=hint) from None
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
    if _has_twice([_folded(file.path) for file in manifest.files]):
        raise ValueError("lists the same file twice")
    if not manifest.scripts and not manifest.targets:
        # The publication of a folder of wheels.
        if not manifest.files or len(manifest.wheels) < len(manifest.files):
            raise ValueError("lists no script, and not only wheels")
        return
    scripts = [script.name for script in manifest.scripts]
    targets = [target.name for target in manifest.targets]
    if not scripts or not targets or _has_twice(scripts):
        raise ValueError("lists no script, no target, or a script twice")
    if _has_twice(targets):
        raise ValueError("lists a target twice")
    _check_paths(manifest)


def _folded(path: str) -> str:
    """Return what `path` is on systems where names that differ in case or composition are one file."""
    return unicodedata.normalize("NFC", path).casefold()


def _has_twice(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)


def _check_paths(manifest: Manifest) -> None:
    """Check that the files are exactly what the targets need. Raises `ValueError`."""
    paths = set(manifest.digests())
    needed = {README}
    for target in manifest.targets:
        needed |= _check_target(manifest, target, paths)
    for path in sorted(paths - needed):
        if not path.startswith(("locks/", SBOMS, ATTESTATIONS)):
            raise ValueError(f"lists {path!r}, which no target needs")


def _check_target(manifest: Manifest, target: TargetEntry, paths: set[str]) -> set[str]:
    """Check that the bundle has the files that `target` needs, with consistent digests; return their paths.

    Raises `ValueError`.
    """
    if target.platform not in PLATFORMS:
        raise ValueError(f"has the unknown platform {target.platform!r}")
    if set(target.wheels) != {script.name for script in manifest.scripts}:
        raise ValueError(f"does not list the wheels of each script on {target.name}")
    needed = {path for path in (target.uv, target.interpreter) if path}
    for script in manifest.scripts:
        needed |= _script_paths(manifest, target, script.name)
    missing = needed - paths
    if missing:
        raise ValueError(f"does not list {min(missing)!r}, which {target.name} needs")
    for script in manifest.scripts:
        if (
            manifest.file(f"{manifest.folder(target, script.name)}/{script.name}").sha256
            != script.sha256
        ):
            raise ValueError(f"gives two digests for {script.name!r}")
    for script in manifest.scripts:
        needed |= _page_paths(manifest, target, script.name)
    return needed


def _script_paths(manifest: Manifest, target: TargetEntry, script: str) -> set[str]:
    """Return the paths of the wheels and locks of `script` on `target`, and of itself."""
    place = manifest.folder(target, script)
    paths = {f"{WHEELS}{name}" for name in target.wheels[script]}
    paths.update(f"{place}/{name}" for name in script_files(script))
    return paths


def _page_paths(manifest: Manifest, target: TargetEntry, script: str) -> set[str]:
    """Return the paths of the pages of the index of `script` on `target`; whether they are there is checked later."""
    simple = f"{manifest.folder(target, script)}/simple"
    paths = {f"{simple}/{parse_filename(name)[0]}/index.html" for name in target.wheels[script]}
    paths.add(f"{simple}/index.html")
    return paths


def _script(table: Any) -> ScriptEntry:
    name = _typed(str, table["name"])
    if not safe_path(name) or "/" in name:
        raise ValueError(f"has the script {name!r}, which is not a plain file name")
    return ScriptEntry(
        name=name,
        sha256=_matching(_SHA256, table["sha256"]),
        requires_python=_typed(str, table["requires-python"]),
        dependencies=_texts(table["dependencies"]),
        lock_sha256=None
        if table["lock-sha256"] is None
        else _matching(_SHA256, table["lock-sha256"]),
        resolved_with=_texts(table.get("resolved-with", [])),
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
            _typed(str, script): _wheel_names(names)
            for script, names in _typed(dict, table["wheels"]).items()
        },
        uv=_text_or_none(table["uv"]),
        interpreter=_text_or_none(table["interpreter"]),
    )


def _wheel_names(value: Any) -> tuple[str, ...]:
    names = _texts(value)
    for name in names:
        parse_filename(name)
    return names


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_typed(str, text) for text in _typed(list, value))


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _typed(str, value)


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
    return File(
        path=path,
        size=size,
        sha256=_matching(_SHA256, table["sha256"]),
        origin=_text_or_none(table["origin"]),
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
