"""The guides that come with the tool, for readers without a web browser."""

from __future__ import annotations

import sys
from importlib.resources import files

import click

from bundler.cli.command import command
from bundler.cli.terminal import result
from bundler.errors import BundlerError
from bundler.lazily import lazily

with lazily():
    from bundler import suggestions
    from bundler.cli import markdown

# The order in which a user needs them.
TOPICS = {
    "scripts": "Write a script: metadata and [tool.bundler]",
    "targets": "Choose targets, indexes and options of bundle",
    "carrying": "Carry a bundle across the air gap",
    "approval": "Approve a bundle: page, vulnerabilities, licences",
    "signatures": "Sign bundles, and decide what to trust",
    "store": "Run a store on shared storage",
    "maintenance": "Maintain a store: verify, remove, serve",
    "hps": "Set up HPS (administrators)",
    "jobs": "Submit, watch and fetch jobs",
    "engines": "Run by hand, by launchers, and on Slurm",
    "hps-fields": "Every field of HPS and where to set it",
    "without-bundler": "Use bundles and stores without this tool",
    "formats": "File formats, JSON output and guarantees",
    "performance": "What to expect, with measurements",
    "troubleshooting": "What a message means and what to do",
}


# What people look for, and the guides that have it.
_ELSEWHERE = {
    **dict.fromkeys(("slurm", "mpi", "dask", "snakemake", "pbs", "lsf", "run"), "engines"),
    **dict.fromkeys(("install", "runnable", "pack", "archive"), "carrying"),
    **dict.fromkeys(("audit", "policy", "sbom", "licences"), "approval"),
}


def read_guide(topic: str) -> str:
    """Return the guide on `topic` as Markdown."""
    return (files("bundler") / "guides" / f"{topic}.md").read_text(encoding="utf-8")


def _complete(context: click.Context, parameter: click.Parameter, start: str) -> list[str]:
    """Return the topics that begin with `start`, for shells."""
    del context, parameter
    return [topic for topic in TOPICS if topic.startswith(start)]


@command()
@click.argument("topic", required=False, shell_complete=_complete)
def guide(topic: str | None) -> None:
    """Show a guide.

    Without TOPIC, lists the guides. Shows a guide in a pager on a terminal, and prints Markdown otherwise.

    \b
    Examples:
        bundler guide
        bundler guide jobs
    """
    if topic is not None:
        topic = topic.lower()
    if topic is not None and topic not in TOPICS:
        near = suggestions.did_you_mean(topic, TOPICS)
        if topic in _ELSEWHERE:
            near = f"see `bundler guide {_ELSEWHERE[topic]}`"
        raise BundlerError(
            f"there is no guide {topic}", hint=near or f"the guides are {', '.join(TOPICS)}"
        )
    if topic is None:
        width = max(map(len, TOPICS))
        result(None, [f"{name:{width}}  {summary}" for name, summary in TOPICS.items()])
    elif sys.stdout.isatty():
        click.echo_via_pager(markdown.drawn(read_guide(topic)))
    else:
        click.echo(read_guide(topic), nl=False)
