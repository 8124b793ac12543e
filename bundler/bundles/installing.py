"""Install a script's environment for people: verified, relocatable, and without uv."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files as resources
from pathlib import Path

from bundler.bundle_folder import Bundle
from bundler.bundles import jupyter
from bundler.bundles.trees import install_with_own_python, wheels_for
from bundler.bundles.verify import verify
from bundler.errors import BundlerError
from bundler.layout import MANIFEST
from bundler.manifest import TargetEntry
from bundler.node.description import Fit
from bundler.node.facts import misfit, node_facts
from bundler.path_kinds import is_inside
from wheelhouse import atomic, environment, files, process
from wheelhouse.errors import FileError
from wheelhouse.python_request import PythonRequest, parse_python_request
from wheelhouse.target import PLATFORMS

# In an environment: from which bundle it is.
_RECORD = "bundler.json"
# Tells the version, implementation and kind of a Python.
_ASK = (
    "import json, platform, sysconfig; print(json.dumps([platform.python_version(), "
    "platform.python_implementation().lower(), bool(sysconfig.get_config_var('Py_GIL_DISABLED'))]))"
)
_ASK_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Python:
    """A Python on this machine, with its full version."""

    path: str
    version: str


def install(
    folder: Path, place: Path, script: str | None, *, update: bool, for_jupyter: bool = False
) -> bool:
    """Install the environment of `script` in the bundle or publication `folder` to `place`; False if it is there.

    With `update`, an environment at `place` is replaced atomically; `for_jupyter` requires that it can be a kernel of
    Jupyter. Raises `BundlerError`, `ArchiveError`, `WheelError`, `FileError`.
    """
    if is_inside(place.absolute()):
        raise BundlerError(
            f"{place} is inside of a bundle, publication or store", hint="choose a folder elsewhere"
        )
    bundle = verify(folder)
    name = _script(bundle, script)
    if for_jupyter:
        jupyter.require_kernel(bundle, name, interpreter(place.absolute()))
    record = {"manifest": files.sha256(folder / MANIFEST), "script": name}
    if _is_current(place, record, update=update):
        return False
    target, python = _target_here(bundle)
    with atomic.building(place) as fresh:
        if python is None:
            _install_own(bundle, name, target, fresh)
        else:
            _install_into_venv(bundle, name, target, python, fresh)
        _write_activation(fresh)
        atomic.write(fresh / _RECORD, json.dumps(record).encode() + b"\n")
    return True


def _script(bundle: Bundle, name: str | None) -> str:
    """Return the script whose environment is wanted. Raises `BundlerError` if none has that name, or without a name."""
    names = [script.name for script in bundle.manifest.scripts]
    if name in names:
        return name
    if name is None and len(names) == 1:
        return names[0]
    problem = f"has no script {name}" if name else "has several scripts"
    raise BundlerError(
        f"{bundle.folder} {problem}", hint=f"use --script with one of {', '.join(names)}"
    )


def _is_current(place: Path, record: dict[str, str], *, update: bool) -> bool:
    """Return whether `place` is the environment of `record`. Raises `BundlerError` if something else is there."""
    if not os.path.lexists(place):
        return False
    try:
        existing = json.loads(files.read_plain(place / _RECORD, files.LARGEST_INPUT))
    except (ValueError, RecursionError, FileError) as error:
        if place.is_dir() and not any(place.iterdir()):
            return False
        raise BundlerError(
            f"{place} exists and is not an environment of this tool", hint="choose another folder"
        ) from error
    if existing == record:
        return True
    if not update:
        raise BundlerError(
            f"{place} is an environment of another bundle", hint="use --update to replace it"
        )
    return False


def _target_here(bundle: Bundle) -> tuple[TargetEntry, _Python | None]:
    """Return the best target for this machine, with the Python of this machine unless the bundle includes one.

    Raises `BundlerError` if no target fits, or there is no Python for one that does.
    """
    facts = node_facts()
    fitting = []
    reasons = []
    for target in bundle.manifest.targets:
        fit: Fit = {"system": target.system, "machine": target.machine, "libc": target.libc}
        reason = misfit(fit, facts)
        if reason:
            reasons.append(f"{target.name} {reason}")
        else:
            fitting.append(target)
    for target in fitting:
        if target.interpreter:
            return target, None
        for python in _pythons_for(parse_python_request(target.python)):
            return target, python
    if not fitting:
        raise BundlerError(
            f"no target of {bundle.folder} runs on this machine",
            facts=reasons,
            hint="bundle again with the --platform of this machine",
        )
    wanted = " or ".join(dict.fromkeys(target.python for target in fitting))
    raise BundlerError(
        f"there is no Python {wanted} on this machine, and the bundle includes none",
        hint="install one, or bundle again with --include-python",
    )


def _pythons_for(request: PythonRequest) -> Iterator[_Python]:
    """Yield the Pythons on PATH that satisfy `request`, and the one that runs this, the most specific name first."""
    suffix = "t" if request.free_threaded else ""
    name = "pypy" if request.implementation == "pypy" else "python"
    places = [
        shutil.which(f"{name}{request.minor}{suffix}"),
        shutil.which(f"{name}3"),
        sys.executable,
    ]
    for place in dict.fromkeys(filter(None, places)):
        code, out, _ = process.run([place, "-I", "-c", _ASK])
        if code:
            continue
        version, implementation, is_threaded = json.loads(out)
        matches = f"{version}.".startswith(f"{request.version}.")
        is_same = (implementation, is_threaded) == (request.implementation, request.free_threaded)
        if matches and is_same:
            yield _Python(path=place, version=version)


def _install_own(bundle: Bundle, script: str, target: TargetEntry, folder: Path) -> None:
    """Install the Python that the bundle includes, with the wheels of `script`, to the empty `folder`."""
    scratch = folder / ".unpacking"
    scratch.mkdir()
    place = bundle.manifest.folder(target, script)
    tree = install_with_own_python(bundle.folder, script, target, place, scratch)
    for path in list(tree.iterdir()):
        path.rename(folder / path.name)
    shutil.rmtree(scratch)
    short = folder / "bin" / "python"
    if os.name != "nt" and not os.path.lexists(short):
        short.symlink_to("python3")


def _install_into_venv(
    bundle: Bundle, script: str, target: TargetEntry, python: _Python, folder: Path
) -> None:
    """Make a virtual environment of `python` in the empty `folder`, and install the wheels of `script`."""
    _run([python.path, "-I", "-m", "venv", "--without-pip", str(folder)])
    settings = folder / "pyvenv.cfg"
    lines = settings.read_text(encoding="utf-8").splitlines()
    # It contains the path where the environment was made, which nothing needs.
    kept = [line for line in lines if not line.startswith("command")]
    settings.write_text("\n".join(kept) + "\n", encoding="utf-8")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    for path in programs.iterdir():
        if path.name.lower().startswith(("activate", "deactivate")):
            path.unlink()
    own = programs / ("python.exe" if os.name == "nt" else "python")
    packages = Path(_run([str(own), "-I", "-c", _ASK_PACKAGES]).strip())
    request = replace(parse_python_request(target.python), version=python.version)
    place = bundle.manifest.folder(target, script)
    wheels = wheels_for(bundle.folder, script, target, place, str(request))
    environment.install(folder, packages, wheels, PLATFORMS[target.platform], is_virtual=True)


def _run(command: list[str]) -> str:
    """Return what `command` prints. Raises `BundlerError` if it fails."""
    code, out, err = process.run(command)
    if code:
        lines = (err or out).strip().splitlines()
        raise BundlerError(f"{command[0]} could not make a virtual environment", facts=lines[-5:])
    return out


def _write_activation(folder: Path) -> None:
    """Write the files that activate the environment in the usual shells; they find out where they are."""
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    programs.mkdir(exist_ok=True)
    for source in resources("bundler").joinpath("templates/activate").iterdir():
        is_for_windows = source.name.endswith(".bat")
        if is_for_windows and os.name != "nt":
            continue
        (programs / source.name).write_bytes(source.read_bytes())


def interpreter(place: Path) -> Path:
    """Return the Python of the environment `place`."""
    if os.name != "nt":
        return place / "bin" / "python3"
    own = place / "python.exe"
    return own if own.is_file() else place / "Scripts" / "python.exe"
