"""The command line: the only modules that know click and the only ones that print."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from bundler import __version__
from bundler.cli import bundles, hps, jobs, nodes
from bundler.cli.show import HELP, say
from wheelhouse.errors import WheelhouseError, disk_full
from wheelhouse.files import DISK_FULL

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_INTERRUPTED = 130
_TERMINATED = 143
# What a disk may say at any write, also of temporary files, without there being a bug.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)


@click.group(context_settings=HELP)
@click.version_option(__version__, prog_name="bundler")
def bundler() -> None:
    """Run Python scripts on machines that have no internet.

    \b
    bundle eval.py                      on a connected machine
    publish-index /shared/store         onto the storage that every evaluator sees
    submit-jobs /shared/store/publications/eval-...
    """


for _command in (
    *(bundles.bundle, bundles.publish_index, bundles.verify, bundles.inspect),
    *(nodes.rehearse, nodes.probe, nodes.check, nodes.gc, nodes.targets, nodes.pack_python),
    *(jobs.submit, hps.hps),
):
    bundler.add_command(_command)


def _run(command: click.Command) -> None:
    """Run `command` and exit: 0 done, 1 explained failure, 2 usage, 130 interrupted; a bug keeps its traceback."""
    # As an exception, so that what was started is ended and what is half made removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    sys.unraisablehook = _raise_again
    try:
        code = command.main(standalone_mode=False)
    except click.ClickException as fault:
        fault.show()
        code = fault.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("Interrupted; what was there before is still as it was.")
        _leave(_INTERRUPTED)
    except SystemExit as ended:
        if ended.code == _TERMINATED:
            _leave(_TERMINATED)
        raise
    except WheelhouseError as fault:
        say(f"error: {fault}")
        code = 1
    except OSError as fault:
        if fault.errno not in _OF_THE_DISK:
            raise
        import tempfile

        place = fault.filename or tempfile.gettempdir()
        say(f"error: {disk_full(Path(place)) if fault.errno in DISK_FULL else f'{place}: {fault.strerror}'}")
        code = 1
    sys.exit(code)


def _raise_again(dropped: UnraisableHookArgs) -> None:
    """Send a signal to this process again, of which Python dropped the exception, as it does within a destructor."""
    if isinstance(dropped.exc_value, KeyboardInterrupt):
        number = signal.SIGINT
    elif isinstance(dropped.exc_value, SystemExit) and dropped.exc_value.code == _TERMINATED:
        number = signal.SIGTERM
    else:
        sys.__unraisablehook__(dropped)
        return
    # When the destructor is done; to the main thread, which else would sleep on.
    if hasattr(signal, "pthread_kill"):
        threading.Timer(0.01, signal.pthread_kill, [threading.main_thread().ident, number]).start()
    else:  # Windows
        threading.Timer(0.01, signal.raise_signal, [number]).start()


def _leave(code: int) -> NoReturn:
    """Exit at once; a download that waits for its server would be waited for at a regular exit."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def main() -> None:
    """Entry point of `bundler`."""
    _run(bundler)


def main_bundle() -> None:
    """Entry point of `bundle`."""
    _run(bundles.bundle)


def main_publish_index() -> None:
    """Entry point of `publish-index`."""
    _run(bundles.publish_index)


def main_submit_jobs() -> None:
    """Entry point of `submit-jobs`."""
    _run(jobs.submit)
