"""The command that publishes bundles to a store."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from bundler.cli.command import Command, json_option, with_trust
from bundler.cli.terminal import reporting, result, say
from bundler.units import counted
from wheelhouse.lazily import lazily

with lazily():
    from bundler import api
    from bundler.bundles import delta, parts, temporary
    from bundler.publications import (
        aliases,
        approval,
        upload,
    )
    from bundler.publications import (
        publication as publication_publication,
    )
    from bundler.publications import (
        wheels as publication_wheels,
    )
    from bundler.trust import ssh_keygen
    from wheelhouse import creation
    from wheelhouse import store as wheelhouse_store


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
@click.option(
    "--upload",
    "url",
    metavar="URL",
    help="Upload the wheels to this index instead, such as devpi or Artifactory; there is no STORE then.",
)
@click.option(
    "--check-url", metavar="URL", help="Simple index of the --upload URL, to skip files.  [default: URL/simple/]"
)
@click.option("--as", "alias", metavar="NAME", help="Let the alias STORE/aliases/NAME point to the publication.")
@click.option("--note", metavar="TEXT", default="", show_default=False, help="Add this text to the log of the store.")
@with_trust
@click.option("--allow-older", is_flag=True, help="Accept a bundle that was signed before the one in STORE.")
@json_option
def publish_index(
    store: Path,
    bundles: tuple[Path, ...],
    seen_at: str | None,
    strategy: str,
    base: Path | None,
    url: str | None,
    check_url: str | None,
    alias: str | None,
    note: str,
    trust: ssh_keygen.Trust | None,
    allow_older: bool,
    as_json: bool,
) -> None:
    """Publish bundles to a shared store.

    Verifies each BUNDLE (a folder, an archive of `bundler pack`, or the parts of one), adds its wheels to STORE, and
    writes a publication with an execution script for its jobs. Creates STORE if it does not exist. Without BUNDLE,
    publishes the only bundle in the current folder. Prints the path of each publication, or of the alias with --as.
    Publishing again restores missing and damaged files. pip and uv can use STORE/simple as an index.

    BUNDLE may also be a folder or zip file of wheels from elsewhere, which are added to the index.

    With --trust, or if the store requires it (`bundler store init --require-signature`), publishes only bundles that an
    allowed signer has signed. Refuses a bundle that was signed before the one of the same name in STORE, unless
    --allow-older is given.

    With --upload, uploads the wheels of bundles to an existing index with `uv publish`, which skips files that are
    there. User and password come from the URL, from UV_PUBLISH_USERNAME and UV_PUBLISH_PASSWORD, or from
    UV_PUBLISH_TOKEN.

    \b
    Examples:
        publish-index /shared/store
        publish-index /shared/store eval.bundle --strategy environment
        publish-index /shared/store wheelhouse/
        publish-index eval.bundle --upload https://index.example.com/root/dev
    """
    if url is not None:
        if trust:
            raise click.UsageError("--trust and --upload cannot be used together; run `bundler verify --trust` first")
        _upload((store, *bundles), url, check_url, as_json=as_json)
        return
    if alias:
        aliases.require_alias(alias)
    policy = approval.Policy(trust=trust, allow_older=allow_older)
    seen = _path_on_nodes(store, seen_at)
    wheels = [path for path in bundles if publication_wheels.is_wheelhouse(path)]
    if trust and wheels:
        raise click.UsageError(f"--trust needs bundles; {wheels[0]} contains only wheels")
    with contextlib.ExitStack() as stack:
        folders = [] if bundles and len(wheels) == len(bundles) else _folders(stack, bundles, wheels, store, base)
        if alias and (wheels or len(folders) != 1):
            raise click.UsageError("--as needs exactly one bundle")
        paths = []
        for path in [*wheels, *folders]:
            with reporting() as report:
                if path in wheels:
                    publication = api.publish_wheels(path, store, note=note, report=report)
                else:
                    publication = api.publish(
                        path, store, seen_at=seen, strategy=strategy, note=note, policy=policy, report=report
                    )
            paths.append(_alias(publication, alias, note) if alias else publication)
            result(None, [] if as_json else paths[-1:])
    if as_json:
        result({"publications": paths}, [], as_json=True)


def _upload(bundles: Sequence[Path], url: str, check_url: str | None, *, as_json: bool) -> None:

    with reporting() as report:
        count = upload.upload(bundles, url, check_url, report=report)
    result({"uploaded": count}, [], as_json=as_json)
    say(f"The index has {counted(count, 'wheel')} of {counted(len(bundles), 'bundle')}")


def _path_on_nodes(store: Path, seen_at: str | None) -> str | None:
    """Return the path `seen_at` of STORE on nodes. Raises `BadParameter`, also for STORE."""
    if seen_at is not None and not re.match(r"/|\\\\|[A-Za-z]:[\\/]", seen_at):
        raise click.BadParameter("must be an absolute path on the nodes", param_hint="--seen-at")
    seen = seen_at.rstrip("/\\") if seen_at else None
    if any("\ud800" <= character <= "\udfff" for character in seen or os.path.abspath(store)):  # noqa: PTH100 - as `publish` does
        raise click.BadParameter("the path is not valid UTF-8", param_hint="STORE")
    return seen


def _folders(
    stack: contextlib.ExitStack, bundles: Sequence[Path], wheels: Sequence[Path], store: Path, base: Path | None
) -> list[Path]:
    """Return the folders of `bundles` without `wheels`; archives are unpacked until `stack` is closed."""
    scratch = wheelhouse_store.Store(store).scratch
    # Next to what will be published from it: the folder for temporary files may be small.
    within = scratch if scratch.is_dir() else None
    base_files = delta.base_of(base or (store if (store / "publications").is_dir() else None))
    folders: list[Path] = []
    for group in parts.grouped(
        [path for path in bundles if path not in wheels] or publication_publication.bundles_in(Path())
    ):
        with reporting() as report:
            folders += stack.enter_context(temporary.unpacked(group, report, base_files, within))
    for folder in folders:
        publication_publication.require_bundle(folder)
    return folders


def _alias(publication: Path, name: str, note: str) -> Path:

    return aliases.point(creation.create_store(publication.parent.parent), name, publication.name, note)
