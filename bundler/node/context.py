"""The context of a task, in the forms of different versions of HPS, and the files in which a script finds it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# Resource requirements that public execution scripts pass as parameters, by the names of these. Memory is in bytes.
RESOURCES = {"num_cores": "num_cores", "memory": "memory", "memory_b": "memory"}
# Fields of context.json. Environment variables are left out, since they may contain secrets of the evaluator.
SOFTWARE_FIELDS = ("name", "version", "executable", "install_path")
FILE_FIELDS = ("name", "path")


def software_of(context: Any) -> list[dict[str, Any]]:
    """Return the applications of a task; older versions call them `applications`, and they may be a table by name."""
    software = getattr(context, "software", None) or getattr(context, "applications", None) or []
    if isinstance(software, dict):
        software = [dict(entry, name=entry.get("name") or name) for name, entry in software.items()]
    return [entry for entry in software if isinstance(entry, dict)]


def input_parameters(
    context: Any, *, resources: bool = False, nulls: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the parameters of a job; with `resources`, also its cores and memory unless parameters have these names.

    Some servers list output parameters among the values of a job, without a value; only `nulls` are passed like that.
    """
    values = context.parameter_values or {}
    parameters = {name: value for name, value in values.items() if value is not None}
    for name in nulls:
        parameters.setdefault(name, None)
    if resources:
        requirements = table_of(context, "resource_requirements")
        for name, source in RESOURCES.items():
            if requirements.get(source) is not None:
                parameters.setdefault(name, requirements[source])
    return parameters


def context_document(context: Any) -> dict[str, Any]:
    """Return the contents of context.json."""
    return {
        "software": [
            {field: entry.get(field) for field in SOFTWARE_FIELDS} for entry in software_of(context)
        ],
        "resource_requirements": table_of(context, "resource_requirements"),
        "execution_context": table_of(context, "execution_context"),
        "input_files": files_of(context, "input_files"),
        "output_files": files_of(context, "output_files"),
    }


def table_of(context: Any, field: str) -> dict[str, Any]:
    """Return the table `field` of a context, or an empty one."""
    value = getattr(context, field, None)
    return dict(value) if isinstance(value, dict) else {}


def files_of(context: Any, field: str) -> list[dict[str, Any]]:
    """Return the names and paths of the files in the list `field` of a context."""
    files = getattr(context, field, None)
    entries = files if isinstance(files, (list, tuple)) else []
    return [
        {name: entry.get(name) for name in FILE_FIELDS}
        for entry in entries
        if isinstance(entry, dict)
    ]


def write_context(context: Any, *, resources: bool = False, nulls: Sequence[str] = ()) -> None:
    """Write input_parameters.json (see `input_parameters`) and context.json to the current folder.

    An input file of the job with one of these names stays as it is.
    """
    given = {entry["path"] for entry in files_of(context, "input_files")}
    for path, document in (
        ("input_parameters.json", input_parameters(context, resources=resources, nulls=nulls)),
        ("context.json", context_document(context)),
    ):
        if path in given:
            continue
        with open(path, "w", encoding="utf-8") as out:
            json.dump(document, out, default=str)
