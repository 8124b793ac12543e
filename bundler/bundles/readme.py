"""The README.txt of a bundle or publication: what it is, and how to use it without this tool."""

from __future__ import annotations

import shlex

from bundler.manifest import Manifest, TargetEntry
from wheelhouse.python_request import parse_python_request
from wheelhouse.wheel import parse_filename

_BUNDLE = """\
Bundle {name}

{scripts}
This folder contains every wheel that these scripts need on the targets below, each with its SHA-256 digest.
`bundler publish-index STORE` copies it to shared storage and adds an execution script for HPS.

"""
_PUBLICATION = """\
Publication {name}

{scripts}
This folder is a published bundle: every wheel that these scripts need on the targets below, each with its SHA-256
digest. It is never changed. `exec_script.py` is the execution script of HPS jobs. It compares every file with its
digest, runs each script in an environment of its own, and writes nothing to this folder. `submit-jobs` submits jobs.
If this folder is deleted, its jobs no longer run.

`run.py` does the same by hand, on any machine that matches a target (`run.sh` where there is no Python):

    python3 run.py --help

"""
_TEXT = """\
Targets (Python and platform; manylinux_2_28 means glibc 2.28 or newer):

{targets}
Verify the files (the first command does not notice files that were added; the second one does):

    sha256sum -c SHA256SUMS
    bundler verify .

To run the scripts without bundler, use a machine that matches a target; it needs no network. Work in a folder of your
own: scripts write to the current folder, and additional files in this folder would count as damage. Start in this
folder (these lines are for the first target):

    here=$PWD
    target=$here/{folder}
    export PYTHONDONTWRITEBYTECODE=1
    mkdir -p ~/work && cd ~/work

With uv 0.6.14 or newer, exactly as bundled, with every digest checked:

{uv_lines}
{carried}Or with pip, in a virtual environment of your own:

    {executable} -m venv env
{pip_lines}"""
_UV = 'uv run --offline --frozen --no-index --find-links "$here/wheels" --python {python} --script "$target"/{script}'
_CARRIED_UV = """\
This bundle includes uv for this target. Unpack it first:

    unzip -j "$here"/{uv} '*/scripts/uv*' -d . && chmod +x uv && PATH=$PWD:$PATH

"""
_CARRIED_PYTHON = """\
This bundle includes Python for this target. Unpack it, and pass it to uv as --python python/bin/python3:

    tar -xf "$here"/{python}

"""


def readme(manifest: Manifest, *, published: bool = False) -> bytes:
    """Return README.txt for the bundle of `manifest` (whose `files` may be incomplete), or for its publication."""
    # The first target of Linux, or the first one.
    target = min(manifest.targets, key=lambda target: target.system != "Linux")
    request = str(parse_python_request(target.python).series)
    scripts = uv_lines = pip_lines = ""
    for entry in manifest.scripts:
        # Relative to the folder of the target.
        place = f"{manifest.folder(target, entry.name)}/".removeprefix(f"{target.folder()}/")
        scripts += f"    {entry.name}\n"
        uv_lines += (
            f"    {_UV.format(python=request, script=shlex.quote(f'{place}{entry.name}'))}\n"
        )
        pip_lines += _pip_lines(target, entry.name, place)
    text = (_PUBLICATION if published else _BUNDLE).format(name=manifest.name, scripts=scripts)
    text += _TEXT.format(
        targets="".join(f"    {entry.folder()}\n" for entry in manifest.targets),
        folder=target.folder(),
        uv_lines=uv_lines,
        carried=_carried(target),
        executable=request if request.startswith("pypy") else f"python{request}",
        pip_lines=pip_lines,
    )
    return text.encode()


def _carried(target: TargetEntry) -> str:
    text = ""
    if target.uv:
        text += _CARRIED_UV.format(uv=shlex.quote(target.uv))
    if target.interpreter:
        text += _CARRIED_PYTHON.format(python=shlex.quote(target.interpreter))
    return text


def _pip_lines(target: TargetEntry, script: str, place: str) -> str:
    requirements = ""
    for filename in target.wheels[script]:
        project, version = parse_filename(filename)
        requirements += f" {project}=={version}"
    lines = ""
    if requirements:
        index = f'"file://$target"/{shlex.quote(f"{place}simple")}'
        lines += f"    env/bin/python -m pip install --no-deps --index-url {index}{requirements}\n"
    return lines + f'    env/bin/python "$target"/{shlex.quote(f"{place}{script}")}\n'
