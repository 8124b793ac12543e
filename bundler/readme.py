"""README.txt of a bundle: how to use it without this tool."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from wheelhouse.runtime import parse_runtime

if TYPE_CHECKING:
    from bundler.manifest import Manifest

_TEXT = """\
{title}

{scripts}
Every wheel that these scripts need on the targets below, each with its SHA-256. `bundler publish-index DEST` puts
this folder onto shared storage and writes an execution script for HPS. Without bundler, in this folder:

Check that everything arrived:

    sha256sum -c SHA256SUMS

Targets (Python and platform; manylinux_2_28 means glibc 2.28 or newer):

{targets}
Run a script with uv 0.6.14 or newer, without network, exactly as it was bundled and with every hash checked (here and
below for {folder}):

    (cd {folder} &&
     uv run --offline --frozen --no-index --find-links ../../wheels --python {python} --script {script})

The same with pip, in an environment of your own:

    {executable} -m venv /tmp/env
{pip}    /tmp/env/bin/python {path}
"""


def readme(manifest: Manifest) -> bytes:
    """Return README.txt for `manifest` (whose `files` may be incomplete), its first script and target as example."""
    script = manifest.scripts[0]
    target = next((target for target in manifest.targets if target.system == "Linux"), manifest.targets[0])
    runtime = str(parse_runtime(target.python).series)
    wheels = [parse_wheel_filename(name)[:2] for name in target.wheels[script.name]]
    requirements = " ".join(f"{name}=={version}" for name, version in wheels)
    index = f'--index-url "file://$PWD/{target.folder()}/simple"'
    return _TEXT.format(
        title=f"Bundle {manifest.name}",
        scripts="".join(f"    {entry.name}\n" for entry in manifest.scripts),
        targets="".join(f"    {entry.folder()}\n" for entry in manifest.targets),
        folder=target.folder(),
        python=runtime,
        executable=runtime if runtime.startswith("pypy") else f"python{runtime}",
        script=shlex.quote(script.name),
        path=shlex.quote(f"{target.folder()}/{script.name}"),
        pip=f"    /tmp/env/bin/python -m pip install --no-deps {index} {requirements}\n" if requirements else "",
    ).encode()
