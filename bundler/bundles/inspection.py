"""The contents of a bundle or publication: as a document for programs, and as a table for people."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bundler.layout import WHEELS
from bundler.manifest import File, Manifest, ScriptEntry, TargetEntry
from bundler.sources.tool_table import Settings
from bundler.units import counted, size_text
from wheelhouse.wheel import parse_filename

# The width of a terminal.
_WIDTH = 80
_LABEL = 17


def summary(
    manifest: Manifest, jobs: Sequence[Settings], strategy: str | None = None
) -> dict[str, Any]:
    """Return the contents of `manifest` as a document for JSON; sizes are in bytes, times in seconds.

    `jobs` are the `[tool.bundler]` tables of its scripts, in order; `strategy` is that of a publication.
    """
    document: dict[str, Any] = {
        "name": manifest.name,
        "strategy": strategy,
        "size": manifest.size,
        "scripts": [
            _script(script, job) for script, job in zip(manifest.scripts, jobs, strict=True)
        ],
        "targets": [_target(manifest, target) for target in manifest.targets],
    }
    if not manifest.targets:
        # The publication of a folder of wheels.
        document["wheels"] = [file.filename for file in manifest.files]
    return document


def _script(script: ScriptEntry, settings: Settings) -> dict[str, Any]:
    return {
        "name": script.name,
        "sha256": script.sha256,
        "requires-python": script.requires_python,
        "dependencies": list(script.dependencies),
        "job": _job(settings),
    }


def _job(settings: Settings) -> dict[str, Any]:
    """Return `settings` under the keys of `[tool.bundler]`, without the keys that describe targets."""
    values = asdict(settings)
    del values["pythons"], values["platforms"]
    return {key.replace("_", "-"): value for key, value in values.items()}


def _target(manifest: Manifest, target: TargetEntry) -> dict[str, Any]:
    filenames = {name for names in target.wheels.values() for name in names}
    included = {target.uv, target.interpreter, *(f"{WHEELS}{name}" for name in filenames)}
    wheels = sorted(
        (file for file in manifest.wheels if file.filename in filenames), key=lambda file: file.path
    )
    return {
        "name": target.name,
        "python": target.python,
        "platform": target.platform,
        "size": sum(file.size for file in manifest.files if file.path in included),
        "uv": target.uv,
        "interpreter": target.interpreter,
        "wheels": [_wheel(file, target) for file in wheels],
    }


def _wheel(file: File, target: TargetEntry) -> dict[str, Any]:
    project, version = parse_filename(file.filename)
    return {
        "project": project,
        "version": str(version),
        "size": file.size,
        "filename": file.filename,
        "sha256": file.sha256,
        "origin": file.origin,
        "built": file.is_built,
        "scripts": sorted(
            script for script, names in target.wheels.items() if file.filename in names
        ),
    }


def table(contents: Mapping[str, Any]) -> str:
    """Return the document `contents` of `summary` as text of at most 80 columns."""
    size = size_text(contents["size"])
    if "wheels" in contents:
        count = counted(len(contents["wheels"]), "wheel")
        names = [f"  {name}" for name in contents["wheels"]]
        return "\n".join([f"{contents['name']}: {count} ({size})", *names])
    wheels = {wheel["sha256"] for target in contents["targets"] for wheel in target["wheels"]}
    targets = counted(len(contents["targets"]), "target")
    lines = [f"{contents['name']}: {counted(len(wheels), 'wheel')} for {targets} ({size})"]
    if contents["strategy"]:
        lines.append(f"Published with the strategy {contents['strategy']}")
    for script in contents["scripts"]:
        lines += ["", *_script_lines(script)]
    for target in contents["targets"]:
        lines += ["", *_target_lines(target)]
    return "\n".join(lines)


def _script_lines(script: Mapping[str, Any]) -> list[str]:
    """Return the lines of `script`: its name, and a label and text for each property that is set."""
    job = script["job"]
    rows = {
        "requires-python": [script["requires-python"] or "any"],
        "dependencies": script["dependencies"],
        "parameters": [_parameter(parameter) for parameter in job["parameters"]],
        "inputs": job["inputs"],
        "outputs": [*job["outputs"], *(f"{name} (optional)" for name in job["optional-outputs"])],
        "output-parameters": [
            f"{parameter['name']} ({parameter['type']})" for parameter in job["output-parameters"]
        ],
        "software": job["software"],
        "resources": _resources(job),
    }
    lines = [script["name"]]
    for label, items in rows.items():
        if items:
            start = f"  {label:{_LABEL}} "
            text = ", ".join(str(item) for item in items)
            lines += textwrap.wrap(
                text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start)
            )
    return lines


def _resources(job: Mapping[str, Any]) -> list[str]:
    """Return what a job needs and may take, as far as it is stated."""
    texts = []
    if job["cores"]:
        texts.append(counted(job["cores"], "core"))
    for key in ("memory", "disk"):
        if job[key]:
            texts.append(f"{size_text(job[key])} {key}")
    if job["timeout"]:
        texts.append(f"at most {job['timeout']:g} s")
    if job["trials"]:
        texts.append(counted(job["trials"], "trial"))
    return texts


def _parameter(parameter: Mapping[str, Any]) -> str:
    """Return the name, type, default and bounds of `parameter`."""
    text = f"{parameter['name']} ({parameter['type']})"
    if parameter["default"] is not None:
        text += f" = {parameter['default']}"
    low, high = (
        ("" if bound is None else str(bound)) for bound in (parameter["lower"], parameter["upper"])
    )
    if low or high:
        text += f" [{low}..{high}]"
    return text


def _target_lines(target: Mapping[str, Any]) -> list[str]:
    wheels = target["wheels"]
    lines = [f"{target['name']}: {counted(len(wheels), 'wheel')} ({size_text(target['size'])})"]
    rows = [(wheel["project"], wheel["version"], size_text(wheel["size"])) for wheel in wheels]
    first, second, third = (
        max((len(row[column]) for row in rows), default=0) for column in range(3)
    )
    for (project, version, size), wheel in zip(rows, wheels, strict=True):
        note = "built from source" if wheel["built"] else ""
        lines.append(f"  {project:{first}}  {version:{second}}  {size:>{third}}  {note}".rstrip())
    for key in ("uv", "interpreter"):
        if target[key]:
            lines.append(f"  includes {target[key].rpartition('/')[2]}")
    return lines
