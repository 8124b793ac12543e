"""The command that runs a job on this machine."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from bundler.cli.command import Command, base_option, json_option
from bundler.cli.terminal import reporting, result, say
from bundler.layout import EXEC_SCRIPT
from wheelhouse.lazily import lazily

with lazily():
    from bundler import api, manifest_reader
    from bundler.bundles import delta, temporary
    from bundler.jobs import options, rehearsal
    from bundler.jobs import submission as job_submission
    from bundler.publications import aliases

_PATH = click.Path(path_type=Path)


@click.command(cls=Command, no_args_is_help=True)
@click.argument("path", metavar="PATH", type=_PATH)
@click.option(
    "-o", "--output", metavar="DIR", type=_PATH, help="Run in this folder.  [default: a new temporary folder]"
)
@click.option("--script", metavar="NAME", help="Run only this script.  [default: all, one after the other]")
@click.option(
    "--parameter",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set an input parameter; VALUE is JSON, or text if it is not valid JSON. Repeatable.",
)
@click.option("--input", "inputs", metavar="FILE", multiple=True, type=_PATH, help="Input file of the job. Repeatable.")
@base_option
@json_option
def rehearse(
    path: Path,
    output: Path | None,
    script: str | None,
    parameters: tuple[str, ...],
    inputs: tuple[Path, ...],
    base: Path | None,
    as_json: bool,
) -> None:
    """Run a job on this machine without network access.

    PATH is a publication, a bundle or an archive. Runs its execution script as an evaluator would, shows the console
    output of the job, and prints the path of each file that the job wrote. Fails if the job fails or does not write its
    outputs.

    \b
    Examples:
        bundler rehearse eval.bundle
        bundler rehearse eval.bundle -o rehearsal --parameter frequency=2.5

    \b
    Environment variables:
        BUNDLER_ARGUMENTS   arguments of the script, quoted as for a shell or as a JSON list
    """
    try:
        values = dict(rehearsal.parse_parameter(parameter) for parameter in parameters)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--parameter") from error
    with _published(aliases.pinned(path), base) as publication, _task_folder(output) as folder:
        submission = job_submission.compose(
            publication, [values], options.Options(scripts=(script,) if script else (), inputs=inputs)
        )
        how = rehearsal.isolation()
        say(how.sentence)
        say(f"Task folder: {folder}")
        outputs = rehearsal.rehearse(publication, submission, folder, how=how, show=say)
        result({"files": outputs}, outputs, as_json=as_json)
        if not (output or outputs):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _published(path: Path, base: Path | None) -> Iterator[Path]:
    """Yield the publication `path`; publish a bundle or archive to a temporary store that is deleted at the end."""
    with contextlib.ExitStack() as stack:
        with reporting() as report:
            bundles = stack.enter_context(temporary.unpacked([path], report, delta.base_of(base)))
        if len(bundles) > 1:
            raise click.UsageError(f"{path} contains several bundles; unpack it and rehearse one of them")
        manifest_reader.read_manifest(bundles[0])
        if (bundles[0] / EXEC_SCRIPT).exists():
            yield bundles[0]
            return
        with tempfile.TemporaryDirectory(prefix="rehearsal-", ignore_cleanup_errors=True) as scratch:
            with reporting() as report:
                publication = api.publish(bundles[0], Path(scratch).resolve() / "store", report=report)
            yield publication


@contextlib.contextmanager
def _task_folder(output: Path | None) -> Iterator[Path]:
    """Yield the folder to run in: `output`, or a temporary one that is deleted if the user interrupts the job."""
    if output:
        yield output
        return
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    try:
        yield folder
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()  # Only an empty folder: the job did not start.
        raise
