"""What a task gives to its script, and takes back."""

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

# uv's own settings would change what is installed, except for those that say where things are on this node.
KEPT_UV_SETTINGS = ("UV_CACHE_DIR", "UV_LINK_MODE", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_PREFERENCE")


def run_environment(inherited: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, str]:
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


def arguments(text: str) -> list[str]:
    """Return the arguments in BUNDLER_ARGUMENTS: a JSON list, or words quoted as for a shell."""
    try:
        if text.lstrip().startswith("["):
            return [str(word) for word in json.loads(text)]
        return shlex.split(text)
    except (ValueError, RecursionError) as fault:
        raise OfflineRunError("BUNDLER_ARGUMENTS cannot be taken apart: {} ({}).".format(text, fault)) from fault


def read_output_parameters() -> dict[str, Any]:
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
