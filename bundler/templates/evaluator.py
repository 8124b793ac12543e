"""Imitates an HPS evaluator: runs an execution script on a task.

    python evaluator.py EXEC_SCRIPT CONTEXT.json

The current folder is the folder of the task. HPS does not document how its evaluator reports a failed command, so
`failure` in the context chooses: "raise" (an exception), "return" (the exit code) or "silent" (None). Writes the
parameter values after the run to parameter_values.json next to the context. Exits with 0 if the job would be evaluated,
and with 70 if it would fail.
"""

import importlib.util
import json
import logging
import os
import subprocess
import sys
import traceback
import types

EXECUTION_SCRIPT_FAILED = 70


class ApplicationExecution:
    """The base class of execution scripts."""

    class Meta:
        """Declarations of an execution script, which are not used here."""

        available_commands = []

    def __init__(self, context):
        self.context = context

    def run_and_capture_output(self, command, shell=False, env=None, cwd=None):  # noqa: FBT002 - the signature of HPS
        """Run `command` with its output in the console output of the task."""
        sys.stdout.flush()
        code = subprocess.run(
            command, shell=shell, env=env, cwd=cwd, stderr=subprocess.STDOUT, check=False
        ).returncode
        if code and self.context.failure == "raise":
            raise RuntimeError("Command exited with {}".format(code))
        return code if self.context.failure == "return" else None


def provide_modules(log):
    """Provide the modules below `ansys.rep` that execution scripts import."""
    contents = {
        "ansys": {},
        "ansys.rep": {},
        "ansys.rep.common": {},
        "ansys.rep.common.logging": {"log": log},
        "ansys.rep.evaluator": {},
        "ansys.rep.evaluator.task_manager": {"ApplicationExecution": ApplicationExecution},
    }
    for name, attributes in contents.items():
        module = types.ModuleType(name)
        module.__path__ = []
        vars(module).update(attributes)
        sys.modules[name] = module


def main(exec_script, context_path):
    """Run `exec_script` on the context in the JSON file at `context_path`; return the exit code of the job."""
    with open(context_path, encoding="utf-8") as source:
        context = types.SimpleNamespace(**json.load(source))
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="[%(levelname)s] %(message)s")
    provide_modules(logging.getLogger("evaluator"))
    spec = importlib.util.spec_from_file_location("exec_script", exec_script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scripts = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ApplicationExecution)
        and value is not ApplicationExecution
    ]
    execution = scripts[0](context)
    failed = False
    try:
        execution.execute()
    except Exception as error:
        failed = True
        for line in "".join(traceback.format_exception_only(type(error), error)).splitlines():
            print("[ERROR]", line.partition(".OfflineRunError: ")[2] or line)
    with open(
        os.path.join(os.path.dirname(context_path), "parameter_values.json"), "w", encoding="utf-8"
    ) as out:
        json.dump(context.parameter_values, out)
    return EXECUTION_SCRIPT_FAILED if failed else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main(sys.argv[1], sys.argv[2]))
