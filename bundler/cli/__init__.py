"""The command line: the only modules that import click and that print."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from bundler.cli import streams
from bundler.cli.programs import program
from bundler.cli.terminal import say, show_error
from bundler.errors import CombinedError
from bundler.extras import missing_extra
from bundler.hints import explain
from wheelhouse.errors import WheelhouseError, disk_full
from wheelhouse.files import DISK_FULL

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_INTERRUPTED = 130
_TERMINATED = 143
# Errors that any write may raise, of temporary files too, without a bug in this tool.
_DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
)


def _run(command: click.Command) -> None:
    """Run `command` and exit: 0 success, 1 failure, 2 wrong usage, 130 interrupted; a bug keeps its traceback."""
    # As an exception, so that child processes are ended and temporary files removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    sys.unraisablehook = _raise_again
    streams.prepare()
    try:
        code = command.main(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        _show_usage_error(error)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("Interrupted; existing files were kept.")
        _leave(_INTERRUPTED)
    except SystemExit as exit_:
        if exit_.code == _TERMINATED:
            _leave(_TERMINATED)
        raise
    except Exception as error:
        texts = _explained(error)
        if not texts:
            raise
        for text in texts:
            show_error(text)
        code = 1
    sys.exit(code)


def _explained(error: Exception) -> list[str]:
    """Return the texts of an expected error; nothing for a bug."""
    if isinstance(error, CombinedError):
        return error.errors
    if isinstance(error, WheelhouseError):
        return [explain(error)]
    if isinstance(error, ModuleNotFoundError):
        missing = missing_extra(error)
        if missing is not None:
            return [str(missing)]
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        path = error.filename or tempfile.gettempdir()
        if error.errno in DISK_FULL:
            return [str(disk_full(Path(path)))]
        return [f"{path}: {error.strerror}"]
    return []


def _show_usage_error(error: click.ClickException) -> None:
    """Show an error of click as this tool shows errors: lower case, then a hint."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    text = error.format_message().rstrip(".")
    hint = ""
    if isinstance(error, click.NoSuchOption):
        text = f"no such option: {error.option_name}"
        if error.possibilities:
            hint = f"did you mean {error.possibilities[0]}?"
    if isinstance(error, click.UsageError) and error.ctx and not hint:
        hint = f"run `{error.ctx.command_path} --help`"
    text = text[:1].lower() + text[1:]
    if hint:
        text += f"\nhint: {hint}"
    show_error(text)


def _raise_again(dropped: UnraisableHookArgs) -> None:
    """Send a signal to this process again if Python dropped its exception, as it does within a destructor."""
    if isinstance(dropped.exc_value, KeyboardInterrupt):
        number = signal.SIGINT
    elif isinstance(dropped.exc_value, SystemExit) and dropped.exc_value.code == _TERMINATED:
        number = signal.SIGTERM
    else:
        sys.__unraisablehook__(dropped)
        return
    # After the destructor has ended; to the main thread, which would sleep on otherwise.
    if hasattr(signal, "pthread_kill"):
        threading.Timer(0.01, signal.pthread_kill, [threading.main_thread().ident, number]).start()
    else:  # Windows
        threading.Timer(0.01, signal.raise_signal, [number]).start()


def _leave(code: int) -> NoReturn:
    """Exit at once; a regular exit would wait for downloads that wait for their server."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def main() -> None:
    """Entry point of `bundler` and `hps-bundler`."""
    _run(program("bundler"))


def main_bundle() -> None:
    """Entry point of `bundle`."""
    _run(program("bundle"))


def main_publish_index() -> None:
    """Entry point of `publish-index`."""
    _run(program("publish-index"))


def main_submit_jobs() -> None:
    """Entry point of `submit-jobs`."""
    _run(program("submit-jobs"))
