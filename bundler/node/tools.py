"""The target, the uv and the Python for a node."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import subprocess
from typing import TYPE_CHECKING

from bundler.node.cache import SHARED_FILE_SYSTEMS, file_system, read_json, write_whole
from bundler.node.errors import OfflineRunError
from bundler.node.facts import misfit, node_facts
from bundler.node.locks import turn
from bundler.node.log import log
from bundler.node.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from bundler.node.description import Publication, TargetDescription
    from bundler.node.facts import Facts

# The oldest uv that this was tried with; older ones do not follow the lock of a script offline.
OLDEST_UV = (0, 6, 14)


def tools(
    publication: Publication,
    root: str,
    software: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
    kept: str,
) -> tuple[TargetDescription, str, str]:
    """Return target, uv and Python for this node: the site's own where they will do, else those of the publication.

    What was found is remembered beside the cache, so that it is looked for once on a node, and by one job: others that
    come at the same time wait for it a moment.
    """
    # A cache may follow the user from node to node.
    node = (platform.node(), node_facts())
    known = hashlib.sha256(repr((publication, root, software, node)).encode("utf-8", "surrogatepass")).hexdigest()
    memory = os.path.join(kept, "{}.json".format(known))
    folders = {each["folder"] for each in publication["targets"]}

    def remembered_here(path: str) -> dict[str, str] | None:
        return remembered(path, folders)

    found = remembered_here(memory)
    if found is None:
        if file_system(environment["UV_CACHE_DIR"]) in SHARED_FILE_SYSTEMS:
            log.warning(
                "The uv cache %s is not on a local disk: starts are slow and uv's locks may fail there. The "
                "administrator of HPS sets UV_CACHE_DIR in the registration of uv to a local folder.",
                environment["UV_CACHE_DIR"],
            )
        with turn(memory, remembered_here):
            found = remembered_here(memory) or looked_for(publication, root, software, environment, kept)
            programs = {name: identity(found[name]) for name in ("uv", "python")}
            write_whole(memory, json.dumps(dict(found, identities=programs)))
    target = next(each for each in publication["targets"] if each["folder"] == found["folder"])
    return target, found["uv"], found["python"]


def identity(program: str) -> list[Any]:
    """Return what changes when the file that a path leads to is another one: an upgrade in place, for instance."""
    real = os.path.realpath(program)
    about = os.stat(real)
    return [real, about.st_mtime_ns, about.st_size]


def remembered(memory: str, folders: Collection[str]) -> dict[str, str] | None:
    """Return what a job of this node found for one of `folders`, None where nobody did or it is not the same since."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        found: Any = read_json(memory)
        same = all(found["identities"][name] == identity(found[name]) for name in ("uv", "python"))
        if same and found["folder"] in folders:
            return dict(found)
    return None


def looked_for(
    publication: Publication,
    root: str,
    software: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
    kept: str,
) -> dict[str, str]:
    """Look for target, uv and Python on this node, unpacking what the publication carries where the site has none."""
    fitting = fitting_targets(publication, node_facts())
    registered, complaint = registered_uv(software)
    for target in fitting:
        uv = registered
        if uv is None and target["uv"]:
            folder = unpacked(root, target["uv"], kept)
            uv = os.path.join(folder, min(os.listdir(folder)))
        if uv is None:
            continue
        python = installed_python(uv, target["python"], environment)
        if python is None and target["interpreter"]:
            python = own_python(unpacked(root, target["interpreter"], kept))
        if python is not None:
            return {"folder": target["folder"], "uv": uv, "python": python}
    if registered is None and not any(target["uv"] for target in fitting):
        raise OfflineRunError("{} Or bundle the script with --include-uv.".format(complaint))
    raise OfflineRunError(
        "uv finds no Python {} on this node; the administrator of HPS installs one, or the script is bundled with "
        "--include-python.".format(" or ".join(target["python"] for target in fitting))
    )


def fitting_targets(publication: Publication, facts: Facts) -> list[TargetDescription]:
    """Return the targets that fit a node of `facts`, in the order of the publication."""
    reasons = [(target, misfit(target, facts)) for target in publication["targets"]]
    fitting = [target for target, reason in reasons if reason is None]
    if not fitting:
        system, machine, libc = facts
        raise OfflineRunError(
            "This node is {} on {}{}, and no target of the publication fits it: {}. Bundle the script again with a "
            "--platform that does, or send the job to other nodes.".format(
                system,
                machine,
                " with {} {}.{}".format(*libc) if libc else "",
                "; ".join("{} {}".format(os.path.basename(target["folder"]), reason) for target, reason in reasons),
            )
        )
    return fitting


def registered_uv(software: Sequence[Mapping[str, Any]]) -> tuple[str | None, str]:
    """Return the path of uv among the applications of the task (`context.software`), or None and why it will not do."""
    named = [app for app in software if str(app.get("name", "")).casefold() == "uv"]
    found = named or (software if len(software) == 1 else [])
    if not found:
        names = ", ".join(sorted(str(app.get("name")) for app in software)) or "there are none"
        return None, (
            "uv is not among the applications of this task ({}). Add the software requirement 'uv' to the task "
            "definition; the administrator of HPS registers the application on the evaluators.".format(names)
        )
    uv = str(found[0].get("executable") or "").strip('"')
    if not os.path.isfile(uv):
        return None, (
            "The registered uv does not exist on this node: {}. The administrator of HPS fixes the registration or "
            "mounts its folder.".format(uv or "no executable is given")
        )
    try:
        words = subprocess.run([uv, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
        name, told = words.split()[:2]
        version = tuple(int(part) for part in told.split(".")[:3]) if name == "uv" else None
    except (OSError, subprocess.CalledProcessError, ValueError):
        version = None
    if version is None:
        return None, "The registered uv {} does not run on this node; the administrator of HPS fixes that.".format(uv)
    if version < OLDEST_UV:
        return None, "The registered uv is {}; the administrator of HPS updates it to {} or newer.".format(
            ".".join(map(str, version)), ".".join(map(str, OLDEST_UV))
        )
    return uv, ""


def installed_python(uv: str, version: str, environment: Mapping[str, str]) -> str | None:
    """Return the path of the Python `version` that uv finds on this node, or None; versions are spelled as by uv."""
    wanted = version if version.startswith("pypy") else "cpython@{}".format(version)
    command = [uv, "python", "find", "--system", "--no-project", "--no-config", "--offline", wanted]
    try:
        found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError as fault:
        raise OfflineRunError(
            "uv does not run from {} ({}). If programs must not run from that disk, the administrator of HPS sets "
            "UV_CACHE_DIR in the registration of uv to one where they may.".format(uv, fault.strerror)
        ) from fault
    path = found.stdout.decode(errors="surrogateescape").strip()
    # From 3.14 on a new uv takes a free-threaded Python, for which there are other wheels, where it finds no other.
    is_threaded = re.search(r"python3\.\d+t(\.exe)?$", os.path.realpath(path)) is not None
    usable = os.path.isfile(path) and (version.endswith("t") or not is_threaded)
    return path if found.returncode == 0 and usable else None


def own_python(folder: str) -> str:
    """Return the interpreter in an unpacked archive of one, which holds it below `python/`; raise if it does not."""
    names = ("python.exe",) if platform.system() == "Windows" else ("bin", "python3")
    python = os.path.join(folder, "python", *names)
    if not os.path.isfile(python):
        raise OfflineRunError(
            "The Python that the publication carries has no {}. Bundle the script again with another Python, and "
            "publish that.".format("/".join(("python",) + names))
        )
    return python


def loader_path(python: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that lets an interpreter of the publication find its own libpython, wherever it was built."""
    library = os.path.join(os.path.dirname(os.path.dirname(python)), "lib")
    if not os.path.isdir(library) or not any(name.startswith("libpython") for name in os.listdir(library)):
        return {}
    return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [library, environment.get("LD_LIBRARY_PATH")]))}
