"""Where jobs could run: evaluators and compute resource sets, what is registered there, and registering uv."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from ansys.hps.client.exceptions import ClientError
from ansys.hps.client.rms import EvaluatorConfigurationUpdate, RmsApi
from ansys.hps.client.rms.models import (
    AnalyzeRequiredSoftware,
    AnalyzeRequirements,
    AnalyzeResourceRequirements,
    ApplicationInfo,
)

from bundler.hps.connection import explained
from bundler.hps.errors import HpsFault, NowhereToRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansys.hps.client import Client

# RMS tells of ten unless asked for more.
_MANY = 1000
# Evaluators report every few seconds; one silent for longer is gone.
_ALIVE = timedelta(seconds=60)
# Each evaluator's applications are a request of their own; so many tell enough about a site.
_ASKED = 100
# HPS tells nothing of processors and C libraries: this is what its nodes mostly are.
_PLATFORMS = {"linux": "x86_64-manylinux_2_28", "windows": "x86_64-pc-windows-msvc", "darwin": "aarch64-apple-darwin"}
_ABSENT = (404, 405, 501)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An evaluator or a compute resource set: `applications` are (name, version, executable, environment)."""

    identity: str
    name: str
    kind: str
    platform: str | None
    applications: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...]

    def has(self, name: str) -> bool:
        """Return whether an application is registered under just this name."""
        return any(application[0] == name for application in self.applications)


def survey(client: Client) -> list[Resource]:
    """Return the evaluators that are alive and the compute resource sets; raise `HpsFault`."""
    with explained(client.url):
        return [*_evaluators(RmsApi(client)), *_resource_sets(RmsApi(client))]


def _evaluators(rms: RmsApi) -> list[Resource]:
    fields = ["id", "name", "host_name", "platform", "last_modified", "shutdown_status", "compute_resource_set_id"]
    since = (datetime.now(timezone.utc) - _ALIVE).replace(tzinfo=None).isoformat()
    found = rms.get_evaluators(as_objects=False, limit=_MANY, fields=fields, **{"last_modified.gt": since})
    alive = [each for each in found if not each.get("shutdown_status")]
    resources = []
    for each in alive[:_ASKED]:
        configuration = rms.get_evaluator_configuration(each["id"], as_object=False)
        resources.append(
            Resource(
                identity=each["id"],
                name=str(each.get("host_name") or each.get("name") or each["id"]),
                kind="evaluator",
                platform=each.get("platform") or (configuration.get("resources") or {}).get("platform"),
                applications=_applications(configuration.get("applications")),
            )
        )
    return resources


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


def _applications(tables: Sequence[Mapping[str, Any]] | None) -> tuple[Any, ...]:
    return tuple(
        (
            str(table.get("name")),
            str(table.get("version") or ""),
            str(table.get("executable") or ""),
            tuple(sorted((str(name), str(value)) for name, value in (table.get("environment") or {}).items())),
        )
        for table in tables or ()
    )


def platforms_to_bundle_for(resources: Sequence[Resource]) -> tuple[str, ...]:
    """Return uv's names of the platforms of `resources`; raise `HpsFault` where there are none."""
    found = {_PLATFORMS[each.platform] for each in resources if each.platform in _PLATFORMS}
    if not found:
        raise HpsFault("HPS", "has no evaluator that is alive, and no compute resource set", "Give --platform.")
    return tuple(sorted(found))


def require_somewhere(
    client: Client, applications: Sequence[str], platforms: Sequence[str], resources: Sequence[Resource]
) -> None:
    """Raise `NowhereToRun` unless jobs that need `applications` can run on one of `platforms`.

    The server's own matching decides where it can be asked, since only it knows whether case and versions count; else
    names are compared to the letter.
    """
    wanted = [name.partition("=")[0] for name in applications]
    fitting = [
        each
        for each in resources
        if (each.platform is None or each.platform in platforms) and all(each.has(name) for name in wanted)
    ]
    needs = f"{' and '.join(map(repr, wanted)) or 'anything'} on {' or '.join(platforms)}"
    found = {f"{each.kind} {each.name} ({each.platform or 'any platform'})": _names(each) for each in resources}
    counts = [_server_matches(client, applications, platform, resources) for platform in platforms]
    if any(counts) or (fitting and None in counts):
        return
    if fitting:
        raise NowhereToRun(
            needs, found, "The server's own matching finds none, perhaps for want of rights or by the version."
        )
    raise NowhereToRun(needs, found, _advice(wanted, resources))


def _names(resource: Resource) -> str:
    return ", ".join(" ".join(filter(None, app[:2])) for app in resource.applications) or "no applications"


def _advice(wanted: Sequence[str], resources: Sequence[Resource]) -> str:
    names = {application[0] for each in resources for application in each.applications}
    alike = sorted(name for name in names if name.casefold() in {each.casefold() for each in wanted} - names)
    if alike:
        return f"Names must match to the letter: give --application {alike[0]}."
    if not resources:
        return "No evaluator is alive."
    return "The administrator registers it (see `bundler hps register`), or the script is bundled for other platforms."


def _server_matches(
    client: Client, applications: Sequence[str], platform: str, resources: Sequence[Resource]
) -> int | None:
    """Return how many of `resources` the server itself finds for jobs; None where it cannot be asked."""
    evaluators = [each.identity for each in resources if each.kind == "evaluator"]
    if not evaluators:
        return None  # evaluators that are gone would count
    software = []
    for each in applications:
        name, _, version = each.partition("=")
        software.append(AnalyzeRequiredSoftware(name=name, version=version or None))
    requirements = AnalyzeRequirements(
        software_requirements=software,
        resource_requirements=AnalyzeResourceRequirements(platform=platform),
        evaluator_ids=evaluators,
    )
    with explained(client.url):
        try:
            found = RmsApi(client).analyze(requirements, analytics=True, as_object=False)
        except ClientError as fault:
            if fault.response is not None and fault.response.status_code in _ABSENT:
                return None
            raise
    counts = found.get("analytics") or {}
    return counts.get("number_accessible_assignable_and_matching", counts.get("number_matching"))


def registration(name: str, version: str, executable: str, cache: str) -> dict[str, Any]:
    """Return the application that evaluators need: uv as `name`, with its cache on the node."""
    return {
        "name": name,
        "version": version,
        "install_path": executable.rpartition("/bin/")[0] or executable.rpartition("/")[0],
        "executable": executable,
        "environment": {"UV_CACHE_DIR": cache},
    }


def differences(client: Client, wanted: Mapping[str, Any]) -> dict[str, tuple[str, list[str], list[dict[str, Any]]]]:
    """Return what registering `wanted` would change, by evaluator: its name, lines for people, all its applications."""
    found = {}
    for resource in survey(client):
        if resource.kind != "evaluator":
            continue
        with explained(client.url):
            configuration = RmsApi(client).get_evaluator_configuration(resource.identity, as_object=False)
        before = list(configuration.get("applications") or [])
        old = next((each for each in before if each.get("name") == wanted["name"]), None)
        new = {
            **(old or {}),
            **wanted,
            "environment": {**((old or {}).get("environment") or {}), **wanted["environment"]},
        }
        keys = [key for key in new if (old or {}).get(key) != new[key]]
        lines = [
            line
            for key in keys
            for line in ([f"- {key}: {old[key]}"] if old and key in old else []) + [f"+ {key}: {new[key]}"]
        ]
        if lines:
            # The whole list is sent: the other applications would be lost otherwise.
            found[resource.identity] = (resource.name, lines, [each for each in before if each is not old] + [new])
    return found


def register(client: Client, evaluator: str, applications: Sequence[Mapping[str, Any]]) -> None:
    """Make `applications` the registered ones of `evaluator`; raise `HpsFault`."""
    known = set(ApplicationInfo.model_fields)
    lost = {key for each in applications for key in each if key not in known}
    if lost:
        raise HpsFault(
            evaluator,
            f"its applications have {', '.join(sorted(lost))}, which this client would lose",
            "Use the web interface.",
        )
    update = EvaluatorConfigurationUpdate(applications=[ApplicationInfo(**each) for each in applications])
    with explained(client.url):
        RmsApi(client).update_evaluator_configuration(evaluator, update)
