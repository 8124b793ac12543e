"""The command line: the only module that knows click and the only one that prints."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bundler import __version__
from bundler.errors import BundlerError
from wheelhouse.errors import WheelhouseError

if TYPE_CHECKING:
    from collections.abc import Generator

    from bundler.progress import Progress

_T = TypeVar("_T")
_PATH = click.Path(path_type=Path)
_INTERRUPTED = 130
_TERMINATED = 143
# What a disk may say at any write, also of temporary files, without there being a bug.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)


def _say(text: str) -> None:
    """Print `text` for the person; standard output is for what the next command needs."""
    click.echo(text, err=True)


def _follow(work: Generator[Progress, None, _T]) -> _T:
    """Do `work` to its end and return its result; show how far it is in one line that changes, or plainly in a log."""
    lively = sys.stderr.isatty()
    shown = ""
    while True:
        try:
            progress = next(work)
        except StopIteration as stop:
            if lively and shown:
                _say("")
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
        except BaseException:
            work.close()  # an interrupt may have come between two steps of it
            if lively and shown:
                _say("")
            raise
        if not lively and progress.text != shown:
            _say(progress.text)
        elif lively:
            amount = f"  {progress.done / 1e6:.1f} of {progress.total / 1e6:.1f} MB" if progress.total else ""
            end = "\n" if shown and progress.text != shown else ""
            click.echo(f"{end}\r{progress.text}{amount}\033[K", nl=False, err=True)
        shown = progress.text


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bundler")
def bundler() -> None:
    """Run Python scripts on machines that have no internet.

    \b
    bundle eval.py                      on a connected machine
    publish-index /shared/store         onto the storage that every evaluator sees
    bundler rehearse /shared/store/publications/eval-...
    """


@bundler.command(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("scripts", metavar="SCRIPT...", nargs=-1, required=True, type=_PATH)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=_PATH,
    help="The bundle to write; SCRIPT's name with .bundle in this folder if not given.",
)
@click.option(
    "--python",
    "pythons",
    metavar="VERSION",
    multiple=True,
    help="A Python to bundle for, such as 3.12; the one that uv would choose here if not given. Repeatable.",
)
@click.option(
    "--platform",
    "platforms",
    metavar="PLATFORM",
    multiple=True,
    help="A platform to bundle for, as uv names it, such as x86_64-manylinux_2_28, windows or aarch64-apple-darwin; "
    "this machine's if not given. Repeatable.",
)
@click.option("--include-uv", is_flag=True, help="Carry uv for each target, for nodes that have none.")
@click.option("--include-python", is_flag=True, help="Carry a Python for each target, for nodes that have none.")
@click.option(
    "--python-mirror",
    metavar="URL",
    help="Where --include-python takes Pythons from: a URL or folder with archives and a downloads.json; uv's own list "
    "if not given.",
)
@click.option("--upgrade", is_flag=True, help="Resolve again although an up-to-date bundle of SCRIPT is there.")
def bundle(
    scripts: tuple[Path, ...],
    output: Path | None,
    pythons: tuple[str, ...],
    platforms: tuple[str, ...],
    include_uv: bool,
    include_python: bool,
    python_mirror: str | None,
    upgrade: bool,
) -> None:
    """Bundle SCRIPT with every wheel that its inline metadata asks for.

    A SCRIPT.lock beside it is honoured. Prints the path of the bundle.

    \b
    Example, for a cluster with glibc 2.28 and Python 3.12:
        bundle eval.py --python 3.12 --platform x86_64-manylinux_2_28
    """
    from bundler import bundle as bundles
    from bundler.cache import cache_folder
    from bundler.script import read_scripts
    from bundler.targets import targets_for

    read = read_scripts(scripts)
    for script in read:
        for warning in script.warnings():
            _say(f"warning: {warning}")
    targets = targets_for(read, pythons, platforms)
    output = output or bundles.default_output(scripts)
    tools = bundles.Tools(uv=include_uv, python=include_python or python_mirror is not None, mirror=python_mirror)
    if not upgrade and bundles.up_to_date(output, read, targets, tools):
        _say(f"{output} is up to date; nothing to do (--upgrade looks for newer versions)")
    else:
        _follow(bundles.build(read, targets, output, cache_folder(), tools))
    click.echo(output)


@bundler.command("publish-index", no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("destination", metavar="DEST", type=_PATH)
@click.argument("bundles", metavar="[BUNDLE]...", nargs=-1, type=_PATH)
@click.option("--seen-at", metavar="DIR", help="Where evaluators see DEST, if it is mounted elsewhere there.")
@click.option(
    "--strategy",
    type=click.Choice(["index", "cache", "environment"]),
    default="index",
    show_default=True,
    help="How an environment comes about on a node: from the wheels on the share, from a filled uv cache, or ready. "
    "The last two are unpacked once per node; the last needs a bundle with --include-python.",
)
def publish_index(destination: Path, bundles: tuple[Path, ...], seen_at: str | None, strategy: str) -> None:
    """Verify BUNDLE and publish it into the shared store DEST, which is made when absent.

    Without BUNDLE it is the one in this folder. Prints the path of each publication; DEST/simple is an index for uv
    and pip over all that was ever published.

    \b
    Example:
        publish-index /shared/store eval.bundle
    """
    from bundler import publication
    from wheelhouse.store import open_store

    if seen_at is not None and not re.match(r"/|\\\\|[A-Za-z]:[\\/]", seen_at):
        raise click.BadParameter("must be an absolute path, as evaluators see it", param_hint="--seen-at")

    found = list(bundles) or publication.bundles_in(Path())
    for path in found:
        publication.require_bundle(path)
    # Not resolved: a site may hand its evaluators the path by a link. But "..", which leads elsewhere there, must go.
    store = open_store(Path(os.path.abspath(destination)))  # noqa: PTH100 - see above
    for path in found:
        click.echo(
            _follow(publication.publish(path, store, seen_at.rstrip("/\\") if seen_at else str(store.path), strategy))
        )


@bundler.command(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", type=_PATH)
def verify(path: Path) -> None:
    """Check every file of the bundle or publication PATH by its digest.

    \b
    Example:
        bundler verify eval.bundle
    """
    from bundler.verify import verify as check

    manifest = check(path)
    _say(f"{path}: {len(manifest.files)} files, all as the manifest says")


@bundler.command(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="As JSON, sizes in bytes.")
def inspect(path: Path, as_json: bool) -> None:
    """Show what is inside the bundle or publication PATH, per target.

    \b
    Example:
        bundler inspect eval.bundle
    """
    import json

    from bundler.inspection import summary, table
    from bundler.verify import EXEC_SCRIPT, read_manifest, read_strategy

    found = summary(read_manifest(path), read_strategy(path) if (path / EXEC_SCRIPT).is_file() else None)
    click.echo(json.dumps(found, indent=2) if as_json else table(found))


@bundler.command(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("publication", type=_PATH)
@click.option(
    "-o", "--output", metavar="DIR", type=_PATH, help="The task folder to run in; a new temporary one if not given."
)
@click.option("--script", metavar="NAME", help="Which script, if the publication holds several.")
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
    publication: Path, output: Path | None, script: str | None, parameters: tuple[str, ...], inputs: tuple[Path, ...]
) -> None:
    """Run the job of PUBLICATION here, as an evaluator would, with no network.

    Shows its console output and prints the path of every file that it produced. Fails when the job does.

    \b
    Example:
        bundler rehearse /shared/store/publications/eval-0123456789ab -o rehearsal --parameter frequency=2.5
    """
    import tempfile

    from bundler import rehearsal

    how = rehearsal.isolation()
    _say(how.sentence)
    folder = output or Path(tempfile.mkdtemp(prefix="rehearsal-"))
    _say(f"Task folder: {folder}")
    values = dict(rehearsal.parse_parameter(parameter) for parameter in parameters)
    job = rehearsal.rehearse(publication, folder, how=how, script=script, parameters=values, inputs=inputs)
    while True:
        try:
            _say(next(job))
        except StopIteration as stop:
            for path in stop.value:
                click.echo(path)
            return


@bundler.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--script", is_flag=True, help="Print the program instead, for nodes without bundler.")
def probe(script: bool) -> None:
    """Print what this node is, as JSON, for `bundler check`.

    Where bundler is not installed, `bundler probe --script` gives a file that does the same on any Python 3.8.

    \b
    Example, on the node:
        bundler probe > node.json
    """
    import json

    from bundler.templates import probe as facts

    if script:
        click.echo(Path(facts.__file__).read_text(encoding="utf-8"), nl=False)
    else:
        click.echo(json.dumps(facts.probe(), indent=1))


@bundler.command(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
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
    from bundler.check import needs_uv, obstacles, read_facts
    from bundler.errors import WouldNotRun
    from bundler.verify import read_manifest, read_strategy

    manifest, strategy = read_manifest(publication), read_strategy(publication)
    failing = {}
    for path in probes:
        facts = read_facts(path)
        found = obstacles(manifest, facts, strategy)
        if needs_uv(manifest, facts, strategy):
            _say(f"{path}: has no uv on its PATH, so uv must be registered there, or bundled with --include-uv")
        fitting = [target for target, reasons in found.items() if not reasons]
        if fitting:
            click.echo(f"{path}\t{fitting[0]}")
        else:
            failing[str(path)] = found
    if failing:
        raise WouldNotRun(publication, failing)


@bundler.command(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("cache", metavar="CACHE", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--limit", metavar="SIZE", help="What the cache may hold at most, such as 512 MB; 20 GB if not given.")
def gc(cache: Path, limit: str | None) -> None:
    """Remove from a node's uv cache what no publication needs: gone from the share, or unused for a month.

    Jobs do this themselves after they brought something new. Prints the bytes that each cache was freed of.

    \b
    Example, on the node, for the caches of all its users:
        bundler gc /tmp/scratch/uv_cache --limit "10 GB"
    """
    from bundler.templates import cache_gc

    try:
        most = cache_gc.parse_size(limit or cache_gc.LIMIT)
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--limit") from fault
    for each in [cache, *sorted(cache.glob("user-*"))]:
        freed = cache_gc.collect(str(each), most)
        if freed is None:
            _say(f"{each}: jobs are running; nothing was removed")
        else:
            click.echo(f"{each}\t{freed}")


@bundler.command("pack-python", no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
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


def _run(command: click.Command) -> None:
    """Run `command` and exit: 0 done, 1 explained failure, 2 usage, 130 interrupted; a bug keeps its traceback."""
    # As an exception, so that what was started is ended and what is half made removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        code = command.main(standalone_mode=False)
    except click.ClickException as fault:
        fault.show()
        code = fault.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("Interrupted; what was there before is still as it was.")
        # A download that waits for its server would be waited for at a regular exit.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(_INTERRUPTED)
    except (BundlerError, WheelhouseError) as fault:
        _say(f"error: {fault}")
        code = 1
    except OSError as fault:
        if fault.errno not in _OF_THE_DISK:
            raise
        _say(f"error: {fault.filename or 'a temporary file'}: {fault.strerror}.")
        code = 1
    sys.exit(code)


def main() -> None:
    """Entry point of `bundler`."""
    _run(bundler)


def main_bundle() -> None:
    """Entry point of `bundle`."""
    _run(bundle)


def main_publish_index() -> None:
    """Entry point of `publish-index`."""
    _run(publish_index)
