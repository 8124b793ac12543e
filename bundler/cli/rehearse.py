"""The command that runs a job on this machine."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from bundler.cli.command import (
    PATH,
    base_option,
    command,
    json_option,
    parsed,
    path_argument,
    unpacked,
)
from bundler.cli.terminal import reporting, result, say
from bundler.layout import EXEC_SCRIPT
from bundler.lazily import lazily

with lazily():
    from bundler import api, manifest_reader
    from bundler.jobs import options, rehearsal, submission as submissions
    from bundler.publications import aliases


@command()
@path_argument
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=PATH,
    help="Run in this folder.  [default: a new temporary folder]",
)
@click.option(
    "--script", metavar="NAME", help="Run only this script.  [default: all, one after the other]"
)
@click.option(
    "--parameter",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set an input parameter; VALUE is JSON, or text if it is not valid JSON. Repeatable.",
)
@click.option(
    "--input",
    "inputs",
    metavar="FILE",
    multiple=True,
    type=PATH,
    help="Input file of the job. Repeatable.",
)
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
    values = dict(
        parsed(rehearsal.parse_parameter, parameter, "--parameter") for parameter in parameters
    )
    settings = options.Options(scripts=(script,) if script else (), inputs=inputs)
    with _published(aliases.pinned(path), base) as publication, _task_folder(output) as folder:
        submission = submissions.compose(publication, [values], settings)
        how = rehearsal.isolation()
        say(how.sentence)
        say(f"Task folder: {folder}")
        outputs = rehearsal.rehearse(publication, submission, folder, how=how, show=say)
        result({"files": outputs}, outputs, as_json=as_json)
        if not output and not outputs:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _published(path: Path, base: Path | None) -> Iterator[Path]:
    """Yield the publication `path`; publish a bundle or archive to a temporary store that is deleted at the end."""
    with unpacked(path, base) as folders:
        if len(folders) > 1:
            raise click.UsageError(
                f"{path} contains several bundles; unpack it and rehearse one of them"
            )
        folder = folders[0]
        manifest_reader.read_manifest(folder)
        if (folder / EXEC_SCRIPT).exists():
            yield folder
            return
        with tempfile.TemporaryDirectory(
            prefix="rehearsal-", ignore_cleanup_errors=True
        ) as scratch:
            with reporting() as report:
                publication = api.publish(folder, Path(scratch).resolve() / "store", report=report)
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
