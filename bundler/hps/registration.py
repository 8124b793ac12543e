"""Registering uv as an application of evaluators, without losing what else is registered there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ansys.hps.client.rms import EvaluatorConfigurationUpdate, RmsApi
from ansys.hps.client.rms.models import ApplicationInfo

from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain
from bundler.hps.resources import survey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansys.hps.client import Client

    from bundler.hps.resources import Resource


def registration(name: str, version: str, executable: str, cache: str) -> dict[str, Any]:
    """Return the application that evaluators need: uv as `name`, with its cache on the node."""
    return {
        "name": name,
        "version": version,
        "install_path": executable.rpartition("/bin/")[0] or executable.rpartition("/")[0],
        "executable": executable,
        "environment": {"UV_CACHE_DIR": cache},
    }


def evaluators_for(client: Client, wanted: Mapping[str, Any], names: Sequence[str]) -> list[Resource]:
    """Return the evaluators that are alive and called `names`; raise `HpsError` if one of `names` is not among them.

    Without names, return all on whose platform there are paths like that of the executable, which may be none.
    """
    platforms = ("windows",) if re.match(r"[A-Za-z]:|\\\\", wanted["executable"]) else ("linux", "darwin")
    alive = [resource for resource in survey(client) if resource.kind == "evaluator"]
    missing = sorted(set(names) - {resource.name for resource in alive})
    if missing:
        known = ", ".join(sorted({resource.name for resource in alive})) or "none"
        raise HpsError(client.url, f"no evaluator called {', '.join(missing)} is alive", f"evaluators alive: {known}")
    if names:
        return [resource for resource in alive if resource.name in names]
    return [resource for resource in alive if resource.platform in (None, *platforms)]


def differences(
    client: Client, wanted: Mapping[str, Any], evaluators: Sequence[Resource]
) -> dict[str, tuple[str, list[str], list[dict[str, Any]]]]:
    """Return what registering `wanted` would change, by id of the evaluator that would change.

    Each change is the evaluator's name, lines for people, and all applications that it would have. Raises `HpsError`.
    """
    found = {}
    for resource in evaluators:
        with explained(client.url):
            configuration = RmsApi(client).get_evaluator_configuration(resource.identity, as_object=False)
            before = list(configuration.get("applications") or [])
            old = next((each for each in before if each.get("name") == wanted["name"]), None)
            known = old or {}
            new = {**known, **wanted, "environment": {**(known.get("environment") or {}), **wanted["environment"]}}
        keys = [key for key in new if known.get(key) != new[key]]
        lines = [
            plain(line)
            for key in keys
            for line in ([f"- {key}: {known[key]}"] if key in known else []) + [f"+ {key}: {new[key]}"]
        ]
        if lines:
            # The whole list is sent: the other applications would be lost otherwise.
            found[resource.identity] = (
                plain(resource.name),
                lines,
                [each for each in before if each is not old] + [new],
            )
    return found


def register(client: Client, evaluator: str, applications: Sequence[Mapping[str, Any]]) -> None:
    """Make `applications` the registered ones of `evaluator`; raise `HpsError`."""
    known = set(ApplicationInfo.model_fields)
    lost = {key for each in applications for key in each if key not in known}
    if lost:
        fact = f"its applications have {', '.join(sorted(lost))}, which this client would lose"
        raise HpsError(evaluator, fact, "use the web interface")
    with explained(client.url):
        update = EvaluatorConfigurationUpdate(applications=[ApplicationInfo(**each) for each in applications])
        RmsApi(client).update_evaluator_configuration(evaluator, update)
