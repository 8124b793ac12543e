"""Commands about bundles and publications."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from bundler.cli.show import HELP, say, shown

_PATH = click.Path(path_type=Path)


@click.command(no_args_is_help=True, context_settings=HELP)
@click.argument("scripts", metavar="SCRIPT...", nargs=-1, required=True, type=_PATH)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=_PATH,
    help="The bundle to write; SCRIPT's name with .bundle in this folder if not given.",
)
@click.option(
    "--python",
    "pythons",
    metavar="VERSION",
    multiple=True,
    help="A Python to bundle for, such as 3.12, '>=3.11,<3.14', 3.13t (free-threaded) or pypy3.10; the one that uv "
    "would choose here if not given. Repeatable.",
)
@click.option(
    "--platform",
    "platforms",
    metavar="PLATFORM",
    multiple=True,
    help="A platform to bundle for, as uv names it, such as x86_64-manylinux_2_28, windows or aarch64-apple-darwin; "
    "this machine's if not given. Repeatable.",
)
@click.option(
    "--for-hps",
    is_flag=True,
    help="Ask the HPS of HPS_URL for the platforms of its evaluators; it tells neither processor nor C library.",
)
@click.option("--include-uv", is_flag=True, help="Carry uv for each target, for nodes that have none.")
@click.option("--include-python", is_flag=True, help="Carry a Python for each target, for nodes that have none.")
@click.option(
    "--python-mirror",
    metavar="URL",
    help="Where --include-python takes Pythons from: a URL or folder with archives and a downloads.json; uv's own list "
    "if not given.",
)
@click.option(
    "--build",
    "builds",
    metavar="NAME",
    multiple=True,
    help="A package to build here if no wheel of it fits. What requirements point at (git, folders) always is.",
)
@click.option("--build-all", is_flag=True, help="Build every package of which no wheel fits.")
@click.option("--with", "requirements", metavar="REQ", multiple=True, help="A requirement beside those of SCRIPT.")
@click.option("--constraint", "constraints", metavar="FILE", multiple=True, type=_PATH, help="Bounds, as uv has them.")
@click.option("--override", "overrides", metavar="FILE", multiple=True, type=_PATH, help="Overrides, as uv has them.")
@click.option("--locked", is_flag=True, help="Fail unless every SCRIPT has a lock beside it, and it fits.")
@click.option(
    "--resolver",
    type=click.Choice(["uv", "pip-tools"]),
    default="uv",
    show_default=True,
    help="pip-tools honours pip.conf and PIP_*, and resolves for this Python and platform only.",
)
@click.option("--replace", is_flag=True, help="Replace the bundle at the output even if it is of other scripts.")
@click.option("--upgrade", is_flag=True, help="Resolve again although an up-to-date bundle of SCRIPT is there.")
@click.option(
    "-P",
    "--upgrade-package",
    "upgraded",
    metavar="NAME",
    multiple=True,
    help="Resolve again for a newer version of this package; of all others those in the bundle stay where they can. "
    "Repeatable.",
)
def bundle(
    scripts: tuple[Path, ...],
    output: Path | None,
    pythons: tuple[str, ...],
    platforms: tuple[str, ...],
    for_hps: bool,
    include_uv: bool,
    include_python: bool,
    python_mirror: str | None,
    builds: tuple[str, ...],
    build_all: bool,
    requirements: tuple[str, ...],
    constraints: tuple[Path, ...],
    overrides: tuple[Path, ...],
    locked: bool,
    resolver: str,
    replace: bool,
    upgrade: bool,
    upgraded: tuple[str, ...],
) -> None:
    """Bundle SCRIPT with every wheel that its inline metadata asks for.

    SCRIPT may also be a requirements.txt, a pylock.toml or the folder of a project with its uv.lock, whose environment
    then runs whatever a job names in BUNDLER_ARGUMENTS; "-" is a script on standard input.

    A SCRIPT.lock beside it is honoured, and so are python and platform of [tool.bundler] in SCRIPT. Prints the path of
    the bundle.

    \b
    Example, for a cluster with glibc 2.28 and Python 3.12:
        bundle eval.py --python 3.12 --platform x86_64-manylinux_2_28
    """
    from bundler import api

    if upgrade and upgraded:
        raise click.UsageError("--upgrade is for all packages, --upgrade-package for some: give one of them.")
    with shown() as report:
        made = api.bundle(
            scripts,
            output=output,
            pythons=pythons,
            platforms=platforms or (_platforms_of_hps() if for_hps else ()),
            include_uv=include_uv,
            include_python=include_python,
            python_mirror=python_mirror,
            builds=builds,
            build_all=build_all,
            requirements=requirements,
            constraints=constraints,
            overrides=overrides,
            locked=locked,
            resolver=resolver,
            replace=replace,
            upgrade=upgrade,
            upgrade_packages=upgraded,
            report=report,
        )
    click.echo(made)


def _platforms_of_hps() -> tuple[str, ...]:
    from bundler.cli.account import account_of_environment
    from bundler.hps.connection import connected
    from bundler.hps.resources import platforms_to_bundle_for, survey

    with connected(account_of_environment()) as client:
        platforms = platforms_to_bundle_for(survey(client))
    say(f"For the evaluators of HPS: {', '.join(platforms)} (processor and C library are assumed; see --platform)")
    return platforms


@click.command("publish-index", no_args_is_help=True, context_settings=HELP)
@click.argument("destination", metavar="DEST", type=_PATH)
@click.argument("bundles", metavar="[BUNDLE]...", nargs=-1, type=_PATH)
@click.option("--seen-at", metavar="DIR", help="Where evaluators see DEST, if it is mounted elsewhere there.")
@click.option(
    "--strategy",
    type=click.Choice(["index", "cache", "environment"]),
    default="index",
    show_default=True,
    help="How an environment comes about on a node: from the wheels on the share, from a filled uv cache, or ready. "
    "The last two are unpacked once per node; the last needs a bundle with --include-python.",
)
def publish_index(destination: Path, bundles: tuple[Path, ...], seen_at: str | None, strategy: str) -> None:
    """Verify BUNDLE and publish it into the shared store DEST, which is made when absent.

    Without BUNDLE it is the one in this folder. Prints the path of each publication; DEST/simple is an index for uv
    and pip over all that was ever published.

    \b
    Example:
        publish-index /shared/store eval.bundle
    """
    from bundler import api
    from bundler.publications.publication import bundles_in, require_bundle

    if seen_at is not None and not re.match(r"/|\\\\|[A-Za-z]:[\\/]", seen_at):
        raise click.BadParameter("must be an absolute path, as evaluators see it", param_hint="--seen-at")
    seen = seen_at.rstrip("/\\") if seen_at else None
    if any("\ud800" <= character <= "\udfff" for character in seen or os.path.abspath(destination)):  # noqa: PTH100 - as `publish` does
        raise click.BadParameter("its path is not UTF-8, and execution scripts can name no other", param_hint="DEST")
    found = list(bundles) or bundles_in(Path())
    for path in found:
        require_bundle(path)
    for path in found:
        with shown() as report:
            made = api.publish(path, destination, seen_at=seen, strategy=strategy, report=report)
        click.echo(made)


@click.command(no_args_is_help=True, context_settings=HELP)
@click.argument("path", type=_PATH)
def verify(path: Path) -> None:
    """Check every file of the bundle or publication PATH by its digest.

    \b
    Example:
        bundler verify eval.bundle
    """
    from bundler import api

    manifest = api.verify(path)
    say(f"{path}: {len(manifest.files)} files, all as the manifest says")


@click.command(no_args_is_help=True, context_settings=HELP)
@click.argument("path", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="As JSON, sizes in bytes.")
def inspect(path: Path, as_json: bool) -> None:
    """Show what is inside the bundle or publication PATH, per target.

    \b
    Example:
        bundler inspect eval.bundle
    """
    import json

    from bundler import api
    from bundler.bundles.inspection import table

    found = api.inspect(path)
    click.echo(json.dumps(found, indent=2) if as_json else table(found))
