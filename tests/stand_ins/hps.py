"""A stand-in for HPS: job and resource management, authentication and data transfer, as the public client calls them.

Nobody outside can run the real services. What is only guessed of them is a switch of `Hps`, so that both answers can
be tested.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import jwt
import xxhash

from tests.stand_ins.hps_monitor import Monitor
from tests.stand_ins.programs import python_program

if TYPE_CHECKING:
    import ssl

Table = dict[str, Any]
WORKER = Path(__file__).with_name("hps_worker.py")
KEY = "the stand-in signs its tokens with this, and nobody checks"
# What a server tells of its own accord when nothing is asked: few.
DEFAULT_LIMIT = 10


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


@dataclass
class Hps:
    """The state of the services; the second half are switches."""

    storage: Path
    url: str = ""
    projects: dict[str, Table] = field(default_factory=dict)
    resources: dict[str, dict[str, dict[str, Table]]] = field(default_factory=dict)
    templates: dict[str, Table] = field(default_factory=dict)
    evaluators: dict[str, Table] = field(default_factory=dict)
    configurations: dict[str, Table] = field(default_factory=dict)
    resource_sets: list[Table] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=lambda: {"anna": "secret of anna"})
    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    revoked: set[str] = field(default_factory=set)

    version: str = "1.1.225"
    worker_version: str = "standin1"
    worker: bytes = b""
    # The longest list that JMS gives at once.
    longest_list: int = 1_000_000
    token_life: int = 300
    # What a login on another device is answered, in turn; "" grants it. Not offered if empty.
    device_logins: list[str] = field(default_factory=list)
    # Guesses: whether names of applications must match by the letter, whether RMS has `analyze` and counts resource
    # sets there, whether a job's modification time changes with its state, what the field of applications is called.
    exact_names: bool = True
    has_analyze: bool = True
    analyzes_scalers: bool = True
    stamps_states: bool = True
    # The client's own model documents "unset" as the default; older servers may leave the field out.
    tells_shutdown: bool = True
    # Older servers have no monitor.
    has_monitor: bool = True
    monitor: Monitor = field(default_factory=Monitor)
    # Gives the records of each kind the form of another version of the server.
    reshape: Callable[[str, Table], Table] = lambda kind, record: record  # noqa: ARG005 - the form of this version
    # (method, expression of the path) -> what happens instead of an answer; it returns whether it took the request.
    faults: dict[tuple[str, str], Callable[[Handler], bool]] = field(default_factory=dict)

    def register(
        self, name: str, *, application: str | None = "uv", platform: str = "linux", **changes: Any
    ) -> str:
        """Add an evaluator with one application, alive; return its id."""
        identity = uuid.uuid4().hex
        self.evaluators[identity] = {
            "id": identity,
            "name": name,
            "host_id": f"host of {name}",
            "host_name": name,
            "platform": platform,
            "last_modified": now(),
            "shutdown_status": "unset",
            **changes,
        }
        applications = [
            {
                "name": application,
                "version": "0.6.14",
                "install_path": "/x",
                "executable": "/x/bin/uv",
            }
        ]
        self.configurations[identity] = {
            "id": identity,
            "resources": {"platform": platform, "num_cores": 4},
            "applications": applications if application else [],
        }
        return identity

    def of(self, project: str, kind: str) -> dict[str, Table]:
        """Return the resources of one kind in a project, by id."""
        return self.resources.setdefault(project, {}).setdefault(kind, {})

    def token(self, user: str) -> str:
        issued = time.time()
        claims = {
            "preferred_username": user,
            "iat": issued,
            "exp": issued + self.token_life,
            "jti": uuid.uuid4().hex,
        }
        return str(jwt.encode(claims, KEY, algorithm="HS256"))

    def accepts(self, token: str) -> bool:
        try:
            claims = jwt.decode(token, KEY, algorithms=["HS256"], leeway=0.0)
        except jwt.InvalidTokenError:
            return False
        return claims["jti"] not in self.revoked

    def matching(self, requirements: Table) -> dict[str, Table]:
        """Return, by evaluator, which requirements it meets."""
        asked = requirements.get("evaluator_ids") or list(self.configurations)
        found = {}
        for identity, configuration in self.configurations.items():
            if identity in asked:
                evaluator = self.evaluators[identity]
                owner = evaluator.get("compute_resource_set_id")
                hardware = {**configuration["resources"], "platform": evaluator["platform"]}
                applications = configuration["applications"]
                found[identity] = self.meets(requirements, hardware, applications, owner)
        return found

    def meets(
        self, requirements: Table, hardware: Table, applications: list[Table], owner: str | None
    ) -> Table:
        """Return which of `requirements` a resource with `hardware` and `applications` in the set `owner` meets."""
        fold = (lambda name: name) if self.exact_names else str.casefold
        wanted = requirements.get("resource_requirements") or {}
        has_applications = True
        for each in requirements.get("software_requirements") or []:
            versions = {
                app["version"] for app in applications if fold(app["name"]) == fold(each["name"])
            }
            version = each.get("version")
            has_applications &= bool(versions) and (version is None or version in versions)
        has_hardware = True
        for name in ("num_cores", "memory", "disk_space"):
            has_hardware &= (wanted.get(name) or 0) <= (hardware.get(name) or math.inf)
        return {
            "has_platform": wanted.get("platform") in (None, hardware.get("platform")),
            "has_hardware": has_hardware,
            "has_custom": True,
            "has_applications": has_applications,
            "accessible": True,
            "assignable": wanted.get("compute_resource_set_id") in (None, owner),
        }


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for an `Hps`."""

    protocol_version = "HTTP/1.1"
    hps: Hps

    def do_GET(self) -> None:
        self.dispatch("GET")

    def do_POST(self) -> None:
        self.dispatch("POST")

    def do_PUT(self) -> None:
        self.dispatch("PUT")

    def do_DELETE(self) -> None:
        self.dispatch("DELETE")

    def dispatch(self, method: str) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path).removeprefix("/hps").rstrip("/")
        self.query = parse_qs(parts.query)
        self.body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        with self.hps.lock:
            self.hps.requests[f"{method} {re.sub(r'/projects/[^/]+', '/projects/P', path)}"] += 1
            faults = [
                fault
                for (verb, pattern), fault in self.hps.faults.items()
                if verb == method and re.fullmatch(pattern, path)
            ]
        if any(fault(self) for fault in faults):
            return None
        if path == "/monitor/ws/topics":
            return self.topics()
        for verb, pattern, answer, guarded in ROUTES:
            found = re.fullmatch(pattern, path)
            if verb == method and found:
                token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
                if guarded and not self.hps.accepts(token):
                    return self.send(401, {"title": "Unauthorized", "description": "token expired"})
                with self.hps.lock:
                    return answer(self, *found.groups())
        return self.send(404, {"title": "Not found", "description": path})

    def tables(self) -> Table:
        found: Table = json.loads(self.body or b"{}")
        return found

    def send(self, status: int, tables: Any, *, data: bytes | None = None, **headers: str) -> None:
        if status < HTTPStatus.MULTIPLE_CHOICES and isinstance(tables, dict):
            tables = {kind: self.reshaped(kind, value) for kind, value in tables.items()}
        content = json.dumps(tables).encode() if data is None else data
        self.hps.sent += len(content)
        self.send_response(status)
        self.send_header(
            "Content-Type", "application/json" if data is None else "application/octet-stream"
        )
        self.send_header("Content-Length", str(len(content)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def reshaped(self, kind: str, value: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
            return value
        return [self.hps.reshape(kind, dict(record)) for record in value]

    def log_message(self, *_: object) -> None:
        """Be quiet: the tests look at `Hps.requests`."""

    # Authentication

    def info(self) -> None:
        settings = {
            "execution_script_bucket": "scripts",
            "execution_script_default_bucket": "default",
        }
        services = {"external_auth_url": f"{self.hps.url}/auth/realms/rep"}
        self.send(
            200,
            {
                "time": now(),
                "build": {"version": self.hps.version},
                "services": services,
                "settings": settings,
            },
        )

    def discovery(self) -> None:
        base = f"{self.hps.url}/auth/realms/rep"
        endpoints = {
            "token_endpoint": f"{base}/token",
            "authorization_endpoint": f"{base}/authorize",
        }
        if self.hps.device_logins:
            endpoints["device_authorization_endpoint"] = f"{base}/device"
        self.send(200, endpoints)

    def device(self) -> None:
        page = f"{self.hps.url}/auth/device"
        code = {"device_code": "device", "user_code": "ABCD-EFGH", "verification_uri": page}
        self.send(200, {**code, "expires_in": 60, "interval": 0.05})

    def authorize(self) -> None:
        given = {name: values[0] for name, values in self.query.items()}
        target = f"{given['redirect_uri']}?{urlencode({'code': 'anna', 'state': given['state']})}"
        self.send(302, {}, Location=target)

    def grant(self) -> None:
        form = dict(parse_qsl(self.body.decode()))
        if form["grant_type"].endswith("device_code"):
            error = self.hps.device_logins.pop(0)
            if error:
                return self.send(400, {"error": error})
            form["code"] = "anna"
        user = form.get("username") or form.get("code") or ""
        if form["grant_type"] == "refresh_token":
            user = form["refresh_token"].removeprefix("refresh of ")
        known = form["grant_type"] != "password" or self.hps.users.get(user) == form.get("password")
        if not known or user not in self.hps.users:
            return self.send(
                401, {"error": "invalid_grant", "error_description": "Invalid user credentials"}
            )
        return self.send(
            200,
            {
                "access_token": self.hps.token(user),
                "refresh_token": f"refresh of {user}",
                "expires_in": self.hps.token_life,
                "refresh_expires_in": 3600,
            },
        )

    # Job management

    def create_project(self) -> None:
        wanted = self.tables()
        (project,) = wanted["projects"]
        if wanted.get("replace"):
            for same in [
                each for each in self.hps.projects.values() if each["name"] == project["name"]
            ]:
                del self.hps.projects[same["id"]]
        project = {"priority": 1, **project, "id": uuid.uuid4().hex, "creation_time": now()}
        self.hps.projects[project["id"]] = project
        self.send(201, {"projects": [project]})

    def list_projects(self) -> None:
        self.send(200, {"projects": self.filtered(list(self.hps.projects.values()))})

    def one_project(self, project: str) -> None:
        found = self.hps.projects.get(project)
        if found is None:
            return self.send(404, {"title": "Not found", "description": f"no project {project}"})
        return self.send(200, {"projects": [found]})

    def update_project(self, project: str) -> None:
        (changes,) = self.tables()["projects"]
        self.hps.projects[project].update(
            {name: value for name, value in changes.items() if value is not None}
        )
        self.send(200, {"projects": [self.hps.projects[project]]})

    def delete_project(self, project: str) -> None:
        self.hps.projects.pop(project)
        self.hps.resources.pop(project, None)
        self.send(200, {})

    def create(self, project: str, kind: str) -> None:
        if project not in self.hps.projects:
            return self.send(404, {"title": "Not found", "description": f"no project {project}"})
        created = []
        for table in self.tables()[kind]:
            one = {
                **table,
                "id": uuid.uuid4().hex,
                "creation_time": now(),
                "modification_time": now(),
            }
            if kind == "files":
                one = {"hash": None, "size": None, **one, "storage_id": f"bucket/{one['id']}"}
            self.hps.of(project, kind)[one["id"]] = one
            created.append(one)
        return self.send(201, {kind: created})

    def read(self, project: str, kind: str) -> None:
        if project not in self.hps.projects:
            return self.send(404, {"title": "Not found", "description": f"no project {project}"})
        found = list(self.hps.of(project, kind).values())
        if "count" in self.query:
            self.query.pop("count")
            return self.send(200, {f"num_{kind}": len(self.filtered(found))})
        return self.send(200, {kind: self.filtered(found)[: self.hps.longest_list]})

    def update(self, project: str, kind: str) -> None:
        changed = []
        for table in self.tables()[kind]:
            one = self.hps.of(project, kind)[table["id"]]
            one.update(table, modification_time=now())
            changed.append(one)
        self.send(200, {kind: changed})

    def delete(self, project: str, kind: str) -> None:
        for identity in self.tables()["source_ids"]:
            self.hps.of(project, kind).pop(identity, None)
        self.send(200, {})

    def filtered(self, tables: list[Table]) -> list[Table]:
        """Do what the query asks: filter, sort, limit, choose fields."""
        query = dict(self.query)
        fields = query.pop("fields", ["all"])
        limit = int(query.pop("limit", ["1000000"])[0])
        offset = int(query.pop("offset", ["0"])[0])
        (sort,) = query.pop("sort", [""])
        for name, values in query.items():
            key, _, operator = name.partition(".")
            tables = [table for table in tables if _holds(table.get(key), operator, values)]
        if sort:
            tables = sorted(
                tables,
                key=lambda table: str(table.get(sort.lstrip("-"))),
                reverse=sort.startswith("-"),
            )
        tables = tables[offset : offset + limit]
        if fields == ["all"]:
            return tables
        return [{key: value for key, value in table.items() if key in fields} for table in tables]

    def create_templates(self) -> None:
        created = [
            {**table, "id": uuid.uuid4().hex}
            for table in self.tables()["task_definition_templates"]
        ]
        self.hps.templates.update({one["id"]: one for one in created})
        self.send(201, {"task_definition_templates": created})

    def list_templates(self) -> None:
        self.send(
            200, {"task_definition_templates": self.filtered(list(self.hps.templates.values()))}
        )

    def list_template_permissions(self, template: str) -> None:
        own = {"permission_type": "user", "role": "admin", "value_id": "anna", "value_name": "anna"}
        self.send(200, {"permissions": self.hps.templates[template].get("permissions", [own])})

    def template_permissions(self, template: str) -> None:
        permissions = self.tables()["permissions"]
        self.hps.templates[template]["permissions"] = permissions
        self.send(200, {"permissions": permissions})

    # Resource management

    def list_evaluators(self) -> None:
        self.query.setdefault("limit", [str(DEFAULT_LIMIT)])
        hidden = () if self.hps.tells_shutdown else ("shutdown_status",)
        for each in self.hps.evaluators.values():
            # Evaluators report all the time, however long a test takes; those of which a test says otherwise do not.
            if _moment(each["last_modified"]) > datetime.now(timezone.utc) - timedelta(minutes=30):
                each["last_modified"] = now()
        found = [
            {key: value for key, value in each.items() if key not in hidden}
            for each in self.hps.evaluators.values()
        ]
        self.send(200, {"evaluators": self.filtered(found)})

    def configuration(self, evaluator: str) -> None:
        self.send(200, self.hps.configurations[evaluator])

    def update_configuration(self, evaluator: str) -> None:
        (update,) = self.tables()["configuration_updates"]
        self.hps.configurations[evaluator].update(update)
        self.send(201, {"configuration_updates": [update]})

    def list_resource_sets(self) -> None:
        self.query.setdefault("limit", [str(DEFAULT_LIMIT)])
        self.send(200, {"compute_resource_sets": self.filtered(self.hps.resource_sets)})

    def analyze(self) -> None:
        if not self.hps.has_analyze:
            return self.send(404, {"title": "Not found", "description": "analyze"})
        wanted = self.tables()
        found = self.hps.matching(wanted)
        good = sum(all(met.values()) for met in found.values())
        scalers = {}
        for each in self.hps.resource_sets:
            hardware, applications = each["available_resources"], each["available_applications"]
            scalers[each["id"]] = self.hps.meets(wanted, hardware, applications, each["id"])
        if self.hps.analyzes_scalers:
            good += sum(all(met.values()) for met in scalers.values())
        else:
            scalers = {}
        counts = dict.fromkeys(
            ("number_matching", "number_accessible_assignable_and_matching"), good
        )
        counts |= dict.fromkeys(("number_assignable", "number_accessible"), len(found))
        return self.send(
            200,
            {
                "analytics": counts,
                "evaluators": [
                    {
                        "evaluator_id": identity,
                        "requirements": met,
                        "software_requirements": [],
                        "resource_requirements": {},
                    }
                    for identity, met in found.items()
                ],
                "scalers": [
                    {
                        "scaler_id": f"scaler of {identity}",
                        "compute_resource_set_id": identity,
                        "requirements": met,
                        "software_requirements": [],
                        "resource_requirements": {},
                    }
                    for identity, met in scalers.items()
                ],
            },
        )

    # Monitor

    def topics(self) -> None:
        """Stream messages; the lock is not held, since this lasts."""
        if not self.hps.has_monitor:
            return self.send(404, {"title": "Not found", "description": "monitor"})
        with contextlib.suppress(OSError):
            self.hps.monitor.serve(self)
        return None

    # Data transfer

    def transfer(self) -> None:
        build = {"version_hash": self.hps.worker_version, "branch": "main"}
        self.send(200, {"ready": True, "features": {}, "build_info": build})

    def binary(self) -> None:
        data = self.hps.worker or python_program(WORKER.read_text()).encode()
        self.send(200, None, data=data)

    def put(self, path: str) -> None:
        target = self.hps.storage / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.body)
        self.send(200, {})

    def get(self, path: str) -> None:
        target = self.hps.storage / path
        if not target.is_file():
            return self.send(404, {"title": "Not found"})
        return self.send(200, None, data=target.read_bytes())

    def metadata(self, path: str) -> None:
        data = (self.hps.storage / path).read_bytes()
        self.send(200, {"checksum": xxhash.xxh64(data).hexdigest(), "size": len(data)})


def _holds(value: Any, operator: str, wanted: list[str]) -> bool:
    text = "" if value is None else str(value)
    first = wanted[0].replace(" ", "T") if operator else wanted[0]
    if operator in ("", "in"):
        return text in wanted
    if operator == "gt":
        return _moment(text) > _moment(first)
    if operator == "ge":
        return _moment(text) >= _moment(first)
    raise NotImplementedError(operator)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


_JMS, _RMS, _DT, _AUTH = "/jms/api/v1", "/rms/api/v1", "/dt/api/v1", "/auth/realms/rep"
_KINDS = (
    "files|task_definitions|job_definitions|jobs|tasks|parameter_definitions|parameter_mappings|permissions"
    "|task_commands|license_contexts"
)
ROUTES: list[tuple[str, str, Callable[..., None], bool]] = [
    ("GET", _JMS, Handler.info, False),
    ("GET", f"{_AUTH}/.well-known/openid-configuration", Handler.discovery, False),
    ("GET", f"{_AUTH}/authorize", Handler.authorize, False),
    ("POST", f"{_AUTH}/token", Handler.grant, False),
    ("POST", f"{_AUTH}/device", Handler.device, False),
    ("POST", f"{_JMS}/projects", Handler.create_project, True),
    ("GET", f"{_JMS}/projects", Handler.list_projects, True),
    ("GET", f"{_JMS}/projects/([^/]+)", Handler.one_project, True),
    ("PUT", f"{_JMS}/projects/([^/]+)", Handler.update_project, True),
    ("DELETE", f"{_JMS}/projects/([^/]+)", Handler.delete_project, True),
    ("POST", f"{_JMS}/projects/([^/]+)/({_KINDS})", Handler.create, True),
    ("GET", f"{_JMS}/projects/([^/]+)/({_KINDS})", Handler.read, True),
    ("PUT", f"{_JMS}/projects/([^/]+)/({_KINDS})", Handler.update, True),
    ("DELETE", f"{_JMS}/projects/([^/]+)/({_KINDS})", Handler.delete, True),
    ("POST", f"{_JMS}/task_definition_templates", Handler.create_templates, True),
    ("GET", f"{_JMS}/task_definition_templates", Handler.list_templates, True),
    (
        "GET",
        f"{_JMS}/task_definition_templates/([^/]+)/permissions",
        Handler.list_template_permissions,
        True,
    ),
    (
        "PUT",
        f"{_JMS}/task_definition_templates/([^/]+)/permissions",
        Handler.template_permissions,
        True,
    ),
    ("GET", f"{_RMS}/evaluators", Handler.list_evaluators, True),
    ("GET", f"{_RMS}/evaluators/([^/]+)/configuration", Handler.configuration, True),
    (
        "POST",
        f"{_RMS}/evaluators/([^/]+)/configuration_updates",
        Handler.update_configuration,
        True,
    ),
    ("GET", f"{_RMS}/compute_resource_sets", Handler.list_resource_sets, True),
    ("POST", f"{_RMS}/analyze", Handler.analyze, True),
    ("GET", _DT, Handler.transfer, False),
    ("GET", f"{_DT}/binaries/worker/.*", Handler.binary, False),
    ("PUT", f"{_DT}/storage/(.+)", Handler.put, True),
    ("GET", f"{_DT}/storage/(.+)", Handler.get, True),
    ("GET", f"{_DT}/metadata/(.+)", Handler.metadata, True),
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


@contextlib.contextmanager
def serving(hps: Hps, context: ssl.SSLContext | None = None) -> Iterator[Hps]:
    """Serve `hps` on a free port of loopback, by HTTPS where there is a `context`."""
    server = _Server(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hps": hps}))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    hps.url = f"http{'s'[: bool(context)]}://127.0.0.1:{server.server_address[1]}/hps"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield hps
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def stale(seconds: float) -> str:
    """Return the time `seconds` ago, as HPS writes it."""
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).isoformat()
