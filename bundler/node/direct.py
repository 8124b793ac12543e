"""Runs a published script on this machine, with the environment that the publication describes.

    python3 run.py [--script NAME] [-p NAME=VALUE]... [--parameters FILE] [--cache DIR] [-- ARGUMENTS]
    python3 run.py --prepare            make the environment, and print the path of its Python
    python3 run.py --python ARGUMENTS   become the Python of the environment: a prefix for launchers such as mpirun
    python3 run.py --print-command      print the command that would run

It needs Python 3.8 or newer and the standard library. Nothing is written to standard output that is not the script's.
The same files are verified as by `exec_script.py`, and jobs of both kinds share one cache. A copy of this file that
nobody else can write to pins everything, since it contains the digests of all files.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

from bundler.node.errors import OfflineRunError
from bundler.node.locks import hold_after_exec
from bundler.node.log import log
from bundler.node.ready import publication_folder, ready_command, settings_for
from bundler.node.task import run_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from bundler.node.description import Publication

# <publication>
PUBLICATION: Publication = json.loads("{}")
# </publication>


def main(words: Sequence[str]) -> int:
    """Run the script, or do what the options in `words` say; return the exit code if this process goes on."""
    options = parse(words)
    try:
        root = publication_folder(PUBLICATION)
        name = chosen_script(options.script)
        environment = environment_of(options.cache)
        state = os.path.join(environment["UV_CACHE_DIR"], "bundler")
        command, python = ready_command(PUBLICATION, root, name, environment, state)
        write_parameters(options.parameters, options.parameter)
        settings = settings_for(command, python)
    except OfflineRunError as error:
        sys.stderr.write("error: {}\n".format(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        sys.stderr.write("error: {}\nhint: work in a folder where you may write\n".format(error))
        return 1
    arguments = [python, command.script, *options.arguments]
    if options.python is not None:
        arguments = [python, *options.python]
    if options.prepare:
        print(python)
        return 0
    if options.print_command:
        print(" ".join(map(shlex.quote, arguments)))
        return 0
    hold_after_exec(state)
    return become(arguments, settings)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the options in `words`; `python` is the list of words after --python, or None without it."""
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Run a published script on this machine, verified and offline.",
        allow_abbrev=False,
    )
    parser.add_argument("--script", metavar="NAME", help="which script, if there are several")
    parser.add_argument(
        "-p",
        dest="parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="write this parameter to input_parameters.json",
    )
    parser.add_argument("--parameters", metavar="FILE", help="copy this JSON file there before")
    parser.add_argument("--cache", metavar="DIR", help="instead of UV_CACHE_DIR")
    parser.add_argument("--prepare", action="store_true", help="print the environment's Python")
    parser.add_argument("--print-command", action="store_true", help="print the command only")
    parser.add_argument(
        "--python",
        action="store_true",
        help="become the environment's Python, with the words after this",
    )
    parser.add_argument("arguments", metavar="ARGUMENT", nargs="*", help="of the script, after --")
    own = list(words)
    ends = [own.index(word) for word in ("--", "--python") if word in own]
    end = min(ends) if ends else len(own)
    if own[end : end + 1] != ["--python"]:
        options = parser.parse_args(own)
        options.python = None
        return options
    # argparse would drop a "--" among the words for Python.
    options = parser.parse_args(own[: end + 1])
    options.python = own[end + 1 :]
    return options


def chosen_script(name: str | None) -> str:
    """Return the script to run. Raises `OfflineRunError` if `name` is none of the publication, or it has several."""
    names = sorted(PUBLICATION["scripts"])
    if name in names:
        return name
    if name is None and len(names) == 1:
        return names[0]
    problem = (
        "there is no script {}".format(name) if name else "the publication has several scripts"
    )
    raise OfflineRunError(problem, "use --script with one of {}".format(", ".join(names)))


def environment_of(cache: str | None) -> dict[str, str]:
    """Return the environment variables for uv and the script, with the cache in the folder `cache` if given."""
    given = {"UV_CACHE_DIR": os.path.abspath(cache)} if cache else {}
    folder = os.getcwd()
    # The folder of a job belongs to the job. A person may be in one where others can place modules, such as /tmp.
    if os.name == "posix" and os.stat(folder).st_mode & stat.S_IWOTH:
        log.warning("Everybody can write to %s, so the script imports nothing from it", folder)
        folder = ""
    return run_environment(os.environ, given, folder)


def write_parameters(path: str | None, texts: Sequence[str]) -> None:
    """Write the parameters in the JSON file `path`, and NAME=VALUE in `texts`, to input_parameters.json, if any."""
    parameters: dict[str, Any] = {}
    if path:
        try:
            with open(path, encoding="utf-8") as source:
                parameters.update(json.load(source))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise OfflineRunError(
                "{} cannot be read ({})".format(path, error),
                "give a file with a JSON object of names and values",
            ) from error
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise OfflineRunError("-p {} is not NAME=VALUE".format(text), "write -p frequency=2.5")
        try:
            parameters[name] = json.loads(value)
        except (ValueError, RecursionError):
            parameters[name] = value
    if path or texts:
        with open("input_parameters.json", "w", encoding="utf-8") as out:
            json.dump(parameters, out)


def become(arguments: Sequence[str], settings: Mapping[str, str]) -> int:
    """Replace this process by the command `arguments`; on Windows, run it and return its exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(arguments[0], list(arguments), settings)  # noqa: S606 - no shell is wanted
    return subprocess.call(list(arguments), env=settings)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main(sys.argv[1:]))
