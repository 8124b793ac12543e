"""Commands that pack bundles into archives and this tool into files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from bundler.cli import streams
from bundler.cli.command import PATH, base_option, command, flag, json_option
from bundler.cli.completion import complete_platform, complete_python
from bundler.cli.terminal import reporting, result, say
from bundler.lazily import lazily
from bundler.units import counted, parse_size, size_text

with lazily():
    from bundler import api, carry as carrying, pyz as pyz_files, runnable as runnables
    from bundler.bundles import archive, delta, output as outputs
    from wheelhouse import atomic


class _Size(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """The size of a part in bytes, such as 4.7GB."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the bytes in `value`."""
        try:
            size = parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if size < outputs.SMALLEST:
            self.fail(f"must be at least {size_text(outputs.SMALLEST)} (got {value!r})", param, ctx)
        return size


@command("pack")
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True, type=PATH)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=PATH,
    help='Write to this file, or to standard output for "-".',
)
@click.option(
    "--since",
    metavar="OLD",
    type=PATH,
    help="Leave out the files of OLD: a bundle, publication, store, archive, manifest or list of digests.",
)
@click.option(
    "--compress",
    type=click.Choice(["zstd"]),
    help="Compress the archive; useful with several Pythons.",
)
@click.option(
    "--split", metavar="SIZE", type=_Size(), help="Write parts of this size, such as 4.7GB."
)
@flag(
    "--runnable",
    help="Write a program with Python instead, which runs the script of the only BUNDLE: sh FILE [ARGUMENT]...",
)
@flag("--with-pyz", help="Also write bundler.pyz next to the archive.")
@click.option(
    "--with-tool",
    "tool",
    metavar="FILE",
    type=PATH,
    help="Also copy this file, made by `bundler carry`.",
)
@flag("--dry-run", help="Show the size of the archive without writing it.")
@json_option
def pack(
    bundles: tuple[Path, ...],
    output: Path | None,
    since: Path | None,
    compress: str | None,
    split: int | None,
    runnable: bool,
    with_pyz: bool,
    tool: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Pack bundles into one archive.

    Writes a tar archive that starts with the manifests, and verifies every file on the way. The same bundles give the
    same bytes. publish-index, verify, inspect, install and rehearse accept archives directly. Prints the path of each
    file.

    \b
    Examples:
        bundler pack eval.bundle -o eval.tar
        bundler pack eval.bundle -o eval.tar --since last-month.tar --split 4.7GB
    """
    if dry_run:
        _show_size(bundles, since, as_json=as_json)
        return
    if output is None:
        raise click.UsageError("missing option '--output'")
    if runnable:
        _pack_runnable(bundles, output, [since, compress, split, with_pyz, tool], as_json=as_json)
        return
    names = [output.name]
    if with_pyz:
        names.append("bundler.pyz")
    if tool:
        names.append(tool.name)
    if str(output) == "-":
        _require_pipe(names, split)
    if len(set(names)) < len(names):
        raise click.UsageError("the archive and the tools need different names")
    if tool and not tool.is_file():
        raise click.BadParameter(f"{tool} is not a file", param_hint="--with-tool")
    with reporting() as report:
        paths = api.pack(
            bundles, output, since=since, compress=bool(compress), split=split, report=report
        )
    paths += _tools(output, tool, with_pyz=with_pyz)
    if paths:
        result({"archive": output, "files": paths}, paths, as_json=as_json)


def _require_pipe(names: Sequence[str], split: int | None) -> None:
    """Raise `UsageError` unless the file in `names` can go to standard output."""
    if split or len(names) > 1:
        raise click.UsageError("--split, --with-pyz and --with-tool need a file, not a pipe")
    streams.require_output()


def _pack_runnable(
    bundles: Sequence[Path], output: Path, others: Sequence[object], *, as_json: bool
) -> None:
    """Write the only one of `bundles` as a program; `others` are the values of options that do not go with it."""
    if len(bundles) > 1 or any(others):
        raise click.UsageError("--runnable takes one BUNDLE and no other option but --output")
    digest = runnables.write_runnable(bundles[0], output)
    say(f"SHA-256: {digest}")
    result({"files": [output], "sha256": digest}, [output], as_json=as_json)


def _show_size(bundles: Sequence[Path], since: Path | None, *, as_json: bool) -> None:
    known = delta.digests_of(since) if since else ()
    size = archive.content_size(bundles, known)
    whole = f"{counted(size['of_files'], 'file')} ({size_text(size['bytes'])} of {size_text(size['of_bytes'])})"
    result(size, [f"{size['files']} of {whole}"], as_json=as_json)


def _tools(output: Path, tool: Path | None, *, with_pyz: bool) -> list[Path]:
    """Write the tools next to the archive `output`; return their paths."""
    written = []
    if with_pyz:
        path = output.with_name("bundler.pyz")
        pyz_files.write_pyz(path)
        written.append(path)
    if tool:
        path = output.with_name(tool.name)
        with atomic.creating(path) as partial:
            shutil.copy(tool, partial)
        written.append(path)
    return written


@command("unpack")
@click.argument("archives", metavar="FILE...", nargs=-1, required=True, type=PATH)
@click.option(
    "-o", "--output", metavar="DIR", type=PATH, default=Path(), help="Unpack to this folder."
)
@base_option
@json_option
def unpack(archives: tuple[Path, ...], output: Path, base: Path | None, as_json: bool) -> None:
    """Unpack the bundles in an archive.

    Verifies every byte on the way; no bundle appears before all of them are complete. FILE is an archive or a pipe
    ("-"), or one or all parts of an archive in any order. Prints the path of each bundle.

    \b
    Examples:
        bundler unpack eval.tar
        bundler unpack /media/disc1/eval.tar.001 /media/disc2/eval.tar.002 -o bundles
    """
    with reporting() as report:
        bundles = api.unpack(archives, output, base=base, report=report)
    result({"bundles": bundles}, bundles, as_json=as_json)


@command("carry")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=PATH,
    help="Write to this file.  [default: hps-bundler-PLATFORM.sh, or .zip]",
)
@click.option(
    "--platform",
    metavar="PLATFORM",
    shell_complete=complete_platform,
    help="Platform of the far side, such as x86_64-manylinux_2_28 or windows.  [default: this machine's platform]",
)
@click.option(
    "--python",
    metavar="VERSION",
    shell_complete=complete_python,
    help="Python to include.  [default: uv's choice]",
)
@flag("--with-hps", help="Include submit-jobs and the other commands for HPS.")
@click.option(
    "--python-mirror",
    metavar="URL",
    help="Take the Python from this URL or folder.  [default: uv's own downloads]",
)
@json_option
def carry(
    output: Path | None,
    platform: str | None,
    python: str | None,
    with_hps: bool,
    python_mirror: str | None,
    as_json: bool,
) -> None:
    """Write this tool with its own Python as one file.

    For machines that have neither Python nor root: `sh FILE DIR` verifies the file and installs it in DIR, with
    commands in DIR/bin. For Windows, FILE is a zip file with .cmd files. Prints the path of the file; its SHA-256 goes
    to standard error.

    \b
    Examples:
        bundler carry --platform x86_64-manylinux_2_28
        bundler carry --platform windows --with-hps -o tool.zip
    """
    path = output or _default_tool(platform)
    with reporting() as report:
        digest = carrying.carry(
            path,
            platform=platform,
            python=python,
            with_hps=with_hps,
            python_mirror=python_mirror,
            report=report,
        )
    say(f"SHA-256: {digest}")
    result({"tool": path, "sha256": digest}, [path], as_json=as_json)


def _default_tool(platform: str | None) -> Path:
    is_windows = os.name == "nt"
    stem = "hps-bundler"
    if platform:
        is_windows = "windows" in platform
        stem = f"hps-bundler-{platform}"
    return Path(f"{stem}.zip" if is_windows else f"{stem}.sh")


@command("pyz")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=PATH,
    default=Path("bundler.pyz"),
    help="Write to this file.",
)
@json_option
def pyz(output: Path, as_json: bool) -> None:
    """Write the far-side tool as one file.

    The file runs with Python 3.10 or newer and needs nothing else. It has the commands that work without an extra, such
    as publish-index, verify, inspect and rehearse. Prints its path.

    \b
    Examples:
        bundler pyz
        python3 bundler.pyz publish-index /shared/store eval.bundle    # on the far side
    """
    pyz_files.write_pyz(output)
    result({"pyz": output}, [output], as_json=as_json)
