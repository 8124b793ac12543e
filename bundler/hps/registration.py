"""Register uv as an application of evaluators, and keep their other applications."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansys.hps.client import Client
from ansys.hps.client.rms import EvaluatorConfigurationUpdate, RmsApi
from ansys.hps.client.rms.models import ApplicationInfo
from pydantic import ValidationError

from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain
from bundler.hps.resources import Resource, survey
from bundler.jobs.table import Record


def registration(
    name: str,
    version: str,
    executable: str,
    cache: str,
) -> Record:
    """Return the application that evaluators need: uv as `name`, with its cache on the node."""
    return {
        "name": name,
        "version": version,
        "install_path": executable.rpartition("/bin/")[0] or executable.rpartition("/")[0],
        "executable": executable,
        "environment": {"UV_CACHE_DIR": cache},
    }


def evaluators_for(
    client: Client,
    application: Record,
    names: Sequence[str],
) -> list[Resource]:
    """Return the running evaluators with the given `names`. Raises `HpsError` if one is not running.

    Without names, returns all whose platform uses paths like that of the executable; there may be none.
    """
    alive = [resource for resource in survey(client) if resource.kind == "evaluator"]
    if names:
        return _named(client, alive, names)
    platforms = [None, "linux", "darwin"]
    if re.match(r"[A-Za-z]:|\\\\", application["executable"]):
        platforms = [None, "windows"]
    return [resource for resource in alive if resource.platform in platforms]


def _named(
    client: Client,
    alive: Sequence[Resource],
    names: Sequence[str],
) -> list[Resource]:
    existing = {resource.name for resource in alive}
    missing = sorted(set(names) - existing)
    if missing:
        running = ", ".join(sorted(existing)) or "none"
        raise HpsError(
            client.url,
            f"no running evaluator is called {', '.join(missing)}",
            f"running evaluators: {running}",
        )
    return [resource for resource in alive if resource.name in names]


def differences(
    client: Client,
    application: Record,
    evaluators: Sequence[Resource],
) -> dict[str, tuple[str, list[str], list[Record]]]:
    """Return the changes that registering `application` would make, by ID of the evaluator.

    Each change is the evaluator's name, lines that describe it, and its complete list of applications. Raises
    `HpsError`.
    """
    changes = {}
    for resource in evaluators:
        with explained(client.url):
            configuration = RmsApi(client).get_evaluator_configuration(
                resource.identity, as_object=False
            )
            others = list(configuration.get("applications") or [])
            old = _take(others, application)
            new = {**old, **application}
            new["environment"] = {**(old.get("environment") or {}), **application["environment"]}
        lines = _difference(old, new)
        if lines:
            lines += _kept(others, application)
            # The whole list is sent, or the other applications would be lost.
            changes[resource.identity] = (plain(resource.name), lines, [*others, new])
    return changes


def _take(applications: list[Record], wanted: Record) -> Record:
    """Remove the application with the name and version of `wanted`, and return it, or an empty one if there is none.

    One without a version counts as this version. Another version stays: others may need it.
    """
    for application in applications:
        is_named = application.get("name") == wanted["name"]
        if is_named and (application.get("version") or wanted["version"]) == wanted["version"]:
            applications.remove(application)
            return application
    return {}


def _kept(others: Sequence[Record], application: Record) -> list[str]:
    """Return a line about each of the `others` that has the name of `application`."""
    lines = []
    for other in others:
        if other.get("name") == application["name"]:
            lines.append(plain(f"version {other.get('version')} stays"))
    return lines


def _difference(old: Record, new: Record) -> list[str]:
    lines = []
    for key, value in new.items():
        if old.get(key) == value:
            continue
        if key in old:
            lines.append(plain(f"- {key}: {old[key]}"))
        lines.append(plain(f"+ {key}: {value}"))
    return lines


def _model(evaluator: str, application: Record) -> ApplicationInfo:
    """Return `application` of `evaluator` as the client writes it. Raises `HpsError` if it is incomplete."""
    try:
        return ApplicationInfo(**application)
    except ValidationError as error:
        fields = sorted({str(fault["loc"][0]) for fault in error.errors()})
        fact = f"its application {plain(application.get('name'))} has no valid {', '.join(fields)}"
        raise HpsError(evaluator, fact, "register uv in the web interface") from error


def register(
    client: Client,
    evaluator: str,
    applications: Sequence[Record],
) -> None:
    """Replace the registered applications of `evaluator` by `applications`. Raises `HpsError`."""
    lost = set[str]().union(*applications).difference(ApplicationInfo.model_fields)
    if lost:
        fact = f"its applications have the fields {', '.join(sorted(lost))}, which the HPS client would drop"
        raise HpsError(evaluator, fact, "register uv in the web interface")
    models = [_model(evaluator, application) for application in applications]
    with explained(client.url):
        update = EvaluatorConfigurationUpdate(applications=models)
        RmsApi(client).update_evaluator_configuration(evaluator, update)
