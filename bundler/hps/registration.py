"""Register uv as an application of evaluators, and keep their other applications."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansys.hps.client import Client
from ansys.hps.client.rms import EvaluatorConfigurationUpdate, RmsApi
from ansys.hps.client.rms.models import ApplicationInfo

from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain
from bundler.hps.resources import Resource, survey


def registration(name: str, version: str, executable: str, cache: str) -> dict[str, Any]:
    """Return the application that evaluators need: uv as `name`, with its cache on the node."""
    return {
        "name": name,
        "version": version,
        "install_path": executable.rpartition("/bin/")[0] or executable.rpartition("/")[0],
        "executable": executable,
        "environment": {"UV_CACHE_DIR": cache},
    }


def evaluators_for(client: Client, application: Mapping[str, Any], names: Sequence[str]) -> list[Resource]:
    """Return the running evaluators with the given `names`. Raises `HpsError` if one is not running.

    Without names, returns all whose platform uses paths like that of the executable; there may be none.
    """
    platforms = ("windows",) if re.match(r"[A-Za-z]:|\\\\", application["executable"]) else ("linux", "darwin")
    alive = [resource for resource in survey(client) if resource.kind == "evaluator"]
    missing = sorted(set(names) - {resource.name for resource in alive})
    if missing:
        running = ", ".join(sorted({resource.name for resource in alive})) or "none"
        raise HpsError(
            client.url, f"no running evaluator is called {', '.join(missing)}", f"running evaluators: {running}"
        )
    if names:
        return [resource for resource in alive if resource.name in names]
    return [resource for resource in alive if resource.platform in (None, *platforms)]


def differences(
    client: Client, application: Mapping[str, Any], evaluators: Sequence[Resource]
) -> dict[str, tuple[str, list[str], list[dict[str, Any]]]]:
    """Return the changes that registering `application` would make, by ID of the evaluator.

    Each change is the evaluator's name, lines that describe it, and its complete list of applications. Raises
    `HpsError`.
    """
    changes = {}
    for resource in evaluators:
        with explained(client.url):
            configuration = RmsApi(client).get_evaluator_configuration(resource.identity, as_object=False)
            before = list(configuration.get("applications") or [])
            old = next((entry for entry in before if entry.get("name") == application["name"]), None)
            current = old or {}
            new = {
                **current,
                **application,
                "environment": {**(current.get("environment") or {}), **application["environment"]},
            }
        keys = [key for key in new if current.get(key) != new[key]]
        lines = [
            plain(line)
            for key in keys
            for line in ([f"- {key}: {current[key]}"] if key in current else []) + [f"+ {key}: {new[key]}"]
        ]
        if lines:
            # The whole list is sent, or the other applications would be lost.
            changes[resource.identity] = (
                plain(resource.name),
                lines,
                [entry for entry in before if entry is not old] + [new],
            )
    return changes


def register(client: Client, evaluator: str, applications: Sequence[Mapping[str, Any]]) -> None:
    """Replace the registered applications of `evaluator` by `applications`. Raises `HpsError`."""
    fields = set(ApplicationInfo.model_fields)
    lost = {key for application in applications for key in application if key not in fields}
    if lost:
        fact = f"its applications have the fields {', '.join(sorted(lost))}, which the HPS client would drop"
        raise HpsError(evaluator, fact, "register uv in the web interface")
    with explained(client.url):
        update = EvaluatorConfigurationUpdate(
            applications=[ApplicationInfo(**application) for application in applications]
        )
        RmsApi(client).update_evaluator_configuration(evaluator, update)
