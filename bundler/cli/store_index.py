"""Commands that decide what the index of a store offers: yank, unyank and resolve."""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli.command import Command
from bundler.cli.store_changes import note_option
from bundler.cli.terminal import say

_PATH = click.Path(path_type=Path)


@click.command("yank", cls=Command, no_args_is_help=True)
@click.argument("path", metavar="STORE", type=_PATH)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", required=True, help="Show this reason to users.")
def yank(path: Path, files: tuple[str, ...], reason: str) -> None:
    """Yank files of a store's index.

    pip and uv ignore yanked files (PEP 592) unless exactly their version is asked for. Publications that use them stay
    as they are. FILE is a file name, as STORE/simple lists it.

    \b
    Examples:
        bundler store yank /shared/store numpy-2.4.6-cp312-cp312-manylinux_2_28_x86_64.whl --reason "wrong results"
        bundler store yank /shared/store alpha-1.0-py3-none-any.whl alpha-1.1-py3-none-any.whl --reason broken
    """
    from bundler.publications.history import log
    from wheelhouse import yank as yanking
    from wheelhouse.creation import create_store
    from wheelhouse.sharing import sharing

    place = create_store(path)
    with sharing(path):
        for name in files:
            record = yanking.yank(place, name, reason)
            log(place, "yank", name, sha256=record.sha256, note=reason)
    say(f"Yanked {', '.join(files)}")


@click.command("resolve", cls=Command, no_args_is_help=True)
@click.argument("path", metavar="STORE", type=_PATH)
@click.argument("wheels", metavar="WHEEL...", nargs=-1, required=True, type=_PATH)
@note_option
def resolve(path: Path, wheels: tuple[Path, ...], note: str) -> None:
    """Decide which of two files with the same name is genuine.

    Lets the index offer the files WHEEL under their names, instead of the different ones that the store has. To keep
    the files of the store, do nothing: others of the same name are refused. Publications keep the files that they
    use. uv caches files by name, so clear the caches of clients that have the old files.

    \b
    Examples:
        bundler store resolve /shared/store alpha-1.0-py3-none-any.whl --note "rebuilt by the vendor"
        bundler store resolve /shared/store vendor/alpha-1.0-py3-none-any.whl vendor/beta-2.0-py3-none-any.whl
    """
    from bundler.publications.history import log
    from wheelhouse.creation import create_store
    from wheelhouse.reassign import reassign
    from wheelhouse.sharing import sharing

    place = create_store(path)
    with sharing(path):
        for file in wheels:
            old, new = reassign(place, file)
            log(place, "resolve", file.name, sha256=new.sha256, detail=f"instead of {old.sha256}", note=note)
            say(f"The index now has {file.name} with sha256 {new.sha256}")


@click.command("unyank", cls=Command, no_args_is_help=True)
@click.argument("path", metavar="STORE", type=_PATH)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@note_option
def unyank(path: Path, files: tuple[str, ...], note: str) -> None:
    """Undo `bundler store yank`.

    \b
    Examples:
        bundler store unyank /shared/store alpha-1.0-py3-none-any.whl
        bundler store unyank /shared/store alpha-1.0-py3-none-any.whl --note "results were right"
    """
    from bundler.publications.history import log
    from wheelhouse import yank as yanking
    from wheelhouse.creation import create_store
    from wheelhouse.sharing import sharing

    place = create_store(path)
    with sharing(path):
        for name in files:
            record = yanking.unyank(place, name)
            log(place, "unyank", name, sha256=record.sha256, note=note)
    say(f"No longer yanked: {', '.join(files)}")
