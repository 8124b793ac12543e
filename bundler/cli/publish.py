"""The command that publishes bundles to a store."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from bundler.cli.command import PATH, command, flag, json_option, with_trust
from bundler.cli.terminal import reporting, result, say
from bundler.errors import BundlerError
from bundler.lazily import lazily
from bundler.units import counted

with lazily():
    from bundler import api, path_kinds
    from bundler.bundles import delta, parts, temporary
    from bundler.publications import (
        aliases,
        approval,
        publication as publications,
        upload,
        wheels as wheelhouses,
    )
    from bundler.trust import ssh_keygen
    from wheelhouse.store import creation, store as stores


@command("publish-index")
@click.argument("store", metavar="STORE", type=PATH)
@click.argument("bundles", metavar="[BUNDLE]...", nargs=-1, type=PATH)
@click.option(
    "--seen-at",
    metavar="DIR",
    help="Absolute path of STORE on the nodes, if they mount it elsewhere.",
)
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
    type=PATH,
    help="Complete deltas from this bundle, publication or store.  [default: STORE]",
)
@click.option(
    "--upload",
    "url",
    metavar="URL",
    help="Upload the wheels to this package index, such as devpi or Artifactory; omit STORE.",
)
@click.option(
    "--check-url",
    metavar="URL",
    help="Simple index of the --upload URL, to skip files.  [default: URL/simple/]",
)
@click.option(
    "--as",
    "alias",
    metavar="NAME",
    help="Let the alias STORE/aliases/NAME point to the publication.",
)
@click.option(
    "--note",
    metavar="TEXT",
    default="",
    show_default=False,
    help="Add this text to the log of the store.",
)
@with_trust
@flag("--allow-older", help="Accept a bundle that was signed before the one in STORE.")
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
        if bundles and path_kinds.kind_of(store) in ("store", "nothing"):
            raise click.UsageError(f"--upload takes no STORE; omit {store}")
        _upload((store, *bundles), url, check_url, trust, as_json=as_json)
        return
    if alias:
        aliases.require_alias(alias)
    _require_store_first(store, bundles)
    policy = approval.Policy(trust=trust, allow_older=allow_older)
    seen = _path_on_nodes(store, seen_at)
    wheels = _only_wheels(bundles, trust)
    paths = []
    with _unpacked(bundles, wheels, store, base) as folders:
        if alias and (wheels or len(folders) != 1):
            raise click.UsageError("--as needs exactly one bundle")
        for path in [*wheels, *folders]:
            with reporting() as report:
                if path in wheels:
                    publication = api.publish_wheels(path, store, note=note, report=report)
                else:
                    publication = api.publish(
                        path,
                        store,
                        seen_at=seen,
                        strategy=strategy,
                        note=note,
                        policy=policy,
                        report=report,
                    )
            place = _pointed(publication, alias, note)
            paths.append(place)
            if not as_json:
                result(None, [place])
    if as_json:
        result({"publications": paths}, [], as_json=True)


def _pointed(publication: Path, alias: str | None, note: str) -> Path:
    """Point `alias` at `publication`, and return its path; without an alias, return the path of the publication."""
    if not alias:
        return publication
    store = creation.create_store(publication.parent.parent)
    return aliases.point(store, alias, publication.name, note)


def _require_store_first(store: Path, bundles: Sequence[Path]) -> None:
    """Raise `BundlerError` if somebody named a bundle where the store belongs, or a store where a bundle belongs."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(store)):
        raise BundlerError(
            f"{store} is a URL, and a store is a folder",
            hint="to upload wheels to an index, use publish-index BUNDLE --upload URL",
        )
    kinds = {path: path_kinds.kind_of(path) for path in (store, *bundles)}
    if kinds[store] not in ("nothing", "store", "folder", "file"):
        fact, hint = path_kinds.mismatch(store, "store")
        if kinds[store] != "script":
            hint = "name the store first"
            names = list(map(str, bundles)) or ["STORE"]
            if len(bundles) <= 1 and kinds[store] not in list(kinds.values())[1:]:
                hint += f": {shlex.join(['publish-index', *names, str(store)])}"
        raise BundlerError(f"{store} {fact}", hint=hint)
    for path in bundles:
        if kinds[path] == "store":
            fact, hint = path_kinds.mismatch(path, "bundle")
            raise BundlerError(f"{path} {fact}", hint=hint)


def _upload(
    bundles: Sequence[Path],
    url: str,
    check_url: str | None,
    trust: ssh_keygen.Trust | None,
    *,
    as_json: bool,
) -> None:
    if trust:
        raise click.UsageError(
            "--trust and --upload cannot be used together; run `bundler verify --trust` first"
        )
    with reporting() as report:
        count = upload.upload(bundles, url, check_url, report=report)
    result({"uploaded": count}, [], as_json=as_json)
    say(f"The index has {counted(count, 'wheel')} of {counted(len(bundles), 'bundle')}")


def _path_on_nodes(store: Path, seen_at: str | None) -> str | None:
    """Return the path `seen_at` of STORE on nodes. Raises `BadParameter`, also for STORE."""
    if seen_at is not None and not re.match(r"/|\\\\|[A-Za-z]:[\\/]", seen_at):
        raise click.BadParameter("must be an absolute path on the nodes", param_hint="--seen-at")
    seen = seen_at.rstrip("/\\") if seen_at else None
    path = seen or os.path.abspath(store)  # noqa: PTH100 - as `publish` does
    if any("\ud800" <= character <= "\udfff" for character in path):
        raise click.BadParameter("the path is not valid UTF-8", param_hint="STORE")
    return seen


def _only_wheels(bundles: Sequence[Path], trust: ssh_keygen.Trust | None) -> list[Path]:
    """Return those of `bundles` that contain only wheels, which nobody can have signed. Raises `UsageError`."""
    wheels = [path for path in bundles if wheelhouses.is_wheelhouse(path)]
    if trust and wheels:
        raise click.UsageError(f"--trust needs bundles; {wheels[0]} contains only wheels")
    return wheels


@contextlib.contextmanager
def _unpacked(
    bundles: Sequence[Path], wheels: Sequence[Path], store: Path, base: Path | None
) -> Iterator[list[Path]]:
    """Yield the folders of `bundles` without `wheels`; archives are unpacked for the block.

    If none is named, this is the bundle in the current folder.
    """
    paths = [path for path in bundles if path not in wheels]
    if wheels and not paths:
        yield []
        return
    scratch = stores.Store(store).scratch
    # Next to what will be published from it: the folder for temporary files may be small.
    within = scratch if scratch.is_dir() else None
    if base is None and (store / "publications").is_dir():
        base = store
    base_files = delta.base_of(base)
    folders: list[Path] = []
    with contextlib.ExitStack() as stack:
        for group in parts.grouped(paths or publications.bundles_in(Path())):
            with reporting() as report:
                folders += stack.enter_context(
                    temporary.unpacked(group, report, base_files, within)
                )
        for folder in folders:
            publications.require_bundle(folder)
        yield folders
