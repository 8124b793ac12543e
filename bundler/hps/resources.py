"""The evaluators and compute resource sets of HPS, and their applications."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ansys.hps.client import Client
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
from bundler.hps.definitions import without_none
from bundler.hps.errors import HpsError, nowhere_to_run
from bundler.hps.outputs import Record
from bundler.hps.redaction import plain
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission

# RMS returns ten by default.
_MANY = 1000
# Evaluators report every few seconds; one that is silent for longer has ended.
_ALIVE = timedelta(seconds=60)
# Reading the applications of an evaluator is one request, so only this many are asked.
_ASKED = 100
# HPS does not report processors and C libraries; these are the most common ones.
_PLATFORMS = {
    "linux": "x86_64-manylinux_2_28",
    "windows": "x86_64-pc-windows-msvc",
    "darwin": "aarch64-apple-darwin",
}
# The states of an evaluator that has ended. A running one reports "unset", and a newer server may report anything else,
# which does not mean that it has ended: its last report tells.
_GONE = frozenset(str(status.value) for status in ShutdownStatus) - {"unset"}
_ABSENT = (404, 405, 500, 501)
_NOT_FOR_US = (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An evaluator or a compute resource set.

    `applications` are the (name, version) pairs that are registered, or None if they are unknown. `warnings` are about
    the speed of jobs.
    """

    identity: str
    name: str
    kind: str
    platform: str | None
    applications: tuple[tuple[str, str], ...] | None
    warnings: tuple[str, ...] = ()


def survey(client: Client) -> list[Resource]:
    """Return the running evaluators and the compute resource sets. Raises `HpsError`."""
    with explained(client.url):
        return [*_evaluators(client), *_resource_sets(RmsApi(client))]


def _evaluators(client: Client) -> list[Resource]:
    rms = RmsApi(client)
    since = (_server_time(client) - _ALIVE).replace(tzinfo=None).isoformat()
    records = rms.get_evaluators(
        as_objects=False,
        limit=_MANY,
        fields=[
            "id",
            "name",
            "host_name",
            "platform",
            "last_modified",
            "shutdown_status",
            "compute_resource_set_id",
        ],
        **{"last_modified.gt": since},
    )
    alive = [
        record for record in records if str(record.get("shutdown_status")).casefold() not in _GONE
    ]
    resources = []
    for number, record in enumerate(alive):
        identity = record["id"]
        platform = record.get("platform") or None
        applications = None
        configuration = None
        if number < _ASKED:
            configuration = _configuration(rms, identity)
        if configuration is not None:
            platform = platform or (configuration.get("resources") or {}).get("platform")
            applications = _applications(configuration.get("applications"))
        resources.append(
            Resource(
                identity=str(identity),
                name=str(record.get("host_name") or record.get("name") or identity),
                kind="evaluator",
                platform=platform,
                applications=applications,
            )
        )
    return resources


def _server_time(client: Client) -> datetime:
    """Return the time of the server, since the clock of this machine may be wrong."""
    now = datetime.now(timezone.utc)
    with contextlib.suppress(KeyError, TypeError, ValueError):
        text = JmsApi(client).get_api_info()["time"]
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if time.tzinfo:
            return time
        return time.replace(tzinfo=timezone.utc)
    return now


def _configuration(rms: RmsApi, identity: str) -> Record | None:
    """Return the configuration of an evaluator, or None if this user may not see it."""
    try:
        configuration: Record = rms.get_evaluator_configuration(identity, as_object=False)
    except ClientError as error:
        if _status_of(error) in _NOT_FOR_US:
            return None
        raise
    return configuration


def _status_of(error: ClientError | APIError) -> int:
    """Return the HTTP status of a refused request; 0 if there is none."""
    return 0 if error.response is None else int(error.response.status_code)


def _resource_sets(rms: RmsApi) -> list[Resource]:
    resources = []
    for record in rms.get_compute_resource_sets(as_objects=False, limit=_MANY):
        applications = record.get("available_applications")
        resources.append(
            Resource(
                identity=str(record.get("id")),
                name=str(record.get("name") or record.get("id")),
                kind="compute resource set",
                platform=(record.get("available_resources") or {}).get("platform"),
                applications=_applications(applications),
                warnings=_warnings(applications),
            )
        )
    return resources


def _applications(tables: Sequence[Record] | None) -> tuple[tuple[str, str], ...]:
    applications = []
    for table in tables or ():
        name = str(table.get("name"))
        version = str(table.get("version") or "")
        applications.append((name, version))
    return tuple(applications)


def _warnings(tables: Sequence[Record] | None) -> tuple[str, ...]:
    """Return warnings about the uv of a compute resource set, whose evaluators start on demand with an empty cache."""
    warnings = []
    for table in tables or ():
        if str(table.get("name", "")).casefold() != "uv":
            continue
        if "UV_CACHE_DIR" not in (table.get("environment") or {}):
            warnings.append(
                "UV_CACHE_DIR is not set, so each new evaluator creates environments in its temporary folder"
            )
        if table.get("use_local_scratch") is False:
            warnings.append(
                "use_local_scratch is off, so jobs run on shared storage, which is slow for many small files"
            )
    return tuple(warnings)


def hosts_of(client: Client) -> dict[str, str]:
    """Return the names of evaluators by ID of their host; nothing if this user may not see them."""
    with contextlib.suppress(ClientError, APIError, HpsError, KeyError, TypeError, AttributeError):
        records = RmsApi(client).get_evaluators(
            as_objects=False,
            limit=_MANY,
            fields=["name", "host_id"],
        )
        hosts = {}
        for record in records:
            host = record.get("host_id")
            if host:
                hosts[str(host)] = plain(record["name"])
        return hosts
    return {}


def platforms_to_bundle_for(resources: Sequence[Resource]) -> tuple[str, ...]:
    """Return uv's names for the platforms of `resources`. Raises `HpsError` if there are none."""
    platforms = {
        _PLATFORMS[resource.platform] for resource in resources if resource.platform in _PLATFORMS
    }
    if not platforms:
        raise HpsError(
            "HPS",
            "has no running evaluator and no compute resource set",
            "give the platform with --platform",
        )
    return tuple(sorted(platforms))


def require_somewhere(
    client: Client,
    submission: Submission,
    resources: Sequence[Resource],
) -> None:
    """Raise `BundlerError` unless every step of `submission` can run on one of `resources`.

    The server decides if it can be asked, since only it knows how it compares names and versions; otherwise names
    must be equal.
    """
    for step in submission.steps:
        names = [name for name, _ in submission.software_of(step)]
        fitting, unknown = _candidates(submission, names, resources)
        if any(resource.kind != "evaluator" for resource in fitting):
            continue
        found = _server_finds_evaluators(client, submission, step, resources)
        if found or (found is None and (fitting or unknown)):
            continue
        advice = _advice(submission.application, names, resources)
        if fitting:
            advice = (
                "check cores, memory, disk, permissions and versions: the server finds no match"
            )
        applications = " and ".join(map(repr, names)) or "anything"
        needs = f"{applications} on {' or '.join(submission.platforms)}"
        raise nowhere_to_run(needs, dict(map(_described, resources)), advice)


def _candidates(
    submission: Submission,
    names: Sequence[str],
    resources: Sequence[Resource],
) -> tuple[list[Resource], list[Resource]]:
    """Return those of `resources` on the platforms of `submission` with the applications `names`.

    The others are those on these platforms whose applications are unknown.
    """
    fitting = []
    unknown = []
    for resource in resources:
        if resource.platform not in (None, *submission.platforms):
            continue
        versions = dict(resource.applications or ())
        if set(names).issubset(versions):
            fitting.append(resource)
        elif resource.applications is None:
            unknown.append(resource)
    return fitting, unknown


def _server_finds_evaluators(
    client: Client,
    submission: Submission,
    step: Step,
    resources: Sequence[Resource],
) -> bool | None:
    """Return whether the server finds an evaluator for `step`, or None if it cannot be asked."""
    evaluators = [resource.identity for resource in resources if resource.kind == "evaluator"]
    if not evaluators:
        return None  # Evaluators that have ended would count.
    software = []
    for name, version in submission.software_of(step):
        required = AnalyzeRequiredSoftware(name=name, version=version or None)
        software.append(required)
    limits = without_none(
        num_cores=step.cores,
        memory=step.memory,
        disk_space=step.disk,
    )
    counts = []
    for platform in submission.platforms:
        with explained(client.url):
            requirements = AnalyzeRequirements(
                software_requirements=software,
                resource_requirements=AnalyzeResourceRequirements(platform=platform, **limits),
                evaluator_ids=evaluators,
            )
            counts.append(_matching(client, requirements))
    if None in counts and not any(counts):
        return None
    return any(counts)


def _matching(client: Client, requirements: AnalyzeRequirements) -> int | None:
    """Return the number of evaluators that the server finds for `requirements`, or None if it cannot be asked."""
    try:
        answer = RmsApi(client).analyze(
            requirements,
            analytics=True,
            as_object=False,
        )
    except (ClientError, APIError) as error:
        if _status_of(error) in (*_ABSENT, *_NOT_FOR_US):
            return None
        raise
    counts = answer.get("analytics") or {}
    matching = counts.get("number_matching", 0)
    return int(counts.get("number_accessible_assignable_and_matching", matching) or 0)


def _described(resource: Resource) -> tuple[str, str]:
    """Return the name of `resource` with its kind and platform, and its applications."""
    subject = f"{resource.kind} {resource.name} ({resource.platform or 'any platform'})"
    if resource.applications is None:
        return subject, "applications unknown"
    names = [" ".join(filter(None, application)) for application in resource.applications]
    return subject, ", ".join(names) or "no applications"


def _advice(
    application: str | None,
    required: Sequence[str],
    resources: Sequence[Resource],
) -> str:
    if not resources:
        return "start an evaluator; none is running"
    registered: set[str] = set()
    for resource in resources:
        registered.update(dict(resource.applications or ()))
    missing = {name.casefold(): name for name in required if name not in registered}
    for name in sorted(registered):
        wanted = missing.get(name.casefold())
        if wanted is not None:
            option = "--application" if wanted == application else "--software"
            return f"use {option} {plain(name)}, since names must match exactly"
    return "register the application (see `bundler hps register`), or bundle for the platforms of the evaluators"
