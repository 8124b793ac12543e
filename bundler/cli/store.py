"""Commands that show what a store contains."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from bundler.cli import store_changes, store_damage, store_index
from bundler.cli.command import Group, flag, json_option, store_argument
from bundler.cli.terminal import result, say, warn
from bundler.lazily import lazily
from bundler.units import counted, size_text

with lazily():
    from bundler.publications import history, overview, usage
    from wheelhouse.store import store as stores


@click.group(cls=Group)
def store() -> None:
    """Maintain a store: list, verify, remove, alias and yank.

    \b
    Examples:
        bundler store list /shared/store
        bundler store verify /shared/store --repair
    """


for _command in (
    store_changes.init,
    store_changes.remove,
    store_changes.prune,
    store_changes.alias,
    store_index.yank,
    store_index.unyank,
    store_index.resolve,
    store_damage.verify,
):
    store.add_command(_command)


@store.command("list")
@store_argument
@flag("--digests", help="Print the digests of all files, for `bundler pack --since`.")
@json_option
def _list(path: Path, digests: bool, as_json: bool) -> None:
    """List the publications of a store.

    Prints for each publication its time, user, number of targets, own size (what no other publication uses), shared
    size, and the last submission from it. The oldest comes first.

    \b
    Examples:
        bundler store list /shared/store
        bundler store list /shared/store --digests > store.txt
    """
    place = stores.open_store(path)
    if digests:
        lines = overview.digests(place)
        result({"digests": lines}, lines, as_json=as_json)
        return
    rows = overview.overview(place)
    result({"publications": rows}, overview.table(rows), as_json=as_json)
    if not rows:
        say(f"{path} has no publications")


@store.command("show")
@store_argument
@click.argument("publication", metavar="PUBLICATION")
@json_option
def _show(path: Path, publication: str, as_json: bool) -> None:
    """Show one publication of a store.

    Prints who published it and when, its sizes, aliases and submissions, and how its packages differ from those of the
    previous publication of the same bundle. PUBLICATION is a name or a path.

    \b
    Examples:
        bundler store show /shared/store eval-0123456789ab
        bundler store show /shared/store eval-0123456789ab --json
    """
    place = stores.open_store(path)
    (entry,) = usage.find(place, [publication])
    details = overview.details(place, entry)
    result(details, overview.detail_lines(details), as_json=as_json)


@store.command("stats")
@store_argument
@json_option
def _stats(path: Path, as_json: bool) -> None:
    """Show the totals of a store.

    Prints the numbers of publications, projects and wheels, and the size of the wheels. Unused wheels belong to no
    publication.

    \b
    Examples:
        bundler store stats /shared/store
        bundler store stats /shared/store --json
    """
    totals = overview.statistics(stores.open_store(path))
    lines = [
        counted(totals["publications"], "publication"),
        counted(totals["projects"], "project"),
        f"{counted(totals['wheels'], 'wheel')} ({size_text(totals['bytes'])})",
        f"{counted(totals['unused'], 'unused wheel')} ({size_text(totals['unused-bytes'])})",
    ]
    result(totals, lines, as_json=as_json)


@store.command("log")
@store_argument
@json_option
def _log(path: Path, as_json: bool) -> None:
    """Show who changed a store, and when.

    Prints a line for each publish, remove, alias, yank, resolve and repair: time, user, host, action, subject and note.

    \b
    Examples:
        bundler store log /shared/store
        bundler store log /shared/store --json
    """
    events, errors = history.events(stores.open_store(path))
    for error in errors:
        warn(str(error))
    lines = []
    for event in events:
        cells = (
            event.time,
            f"{event.user}@{event.host}",
            event.action,
            event.subject,
            event.detail,
            event.note,
        )
        lines.append("  ".join(filter(None, cells)))
    result({"events": list(map(asdict, events))}, lines, as_json=as_json)
