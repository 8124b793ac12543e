"""Commands about nodes: their facts, their caches and their Pythons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bundler.cli.command import PATH, command, flag, json_option, parsed, publication_argument
from bundler.cli.terminal import result, say
from bundler.lazily import lazily

with lazily():
    from bundler import manifest_reader
    from bundler.bundles import supported_targets
    from bundler.node import garbage, probing
    from bundler.publications import check as checks, program, strategy as strategies
    from wheelhouse.select import interpreter


@command()
@flag("--script", help="Print a Python program that does the same, for nodes without bundler.")
def probe(script: bool) -> None:
    """Print facts about this node for `bundler check`.

    Prints its system, processor, C library, Pythons and uv as JSON. The program that --script prints runs on Python 3.8
    or newer.

    \b
    Examples, on the node:
        bundler probe > node.json
        python3 probe.py > node.json    # probe.py comes from: bundler probe --script > probe.py
    """
    if script:
        click.echo(program.join(program.PROBE), nl=False)
    else:
        click.echo(json.dumps(probing.probe(), indent=1))


@command()
@publication_argument
@click.option(
    "--probe",
    "probes",
    metavar="FILE",
    multiple=True,
    required=True,
    type=PATH,
    help="Facts about a node, as printed by `bundler probe`. Repeatable.",
)
@json_option
def check(publication: Path, probes: tuple[Path, ...], as_json: bool) -> None:
    """Check whether a publication would run on given nodes.

    Prints the probe file and target of each suitable node, and fails with the reasons for the other nodes.

    \b
    Examples:
        bundler check /shared/store/publications/eval-0123456789ab --probe node.json
        bundler check /shared/store/publications/eval-0123456789ab --probe a.json --probe b.json --json
    """
    manifest = manifest_reader.read_manifest(publication)
    strategy = strategies.read_strategy(publication)
    nodes: list[dict[str, Any]] = []
    lines = []
    failing = {}
    for path in probes:
        facts = checks.read_facts(path)
        reasons = checks.obstacles(manifest, facts, strategy)
        if checks.needs_uv(manifest, facts, strategy):
            say(f"{path}: no uv on PATH; register uv for this node, or bundle with --include-uv")
        fitting = [name for name, problems in reasons.items() if not problems]
        if fitting:
            nodes.append({"facts": path, "target": fitting[0], "reasons": {}})
            lines.append(f"{path}\t{fitting[0]}")
        else:
            nodes.append({"facts": path, "target": None, "reasons": reasons})
            failing[str(path)] = reasons
    result({"nodes": nodes}, lines, as_json=as_json)
    if failing:
        raise checks.would_not_run(publication, failing)


@command()
@click.argument(
    "cache", metavar="CACHE", type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option(
    "--limit",
    metavar="SIZE",
    help="Keep the cache below this size, such as 512 MB.  [default: 20 GB]",
)
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
    most = parsed(garbage.parse_size, limit or garbage.LIMIT, "--limit")
    caches: list[dict[str, Any]] = []
    lines = []
    of_users = sorted(cache.glob("user-*"))
    for path in [cache, *of_users]:
        if not (path / "bundler").is_dir():
            if path != cache or not of_users:
                say(f"{path}: no publication has used this cache")
            continue
        freed = garbage.collect_as_owner(str(path), most)
        caches.append({"cache": path, "freed": freed})
        if freed is None:
            say(f"{path}: jobs are running, so nothing was removed")
        else:
            lines.append(f"{path}\t{freed}")
    result({"caches": caches}, lines, as_json=as_json)


@command()
@json_option
def targets(as_json: bool) -> None:
    """List supported platforms and Python versions.

    These are the values of --platform and --python of `bundle`.

    \b
    Examples:
        bundler targets
        bundler targets --json
    """
    values = supported_targets.supported()
    result(values, [supported_targets.table(values)], as_json=as_json)


@command("pack-python")
@click.argument("interpreters", metavar="INTERPRETER...", nargs=-1, required=True, type=PATH)
@click.argument("mirror", metavar="MIRROR", type=PATH)
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
    archives = list(interpreter.pack(interpreters, mirror))
    result({"archives": archives}, archives, as_json=as_json)
