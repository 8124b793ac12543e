"""Commands about nodes: their facts, their caches, and a rehearsal of their jobs on this machine."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.command import Command, base_option, json_option
from bundler.cli.terminal import reporting, result, say

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH = click.Path(path_type=Path)


@click.command(cls=Command)
@click.option("--script", is_flag=True, help="Print a Python program that does the same, for nodes without bundler.")
def probe(script: bool) -> None:
    """Print facts about this node for `bundler check`.

    Prints its system, processor, C library, Pythons and uv as JSON. The program that --script prints runs on Python 3.8
    or newer.

    \b
    Examples, on the node:
        bundler probe > node.json
        python3 probe.py > node.json    # probe.py comes from: bundler probe --script > probe.py
    """
    import json

    from bundler.node import probing
    from bundler.publications.joining import PROBE, join

    if script:
        click.echo(join(PROBE), nl=False)
    else:
        click.echo(json.dumps(probing.probe(), indent=1))


@click.command(cls=Command, no_args_is_help=True)
@click.argument("publication", metavar="PUBLICATION", type=_PATH)
@click.option(
    "--probe",
    "probes",
    metavar="FILE",
    multiple=True,
    required=True,
    type=_PATH,
    help="Facts about a node, as printed by `bundler probe`. Repeatable.",
)
@json_option
def check(publication: Path, probes: tuple[Path, ...], as_json: bool) -> None:
    """Check whether a publication would run on given nodes.

    Prints the file of facts and the target for each node that can run PUBLICATION, and fails with the reasons for the
    other nodes.

    \b
    Examples:
        bundler check /shared/store/publications/eval-0123456789ab --probe node.json
        bundler check /shared/store/publications/eval-0123456789ab --probe a.json --probe b.json --json
    """
    from bundler.manifest_reader import read_manifest
    from bundler.publications.check import needs_uv, obstacles, read_facts, would_not_run
    from bundler.publications.strategy import read_strategy

    manifest, strategy = read_manifest(publication), read_strategy(publication)
    nodes: list[dict[str, Any]] = []
    failing = {}
    for path in probes:
        facts = read_facts(path)
        reasons = obstacles(manifest, facts, strategy)
        if needs_uv(manifest, facts, strategy):
            say(f"{path}: no uv on PATH; register uv for this node, or bundle with --include-uv")
        target = next((name for name, problems in reasons.items() if not problems), None)
        nodes.append({"facts": path, "target": target, "reasons": {} if target else reasons})
        if target is None:
            failing[str(path)] = reasons
    lines = [f"{node['facts']}\t{node['target']}" for node in nodes if node["target"]]
    result({"nodes": nodes}, lines, as_json=as_json)
    if failing:
        raise would_not_run(publication, failing)


@click.command(cls=Command, no_args_is_help=True)
@click.argument("cache", metavar="CACHE", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--limit", metavar="SIZE", help="Keep the cache below this size, such as 512 MB.  [default: 20 GB]")
@json_option
def gc(cache: Path, limit: str | None, as_json: bool) -> None:
    """Remove unused entries from a node's uv cache.

    Removes entries whose publication was deleted or that were not used for 30 days. If CACHE is then still larger than
    the limit, removes the least recently used entries. Does nothing while jobs are running. Jobs do the same by
    themselves after they added something. Prints each cache and the number of bytes that were freed.

    \b
    Examples, on the node:
        bundler gc /tmp/scratch/uv_cache
        bundler gc /tmp/scratch/uv_cache --limit "10 GB"
    """
    from bundler.node import garbage

    try:
        most = garbage.parse_size(limit or garbage.LIMIT)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--limit") from error
    caches: list[dict[str, Any]] = []
    for path in [cache, *sorted(cache.glob("user-*"))]:
        if not (path / "bundler").is_dir():
            if path != cache or not list(cache.glob("user-*")):
                say(f"{path}: no publication has used this cache")
            continue
        freed = garbage.collect_as_owner(str(path), most)
        if freed is None:
            say(f"{path}: jobs are running, so nothing was removed")
        caches.append({"cache": path, "freed": freed})
    lines = [f"{entry['cache']}\t{entry['freed']}" for entry in caches if entry["freed"] is not None]
    result({"caches": caches}, lines, as_json=as_json)


@click.command(cls=Command)
@json_option
def targets(as_json: bool) -> None:
    """List supported platforms and Python versions.

    These are the values of --platform and --python of `bundle`.

    \b
    Examples:
        bundler targets
        bundler targets --json
    """
    from bundler.bundles.supported import supported, table

    values = supported()
    result(values, [] if as_json else [table(values)], as_json=as_json)


@click.command("pack-python", cls=Command, no_args_is_help=True)
@click.argument("interpreters", metavar="INTERPRETER...", nargs=-1, required=True, type=_PATH)
@click.argument("mirror", metavar="MIRROR", type=_PATH)
@json_option
def pack_python(interpreters: tuple[Path, ...], mirror: Path, as_json: bool) -> None:
    """Pack installed interpreters into a Python mirror.

    Adds each INTERPRETER of this machine to the folder MIRROR, for `bundle --include-python --python-mirror MIRROR`.
    Prints the path of each archive.

    \b
    Examples:
        bundler pack-python /opt/python/bin/python3.12 mirror
        bundler pack-python /opt/python3.12/bin/python3 /opt/python3.13/bin/python3 mirror
    """
    from wheelhouse.interpreter import pack

    archives = list(pack(interpreters, mirror))
    result({"archives": archives}, archives, as_json=as_json)


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
    import shutil

    from bundler.jobs import rehearsal
    from bundler.jobs.options import Options
    from bundler.jobs.submission import compose
    from bundler.publications.aliases import pinned

    try:
        values = dict(rehearsal.parse_parameter(parameter) for parameter in parameters)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--parameter") from error
    with _published(pinned(path), base) as publication, _task_folder(output) as folder:
        submission = compose(publication, [values], Options(scripts=(script,) if script else (), inputs=inputs))
        how = rehearsal.isolation()
        say(how.sentence)
        say(f"Task folder: {folder}")
        with contextlib.closing(rehearsal.rehearse(publication, submission, folder, how=how)) as job:
            while True:
                try:
                    say(next(job))
                except StopIteration as stop:
                    result({"files": stop.value}, stop.value, as_json=as_json)
                    if not (output or stop.value):
                        shutil.rmtree(folder, ignore_errors=True)
                    return


@contextlib.contextmanager
def _published(path: Path, base: Path | None) -> Iterator[Path]:
    """Yield the publication `path`; publish a bundle or archive to a temporary store that is deleted at the end."""
    import tempfile

    from bundler import api
    from bundler.bundles.delta import base_of
    from bundler.bundles.temporary import unpacked
    from bundler.layout import EXEC_SCRIPT
    from bundler.manifest_reader import read_manifest

    with contextlib.ExitStack() as stack:
        with reporting() as report:
            bundles = stack.enter_context(unpacked([path], report, base_of(base)))
        if len(bundles) > 1:
            raise click.UsageError(f"{path} contains several bundles; unpack it and rehearse one of them")
        read_manifest(bundles[0])
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
            folder.rmdir()  # Only an empty folder: the job did not start.
        raise
