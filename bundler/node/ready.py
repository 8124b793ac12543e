"""Make everything ready for a script that is run without HPS."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

from bundler.node.cleaning import collect_garbage
from bundler.node.command import command_for
from bundler.node.errors import OfflineRunError
from bundler.node.locks import in_use
from bundler.node.preparing import prepare, prepared_python, use_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.node.command import Command
    from bundler.node.description import Publication


def publication_folder(publication: Publication) -> str:
    """Return the folder of `publication`: that of this program, or for a copy elsewhere the published path."""
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    given = os.environ.get("BUNDLER_PUBLICATION")
    if given:
        return given
    return folder if os.path.isfile(os.path.join(folder, "manifest.json")) else publication["path"]


def ready_command(
    publication: Publication, root: str, name: str, environment: Mapping[str, str], state: str
) -> tuple[Command, str]:
    """Return the command for the script `name` and the Python of its environment, which is made if necessary.

    The cache is cleaned before the script runs, since this process becomes the script.
    """
    while True:
        with in_use(state):
            software = software_here(publication)
            command = command_for(publication, root, name, software, environment)
            prepare(state, root, command)
            python = prepared_python(state, command)
            with contextlib.suppress(OSError):
                os.utime(use_of(state, command))
        collect_garbage(publication, root, command.python, environment)
        if os.path.isfile(python):
            return command, python


def software_here(publication: Publication) -> list[dict[str, str]]:
    """Return the uv on PATH as HPS would describe it. Raises `OfflineRunError` if one is needed and there is none."""
    uv = shutil.which("uv")
    if uv:
        return [{"name": "uv", "executable": uv}]
    needs_uv = publication["strategy"] != "environment"
    if needs_uv and not any(target["uv"] for target in publication["targets"]):
        raise OfflineRunError(
            "there is no uv on PATH, and the publication includes none",
            "install uv here, or bundle the script with --include-uv",
        )
    return []


def settings_for(command: Command, python: str) -> dict[str, str]:
    """Return the environment variables in which a script finds the programs of its environment first."""
    settings = dict(command.settings)
    if command.launcher is not None:
        commands = [os.path.dirname(python), settings.get("PATH", os.defpath)]
        settings["PATH"] = os.pathsep.join(commands)
        settings["VIRTUAL_ENV"] = os.path.dirname(os.path.dirname(python))
    return settings
