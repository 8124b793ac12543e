"""Commands about nodes: what they are, what runs there, what lies in their caches, and a rehearsal of it here."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli.show import HELP, say, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH = click.Path(path_type=Path)


@click.command(context_settings=HELP)
@click.option("--script", is_flag=True, help="Print the program instead, for nodes without bundler.")
def probe(script: bool) -> None:
    """Print what this node is, as JSON, for `bundler check`.

    Where bundler is not installed, `bundler probe --script` gives a file that does the same on any Python 3.8.

    \b
    Example, on the node:
        bundler probe > node.json
    """
    import json

    from bundler.node import probing
    from bundler.publications.joining import PROBE, join

    if script:
        click.echo(join(PROBE), nl=False)
    else:
        click.echo(json.dumps(probing.probe(), indent=1))


@click.command(no_args_is_help=True, context_settings=HELP)
@click.argument("publication", type=_PATH)
@click.option(
    "--probe", "probes", metavar="FACTS", multiple=True, required=True, type=_PATH, help="What `bundler probe` printed."
)
def check(publication: Path, probes: tuple[Path, ...]) -> None:
    """Say whether PUBLICATION would run on the nodes whose facts are given, and why not.

    Prints node and target for each that would.

    \b
    Example:
        bundler check /shared/store/publications/eval-0123456789ab --probe node1.json --probe node2.json
    """
    from bundler.manifest_reader import read_manifest
    from bundler.publications.check import needs_uv, obstacles, read_facts, would_not_run
    from bundler.publications.strategy import read_strategy

    manifest, strategy = read_manifest(publication), read_strategy(publication)
    failing = {}
    for path in probes:
        facts = read_facts(path)
        found = obstacles(manifest, facts, strategy)
        if needs_uv(manifest, facts, strategy):
            say(f"{path}: has no uv on its PATH, so uv must be registered there, or bundled with --include-uv")
        fitting = [target for target, reasons in found.items() if not reasons]
        if fitting:
            click.echo(f"{path}\t{fitting[0]}")
        else:
            failing[str(path)] = found
    if failing:
        raise would_not_run(publication, failing)


@click.command(no_args_is_help=True, context_settings=HELP)
@click.argument("cache", metavar="CACHE", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--limit", metavar="SIZE", help="What the cache may hold at most, such as 512 MB; 20 GB if not given.")
def gc(cache: Path, limit: str | None) -> None:
    """Remove from a node's uv cache what no publication needs: gone from the share, or unused for a month.

    Jobs do this themselves after they brought something new. Prints the bytes that each cache was freed of.

    \b
    Example, on the node, for the caches of all its users:
        bundler gc /tmp/scratch/uv_cache --limit "10 GB"
    """
    from bundler.node import garbage

    try:
        most = garbage.parse_size(limit or garbage.LIMIT)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--limit") from fault
    for each in [cache, *sorted(cache.glob("user-*"))]:
        if not (each / "bundler").is_dir():
            if each != cache or not list(cache.glob("user-*")):
                say(f"{each}: no job of a publication has used this cache; nothing to do")
            continue
        freed = garbage.collect_as_owner(str(each), most)
        if freed is None:
            say(f"{each}: jobs are running; nothing was removed")
        else:
            click.echo(f"{each}\t{freed}")


@click.command(context_settings=HELP)
def targets() -> None:
    """List the platforms and Pythons that `bundle` knows, and what they mean.

    \b
    Example:
        bundler targets
    """
    from bundler.bundles.targets import table

    click.echo(table())


@click.command("pack-python", no_args_is_help=True, context_settings=HELP)
@click.argument("interpreters", metavar="INTERPRETER...", nargs=-1, required=True, type=_PATH)
@click.argument("mirror", metavar="MIRROR", type=_PATH)
def pack_python(interpreters: tuple[Path, ...], mirror: Path) -> None:
    """Pack each INTERPRETER that is installed here into the folder MIRROR, for `bundle --python-mirror MIRROR`.

    Prints the path of each archive.

    \b
    Example:
        bundler pack-python /opt/python/bin/python3.12 pythons
    """
    from wheelhouse.interpreter import pack

    for path in pack(interpreters, mirror):
        click.echo(path)


@click.command(no_args_is_help=True, context_settings=HELP)
@click.argument("place", metavar="PUBLICATION", type=_PATH)
@click.option(
    "-o", "--output", metavar="DIR", type=_PATH, help="The task folder to run in; a new temporary one if not given."
)
@click.option("--script", metavar="NAME", help="Which script; all in turn if not given.")
@click.option(
    "--parameter",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    help="An input parameter of the job; VALUE as in JSON, else a text. Repeatable.",
)
@click.option(
    "--input", "inputs", metavar="FILE", multiple=True, type=_PATH, help="An input file of the job. Repeatable."
)
def rehearse(
    place: Path, output: Path | None, script: str | None, parameters: tuple[str, ...], inputs: tuple[Path, ...]
) -> None:
    """Run the job of PUBLICATION, or of a bundle, here, as an evaluator would, with no network.

    Shows its console output and prints the path of every file that it produced. Fails when the job does. The script
    takes its arguments from the environment variable BUNDLER_ARGUMENTS, here as there.

    \b
    Examples:
        bundler rehearse eval.bundle
        bundler rehearse /shared/store/publications/eval-0123456789ab -o rehearsal --parameter frequency=2.5
    """
    import shutil

    from bundler.jobs import rehearsal
    from bundler.jobs.submission import Options, compose

    try:
        values = dict(rehearsal.parse_parameter(parameter) for parameter in parameters)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--parameter") from fault
    with _published(place) as publication, _task_folder(output) as folder:
        submission = compose(publication, [values], Options(scripts=(script,) if script else (), inputs=inputs))
        how = rehearsal.isolation()
        say(how.sentence)
        say(f"Task folder: {folder}")
        with contextlib.closing(rehearsal.rehearse(publication, submission, folder, how=how)) as job:
            while True:
                try:
                    say(next(job))
                except StopIteration as stop:
                    for path in stop.value:
                        click.echo(path)
                    if not (output or stop.value):
                        shutil.rmtree(folder, ignore_errors=True)
                    return


@contextlib.contextmanager
def _published(place: Path) -> Iterator[Path]:
    """Yield the publication `place`; of a bundle, one in a store that goes when the block ends."""
    import tempfile

    from bundler import api
    from bundler.layout import EXEC_SCRIPT
    from bundler.manifest_reader import read_manifest

    read_manifest(place)
    if (place / EXEC_SCRIPT).exists():
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="rehearsal-", ignore_cleanup_errors=True) as scratch:
        with shown() as report:
            publication = api.publish(place, Path(scratch).resolve() / "store", report=report)
        yield publication


@contextlib.contextmanager
def _task_folder(output: Path | None) -> Iterator[Path]:
    """Yield the folder to run in: `output`, or a temporary one, which goes when the person interrupts what is run."""
    import shutil
    import tempfile

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
            folder.rmdir()  # where it did not come to a job
        raise
