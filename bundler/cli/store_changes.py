"""Commands that change a store, apart from `publish-index`."""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli.command import PATH, command, flag, json_option, parsed, store_argument
from bundler.cli.terminal import reporting, result, say, warn
from bundler.lazily import lazily
from bundler.units import counted, parse_duration, size_text

with lazily():
    from bundler.publications import aliases, approval, history, removal as removals, usage
    from bundler.trust import ssh_keygen
    from wheelhouse.store import creation, sharing, store

note_option = click.option(
    "--note",
    metavar="TEXT",
    default="",
    show_default=False,
    help="Add this text to the log of the store.",
)
_dry_run = flag("--dry-run", help="Show what would be removed without removing it.")


@command("init")
@store_argument
@click.option("--group", metavar="GROUP", help="Let the members of this group publish.")
@click.option(
    "--require-signature",
    "allowed",
    metavar="ALLOWED_SIGNERS",
    type=PATH,
    help="Accept only bundles that one of these signers has signed; the file is copied to STORE.",
)
def init(path: Path, group: str | None, allowed: Path | None) -> None:
    """Create a store, or repair its permissions.

    The mode and group of the folder STORE decide who may publish, whatever the umask of each user is. In an
    existing store, applies the folder's permissions to everything you own. See `bundler guide maintenance`.

    \b
    Examples:
        bundler store init /shared/store --group engineers
        bundler store init /shared/store --require-signature allowed_signers
    """
    if allowed:
        ssh_keygen.require_trust(ssh_keygen.Trust(allowed=allowed))
    place = creation.create_store(path)
    if allowed:
        approval.require_signatures(place, allowed)
    others = sharing.share(path, group)
    if others:
        warn(
            f"{counted(len(others), 'path')} belong to other users, such as {others[0]}\nhint: ask them to run the same"
        )
    result(None, [path.absolute()])


@command("remove")
@store_argument
@click.argument("publications", metavar="PUBLICATION...", nargs=-1, required=True)
@_dry_run
@flag("--force", help="Remove publications that jobs or aliases may still use.")
@note_option
@json_option
def remove(
    path: Path,
    publications: tuple[str, ...],
    dry_run: bool,
    force: bool,
    note: str,
    as_json: bool,
) -> None:
    """Remove publications from a store.

    Also removes unused wheels and their index entries. Safe during reads and publishes.
    Refuses to remove a publication from which jobs were submitted in the last 30 days (`submit-jobs` leaves a lease if
    it may write to the store), or to which an alias points. Prints the name of each removed publication.

    \b
    Examples:
        bundler store remove /shared/store eval-0123456789ab --dry-run
        bundler store remove /shared/store eval-0123456789ab --note "replaced by eval 2"
    """
    place = creation.create_store(path)
    removal = removals.plan(place, usage.find(place, publications))
    if not force:
        removals.require_unused(place, removal)
    _remove(place, removal, note, dry_run=dry_run, as_json=as_json)


@command("prune")
@store_argument
@click.option(
    "--keep-last",
    metavar="N",
    type=click.IntRange(min=1),
    help="Keep the newest N publications of each bundle.",
)
@click.option(
    "--older-than",
    metavar="AGE",
    help="Remove only what was published and submitted before, such as 90d.",
)
@_dry_run
@note_option
@json_option
def prune(
    path: Path,
    keep_last: int | None,
    older_than: str | None,
    dry_run: bool,
    note: str,
    as_json: bool,
) -> None:
    """Remove old publications from a store.

    Removes the publications that fulfil all conditions, and the wheels that no other publication uses. Keeps
    publications from which jobs were submitted in the last 30 days and those to which an alias points. Also finishes
    removals that were interrupted. Prints the name of each removed publication.

    \b
    Examples:
        bundler store prune /shared/store --keep-last 3 --dry-run
        bundler store prune /shared/store --keep-last 1 --older-than 180d
    """
    if keep_last is None and older_than is None:
        raise click.UsageError("--keep-last or --older-than is needed")
    seconds = 0.0
    if older_than is not None:
        seconds = parsed(parse_duration, older_than, "--older-than")
    place = creation.create_store(path)
    removal = removals.plan(place, removals.outdated(place, keep_last or 0, seconds))
    _remove(place, removal, note, dry_run=dry_run, as_json=as_json)


def _remove(
    place: store.Store,
    removal: removals.Removal,
    note: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    names = [entry.name for entry in removal.publications]
    done = "Would remove"
    if not dry_run:
        done = "Removed"
        with reporting() as report:
            if names:
                removals.remove(place, removal, note, report=report)
            else:
                removals.finish(place, report=report)
    document = {"publications": names, "wheels": sorted(removal.wheels), "bytes": removal.size}
    result(document, names, as_json=as_json)
    counts = f"{counted(len(names), 'publication')} and {counted(len(removal.wheels), 'wheel')}"
    say(f"{done} {counts} ({size_text(removal.size)})")


@command("alias")
@store_argument
@click.argument("name", metavar="[NAME]", required=False)
@click.argument("publication", metavar="[PUBLICATION]", required=False)
@note_option
@json_option
def alias(
    path: Path,
    name: str | None,
    publication: str | None,
    note: str,
    as_json: bool,
) -> None:
    """Show or move the aliases of a store.

    STORE/aliases/NAME is a link to a publication that can be used in its place. Without NAME, prints all aliases; with
    NAME, its history; with PUBLICATION, points NAME to it atomically. `publish-index --as NAME` does
    the same for what it publishes.

    \b
    Examples:
        bundler store alias /shared/store eval
        bundler store alias /shared/store eval eval-0123456789ab
    """
    if name is None:
        targets = aliases.aliases(store.open_store(path))
        lines = [f"{key}  {target}" for key, target in targets.items()]
        result({"aliases": targets}, lines, as_json=as_json)
        return
    aliases.require_alias(name)
    if publication is None:
        moves = _moves(store.open_store(path), name)
        lines = ["  ".join(filter(None, move.values())) for move in moves]
        result({"alias": name, "moves": moves}, lines, as_json=as_json)
        return
    link = aliases.point(creation.create_store(path), name, publication, note)
    result({"alias": link}, [link], as_json=as_json)


def _moves(place: store.Store, name: str) -> list[dict[str, str]]:
    moves = []
    for event in history.events(place)[0]:
        if event.action == "alias" and event.subject == name:
            move = {
                "time": event.time,
                "user": event.user,
                "change": event.detail,
                "note": event.note,
            }
            moves.append(move)
    return moves
