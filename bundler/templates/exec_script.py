"""Runs a published script on an HPS evaluator that has no internet.

Made by `publish-index`; only the block marked below differs from one publication to the next. It needs Python 3.8, the
standard library and what the evaluator provides, and it starts the published script with uv:

    uv run --offline --frozen --no-index --find-links WHEELS --script SCRIPT

SCRIPT is a copy on the node of what was published, alone with the other scripts of the publication: whoever can write
to the share cannot put a module beside it. It is always the same path on a node, so all jobs there run in one
environment, which uv keeps in a cache on the node. The lock beside SCRIPT names every wheel with its SHA-256; uv
installs these and nothing else.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

from ansys.rep.common.logging import log
from ansys.rep.evaluator.task_manager import ApplicationExecution

# <publication>
PUBLICATION = {
    "path": "/shared/store/publications/eval-0123456789ab",
    "base": "/shared/store/publications/eval-0123456789ab",
    "strategy": "index",
    "gc": "sha256 of cache_gc.py",
    "scripts": {"eval.py": "sha256 of the script"},
    "targets": [
        {
            "folder": "targets/3.12-x86_64-manylinux_2_28",
            "python": "3.12",
            "system": "Linux",
            "machine": "x86_64",
            "libc": ["glibc", 2, 28],
            "locks": {"eval.py": "sha256 of its lock"},
            "uv": ["wheels/uv-0.13.9-....whl", "sha256 of a wheel of uv, or uv is None"],
            "interpreter": ["pythons/cpython-3.12.1-....tar.gz", "sha256 of a Python, or interpreter is None"],
            "archives": {
                "eval.py": ["archives/....tar.gz", "sha256 of a cache or an environment, if that is the strategy"]
            },
        }
    ],
}
# </publication>

# Run a command, leave its exit code in a file, and end it when ended oneself.
SHELL_REPORT = """
"$@" &
child=$!
trap 'kill -TERM $child' TERM INT HUP
wait $child
code=$?
echo $code > "$0"
exit $code
"""
PYTHON_REPORT = """
import subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as status:
    status.write(str(code))
sys.exit(code)
"""
# The oldest uv that this was tried with; older ones do not follow the lock of a script offline.
OLDEST_UV = (0, 6, 14)
SHARED_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "fuse.sshfs", "9p", "afs", "ceph")
# Seconds that a job waits for another one of this node that looks for the same; unpacking a Python takes two.
PATIENCE = 30
A_DAY = 24 * 3600
# Seconds that cleaning the cache may take of a job's time.
GC_TIME = 60
# Bytes of what an archive unpacks to, of a script or a lock, and of what scripts leave; more is an attack on the node.
LARGEST_ARCHIVE = 32 << 30
LARGEST_SCRIPT = 64 << 20
LARGEST_JSON = 256 << 20
# To be raised when what is copied to nodes, beside what was published, changes.
VERSION_OF_COPIES = 1
# Of a digest in a path: enough to tell archives apart, short enough for Windows.
DIGITS = 16
# uv's own settings would change what is installed, except for those that say where things are on this node.
KEPT_UV_SETTINGS = ("UV_CACHE_DIR", "UV_LINK_MODE", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_PREFERENCE")
# What Python 3.12 and newer need to be told, and older ones do not know; the digest vouches for what is in an archive.
EXTRACTION = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}


class OfflineRunError(RuntimeError):
    """What is wrong, and who can fix it."""


def choose_scripts(publication, environment):
    """Return the names of the scripts to run, in turn: the only one, or what BUNDLER_SCRIPT names.

    Several scripts are a JSON list there.
    """
    names = sorted(publication["scripts"])
    wanted = environment.get("BUNDLER_SCRIPT") or (names[0] if len(names) == 1 else None)
    chosen = [wanted]
    if wanted and wanted not in names and wanted.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            chosen = list(map(str, json.loads(wanted)))
    if not chosen or not set(chosen) <= set(names):
        raise OfflineRunError(
            "The publication holds {}. Set BUNDLER_SCRIPT in the environment of the task definition to one of them or "
            "a JSON list of them, or give `bundler rehearse` one as --script (it is {!r}).".format(
                ", ".join(names), wanted
            )
        )
    return chosen


# <facts> the same as in probe.py
MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "x64": "x86_64"}


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


# </facts>


def fitting_targets(publication, facts):
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


def registered_uv(software):
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
        name, version = words.split()[:2]
        version = tuple(int(part) for part in version.split(".")[:3]) if name == "uv" else None
    except (OSError, subprocess.CalledProcessError, ValueError):
        version = None
    if version is None:
        return None, "The registered uv {} does not run on this node; the administrator of HPS fixes that.".format(uv)
    if version < OLDEST_UV:
        return None, "The registered uv is {}; the administrator of HPS updates it to {} or newer.".format(
            ".".join(map(str, version)), ".".join(map(str, OLDEST_UV))
        )
    return uv, None


def installed_python(uv, version, environment):
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


def unpacked(root, archive, kept):
    """Return a folder on this node with the contents of `archive`, (path on the share, SHA-256), unpacked once.

    The bytes are checked on their way from the share, before anything is made of them, and the folder gets its name
    when it is whole: of jobs that come at once one wins, and a node that dies in between leaves nothing that counts.
    """
    path, sha256 = archive
    place = os.path.join(kept, sha256[:DIGITS])
    if not os.path.isdir(place):
        with turn(place, os.path.isdir):
            if not os.path.isdir(place):
                with building(kept, place) as contents:
                    unpack(root, path, sha256, contents)
    return place


@contextlib.contextmanager
def building(kept, place):
    """Yield an empty folder that becomes `place`, in the folder `kept`, when the block ends well."""
    try:
        os.makedirs(kept, exist_ok=True)
        clear_abandoned(kept)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=kept) as scratch:
            contents = os.path.join(scratch, "contents")
            os.mkdir(contents)
            yield contents
            try:
                os.rename(contents, place)
            except OSError:
                if not os.path.isdir(place):  # else another job was faster
                    raise
    except OSError as fault:
        raise OfflineRunError(
            "Cannot write to {} ({}). The user clears space there, or the administrator of HPS sets UV_CACHE_DIR "
            "in the registration of uv to a larger local disk.".format(kept, fault.strerror or fault)
        ) from fault


def unpack(root, path, sha256, contents):
    """Unpack the file `path` of the share into the folder `contents`."""
    copy = os.path.join(os.path.dirname(contents), os.path.basename(path))
    copy_checked(os.path.join(root, *path.split("/")), copy, sha256)
    try:
        if path.endswith(".whl"):
            unpack_uv(copy, contents)
        else:
            with tarfile.open(copy) as tar:
                for member in within_limit(tar):
                    tar.extract(member, contents, **EXTRACTION)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as fault:
        raise OfflineRunError(
            "{} cannot be unpacked, although it is as published ({}). Bundle the script again with another Python or "
            "uv, and publish that.".format(path, fault)
        ) from fault
    finally:
        os.remove(copy)


def within_limit(tar):
    """Yield the members of `tar`; raise `ValueError` for one with which it holds more than any should."""
    total = 0
    for member in tar:
        total += member.size
        if total > LARGEST_ARCHIVE:
            raise ValueError("it holds more than {} GB".format(LARGEST_ARCHIVE >> 30))
        yield member


def unpack_uv(wheel, contents):
    """Take uv out of its wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(("/scripts/uv", "/scripts/uv.exe"))]
        if not names:
            raise ValueError("there is no uv in it")
        for name in names:
            target = os.path.join(contents, os.path.basename(name))
            with archive.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out)
            os.chmod(target, 0o700)


def clear_abandoned(kept):
    """Remove what jobs that were killed left half unpacked, a day ago or more."""
    for name in os.listdir(kept):
        left = os.path.join(kept, name)
        with contextlib.suppress(OSError):
            if name.startswith(".unpacking-") and time.time() - os.stat(left).st_mtime > A_DAY:
                shutil.rmtree(left, ignore_errors=True)


def copy_checked(source, copy, sha256):
    """Copy a file from the share; raise unless it is there and has the digest `sha256`."""
    digest = hashlib.sha256()
    with opened(source, "the file") as share, open(copy, "wb") as out:
        for chunk in iter(lambda: share.read(1 << 20), b""):
            if out.tell() > LARGEST_ARCHIVE:
                raise changed(source, "the file")
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != sha256:
        raise changed(source, "the file")


def tools(publication, root, software, environment, kept):
    """Return target, uv and Python for this node: the site's own where they will do, else those of the publication.

    What was found is remembered beside the cache, so that it is looked for once on a node, and by one job: others that
    come at the same time wait for it a moment.
    """
    # A cache may follow the user from node to node.
    node = (platform.node(), node_facts())
    known = hashlib.sha256(repr((publication, root, software, node)).encode("utf-8", "surrogatepass")).hexdigest()
    memory = os.path.join(kept, "{}.json".format(known))
    folders = {each["folder"] for each in publication["targets"]}

    def remembered_here(path):
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


def identity(program):
    """Return what changes when the file that a path leads to is another one: an upgrade in place, for instance."""
    real = os.path.realpath(program)
    about = os.stat(real)
    return [real, about.st_mtime_ns, about.st_size]


def remembered(memory, folders):
    """Return what a job of this node found for one of `folders`, None where nobody did or it is not the same since."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        found = read_json(memory)
        same = all(found["identities"][name] == identity(found[name]) for name in ("uv", "python"))
        if same and found["folder"] in folders:
            return found
    return None


@contextlib.contextmanager
def turn(place, done):
    """Let one job of this node into the block at once; others enter when `done(place)`, or after a while.

    The lock ends with the process that holds it, however that ends.
    """
    until = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # no place to agree, or no locks there: each does it for itself
            os.makedirs(os.path.dirname(place), exist_ok=True)
            lock = held.enter_context(open("{}.turn".format(place), "a+b"))
            while not lock_now(lock) and not done(place) and time.monotonic() < until:
                time.sleep(0.02)
        yield


def lock_now(lock):
    """Lock the open file `lock` for this process; return whether nobody else holds it."""
    try:
        if fcntl is None:
            lock.seek(0)
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        if fault.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def lacks_locks(folder):
    """Return whether the file system of `folder` has no locks (flock), without which uv does not install there."""
    if fcntl is None:
        return False
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=folder) as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def looked_for(publication, root, software, environment, kept):
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


def own_python(folder):
    """Return the interpreter in an unpacked archive of one, which holds it below `python/`; raise if it does not."""
    names = ("python.exe",) if platform.system() == "Windows" else ("bin", "python3")
    python = os.path.join(folder, "python", *names)
    if not os.path.isfile(python):
        raise OfflineRunError(
            "The Python that the publication carries has no {}. Bundle the script again with another Python, and "
            "publish that.".format("/".join(("python",) + names))
        )
    return python


def loader_path(python, environment):
    """Return the variable that lets an interpreter of the publication find its own libpython, wherever it was built."""
    library = os.path.join(os.path.dirname(os.path.dirname(python)), "lib")
    if not os.path.isdir(library) or not any(name.startswith("libpython") for name in os.listdir(library)):
        return {}
    return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [library, environment.get("LD_LIBRARY_PATH")]))}


def read_json(path):
    """Return what the file `path` holds as JSON; raise `OSError`, `ValueError`, `RecursionError`."""
    with open(path, "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise ValueError("it is no plain file")
        data = source.read(LARGEST_JSON + 1)
    if len(data) > LARGEST_JSON:
        raise ValueError("it is larger than {} MB".format(LARGEST_JSON >> 20))
    return json.loads(data.decode("utf-8"))


def write_whole(path, text):
    """Write a small file so that a reader sees all of it or nothing; a disk that refuses costs only time later."""
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False, encoding="utf-8") as out:
            out.write(text)
        os.replace(out.name, path)


def opened(path, meaning):
    """Open a file of the share for reading; raise with what may be wrong where it cannot be.

    What is no regular file was published by nobody, and might have no end. No pipe is waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as fault:
        raise OfflineRunError(
            "Cannot read {} {} ({}). Is the share mounted on this node, at the same path, and readable for this "
            "user?".format(meaning, path, fault.strerror)
        ) from fault
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise changed(path, meaning)
    return os.fdopen(descriptor, "rb")


def changed(path, meaning):
    """Return the error for a file of the share whose digest is not the published one."""
    return OfflineRunError(
        "{} {} was changed since it was published. Publish the bundle again.".format(meaning.capitalize(), path)
    )


def read_checked(path, sha256, meaning):
    """Return the bytes of a file of the share; raise unless it has the digest `sha256`."""
    with opened(path, meaning) as source:
        data = source.read(LARGEST_SCRIPT)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise changed(path, meaning)
    return data


def cache_folder(environment):
    """Return the uv cache of this node for this user, which jobs share; make it if need be.

    It is UV_CACHE_DIR if that is the user's own, a folder of the user's in it if it is for several users (a cache that
    others may write to could hold anything), else one in the temporary folder.
    """
    user = str(os.getuid()) if hasattr(os, "getuid") else ""
    registered = environment.get("UV_CACHE_DIR")
    folder = registered_cache(registered, user) if registered else None
    if folder is not None and not lacks_locks(folder):
        return folder
    if registered:
        reason = "has no locks (flock), which uv needs" if folder else "cannot be written by this user"
        log.warning(
            "UV_CACHE_DIR %s %s; using a cache in %s. The administrator of HPS sets UV_CACHE_DIR in the registration "
            "of uv to a folder on a local disk that users can write.",
            registered,
            reason,
            tempfile.gettempdir(),
        )
    return private_folder(os.path.join(tempfile.gettempdir(), "bundler-uv-cache{}".format(user and "-" + user)))


def registered_cache(registered, user):
    """Return the cache in the folder `registered` for `user`, None where this user cannot write there."""
    with contextlib.suppress(OSError):
        os.makedirs(registered, exist_ok=True)
    own = os.path.join(registered, "user-{}".format(user))
    if os.access(registered, os.W_OK | os.X_OK):
        return registered if not user or is_private(registered) else private_folder(own)
    return own if user and os.path.isdir(own) and is_private(own) else None


def is_private(folder):
    """Return whether nobody but this user can have written to `folder`."""
    found = os.lstat(folder)
    mine = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    return stat.S_ISDIR(found.st_mode) and mine


def private_folder(folder):
    """Make `folder` for this user alone and return it; raise if somebody else has made it."""
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        private = is_private(folder)
    except OSError as fault:
        raise OfflineRunError(
            "Cannot make the uv cache {} ({}). The administrator of HPS sets UV_CACHE_DIR in the registration of uv "
            "to a folder on a local disk that users can write.".format(folder, fault.strerror)
        ) from fault
    if not private:
        raise OfflineRunError(
            "The uv cache {} belongs to somebody else. Its owner removes it, or the administrator of HPS sets "
            "UV_CACHE_DIR in the registration of uv.".format(folder)
        )
    return folder


def file_system(folder):
    """Return the type of the file system that `folder` lies on, as Linux calls it, "" where nobody can tell."""
    found = ("", "")
    with contextlib.suppress(OSError), open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        real = os.path.realpath(folder)
        for line in mounts:
            point, kind = line.split(" ")[1:3]
            if (real + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(found[0]):
                found = (point, kind)
    return found[1]


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
    elif getattr(sys, "frozen", False):
        environment.pop("LD_LIBRARY_PATH", None)
    environment.update({str(name): str(value) for name, value in given.items()})
    environment = {
        name: value for name, value in environment.items() if not name.startswith("UV_") or name in KEPT_UV_SETTINGS
    }
    if environment.get("UV_LINK_MODE") == "symlink":
        del environment["UV_LINK_MODE"]  # environments would break when uv's cache is cleaned
    environment["UV_CACHE_DIR"] = cache_folder(environment)
    environment.update({"UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"})
    environment.setdefault("PYTHONUNBUFFERED", "1")
    # Packages of the user's own would come before those of a ready environment.
    environment["PYTHONNOUSERSITE"] = "1"
    # Python writes bytecode beside what it imports, and what lies beside a script is to stay as it was published.
    # Where it must not write any, it had better find the bytecode that is there.
    if not environment.get("PYTHONDONTWRITEBYTECODE"):
        environment.setdefault("PYTHONPYCACHEPREFIX", os.path.join(environment["UV_CACHE_DIR"], "bundler", "pycache"))
    # The script lies elsewhere, and may import what came with the job.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.getcwd(), environment.get("PYTHONPATH")]))
    return environment


def arguments(text):
    """Return the arguments in BUNDLER_ARGUMENTS: a JSON list, or words quoted as for a shell."""
    try:
        if text.lstrip().startswith("["):
            return [str(word) for word in json.loads(text)]
        return shlex.split(text)
    except (ValueError, RecursionError) as fault:
        raise OfflineRunError("BUNDLER_ARGUMENTS cannot be taken apart: {} ({}).".format(text, fault)) from fault


def read_output_parameters():
    """Return what the script left in output_parameters.json, nothing if it left none."""
    try:
        parameters = read_json("output_parameters.json")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as fault:
        raise OfflineRunError("The script's output_parameters.json cannot be read: {}.".format(fault)) from fault
    if not isinstance(parameters, dict):
        raise OfflineRunError("The script's output_parameters.json is no object of names and values.")
    return parameters


def command_for(publication, root, name, software, environment):
    """Return the command that runs the script `name` here, and what it needs.

    That is: the environment variables on top of `environment`, and the folders of the cache that must stay.
    """
    kept = os.path.join(environment["UV_CACHE_DIR"], "bundler")
    if publication["strategy"] == "environment":
        target = fitting_targets(publication, node_facts())[0]
        scripts = local_scripts(publication, root, target, kept)
        script = os.path.join(scripts, name)
        place = unpacked(root, target["archives"][name], kept)
        python = own_python(place)
        commands = [os.path.dirname(python), environment.get("PATH", os.defpath)]
        more = dict(loader_path(python, environment), PATH=os.pathsep.join(commands))
        return [python, script], more, [place, scripts]
    target, uv, python = tools(publication, root, software, environment, kept)
    # A filled cache knows its wheels by the place of the publication that it was filled from.
    base = publication["base"] if os.path.isdir(publication["base"]) and root == publication["path"] else root
    scripts = local_scripts(publication, base, target, kept)
    script = os.path.join(scripts, name)
    # uv takes a script's folder for that of its project, and wants no project in its cache.
    command = [uv, "run", "--offline", "--frozen", "--no-config", "--no-index", "--project", "."]
    # As a URL, since uv takes a path for one and a "#" in it for a fragment.
    wheels = pathlib.Path(os.path.abspath(base), "wheels").as_uri()
    command += ["--find-links", wheels, "--python", python, "--script", script]
    more = loader_path(python, environment) if python.startswith(kept) else {}
    holds = [scripts]
    holds += [
        os.path.join(kept, os.path.relpath(tool, kept).split(os.sep)[0])
        for tool in (uv, python)
        if tool.startswith(kept + os.sep)
    ]
    if publication["strategy"] == "cache":
        place = unpacked(root, target["archives"][name], kept)
        more["UV_CACHE_DIR"] = os.path.join(place, "cache")
        holds.append(place)
    return command, more, holds


@contextlib.contextmanager
def in_use(kept):
    """Keep what is in the cache from being removed while the block runs; the lock ends with the process."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            os.makedirs(kept, exist_ok=True)
            # Readable too, since NFS gives shared locks on nothing else.
            lock = held.enter_context(open(os.path.join(kept, "jobs.lock"), "a+b"))
            if fcntl is not None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    log.info("Waiting until the uv cache of this node is cleaned")
                    fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def use_of(kept, command):
    """Return where it is noted for `cache_gc.py` that the script of `command` was run."""
    python = command[command.index("--python") + 1] if "--python" in command else command[0]
    script = command[command.index("--script") + 1] if "--script" in command else command[1]
    # Another Python makes the environment anew.
    known = repr((script, identity(python))).encode("utf-8", "surrogatepass")
    return os.path.join(kept, "{}.use".format(hashlib.sha256(known).hexdigest()[:DIGITS]))


def is_prepared(use):
    """Return whether a job has noted in the file `use` that its script's environment is made, and that is there yet."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        noted = read_json(use)
        return noted["prepared"] is True and all(os.path.isdir(folder) for folder in noted["holds"])
    return False


def prepare(kept, root, command, environment, holds):
    """Make the environment of the script of `command`, and note for `cache_gc.py` what it uses of the cache.

    uv locks it by a file in the temporary folder, which jobs of one node seldom share, and not beside its cache: jobs
    that come at once take apart what others run in. So they take turns, and share a temporary folder for that.
    """
    use = use_of(kept, command)
    with turn(use, is_prepared):
        if is_prepared(use):
            return
        prepared = True
        if "--script" in command:
            script = command[command.index("--script") + 1]
            if lacks_locks(tempfile.gettempdir()):
                log.warning(
                    "The file system of TMPDIR, %s, has no locks (flock), without which older uv fails. "
                    "The administrator of HPS sets TMPDIR to a folder on a local disk.",
                    tempfile.gettempdir(),
                )
            require_plain_wheels("{}.lock".format(script))
            folder = os.path.join(kept, "locks")
            with contextlib.suppress(OSError):
                os.makedirs(folder, exist_ok=True)
            own = dict(environment, TMPDIR=folder, TMP=folder, TEMP=folder)
            # What goes wrong will go wrong again, and be told, when the script is run.
            prepared, _ = quiet([command[0], "sync", "--quiet", *command[2:]], own)
            found, place = quiet([command[0], "python", "find", "--offline", "--no-config", "--script", script], own)
            holds = holds + [os.path.dirname(os.path.dirname(place))] * found
        noted = {"publication": os.path.normpath(root), "holds": holds, "prepared": prepared}
        write_whole(use, json.dumps(noted))
        write_whole(os.path.join(kept, "gc-due"), "")


def require_plain_wheels(lock):
    """Raise for a wheel of the lock, a copy on this node, that is no regular file: uv would read it for ever."""
    with open(lock, encoding="utf-8") as source:
        for wheel in re.findall(r'path = ("(?:[^"\\]|\\.)*")', source.read()):
            path = json.loads(wheel)
            if os.path.exists(path) and not os.path.isfile(path):
                raise changed(path, "the wheel")


def quiet(command, environment):
    """Run `command`; return whether that went well, and what it wrote to its standard output."""
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return False, ""
    return done.returncode == 0, os.fsdecode(done.stdout).strip()


def is_idle(kept):
    """Return whether no job of this user runs on this node; not where nobody can tell."""
    if fcntl is None:
        return False
    try:
        with open(os.path.join(kept, "jobs.lock"), "a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def collect_garbage(publication, root, python, environment):
    """Remove from the cache what no publication needs, after something new came into it and while no job runs.

    Not where no lock tells whether jobs run: on Windows, and on file systems that several nodes share.
    """
    cache = environment["UV_CACHE_DIR"]
    kept = os.path.join(cache, "bundler")
    due = os.path.exists(os.path.join(kept, "gc-due"))
    if due and is_idle(kept) and file_system(cache) not in SHARED_FILE_SYSTEMS:
        collector = os.path.join(root, "cache_gc.py")
        try:
            environment = dict(environment, **loader_path(python, environment))
            with tempfile.TemporaryDirectory(prefix="bundler-gc-") as folder:
                copy = os.path.join(folder, "cache_gc.py")
                copy_checked(collector, copy, publication["gc"])
                limit = list(filter(None, [environment.get("BUNDLER_CACHE_LIMIT")]))
                subprocess.run([python, "-I", copy, cache, *limit], env=environment, check=False, timeout=GC_TIME)
        except (OSError, OfflineRunError, subprocess.TimeoutExpired) as fault:
            log.warning("The cache was not cleaned: %s", fault)


def local_scripts(publication, root, target, kept):
    """Return a folder on this node with the scripts and the locks of `target`, just as published, and nothing else.

    Python imports what lies beside a script. The locks lead to the wheels on the share, wherever that is mounted.
    """
    folder = os.path.join(root, *target["folder"].split("/"))
    known = (os.path.abspath(folder), publication["scripts"], target["locks"], VERSION_OF_COPIES)
    digest = hashlib.sha256(repr(known).encode("utf-8", "surrogatepass")).hexdigest()
    place = os.path.join(kept, digest[:DIGITS])
    if not os.path.isdir(place):
        with building(kept, place) as contents:
            for name in sorted(publication["scripts"]):
                script = os.path.join(folder, name)
                data = read_checked(script, publication["scripts"][name], "the script")
                lock = read_checked(script + ".lock", target["locks"][name], "the lock")
                for copy, text in ((name, data), (name + ".lock", with_places(lock, root, folder))):
                    with open(os.path.join(contents, copy), "wb") as out:
                        out.write(text)
    return place


def with_places(lock, root, folder):
    """Return a lock of uv with the paths in it, which start from its place on the share, made absolute."""
    text = lock.decode("utf-8")
    places = {
        'path = "../../../wheels/': os.path.join(os.path.abspath(root), "wheels", ""),
        'registry = "simple': os.path.join(os.path.abspath(folder), "simple"),
    }
    for begin, place in places.items():
        key = begin.partition('"')[0]
        text = text.replace(begin, '{}"{}'.format(key, json.dumps(place.replace(os.sep, "/"))[1:-1]))
    return text.encode("utf-8")


def reporting(command, status):
    """Return `command` wrapped so that its exit code is left in the file `status`.

    Nobody outside of HPS can know how an evaluator tells that a command failed, or whether it does.
    """
    if os.name != "nt":
        return ["/bin/sh", "-c", SHELL_REPORT, status, *command]
    python = command[command.index("--python") + 1] if "--python" in command else command[0]
    return [python, "-I", "-S", "-c", PYTHON_REPORT, status, *command]


def run(run_and_capture_output, command, environment):
    """Run `command`, its output going to the task's console output; raise if it failed."""
    with tempfile.TemporaryDirectory(prefix="bundler-status-") as folder:
        status = os.path.join(folder, "status")
        fault = None
        try:
            run_and_capture_output(reporting(command, status), shell=False, env=environment)
        except Exception as raised:
            fault = raised
        try:
            with open(status, encoding="ascii") as source:
                code = source.read().strip()
        except OSError:
            code = "none"
    if code != "0":
        raise OfflineRunError(
            "The script failed (exit code {}). The console output above says why.".format(code)
        ) from fault


class PublishedScript(ApplicationExecution):
    """The published script as an HPS task."""

    def execute(self):
        """Run the script, or several in turn; raise `OfflineRunError` when one cannot be run or fails."""
        given = dict(self.context.environment or {})
        told = dict(os.environ, **given)
        root = told.get("BUNDLER_PUBLICATION") or PUBLICATION["path"]
        names = choose_scripts(PUBLICATION, told)
        more_arguments = arguments(told.get("BUNDLER_ARGUMENTS", ""))
        environment = run_environment(os.environ, given)
        # Older servers call it applications.
        software = getattr(self.context, "software", None) or getattr(self.context, "applications", None) or []
        if self.context.parameter_values is None:
            self.context.parameter_values = {}
        kept = os.path.join(environment["UV_CACHE_DIR"], "bundler")
        python = None
        try:
            with in_use(kept):
                for name in names:
                    command, more, holds = command_for(PUBLICATION, root, name, software, environment)
                    python = command[command.index("--python") + 1] if "--python" in command else command[0]
                    settings = dict(environment, **more)
                    prepare(kept, root, command, settings, holds)
                    try:
                        self.run_script(command + more_arguments, settings)
                    finally:
                        with contextlib.suppress(OSError):
                            os.utime(use_of(kept, command))
        finally:
            # Also after a failure, which may have been for want of space.
            if python is not None:
                collect_garbage(PUBLICATION, root, python, environment)

    def run_script(self, command, environment):
        """Run one command with the parameters of the job, and take back what it leaves in output_parameters.json."""
        with open("input_parameters.json", "w", encoding="utf-8") as out:
            json.dump(dict(self.context.parameter_values), out, default=str)
        if os.path.exists("output_parameters.json"):
            os.remove("output_parameters.json")  # of an earlier trial in this folder

        log.info("Running %s", command)
        try:
            run(self.run_and_capture_output, command, environment)
        except OfflineRunError:
            with contextlib.suppress(OfflineRunError):  # the failed run is the news, not what it left behind
                self.context.parameter_values.update(read_output_parameters())
            raise
        self.context.parameter_values.update(read_output_parameters())
