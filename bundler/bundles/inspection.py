"""The contents of a bundle or publication: as a document for programs, and as a table for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bundler.manifest import Manifest, TargetEntry
from bundler.sources.tool_table import Settings
from bundler.units import counted, size_text
from wheelhouse.wheel import BUILT_FROM, parse_filename

# The width of a terminal.
_WIDTH = 80
_LABEL = 17


def summary(manifest: Manifest, jobs: Sequence[Settings], strategy: str | None = None) -> dict[str, Any]:
    """Return the contents of `manifest` as a document for JSON; sizes are in bytes, times in seconds.

    `jobs` are the `[tool.bundler]` tables of its scripts, in order; `strategy` is that of a publication.
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
                "job": _job(job),
            }
            for script, job in zip(manifest.scripts, jobs, strict=True)
        ],
        "targets": [_target(manifest, target) for target in manifest.targets],
        # The publication of a folder of wheels has no targets.
        **({} if manifest.targets else {"wheels": [file.path.removeprefix("wheels/") for file in manifest.files]}),
    }


def _job(settings: Settings) -> dict[str, Any]:
    """Return `settings` under the keys of `[tool.bundler]`, without the keys that describe targets."""
    values = {key.replace("_", "-"): value for key, value in asdict(settings).items()}
    return {key: value for key, value in values.items() if key not in ("pythons", "platforms")}


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
                "built": (file.origin or "").startswith(BUILT_FROM),
                "scripts": sorted(script for script, names in target.wheels.items() if filename in names),
            }
        )
    extras = [path for path in (target.uv, target.interpreter) if path]
    return {
        "name": target.name,
        "python": target.python,
        "platform": target.platform,
        "size": sum(files[path].size for path in [*extras, *(f"wheels/{name}" for name in filenames)]),
        "uv": target.uv,
        "interpreter": target.interpreter,
        "wheels": wheels,
    }


def table(contents: Mapping[str, Any]) -> str:
    """Return the document `contents` of `summary` as text of at most 80 columns."""
    if "wheels" in contents:
        count = counted(len(contents["wheels"]), "wheel")
        names = [f"  {name}" for name in contents["wheels"]]
        return "\n".join([f"{contents['name']}: {count} ({size_text(contents['size'])})", *names])
    wheels = len({wheel["sha256"] for target in contents["targets"] for wheel in target["wheels"]})
    targets = counted(len(contents["targets"]), "target")
    lines = [f"{contents['name']}: {counted(wheels, 'wheel')} for {targets} ({size_text(contents['size'])})"]
    lines += [f"Published with the strategy {contents['strategy']}"] if contents["strategy"] else []
    for script in contents["scripts"]:
        lines += ["", script["name"]]
        for label, text in _script_rows(script):
            start = f"  {label:{_LABEL}} "
            lines += textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
    for target in contents["targets"]:
        lines += ["", *_target_lines(target)]
    return "\n".join(lines)


def _script_rows(script: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a label and text for each property of `script` that is set."""
    job = script["job"]
    optional = [f"{name} (optional)" for name in job["optional-outputs"]]
    cores = [counted(job["cores"], "core")] if job["cores"] else []
    sizes = [f"{size_text(job[key])} {key}" for key in ("memory", "disk") if job[key]]
    limits = [f"at most {job['timeout']:g} s"] if job["timeout"] else []
    trials = [counted(job["trials"], "trial")] if job["trials"] else []
    rows: dict[str, list[str]] = {
        "requires-python": [script["requires-python"] or "any"],
        "dependencies": script["dependencies"],
        "parameters": [_parameter(parameter) for parameter in job["parameters"]],
        "inputs": job["inputs"],
        "outputs": [*job["outputs"], *optional],
        "output-parameters": [f"{parameter['name']} ({parameter['type']})" for parameter in job["output-parameters"]],
        "software": job["software"],
        "resources": [*cores, *sizes, *limits, *trials],
    }
    return ((label, ", ".join(map(str, items))) for label, items in rows.items() if items)


def _parameter(parameter: Mapping[str, Any]) -> str:
    """Return the name, type, default and bounds of `parameter`."""
    low, high = parameter["lower"], parameter["upper"]
    default = "" if parameter["default"] is None else f" = {parameter['default']}"
    bounds = "" if low is None and high is None else f" [{'' if low is None else low}..{'' if high is None else high}]"
    return f"{parameter['name']} ({parameter['type']}){default}{bounds}"


def _target_lines(target: Mapping[str, Any]) -> list[str]:
    rows = [
        (wheel["project"], wheel["version"], size_text(wheel["size"]), "built from source" if wheel["built"] else "")
        for wheel in target["wheels"]
    ]
    lines = [f"{target['name']}: {counted(len(rows), 'wheel')} ({size_text(target['size'])})"]
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    lines += [
        f"  {project:{widths[0]}}  {version:{widths[1]}}  {size:>{widths[2]}}  {note}".rstrip()
        for project, version, size, note in rows
    ]
    return lines + [f"  includes {target[key].rpartition('/')[2]}" for key in ("uv", "interpreter") if target[key]]
