"""Where jobs could run: evaluators and compute resource sets, and what is registered there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from ansys.hps.client.exceptions import APIError, ClientError
from ansys.hps.client.jms import JmsApi
from ansys.hps.client.rms import RmsApi
from ansys.hps.client.rms.models import (
    AnalyzeRequiredSoftware,
    AnalyzeRequirements,
    AnalyzeResourceRequirements,
    ShutdownStatus,
)

from bundler.hps.connection import explained
from bundler.hps.errors import HpsError, nowhere_to_run
from bundler.hps.redaction import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansys.hps.client import Client

    from bundler.jobs.submission import Step, Submission

# RMS tells of ten unless asked for more.
_MANY = 1000
# Evaluators report every few seconds; one silent for longer is gone.
_ALIVE = timedelta(seconds=60)
# Each evaluator's applications are a request of their own; so many tell enough about a site.
_ASKED = 100
# HPS tells nothing of processors and C libraries: this is what its nodes mostly are.
_PLATFORMS = {"linux": "x86_64-manylinux_2_28", "windows": "x86_64-pc-windows-msvc", "darwin": "aarch64-apple-darwin"}
# What an evaluator that has ended says, or the service that watches over it. "unset" is what all others say, and what a
# newer server may add is no reason to call one gone: whether it is alive shows in its reports.
_GONE = frozenset(str(status.value) for status in ShutdownStatus) - {"unset"}
_ABSENT = (404, 405, 500, 501)
_NOT_FOR_US = (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An evaluator or a compute resource set.

    `applications` are the (name, version) of what is registered there, None where nobody could be asked.
    """

    identity: str
    name: str
    kind: str
    platform: str | None
    applications: tuple[tuple[str, str], ...] | None

    def has(self, name: str) -> bool:
        """Return whether an application is registered under just this name."""
        return any(application[0] == name for application in self.applications or ())


def survey(client: Client) -> list[Resource]:
    """Return the evaluators that are alive and the compute resource sets; raise `HpsError`."""
    with explained(client.url):
        return [*_evaluators(client), *_resource_sets(RmsApi(client))]


def _evaluators(client: Client) -> list[Resource]:
    rms = RmsApi(client)
    fields = ["id", "name", "host_name", "platform", "last_modified", "shutdown_status", "compute_resource_set_id"]
    since = (_server_time(client) - _ALIVE).replace(tzinfo=None).isoformat()
    found = rms.get_evaluators(as_objects=False, limit=_MANY, fields=fields, **{"last_modified.gt": since})
    alive = [each for each in found if str(each.get("shutdown_status")).casefold() not in _GONE]
    resources = []
    for number, each in enumerate(alive):
        configuration = _configuration(rms, each["id"]) if number < _ASKED else None
        platform = ((configuration or {}).get("resources") or {}).get("platform")
        resources.append(
            Resource(
                identity=str(each["id"]),
                name=str(each.get("host_name") or each.get("name") or each["id"]),
                kind="evaluator",
                platform=each.get("platform") or platform,
                applications=None if configuration is None else _applications(configuration.get("applications")),
            )
        )
    return resources


def _server_time(client: Client) -> datetime:
    """Return what time it is for the server; clocks of laptops are wrong."""
    now = datetime.now(timezone.utc)
    with contextlib.suppress(KeyError, TypeError, ValueError):
        told = datetime.fromisoformat(JmsApi(client).get_api_info()["time"].replace("Z", "+00:00"))
        return told if told.tzinfo else told.replace(tzinfo=timezone.utc)
    return now


def _configuration(rms: RmsApi, identity: str) -> dict[str, Any] | None:
    """Return the configuration of an evaluator, None where this user may not see it."""
    try:
        found: dict[str, Any] = rms.get_evaluator_configuration(identity, as_object=False)
    except ClientError as fault:
        if fault.response is not None and fault.response.status_code in _NOT_FOR_US:
            return None
        raise
    return found


def _resource_sets(rms: RmsApi) -> list[Resource]:
    return [
        Resource(
            identity=str(each.get("id")),
            name=str(each.get("name") or each.get("id")),
            kind="compute resource set",
            platform=(each.get("available_resources") or {}).get("platform"),
            applications=_applications(each.get("available_applications")),
        )
        for each in rms.get_compute_resource_sets(as_objects=False, limit=_MANY)
    ]


def _applications(tables: Sequence[Mapping[str, Any]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(table.get("name")), str(table.get("version") or "")) for table in tables or ())


def platforms_to_bundle_for(resources: Sequence[Resource]) -> tuple[str, ...]:
    """Return uv's names of the platforms of `resources`; raise `HpsError` where there are none."""
    found = {_PLATFORMS[each.platform] for each in resources if each.platform in _PLATFORMS}
    if not found:
        raise HpsError("HPS", "has no evaluator that is alive, and no compute resource set", "give --platform")
    return tuple(sorted(found))


def require_somewhere(client: Client, submission: Submission, resources: Sequence[Resource]) -> None:
    """Raise `BundlerError` unless every step of `submission` can run on one of `resources`.

    The server's own matching decides where it can be asked, since only it knows whether case and versions count; else
    names are compared to the letter.
    """
    for step in submission.steps:
        applications = [*([submission.application] if submission.application else []), *step.software]
        wanted = [name.partition("=")[0] for name in applications]
        here = [each for each in resources if each.platform is None or each.platform in submission.platforms]
        fitting = [each for each in here if all(each.has(name) for name in wanted)]
        if any(each.kind != "evaluator" for each in fitting):
            continue
        counts = [_server_matches(client, applications, platform, step, resources) for platform in submission.platforms]
        unknown = [each for each in here if each.applications is None]
        if any(counts) or (None in counts and (fitting or unknown)):
            continue
        needs = f"{' and '.join(map(repr, wanted)) or 'anything'} on {' or '.join(submission.platforms)}"
        found = {f"{each.kind} {each.name} ({each.platform or 'any platform'})": _names(each) for each in resources}
        advice = _advice(submission.application, wanted, resources)
        if fitting:
            advice = "the server's own matching finds none: too few cores, memory or disk, no rights, or the version"
        raise nowhere_to_run(needs, found, advice)


def _names(resource: Resource) -> str:
    if resource.applications is None:
        return "nobody could be asked"
    return ", ".join(" ".join(filter(None, app)) for app in resource.applications) or "no applications"


def _advice(application: str | None, wanted: Sequence[str], resources: Sequence[Resource]) -> str:
    if not resources:
        return "no evaluator is alive; start one"
    names = {each[0] for resource in resources for each in resource.applications or ()}
    missing = {name.casefold(): name for name in wanted if name not in names}
    for name in sorted(names):
        if name.casefold() in missing:
            option = "--application" if missing[name.casefold()] == application else "--software"
            return f"names must match to the letter: give {option} {plain(name)}"
    return "register the application (see `bundler hps register`), or bundle the script for the platforms that HPS has"


def _server_matches(
    client: Client, applications: Sequence[str], platform: str, step: Step, resources: Sequence[Resource]
) -> int | None:
    """Return how many evaluators the server itself finds for jobs; None where it cannot be asked."""
    evaluators = [each.identity for each in resources if each.kind == "evaluator"]
    if not evaluators:
        return None  # evaluators that are gone would count
    software = []
    for each in applications:
        name, _, version = each.partition("=")
        software.append(AnalyzeRequiredSoftware(name=name, version=version or None))
    given = {"num_cores": step.cores, "memory": step.memory, "disk_space": step.disk}
    with explained(client.url):
        requirements = AnalyzeRequirements(
            software_requirements=software,
            resource_requirements=AnalyzeResourceRequirements(
                platform=platform, **{name: value for name, value in given.items() if value is not None}
            ),
            evaluator_ids=evaluators,
        )
        try:
            found = RmsApi(client).analyze(requirements, analytics=True, as_object=False)
        except (ClientError, APIError) as fault:
            if fault.response is not None and fault.response.status_code in (*_ABSENT, *_NOT_FOR_US):
                return None
            raise
        counts = found.get("analytics") or {}
        return int(counts.get("number_accessible_assignable_and_matching", counts.get("number_matching", 0)) or 0)
