"""The environment variables, arguments and output parameters of a script."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import TYPE_CHECKING

from bundler.node.cache import cache_folder, read_json
from bundler.node.errors import OfflineRunError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# uv's settings could change what is installed, except for those about paths on this node.
KEPT_UV_SETTINGS = ("UV_CACHE_DIR", "UV_LINK_MODE", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_PREFERENCE")


def run_environment(
    inherited: Mapping[str, str], given: Mapping[str, Any], modules: str
) -> dict[str, str]:
    """Return the environment variables for uv: `inherited` from the evaluator, then `given` by the task.

    Variables that could make uv or Python use other packages than the published ones are removed. The script is in
    another folder than the input files of its job; it can import them from the folder `modules` ("" for none).
    """
    environment = _inherited_variables(inherited)
    environment.update({str(name): str(value) for name, value in given.items()})
    for name in list(environment):
        if name.startswith("UV_") and name not in KEPT_UV_SETTINGS:
            del environment[name]
    if environment.get("UV_LINK_MODE") == "symlink":
        del environment["UV_LINK_MODE"]  # Environments would break when uv's cache is cleaned.
    environment["UV_CACHE_DIR"] = cache_folder(environment)
    environment.update({"UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"})
    environment.setdefault("PYTHONUNBUFFERED", "1")
    # Packages in the user's home would precede those of a ready-made environment.
    environment["PYTHONNOUSERSITE"] = "1"
    # Python would write bytecode next to the script, whose folder must not change. If it must not write bytecode, it
    # should at least find the existing one.
    if not environment.get("PYTHONDONTWRITEBYTECODE"):
        environment.setdefault(
            "PYTHONPYCACHEPREFIX", os.path.join(environment["UV_CACHE_DIR"], "bundler", "pycache")
        )
    paths = [path for path in (modules, environment.pop("PYTHONPATH", "")) if path]
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def _inherited_variables(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an evaluator without the ones for its own Python."""
    environment = dict(inherited)
    for name in ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    # A frozen evaluator sets the loader path to its own libraries and keeps the original value under this name.
    if "LD_LIBRARY_PATH_ORIG" in environment:
        environment["LD_LIBRARY_PATH"] = environment.pop("LD_LIBRARY_PATH_ORIG")
    elif getattr(sys, "frozen", False):
        environment.pop("LD_LIBRARY_PATH", None)
    return environment


def arguments(text: str) -> list[str]:
    """Return the arguments in BUNDLER_ARGUMENTS: a JSON list, or words quoted as for a shell."""
    try:
        if text.lstrip().startswith("["):
            return [str(word) for word in json.loads(text)]
        return shlex.split(text)
    except (ValueError, RecursionError) as error:
        raise OfflineRunError(
            "BUNDLER_ARGUMENTS cannot be parsed: {} ({})".format(text, error),
            "write it as a JSON list, or quote it as for a shell",
        ) from error


def read_output_parameters() -> dict[str, Any]:
    """Return the contents of output_parameters.json, or nothing if the script did not write it."""
    try:
        parameters = read_json("output_parameters.json")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise OfflineRunError(
            "output_parameters.json cannot be read: {}".format(error),
            "ask the author of the script to write one JSON object with names and values",
        ) from error
    if not isinstance(parameters, dict):
        raise OfflineRunError(
            "output_parameters.json is not a JSON object",
            "ask the author of the script to write one JSON object with names and values",
        )
    return parameters
