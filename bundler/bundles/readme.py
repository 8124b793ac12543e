"""README.txt of a bundle and of a publication: what it is, and how to use it without this tool."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from wheelhouse.python_request import parse_python_request

if TYPE_CHECKING:
    from bundler.manifest import Manifest, TargetEntry

_BUNDLE = """\
Bundle {name}

{scripts}
Every wheel that these scripts need on the targets below, each with its SHA-256. `bundler publish-index STORE` puts
this folder onto shared storage and writes an execution script for HPS.

"""
_PUBLICATION = """\
Publication {name}

{scripts}
A published bundle: every wheel that these scripts need on the targets below, each with its SHA-256. It never changes;
publishing another bundle makes another folder. `exec_script.py` is the execution script of HPS jobs: they check every
file that they use by its digest, run the scripts in environments of their own, and write nothing here. `submit-jobs`
submits them. If this folder is removed, its jobs no longer run.

"""
_TEXT = """\
Targets (Python and platform; manylinux_2_28 means glibc 2.28 or newer):

{targets}
Check the files (the first command does not notice files that were added; the second one does):

    sha256sum -c SHA256SUMS
    bundler verify .

Run the scripts without bundler, on a machine that fits a target and has no network. Work in a folder of your own, since
scripts write where they run, and a file more in here would look like damage. In this folder, for the first target:

    here=$PWD
    target=$here/{folder}
    export PYTHONDONTWRITEBYTECODE=1
    mkdir -p ~/work && cd ~/work

with uv 0.6.14 or newer, exactly as bundled and with every hash checked:

{uv_lines}
{carried}or with pip, in an environment of your own:

    {executable} -m venv env
{pip_lines}"""
_UV = 'uv run --offline --frozen --no-index --find-links "$here/wheels" --python {python} --script "$target"/{script}'
_CARRIED_UV = """\
A uv for this target is in {uv}:

    unzip -j "$here"/{uv} '*/scripts/uv*' -d . && chmod +x uv && PATH=$PWD:$PATH

"""
_CARRIED_PYTHON = """\
A Python for this target is in {python}; give it to uv as --python python/bin/python3:

    tar -xf "$here"/{python}

"""


def readme(manifest: Manifest, *, published: bool = False) -> bytes:
    """Return README.txt for the bundle of `manifest` (whose `files` may be incomplete), or for its publication."""
    target = next((target for target in manifest.targets if target.system == "Linux"), manifest.targets[0])
    request = str(parse_python_request(target.python).series)
    scripts = "".join(f"    {entry.name}\n" for entry in manifest.scripts)
    text = (_PUBLICATION if published else _BUNDLE).format(name=manifest.name, scripts=scripts)
    text += _TEXT.format(
        targets="".join(f"    {entry.folder()}\n" for entry in manifest.targets),
        folder=target.folder(),
        uv_lines="".join(
            f"    {_UV.format(python=request, script=shlex.quote(entry.name))}\n" for entry in manifest.scripts
        ),
        carried=_carried(target),
        executable=request if request.startswith("pypy") else f"python{request}",
        pip_lines="".join(_pip_lines(target, entry.name) for entry in manifest.scripts),
    )
    return text.encode()


def _carried(target: TargetEntry) -> str:
    uv = _CARRIED_UV.format(uv=shlex.quote(target.uv)) if target.uv else ""
    python = _CARRIED_PYTHON.format(python=shlex.quote(target.interpreter)) if target.interpreter else ""
    return uv + python


def _pip_lines(target: TargetEntry, script: str) -> str:
    wheels = [parse_wheel_filename(name)[:2] for name in target.wheels[script]]
    requirements = " ".join(f"{name}=={version}" for name, version in wheels)
    install = f'    env/bin/python -m pip install --no-deps --index-url "file://$target/simple" {requirements}\n'
    return (install if wheels else "") + f'    env/bin/python "$target"/{shlex.quote(script)}\n'
