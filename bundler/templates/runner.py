"""Runs a file of the job, or a module, in the environment of {origin}. Arguments: a path, or -m MODULE."""

import runpy
import sys

del sys.path[0]  # The folder of this file, whose name may be that of a package.
if sys.argv[1:2] == ["-m"] and sys.argv[2:]:
    module = sys.argv[2]
    sys.argv[:3] = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
elif len(sys.argv) > 1:
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    sys.exit(
        "error: BUNDLER_ARGUMENTS is not set\nhint: set it to a file of the job, or to -m MODULE, followed by arguments"
    )
