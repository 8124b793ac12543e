"""Commands that decide what the index of a store offers: yank, unyank and resolve."""

from __future__ import annotations

from pathlib import Path

import click

from bundler.cli.command import PATH, command, store_argument
from bundler.cli.store_changes import note_option
from bundler.cli.terminal import say
from bundler.lazily import lazily

with lazily():
    from bundler.publications import history
    from wheelhouse.store import creation, reassign, sharing, yank as yanking


@command("yank")
@store_argument
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", required=True, help="Show this reason to users.")
def yank(path: Path, files: tuple[str, ...], reason: str) -> None:
    """Yank files of a store's index.

    pip and uv ignore yanked files (PEP 592) unless that exact version is requested. Publications that use them stay
    as they are. FILE is a file name, as STORE/simple lists it.

    \b
    Examples:
        bundler store yank /shared/store numpy-2.4.6-cp312-cp312-manylinux_2_28_x86_64.whl --reason "wrong results"
        bundler store yank /shared/store alpha-1.0-py3-none-any.whl alpha-1.1-py3-none-any.whl --reason broken
    """
    place = creation.create_store(path)
    with sharing.sharing(path):
        for name in files:
            record = yanking.yank(place, name, reason)
            history.log(place, "yank", name, sha256=record.sha256, note=reason)
    say(f"Yanked {', '.join(files)}")


@command("resolve")
@store_argument
@click.argument("wheels", metavar="WHEEL...", nargs=-1, required=True, type=PATH)
@note_option
def resolve(path: Path, wheels: tuple[Path, ...], note: str) -> None:
    """Decide which of two files with the same name is genuine.

    Makes the index serve WHEEL instead of the stored file of that name. To keep the stored files, do nothing: others
    of the same name are refused. Publications keep the files that they use. uv caches files by name, so clear the
    caches of clients that have the old files.

    \b
    Examples:
        bundler store resolve /shared/store alpha-1.0-py3-none-any.whl --note "rebuilt by the vendor"
        bundler store resolve /shared/store vendor/alpha-1.0-py3-none-any.whl vendor/beta-2.0-py3-none-any.whl
    """
    place = creation.create_store(path)
    with sharing.sharing(path):
        for file in wheels:
            old, new = reassign.reassign(place, file)
            history.log(
                place,
                "resolve",
                file.name,
                sha256=new.sha256,
                detail=f"instead of {old.sha256}",
                note=note,
            )
            say(f"The index now has {file.name} with sha256 {new.sha256}")


@command("unyank")
@store_argument
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@note_option
def unyank(path: Path, files: tuple[str, ...], note: str) -> None:
    """Undo `bundler store yank`.

    \b
    Examples:
        bundler store unyank /shared/store alpha-1.0-py3-none-any.whl
        bundler store unyank /shared/store alpha-1.0-py3-none-any.whl --note "results were right"
    """
    place = creation.create_store(path)
    with sharing.sharing(path):
        for name in files:
            record = yanking.unyank(place, name)
            history.log(place, "unyank", name, sha256=record.sha256, note=note)
    say(f"No longer yanked: {', '.join(files)}")
