"""What is inside a bundle or a publication, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wheelhouse.wheel import parse_filename

if TYPE_CHECKING:
    from bundler.manifest import Manifest, TargetEntry

_TENTH_OF_A_MB = 100_000


def summary(manifest: Manifest, strategy: str | None = None) -> dict[str, Any]:
    """Return what `manifest` holds, per target, sizes in bytes, as tables that JSON can carry.

    `strategy` is that of a publication, None for a bundle.
    """
    return {
        "name": manifest.name,
        "strategy": strategy,
        "size": sum(file.size for file in manifest.files),
        "scripts": [
            {
                "name": script.name,
                "sha256": script.sha256,
                "requires-python": script.requires_python,
                "dependencies": list(script.dependencies),
            }
            for script in manifest.scripts
        ],
        "targets": [_target(manifest, target) for target in manifest.targets],
    }


def _target(manifest: Manifest, target: TargetEntry) -> dict[str, Any]:
    filenames = sorted({name for names in target.wheels.values() for name in names})
    files = {file.path: file for file in manifest.files}
    wheels = []
    for filename in filenames:
        project, version = parse_filename(filename)
        file = files[f"wheels/{filename}"]
        wheels.append(
            {
                "project": project,
                "version": str(version),
                "size": file.size,
                "filename": filename,
                "sha256": file.sha256,
                "origin": file.origin,
                "scripts": sorted(script for script, names in target.wheels.items() if filename in names),
            }
        )
    return {
        "name": target.name,
        "python": target.python,
        "platform": target.platform,
        "size": sum(wheel["size"] for wheel in wheels),
        "uv": target.uv,
        "interpreter": target.interpreter,
        "wheels": wheels,
    }


def table(found: dict[str, Any]) -> str:
    """Return what `summary` found as lines of text."""
    lines = [f"{found['name']}: {_size(found['size'])}, {', '.join(script['name'] for script in found['scripts'])}"]
    lines += [f"published by the strategy {found['strategy']}"] if found["strategy"] else []
    for target in found["targets"]:
        lines += ["", f"{target['name']}   {len(target['wheels'])} wheels, {_size(target['size'])}"]
        rows = [
            (wheel["project"], wheel["version"], _size(wheel["size"]), wheel["filename"]) for wheel in target["wheels"]
        ]
        lines += [f"  carries {target[key]}" for key in ("uv", "interpreter") if target[key]]
        widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
        lines += [
            f"  {project:{widths[0]}}  {version:{widths[1]}}  {size:>{widths[2]}}  {filename}"
            for project, version, size, filename in rows
        ]
    return "\n".join(lines)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= _TENTH_OF_A_MB else f"{size / 1e3:.1f} kB"
