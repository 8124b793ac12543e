"""Runs a published script on an HPS evaluator that has no internet.

Made by `publish-index`; only the block marked below differs from one publication to the next. It needs Python 3.8, the
standard library and what the evaluator provides, and it starts the published script with uv:

    uv run --offline --frozen --no-index --find-links WHEELS --script SCRIPT

SCRIPT is always the same path on the share, so all jobs of a node run in one environment, which uv keeps in a cache on
the node. The lock beside SCRIPT names every wheel with its SHA-256; uv installs these and nothing else.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import platform
import stat
import subprocess
import tempfile

from ansys.rep.common.logging import log
from ansys.rep.evaluator.task_manager import ApplicationExecution

# <publication>
PUBLICATION = {
    "path": "/shared/store/publications/eval-0123456789ab",
    "scripts": {"eval.py": "sha256 of the script"},
    "targets": [
        {
            "folder": "targets/3.12-x86_64-manylinux_2_28",
            "python": "3.12",
            "system": "Linux",
            "machine": "x86_64",
            "libc": ["glibc", 2, 28],
            "locks": {"eval.py": "sha256 of its lock"},
        }
    ],
}
# </publication>

# The oldest uv that this was tried with; older ones do not follow the lock of a script offline.
OLDEST_UV = (0, 6, 14)
# uv's own settings would change what is installed, except for those that say where things are on this node.
KEPT_UV_SETTINGS = ("UV_CACHE_DIR", "UV_LINK_MODE", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_PREFERENCE")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "x64": "x86_64"}


class OfflineRunError(RuntimeError):
    """What is wrong, and who can mend it."""


def choose_script(publication, environment):
    """Return the name of the script to run: the only one, or the one that BUNDLER_SCRIPT names."""
    names = sorted(publication["scripts"])
    wanted = environment.get("BUNDLER_SCRIPT") or (names[0] if len(names) == 1 else None)
    if wanted not in publication["scripts"]:
        raise OfflineRunError(
            "The publication holds {}. Set BUNDLER_SCRIPT in the environment of the task definition to one of them "
            "(it is {!r}).".format(", ".join(names), wanted)
        )
    return wanted


def find_uv(software):
    """Return the path of uv among the applications of the task (`context.software`)."""
    named = [app for app in software if str(app.get("name", "")).casefold() == "uv"]
    found = named or (software if len(software) == 1 else [])
    if not found:
        raise OfflineRunError(
            "uv is not among the applications of this task ({}). Add the software requirement 'uv' to the task "
            "definition; the administrator of HPS registers the application on the evaluators.".format(
                ", ".join(sorted(str(app.get("name")) for app in software)) or "there are none"
            )
        )
    uv = str(found[0].get("executable") or "").strip('"')
    if not os.path.isfile(uv):
        raise OfflineRunError(
            "The registered uv does not exist on this node: {}. The administrator of HPS mends the registration or "
            "mounts its folder.".format(uv or "no executable is given")
        )
    return uv


def node_facts():
    """Return system, machine and C library (name, major, minor) of this node, None for a library nobody can tell."""
    machine = platform.machine().lower()
    libc = None
    if platform.system() == "Linux":
        try:
            name, _, version = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")
            libc = (name,) + tuple(int(part) for part in version.split(".")[:2])
        except (ValueError, OSError, AttributeError):
            musl = [name for name in os.listdir("/lib") if name.startswith("ld-musl-")] if os.path.isdir("/lib") else []
            libc = ("musl", 1, 2) if musl else None
    return platform.system(), MACHINES.get(machine, machine), libc


def misfit(target, facts):
    """Return why `target` does not run on a node of `facts`, or None if it does."""
    system, machine, libc = facts
    wanted = MACHINES.get(target["machine"].lower(), target["machine"].lower())
    if (target["system"], wanted) != (system, machine):
        return "is for {} on {}".format(target["system"], wanted)
    if target["libc"] and libc:
        name, major, minor = target["libc"]
        if name != libc[0] or (major, minor) > libc[1:]:
            return "needs {} {}.{}".format(name, major, minor)
    return None


def has_python(uv, version, environment):
    """Return whether uv finds a Python `version` on this node."""
    command = [uv, "python", "find", "--no-project", "--no-config", "--offline", version]
    quiet = subprocess.DEVNULL
    try:
        return subprocess.run(command, env=environment, stdout=quiet, stderr=quiet, check=False).returncode == 0
    except OSError as fault:
        raise OfflineRunError(
            "The registered uv {} does not run on this node ({}); the administrator of HPS mends that.".format(
                uv, fault.strerror
            )
        ) from fault


def choose_target(publication, facts, uv, environment):
    """Return the target for this node: of those that fit, the first whose Python is here."""
    reasons = {target["folder"]: misfit(target, facts) for target in publication["targets"]}
    fitting = [target for target in publication["targets"] if reasons[target["folder"]] is None]
    if not fitting:
        system, machine, libc = facts
        raise OfflineRunError(
            "This node is {} on {}{}, and no target of the publication fits it: {}. Bundle the script again with a "
            "--platform that does, or send the job to other nodes.".format(
                system,
                machine,
                " with {} {}.{}".format(*libc) if libc else "",
                "; ".join(
                    "{} {}".format(os.path.basename(folder), reason) for folder, reason in sorted(reasons.items())
                ),
            )
        )
    # With a single candidate uv itself tells soon enough whether its Python is missing.
    for target in fitting if len(fitting) > 1 else []:
        if has_python(uv, target["python"], environment):
            return target
    return fitting[0]


def check_file(path, sha256, meaning):
    """Raise unless the file at `path` has the digest `sha256`."""
    try:
        with open(path, "rb") as source:
            digest = hashlib.sha256(source.read()).hexdigest()
    except OSError as fault:
        raise OfflineRunError(
            "Cannot read {} {} ({}). Is the share mounted on this node, at the same path, and readable for this "
            "user?".format(meaning, path, fault.strerror)
        ) from fault
    if digest != sha256:
        raise OfflineRunError(
            "{} {} was changed since it was published. Publish the bundle again.".format(meaning.capitalize(), path)
        )


def cache_folder(environment):
    """Return a folder for uv's cache on this node that belongs to this user: UV_CACHE_DIR if it can be written."""
    registered = environment.get("UV_CACHE_DIR")
    if registered:
        with contextlib.suppress(OSError):
            os.makedirs(registered, exist_ok=True)
        if os.access(registered, os.W_OK | os.X_OK):
            return registered
        log.warning("UV_CACHE_DIR %s cannot be written by this user; using a cache of the user's own.", registered)
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = os.path.join(tempfile.gettempdir(), "bundler-uv-cache{}{}".format("-" if user != "" else "", user))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as fault:
        raise OfflineRunError(
            "Cannot make the uv cache {} ({}). The administrator of HPS sets UV_CACHE_DIR in the registration of uv "
            "to a folder on a local disk that users can write.".format(folder, fault.strerror)
        ) from fault
    found = os.lstat(folder)
    # Temporary folders are open to all: a cache that another user prepared could hold anything.
    if not stat.S_ISDIR(found.st_mode) or (user != "" and (found.st_uid != user or found.st_mode & 0o022)):
        raise OfflineRunError(
            "The uv cache {} belongs to somebody else. Its owner removes it, or the administrator of HPS sets "
            "UV_CACHE_DIR in the registration of uv.".format(folder)
        )
    return folder


def run_environment(inherited, given):
    """Return the environment for uv: `inherited` from the evaluator, overlaid with what the task is `given`.

    What would lead uv or Python to other packages than the published ones is dropped.
    """
    environment = {
        name: value for name, value in inherited.items() if name not in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
    }
    # A frozen evaluator points the loader at its own libraries and keeps the former value under this name.
    if "LD_LIBRARY_PATH_ORIG" in environment:
        environment["LD_LIBRARY_PATH"] = environment.pop("LD_LIBRARY_PATH_ORIG")
    environment.update({str(name): str(value) for name, value in given.items()})
    environment = {
        name: value for name, value in environment.items() if not name.startswith("UV_") or name in KEPT_UV_SETTINGS
    }
    environment["UV_CACHE_DIR"] = cache_folder(environment)
    environment.update({"UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"})
    environment.setdefault("PYTHONUNBUFFERED", "1")
    return environment


def explain(uv, target, environment, fact):
    """Return the sentence for a run that failed: `fact`, and what is known to cause it."""
    try:
        words = subprocess.run([uv, "--version"], stdout=subprocess.PIPE, env=environment, check=True).stdout.decode()
        version = tuple(int(part) for part in words.split()[1].split(".")[:3])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return "{} The registered uv {} does not run on this node; the administrator of HPS mends that.".format(
            fact, uv
        )
    if version < OLDEST_UV:
        return "{} uv {} is older than {}; the administrator of HPS updates it.".format(
            fact, ".".join(map(str, version)), ".".join(map(str, OLDEST_UV))
        )
    if not has_python(uv, target["python"], environment):
        return "{} uv finds no Python {} on this node; the administrator of HPS installs one.".format(
            fact, target["python"]
        )
    return "{} The console output above says why.".format(fact)


def read_output_parameters():
    """Return what the script left in output_parameters.json, nothing if it left none."""
    try:
        with open("output_parameters.json", encoding="utf-8") as source:
            parameters = json.load(source)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as fault:
        raise OfflineRunError("The script's output_parameters.json cannot be read: {}.".format(fault)) from fault
    if not isinstance(parameters, dict):
        raise OfflineRunError("The script's output_parameters.json is no object of names and values.")
    return parameters


def run_uv(run_and_capture_output, command, uv, target, environment):
    """Run `command`, its output going to the task's console output; raise if it is known to have failed.

    Evaluators differ in how they tell a failure, or leave it to the success criteria of the task definition; each way
    that they have is heeded.
    """
    try:
        done = run_and_capture_output(command, shell=False, env=environment)
    except Exception as fault:
        raise OfflineRunError(explain(uv, target, environment, "uv run failed ({}).".format(fault))) from fault
    code = getattr(done, "returncode", done)
    if isinstance(code, int) and code != 0:
        raise OfflineRunError(explain(uv, target, environment, "uv run failed (exit code {}).".format(int(code))))


class PublishedScript(ApplicationExecution):
    """The published script as an HPS task."""

    def execute(self):
        """Run the script; raise `OfflineRunError` when it cannot be run or fails."""
        given = dict(self.context.environment or {})
        root = given.get("BUNDLER_PUBLICATION") or os.environ.get("BUNDLER_PUBLICATION") or PUBLICATION["path"]
        name = choose_script(PUBLICATION, dict(os.environ, **given))
        uv = find_uv(self.context.software)
        environment = run_environment(os.environ, given)
        target = choose_target(PUBLICATION, node_facts(), uv, environment)
        script = os.path.join(root, *(target["folder"].split("/") + [name]))
        check_file(script, PUBLICATION["scripts"][name], "the script")
        check_file(script + ".lock", target["locks"][name], "the lock")

        with open("input_parameters.json", "w", encoding="utf-8") as out:
            json.dump(dict(self.context.parameter_values or {}), out, default=str)
        if os.path.exists("output_parameters.json"):
            os.remove("output_parameters.json")  # of an earlier trial in this folder

        command = [uv, "run", "--offline", "--frozen", "--no-config", "--no-index"]
        # As a URL, since uv takes a path for one and a "#" in it for a fragment.
        wheels = pathlib.Path(os.path.abspath(root), "wheels").as_uri()
        command += ["--find-links", wheels, "--python", target["python"], "--script", script]
        log.info("Running %s", command)
        try:
            run_uv(self.run_and_capture_output, command, uv, target, environment)
        except OfflineRunError:
            with contextlib.suppress(OfflineRunError):  # the failed run is the news, not what it left behind
                self.context.parameter_values.update(read_output_parameters())
            raise
        self.context.parameter_values.update(read_output_parameters())
