"""The command that publishes bundles to a store."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import click

from bundler.cli.command import Command, json_option
from bundler.cli.terminal import reporting, result

_PATH = click.Path(path_type=Path)


@click.command("publish-index", cls=Command, no_args_is_help=True)
@click.argument("store", metavar="STORE", type=_PATH)
@click.argument("bundles", metavar="[BUNDLE]...", nargs=-1, type=_PATH)
@click.option("--seen-at", metavar="DIR", help="Absolute path of STORE on the nodes, if they mount it elsewhere.")
@click.option(
    "--strategy",
    type=click.Choice(["index", "cache", "environment"]),
    default="index",
    help="Create environments on nodes from the wheels in the store (index), from a filled uv cache, or by unpacking a "
    "ready-made environment. The last one needs a bundle made with --include-python.",
)
@click.option(
    "--base",
    metavar="PATH",
    type=_PATH,
    help="Complete deltas from this bundle, publication or store.  [default: STORE]",
)
@click.option("--as", "alias", metavar="NAME", help="Let the alias STORE/aliases/NAME point to the publication.")
@click.option("--note", metavar="TEXT", default="", help="Add this text to the log of the store.")
@json_option
def publish_index(
    store: Path,
    bundles: tuple[Path, ...],
    seen_at: str | None,
    strategy: str,
    base: Path | None,
    alias: str | None,
    note: str,
    as_json: bool,
) -> None:
    """Publish bundles to a shared store.

    Verifies each BUNDLE (a folder, an archive of `bundler pack`, or the parts of one), adds its wheels to STORE, and
    writes a publication with an execution script for its jobs. Creates STORE if it does not exist. Without BUNDLE,
    publishes the only bundle in the current folder. Prints the path of each publication, or of the alias with --as.
    Publishing again restores what is missing or damaged. pip and uv can use STORE/simple as an index.

    \b
    Examples:
        publish-index /shared/store
        publish-index /shared/store eval.bundle --strategy environment
    """
    from bundler import api
    from bundler.bundles.delta import base_of
    from bundler.bundles.parts import grouped
    from bundler.bundles.temporary import unpacked
    from bundler.publications.aliases import require_alias
    from bundler.publications.publication import bundles_in, require_bundle
    from wheelhouse.store import Store

    if alias:
        require_alias(alias)
    if seen_at is not None and not re.match(r"/|\\\\|[A-Za-z]:[\\/]", seen_at):
        raise click.BadParameter("must be an absolute path on the nodes", param_hint="--seen-at")
    seen = seen_at.rstrip("/\\") if seen_at else None
    if any("\ud800" <= character <= "\udfff" for character in seen or os.path.abspath(store)):  # noqa: PTH100 - as `publish` does
        raise click.BadParameter("the path is not valid UTF-8", param_hint="STORE")
    scratch = Store(store).scratch
    base_files = base_of(base or (store if (store / "publications").is_dir() else None))
    publications = []
    with contextlib.ExitStack() as stack:
        folders: list[Path] = []
        for group in grouped(bundles or bundles_in(Path())):
            with reporting() as report:
                # Next to what will be published from it: the folder for temporary files may be small.
                folders += stack.enter_context(
                    unpacked(group, report, base_files, scratch if scratch.is_dir() else None)
                )
        for folder in folders:
            require_bundle(folder)
        if alias and len(folders) > 1:
            raise click.UsageError("--as needs exactly one bundle")
        for folder in folders:
            with reporting() as report:
                publication = api.publish(folder, store, seen_at=seen, strategy=strategy, note=note, report=report)
            publications.append(_alias(publication, alias, note) if alias else publication)
            if not as_json:
                result(None, publications[-1:])
    if as_json:
        result({"publications": publications}, [], as_json=True)


def _alias(publication: Path, name: str, note: str) -> Path:
    from bundler.publications.aliases import point
    from wheelhouse.sharing import sharing
    from wheelhouse.store import create_store

    place = create_store(publication.parent.parent)
    with sharing(place.path):
        return point(place, name, publication.name, note)
