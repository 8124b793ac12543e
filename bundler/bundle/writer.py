"""What lies in a bundle: targets, README, manifest and sums, written from what was resolved and downloaded."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bundler.bundle.consistency import index_pages
from bundler.bundle.readme import readme
from bundler.layout import MANIFEST, README, SUMS, sums, target_files
from bundler.manifest import File, Manifest, ScriptEntry, TargetEntry
from wheelhouse import files, node_lock
from wheelhouse.errors import UnusableLock, redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bundler.sources.script import Script
    from wheelhouse.interpreter import Archive
    from wheelhouse.selection import Pin
    from wheelhouse.target import Target
    from wheelhouse.wheel import Wheel

# Of the bundle in the names of publications; a script may be called anything, at any length.
_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Scripts, targets, what each script installs on each target (by the names of both), and the tools of targets."""

    scripts: Sequence[Script]
    targets: Sequence[Target]
    installs: Mapping[tuple[str, str], Sequence[Pin]]
    uvs: Mapping[str, Wheel] = field(default_factory=dict)
    interpreters: Mapping[str, Archive] = field(default_factory=dict)

    def wheels(self) -> list[Wheel]:
        """Return each wheel once; raise `UnusableLock` when one name stands for different bytes."""
        pins = (pin.wheel for pins in self.installs.values() for pin in pins)
        return _distinct([*pins, *self.uvs.values()])

    def archives(self) -> list[Archive]:
        """Return each archive of an interpreter once."""
        return list({archive.filename: archive for archive in self.interpreters.values()}.values())


def _distinct(wheels: Iterable[Wheel]) -> list[Wheel]:
    """Return each wheel once, by file name; raise `UnusableLock` when one name stands for different bytes."""
    found: dict[str, Wheel] = {}
    clashes = set()
    for wheel in wheels:
        if found.setdefault(wheel.filename, wheel).sha256 != wheel.sha256:
            clashes.add(f"{wheel.filename} comes from two places with different bytes")
    if clashes:
        raise UnusableLock("The scripts together", clashes)
    return [found[filename] for filename in sorted(found)]


def write_target(folder: Path, target: Target, contents: Contents) -> None:
    """Write what `target` installs: the simple index, and each script with its lock."""
    place = folder / "targets" / target.name
    pins = {script.name: contents.installs[script.name, target.name] for script in contents.scripts}
    wheels = _distinct(pin.wheel for each in pins.values() for pin in each)
    for path, page in index_pages({wheel.filename: wheel.sha256 for wheel in wheels}).items():
        files.write(place / "simple" / path, page)
    for script in contents.scripts:
        name, _, pylock = target_files(script.name)
        node_lock.write_node_lock(place / name, pins[name], target)
        files.write(place / name, script.data)
        files.write(place / pylock, node_lock.target_pylock(pins[name], "../../wheels"))


def write_manifest(folder: Path, contents: Contents) -> Manifest:
    """Write README.txt, manifest.json and SHA256SUMS of the bundle whose other files lie in `folder`."""
    manifest = Manifest(
        name=_plain(contents.scripts[0].path.stem),
        scripts=tuple(script_entry(script) for script in contents.scripts),
        targets=tuple(_target_entry(target, contents) for target in contents.targets),
        files=(),
    )
    files.write(folder / README, readme(manifest))
    for script in contents.scripts:
        if script.lock is not None:
            _keep_evidence(script, folder)
    entries = [_fetched(folder, f"wheels/{wheel.filename}", wheel) for wheel in contents.wheels()]
    entries += [_fetched(folder, f"pythons/{archive.filename}", archive) for archive in contents.archives()]
    entries += [
        File(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=files.sha256(path))
        for path in [folder / README, *(folder / "targets").rglob("*"), *(folder / "locks").rglob("*")]
        if path.is_file()
    ]
    manifest = replace(manifest, files=tuple(sorted(entries, key=lambda file: file.path)))
    data = manifest.to_json()
    files.write(folder / MANIFEST, data)
    digests = {file.path: file.sha256 for file in entries} | {MANIFEST: hashlib.sha256(data).hexdigest()}
    files.write(folder / SUMS, sums(digests))
    return manifest


def _keep_evidence(script: Script, folder: Path) -> None:
    """Write the lock that dictated `script` into the bundle, byte for byte, unless it holds a secret.

    Not beside the script: there uv would follow the URLs in it, and fail without network.
    """
    assert script.lock is not None  # noqa: S101 - the caller looked
    with files.explained(script.lock):
        data = files.read_input(script.lock)
    text = data.decode(errors="replace")
    if redacted(text) == text:
        files.write(folder / "locks" / f"{script.name}.{script.lock.name.removeprefix(f'{script.name}.')}", data)


def _fetched(folder: Path, path: str, remote: Wheel | Archive) -> File:
    # A folder of this machine is nobody's business on the far side, and a query may hold a token.
    origin = None if remote.url.startswith("file:") else redacted(remote.url).partition("?")[0]
    origin = getattr(remote, "origin", None) or origin
    return File(path=path, size=(folder / path).stat().st_size, sha256=remote.sha256, origin=origin)


def script_entry(script: Script) -> ScriptEntry:
    """Return what the manifest says of `script`."""
    return ScriptEntry(
        name=script.name,
        sha256=script.sha256,
        requires_python=str(script.requires_python),
        dependencies=tuple(redacted(dependency) for dependency in script.dependencies),
        lock_sha256=files.sha256(script.lock) if script.lock else None,
        resolved_with=tuple(map(redacted, script.resolved_with)),
    )


def _target_entry(target: Target, contents: Contents) -> TargetEntry:
    uv, interpreter = contents.uvs.get(target.name), contents.interpreters.get(target.name)
    return TargetEntry(
        name=target.name,
        python=target.python,
        platform=target.platform.name,
        system=target.platform.system,
        machine=target.platform.machine,
        libc=target.platform.libc,
        wheels={
            script.name: tuple(pin.wheel.filename for pin in contents.installs[script.name, target.name])
            for script in contents.scripts
        },
        uv=f"wheels/{uv.filename}" if uv else None,
        interpreter=f"pythons/{interpreter.filename}" if interpreter else None,
    )


def _plain(text: str) -> str:
    """Return `text` as a name that is safe everywhere, `script` where nothing of it is left."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", ascii_text)[:_NAME_LENGTH].strip("-_") or "script"
