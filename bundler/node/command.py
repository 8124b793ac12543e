"""The command that runs a script."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, NamedTuple

from bundler.node.facts import node_facts
from bundler.node.scripts import local_script
from bundler.node.share import without_prefix
from bundler.node.tools import fitting_targets, loader_path, own_python, tools
from bundler.node.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bundler.node.description import Publication


class Command(NamedTuple):
    """A command that runs a script on this node.

    `starter` are the program and the arguments that come before the path of the `script`; alone, they print the path of
    the Python that runs it. `settings` are the environment variables, `holds` the folders of the cache that it uses.
    `launcher` is the file with the lock of the environment, or None if the environment is ready-made.
    """

    starter: list[str]
    settings: dict[str, str]
    holds: list[str]
    python: str
    script: str
    launcher: str | None


def command_for(
    publication: Publication,
    root: str,
    name: str,
    software: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
) -> Command:
    """Return the command that runs the script `name` on this node, based on the environment variables `environment`."""
    if publication["strategy"] == "environment":
        return _command_without_uv(publication, root, name, environment)
    return _command_with_uv(publication, root, name, software, environment)


def _command_without_uv(
    publication: Publication, root: str, name: str, environment: Mapping[str, str]
) -> Command:
    """Return the command for a publication with ready-made environments."""
    state = os.path.join(environment["UV_CACHE_DIR"], "bundler")
    target = fitting_targets(publication, node_facts())[0]
    place = unpacked(root, target["archives"][name], state)
    python = own_python(place)
    local = local_script(publication, root, target, name, python, state)
    commands = [os.path.dirname(python), environment.get("PATH", os.defpath)]
    more = dict(loader_path(python, environment), PATH=os.pathsep.join(commands))
    return Command(
        [python, local.launcher],
        dict(environment, **more),
        [place, local.folder],
        python,
        local.script,
        None,
    )


def _command_with_uv(
    publication: Publication,
    root: str,
    name: str,
    software: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
) -> Command:
    """Return the command for a publication whose environments uv creates, from a filled cache if there is one."""
    state = os.path.join(environment["UV_CACHE_DIR"], "bundler")
    target, uv, python = tools(publication, root, software, environment, state)
    # A filled cache refers to wheels by the path of the publication from which it was filled.
    base = without_prefix(publication["base"])
    if root != without_prefix(publication["path"]) or not os.path.isdir(base):
        base = root
    local = local_script(publication, base, target, name, python, state)
    # uv treats the folder of a script as its project, and refuses a project inside its cache.
    starter = [uv, "run", "--offline", "--frozen", "--no-config", "--no-index", "--project", "."]
    # As a URL, since uv parses a path as one and would treat "#" in it as a fragment.
    wheels = pathlib.Path(os.path.abspath(base), "wheels").as_uri()
    starter += ["--find-links", wheels, "--python", python, "--script", local.launcher]
    more = loader_path(python, environment) if python.startswith(state) else {}
    holds = [local.folder]
    holds += [
        os.path.join(state, os.path.relpath(tool, state).split(os.sep)[0])
        for tool in (uv, python)
        if tool.startswith(state + os.sep)
    ]
    archive = target["archives"].get(name)
    if archive:
        place = unpacked(root, archive, state)
        more["UV_CACHE_DIR"] = os.path.join(place, "cache")
        holds.append(place)
    return Command(starter, dict(environment, **more), holds, python, local.script, local.launcher)
