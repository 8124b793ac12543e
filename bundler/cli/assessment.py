"""Commands that tell what is in a bundle and what is known about it."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import click

from bundler.cli.command import Command, base_option, json_option
from bundler.cli.terminal import reporting, result

_PATH = click.Path(path_type=Path)


@click.command("sbom", cls=Command, no_args_is_help=True)
@click.argument("path", metavar="PATH", type=_PATH)
@click.option("-o", "--output", metavar="DIR", type=_PATH, help="Write the documents to files in this folder.")
@click.option("--script", metavar="NAME", help="Only for this script.")
@click.option("--target", metavar="NAME", help="Only for this target, such as 3.12-x86_64-manylinux_2_28.")
@base_option
@json_option
def sbom(
    path: Path, output: Path | None, script: str | None, target: str | None, base: Path | None, as_json: bool
) -> None:
    """Write bills of materials of a bundle.

    One document in CycloneDX 1.6 (JSON) for each script and target: packages with digests, licences, origins and
    dependencies, the components inside wheels, Python and uv if they are included. Verifies PATH first, a bundle,
    publication or archive. Prints the document if it is only one, and the paths of the files with --output.

    \b
    Examples:
        bundler sbom eval.bundle
        bundler sbom eval.bundle -o sbom
    """
    from bundler import api
    from bundler.assessment.sbom import sbom_path
    from bundler.bundles.delta import base_of
    from bundler.bundles.temporary import unpacked
    from bundler.manifest_reader import read_manifest
    from wheelhouse import atomic

    documents: dict[str, bytes] = {}
    with contextlib.ExitStack() as stack:
        with reporting() as report:
            paths = stack.enter_context(unpacked([path], report, base_of(base)))
        for each in paths:
            manifest = read_manifest(each)
            names = {
                sbom_path(entry.name, place.name)
                for entry in manifest.scripts
                for place in manifest.targets
                if script in (None, entry.name) and target in (None, place.name)
            }
            documents |= {name: data for name, data in api.sbom(each).items() if name in names}
    if not documents:
        raise click.UsageError(f"{path} has no such script and target; `bundler inspect` lists them")
    if output is None and len(documents) > 1:
        raise click.UsageError(f"{path} has {len(documents)} documents; use --output, or --script and --target")
    if output is None:
        click.echo(b"".join(documents.values()), nl=False)
        return
    output.mkdir(parents=True, exist_ok=True)
    written = {output / name.rpartition("/")[2]: data for name, data in documents.items()}
    for file, data in written.items():
        atomic.write(file, data)
    rows = [{"path": file, "sha256": hashlib.sha256(data).hexdigest()} for file, data in written.items()]
    result({"sboms": rows}, list(written), as_json=as_json)
