"""Choose the target, uv and Python for this node."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

from bundler.node.cache import SHARED_FILE_SYSTEMS, file_system, read_json, write_whole
from bundler.node.errors import OfflineRunError, quoted, remedy
from bundler.node.facts import misfit, node_facts
from bundler.node.locks import turn
from bundler.node.log import log
from bundler.node.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from bundler.node.description import Publication, TargetDescription
    from bundler.node.facts import Facts

# The oldest supported uv; older ones do not use the lock file of a script offline.
OLDEST_UV = (0, 6, 14)


def tools(
    publication: Publication,
    root: str,
    software: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
    state: str,
) -> tuple[TargetDescription, str, str]:
    """Return the target, uv and Python for this node: the installed ones if suitable, or those of the publication.

    The result is stored next to the cache. Only one job of a node searches; concurrent jobs wait for its result.
    """
    # Several nodes may share a cache.
    node = (platform.node(), node_facts())
    key = hashlib.sha256(
        repr((publication, root, software, node)).encode("utf-8", "surrogatepass")
    ).hexdigest()
    memory = os.path.join(state, "{}.json".format(key))
    folders = {entry["folder"] for entry in publication["targets"]}

    def remembered_here(path: str) -> dict[str, str] | None:
        return remembered(path, folders)

    result = remembered_here(memory)
    if result is None:
        if file_system(environment["UV_CACHE_DIR"]) in SHARED_FILE_SYSTEMS:
            log.warning(
                "The uv cache %s is not on a local disk, so jobs start slowly and file locks may fail. The "
                "administrator of the nodes can set UV_CACHE_DIR to a folder on a local disk.",
                environment["UV_CACHE_DIR"],
            )
        with turn(memory, remembered_here):
            result = remembered_here(memory) or looked_for(
                publication, root, software, environment, state
            )
            programs = {name: identity(result[name]) for name in ("uv", "python")}
            write_whole(memory, json.dumps(dict(result, identities=programs)))
    target = next(entry for entry in publication["targets"] if entry["folder"] == result["folder"])
    return target, result["uv"], result["python"]


def identity(program: str) -> list[Any]:
    """Return values that change if the program at a path is replaced, for example by an upgrade."""
    real = os.path.realpath(program)
    about = os.stat(real)
    return [real, about.st_mtime_ns, about.st_size]


def remembered(memory: str, folders: Collection[str]) -> dict[str, str] | None:
    """Return the stored result of an earlier job for one of `folders`, or None if there is none or it is outdated."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        result: Any = read_json(memory)
        unchanged = all(
            result["identities"][name] == identity(result[name]) for name in ("uv", "python")
        )
        if unchanged and result["folder"] in folders:
            return dict(result)
    return None


def looked_for(
    publication: Publication,
    root: str,
    software: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
    state: str,
) -> dict[str, str]:
    """Search this node for a target, uv and Python; unpack those of the publication if there are none."""
    fitting = fitting_targets(publication, node_facts())
    registered, complaint = registered_uv(software)
    complaints: list[bytes] = []
    for target in fitting:
        uv = registered or _unpacked_uv(root, target, state)
        if uv is None:
            continue
        python, words = installed_python(uv, target["python"], environment)
        if python is None:
            complaints.append(words)
            python = _unpacked_python(root, target, state)
        if python is not None:
            return {"folder": target["folder"], "uv": uv, "python": python}
    if registered is None and not any(target["uv"] for target in fitting):
        problem, cure = complaint
        raise OfflineRunError(problem, "{}, or bundle the script with --include-uv".format(cure))
    raise _no_python(" or ".join(target["python"] for target in fitting), complaints)


def _unpacked_uv(root: str, target: TargetDescription, state: str) -> str | None:
    """Return the path of the uv in the publication for `target`, or None if it has none."""
    if not target["uv"]:
        return None
    folder = unpacked(root, target["uv"], state)
    return os.path.join(folder, min(os.listdir(folder)))


def _unpacked_python(root: str, target: TargetDescription, state: str) -> str | None:
    """Return the path of the Python in the publication for `target`, or None if it has none."""
    return (
        own_python(unpacked(root, target["interpreter"], state)) if target["interpreter"] else None
    )


def _no_python(pythons: str, complaints: Sequence[bytes]) -> OfflineRunError:
    """Return the error for a node without one of `pythons`, or on which uv failed with other `complaints`."""
    missing = b"error: No interpreter found"
    others = [
        words for words in complaints if words.strip() and not words.lstrip().startswith(missing)
    ]
    if others:
        return OfflineRunError(
            "uv could not look for Python {}{}".format(pythons, quoted(b"\n".join(others))),
            remedy(others[-1]),
        )
    return OfflineRunError(
        "uv finds no Python {} on this node".format(pythons),
        "ask the administrator of the nodes to install one, or bundle the script with --include-python",
    )


def fitting_targets(publication: Publication, facts: Facts) -> list[TargetDescription]:
    """Return the targets that run on a node with `facts`, in the order of the publication."""
    reasons = [(target, misfit(target, facts)) for target in publication["targets"]]
    fitting = [target for target, reason in reasons if reason is None]
    if not fitting:
        system, machine, libc = facts
        raise OfflineRunError(
            "no target of the publication runs on {} on {}{}: {}".format(
                system,
                machine,
                " with {} {}.{}".format(*libc) if libc else "",
                "; ".join(
                    "{} {}".format(os.path.basename(target["folder"]), reason)
                    for target, reason in reasons
                ),
            ),
            "bundle the script again with a --platform for this node, or run the job on other nodes",
        )
    return fitting


def registered_uv(software: Sequence[Mapping[str, Any]]) -> tuple[str | None, tuple[str, str]]:
    """Return the path of the first usable uv among the applications of the task.

    If there is none, returns None with the problem of the first one and its remedy.
    """
    applications = _uv_applications(software)
    if not applications:
        names = ", ".join(sorted(str(app.get("name")) for app in software)) or "there are none"
        return None, (
            "uv is not among the applications of this task ({})".format(names),
            "add the software requirement uv to the task definition, and ask the administrator of HPS to register it",
        )
    complaints = []
    for application in applications:
        uv = program_of(str(application.get("executable") or ""))
        complaint = _complaint_about(uv)
        if complaint is None:
            return uv, ("", "")
        complaints.append(complaint)
    return None, complaints[0]


def _uv_applications(software: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the applications called uv, of which several versions may be registered.

    The only application counts, too: the task may call it otherwise.
    """
    named = [app for app in software if str(app.get("name", "")).casefold() == "uv"]
    if not named and len(software) == 1:
        return list(software)
    return named


def _complaint_about(uv: str) -> tuple[str, str] | None:
    """Return why the program `uv` cannot be used, with a remedy, or None if it can."""
    if not os.path.isfile(uv):
        return (
            "the registered uv does not exist: {}".format(uv or "no executable is given"),
            "ask the administrator of HPS to correct the registration, or to mount the folder of uv on this node",
        )
    version, words = _version_of_uv(uv)
    if version is None:
        return (
            "the registered uv {} does not run{}".format(uv, quoted(words)),
            "ask the administrator of HPS to register a uv that runs on this node",
        )
    if version < OLDEST_UV:
        return (
            "the registered uv {} is too old".format(".".join(map(str, version))),
            "ask the administrator of HPS to install uv {} or newer".format(
                ".".join(map(str, OLDEST_UV))
            ),
        )
    return None


def _version_of_uv(uv: str) -> tuple[tuple[int, ...] | None, bytes]:
    """Return the version of the program `uv`, or None if it is not uv or does not run; and what it says about that."""
    try:
        done = subprocess.run(
            [uv, "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
        )
    except OSError as error:
        return None, str(error.strerror).encode()
    match = re.match(rb"uv (\d+)\.(\d+)\.(\d+)", done.stdout)
    version = tuple(map(int, match.groups())) if match and done.returncode == 0 else None
    return version, done.stderr


def program_of(executable: str) -> str:
    """Return the path of the program in `executable`, which may be a bare name on PATH or have arguments."""
    candidates = [executable.strip().strip('"')]
    with contextlib.suppress(ValueError):
        candidates += [
            word.strip('"') for word in shlex.split(executable, posix=os.name != "nt")[:1]
        ]
    for candidate in candidates:
        path = candidate if os.path.isfile(candidate) else shutil.which(candidate)
        if path:
            return path
    return candidates[0]


def installed_python(
    uv: str, version: str, environment: Mapping[str, str]
) -> tuple[str | None, bytes]:
    """Return the path of the Python `version` (in uv's notation) that uv finds here, or None; and uv's words."""
    request = version if version.startswith("pypy") else "cpython@{}".format(version)
    command = [
        uv,
        "python",
        "find",
        "--system",
        "--no-project",
        "--no-config",
        "--offline",
        request,
    ]
    try:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False
        )
    except OSError as error:
        raise OfflineRunError(
            "uv does not run from {} ({})".format(uv, error.strerror),
            "if that disk is mounted noexec, ask the administrator of the nodes to set UV_CACHE_DIR to another disk",
        ) from error
    path = done.stdout.decode(errors="surrogateescape").strip()
    # From 3.14 on, uv may find only a free-threaded Python, which needs other wheels.
    is_threaded = re.search(r"python3\.\d+t(\.exe)?$", os.path.realpath(path)) is not None
    usable = os.path.isfile(path) and (version.endswith("t") or not is_threaded)
    return (path if done.returncode == 0 and usable else None), done.stderr


def own_python(folder: str) -> str:
    """Return the interpreter in an unpacked archive. Raises `OfflineRunError` if there is none in `python/`."""
    names = ("python.exe",) if platform.system() == "Windows" else ("bin", "python3")
    python = os.path.join(folder, "python", *names)
    if not os.path.isfile(python):
        raise OfflineRunError(
            "the Python in the publication has no {}".format("/".join(("python",) + names)),
            "bundle the script again with another Python, and publish it",
        )
    return python


def loader_path(python: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variable that lets an interpreter of the publication find its libpython."""
    library = os.path.join(os.path.dirname(os.path.dirname(python)), "lib")
    if not os.path.isdir(library) or not any(
        name.startswith("libpython") for name in os.listdir(library)
    ):
        return {}
    return {
        "LD_LIBRARY_PATH": os.pathsep.join(
            filter(None, [library, environment.get("LD_LIBRARY_PATH")])
        )
    }
