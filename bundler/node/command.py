"""The command that runs a script."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, NamedTuple

from bundler.node.facts import node_facts
from bundler.node.scripts import local_scripts
from bundler.node.tools import fitting_targets, loader_path, own_python, tools
from bundler.node.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bundler.node.description import Publication


class Command(NamedTuple):
    """How a script runs on this node.

    `words` are the program and its arguments, `settings` the environment variables for it, `holds` the folders of the
    cache that must stay for it. `uv` makes the environment first, or is None where that is ready.
    """

    words: list[str]
    settings: dict[str, str]
    holds: list[str]
    python: str
    script: str
    uv: str | None


def command_for(
    publication: Publication,
    root: str,
    name: str,
    software: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
) -> Command:
    """Return the command that runs the script `name` here, in `environment` and what it needs on top."""
    if publication["strategy"] == "environment":
        return command_without_uv(publication, root, name, environment)
    return command_with_uv(publication, root, name, software, environment)


def command_without_uv(publication: Publication, root: str, name: str, environment: Mapping[str, str]) -> Command:
    """Return the command for a publication whose archives hold a Python with everything installed."""
    kept = os.path.join(environment["UV_CACHE_DIR"], "bundler")
    target = fitting_targets(publication, node_facts())[0]
    scripts = local_scripts(publication, root, target, kept)
    script = os.path.join(scripts, name)
    place = unpacked(root, target["archives"][name], kept)
    python = own_python(place)
    commands = [os.path.dirname(python), environment.get("PATH", os.defpath)]
    more = dict(loader_path(python, environment), PATH=os.pathsep.join(commands))
    return Command([python, script], dict(environment, **more), [place, scripts], python, script, None)


def command_with_uv(
    publication: Publication,
    root: str,
    name: str,
    software: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str],
) -> Command:
    """Return the command for a publication whose environments uv makes, with a filled cache where there is one."""
    kept = os.path.join(environment["UV_CACHE_DIR"], "bundler")
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
    archive = target["archives"].get(name)
    if archive:
        place = unpacked(root, archive, kept)
        more["UV_CACHE_DIR"] = os.path.join(place, "cache")
        holds.append(place)
    return Command(command, dict(environment, **more), holds, python, script, uv)
