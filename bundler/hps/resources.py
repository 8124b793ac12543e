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
from ansys.hps.client.rms.models import ShutdownStatus

from bundler.hps.connection import explained
from bundler.hps.errors import HpsError
from bundler.hps.redaction import plain
from bundler.jobs.table import Record

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
NOT_FOR_US = (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An evaluator or a compute resource set; None is unknown, and `memory` and `disk` are in bytes.

    `applications` are the (name, version) pairs that are registered. `compute_resource_set` is the ID of the set to
    which an evaluator belongs, or of the set itself. `warnings` are about the speed of jobs.
    """

    identity: str
    name: str
    kind: str
    platform: str | None
    applications: tuple[tuple[str, str], ...] | None
    cores: float | None = None
    memory: int | None = None
    disk: int | None = None
    compute_resource_set: str | None = None
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
        configuration = None
        if number < _ASKED:
            configuration = _configuration(rms, record["id"])
        resources.append(_evaluator(record, configuration))
    return resources


def _evaluator(record: Record, configuration: Record | None) -> Resource:
    """Return the evaluator in `record`; a server leaves out what it does not know, or gives it as 0."""
    hardware: Record = {}
    applications = None
    if configuration is not None:
        hardware = configuration.get("resources") or {}
        applications = _applications(configuration.get("applications"))
    identity = str(record["id"])
    return Resource(
        identity=identity,
        name=str(record.get("host_name") or record.get("name") or identity),
        kind="evaluator",
        platform=record.get("platform") or hardware.get("platform"),
        applications=applications,
        compute_resource_set=record.get("compute_resource_set_id") or None,
        cores=hardware.get("num_cores") or None,
        memory=hardware.get("memory") or None,
        disk=hardware.get("disk_space") or None,
    )


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
        if status_of(error) in NOT_FOR_US:
            return None
        raise
    return configuration


def status_of(error: ClientError | APIError) -> int:
    """Return the HTTP status of a refused request; 0 if there is none."""
    return 0 if error.response is None else int(error.response.status_code)


def _resource_sets(rms: RmsApi) -> list[Resource]:
    resources = []
    for record in rms.get_compute_resource_sets(as_objects=False, limit=_MANY):
        applications = record.get("available_applications")
        hardware = record.get("available_resources") or {}
        identity = str(record.get("id"))
        resources.append(
            Resource(
                identity=identity,
                name=str(record.get("name") or identity),
                kind="compute resource set",
                platform=hardware.get("platform"),
                applications=_applications(applications),
                compute_resource_set=identity,
                cores=hardware.get("num_cores") or None,
                memory=hardware.get("memory") or None,
                disk=hardware.get("disk_space") or None,
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
