"""The programs that are installed, and where their commands are."""

from __future__ import annotations

import click

from bundler.cli.command import LazyGroup, command_at

COMMANDS = {
    "bundle": "bundles:bundle",
    "publish-index": "publish:publish_index",
    "sign": "signatures:sign",
    "verify": "signatures:verify",
    "inspect": "bundles:inspect",
    "sbom": "assessment:sbom",
    "audit": "audit:audit",
    "rebuild": "assessment:rebuild",
    "report": "assessment:report",
    "pack": "archives:pack",
    "unpack": "archives:unpack",
    "install": "bundles:install_environment",
    "pyz": "archives:pyz",
    "carry": "archives:carry",
    "rehearse": "rehearse:rehearse",
    "probe": "nodes:probe",
    "check": "nodes:check",
    "gc": "nodes:gc",
    "targets": "nodes:targets",
    "pack-python": "nodes:pack_python",
    "store": "store:store",
    "submit": "jobs:submit",
    "hps": "hps:hps",
    "slurm": "slurm:slurm",
    "guide": "guide:guide",
    "completion": "completion:completion",
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def bundler() -> None:
    """Run Python scripts on nodes without internet access.

    \b
    Examples:
        bundle eval.py                     # on a connected machine
        publish-index /shared/store        # onto storage that every node can read
        submit-jobs /shared/store/publications/eval-0123456789ab

    Run `bundler guide` for the guides. bundle, publish-index and submit-jobs are also separate programs; hps-bundler
    is an alias of bundler.
    """


# The commands that are programs of their own.
PROGRAMS = {"bundle": "bundle", "publish-index": "publish-index", "submit-jobs": "submit"}


def program(name: str) -> click.Command:
    """Return the program `name`."""
    if name in PROGRAMS:
        return command_at(COMMANDS[PROGRAMS[name]])
    return bundler


def programs() -> dict[str, click.Command]:
    """Return all programs by name; bundler has another name where Ruby's Bundler is installed, too."""
    return {name: program(name) for name in ("bundler", "hps-bundler", *PROGRAMS)}
