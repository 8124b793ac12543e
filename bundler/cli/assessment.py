"""Commands that tell what is in a bundle and what is known about it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from dataclasses import asdict
from pathlib import Path

import click

from bundler.cli.command import Command, base_option, json_option, with_trust
from bundler.cli.terminal import reporting, result, say
from bundler.errors import BundlerError
from bundler.units import counted
from wheelhouse.lazily import lazily

with lazily():
    from bundler import assurance, manifest_reader
    from bundler.assessment import page
    from bundler.assessment import policy as assessment_policy
    from bundler.assessment import sbom as assessment_sbom
    from bundler.bundles import delta, temporary
    from bundler.trust import ssh_keygen
    from wheelhouse import atomic, files

_PATH = click.Path(path_type=Path)


@click.command("sbom", cls=Command, no_args_is_help=True)
@click.argument("path", metavar="PATH", type=_PATH)
@click.option("-o", "--output", metavar="DIR", type=_PATH, help="Write the documents to files in this folder.")
@click.option("--script", metavar="NAME", help="Write only the documents for this script.")
@click.option("--target", metavar="NAME", help="Write only the documents for this target.")
@base_option
@json_option
def sbom(
    path: Path, output: Path | None, script: str | None, target: str | None, base: Path | None, as_json: bool
) -> None:
    """Write bills of materials of a bundle.

    Writes one document in CycloneDX 1.6 (JSON) for each script and target. It lists packages with digests, licences,
    origins and dependencies, the components inside wheels, and Python and uv if they are included. PATH is a bundle,
    publication or archive, and is verified first. Prints the document if there is only one; with --output, prints the
    paths of the files.

    \b
    Examples:
        bundler sbom eval.bundle
        bundler sbom eval.bundle -o sbom
    """
    documents: dict[str, bytes] = {}
    with contextlib.ExitStack() as stack:
        with reporting() as report:
            paths = stack.enter_context(temporary.unpacked([path], report, delta.base_of(base)))
        for each in paths:
            manifest = manifest_reader.read_manifest(each)
            names = {
                assessment_sbom.sbom_path(entry.name, place.name)
                for entry in manifest.scripts
                for place in manifest.targets
                if script in (None, entry.name) and target in (None, place.name)
            }
            documents |= {name: data for name, data in assurance.sbom(each).items() if name in names}
    if not documents:
        raise click.UsageError(f"{path} has no such script and target; `bundler inspect` lists them")
    if output is None and len(documents) > 1:
        raise click.UsageError(f"{path} has {len(documents)} documents; use --output, or --script and --target")
    if output is None:
        click.echo(b"".join(documents.values()), nl=False)
        return
    with files.explained(output):
        files.make_folder(output)
    written = {output / name.rpartition("/")[2]: data for name, data in documents.items()}
    for file, data in written.items():
        with atomic.creating(file) as partial:
            partial.write_bytes(data)
    rows = [{"path": file, "sha256": hashlib.sha256(data).hexdigest()} for file, data in written.items()]
    result({"sboms": rows}, list(written), as_json=as_json)


@click.command("rebuild", cls=Command, no_args_is_help=True)
@click.option("--compare", "bundle", metavar="BUNDLE", type=_PATH, required=True, help="Build this bundle again.")
@click.option("-o", "--output", metavar="DIR", type=_PATH, help="Keep the new bundle in this folder.")
@click.option("--build", is_flag=True, help="Build from source what was built; this runs code that the bundle names.")
@json_option
def rebuild(bundle: Path, output: Path | None, build: bool, as_json: bool) -> None:
    """Build a bundle again and compare the bytes.

    Verifies BUNDLE, bundles its scripts again with its locks, versions, targets and options, and lists the files that
    differ. Fails if there are any. Run it on a second machine to find out whether the first one tampered with the
    bundle.

    \b
    Examples:
        bundler rebuild --compare eval.bundle
        bundler rebuild --compare eval.bundle -o again.bundle --json
    """
    if output is not None and (output.exists() or not output.absolute().parent.is_dir()):
        fact = "exists" if output.exists() else "is not in a folder"
        raise click.BadParameter(f"{output} {fact}", param_hint="--output")
    with reporting() as report:
        difference = assurance.rebuild(bundle, output, build=build, report=report)
    result(asdict(difference), [], as_json=as_json)
    if lines := difference.lines():
        raise BundlerError(
            f"{bundle} differs from its rebuild in {counted(len(lines), 'file')}",
            facts=lines,
            hint="if uv and this tool have the versions in provenance.json, find out who changed the files",
        )
    say(f"{bundle} and its rebuild are identical")


@click.command("report", cls=Command, no_args_is_help=True)
@click.argument("path", metavar="PATH", type=_PATH)
@click.option("-o", "--output", metavar="FILE", type=_PATH, help="Write to this file.  [default: NAME.report.html]")
@click.option(
    "--since",
    metavar="OLD",
    type=_PATH,
    help="Show changes since this earlier bundle or publication.",
)
@click.option("--advisories", metavar="FILE", type=_PATH, help="OSV records for PyPI, as for `bundler audit`.")
@click.option("--accept", metavar="FILE", type=_PATH, help="OpenVEX document with findings that do not matter.")
@click.option("--policy", metavar="FILE", type=_PATH, help="Rules of your site (TOML); fail if one is violated.")
@functools.partial(with_trust, purpose="Show who signed the bundle, according to this file")
@base_option
@json_option
def report(
    path: Path,
    output: Path | None,
    since: Path | None,
    advisories: Path | None,
    accept: Path | None,
    policy: Path | None,
    trust: ssh_keygen.Trust | None,
    base: Path | None,
    as_json: bool,
) -> None:
    """Write a page for the approver of a bundle.

    Writes one HTML file without scripts, for the screen and for printing: what the bundle is for, who signed it, what
    changed, known vulnerabilities, licences, and every wheel with its origin. PATH is a bundle, publication or archive,
    and is verified first. Prints the path of the page; with --json, prints the same content as JSON instead. A missing
    signature is on the page, and does not fail. See `bundler guide approval`.

    \b
    Examples:
        bundler report eval.bundle
        bundler report eval.bundle --trust allowed_signers --advisories all.zip --policy site.toml
    """
    if accept and not advisories:
        raise click.UsageError("--accept needs --advisories")
    rules = assessment_policy.read_policy(policy) if policy else None
    with contextlib.ExitStack() as stack:
        with reporting() as shown:
            paths = stack.enter_context(temporary.unpacked([path], shown, delta.base_of(base)))
        if len(paths) > 1:
            raise click.UsageError(f"{path} contains {len(paths)} bundles; unpack it, and report each of them")
        document = assurance.report(paths[0], trust=trust, since=since, advisories=advisories, accept=accept)
    broken = assessment_policy.violations(rules, document) if rules else None
    if as_json:
        result({**document, "violations": [asdict(entry) for entry in broken or ()]}, [], as_json=True)
    if str(output) == "-":
        click.echo(page.page(document, broken), nl=False)
    elif output or not as_json:
        target = output or _page_of(document["name"])
        with atomic.creating(target) as partial:
            partial.write_bytes(page.page(document, broken))
        result(None, [] if as_json else [target])
    if broken:
        facts = [f"{entry.rule}: {entry.subject}: {entry.fact}" for entry in broken]
        raise BundlerError(
            f"{path} violates the policy {policy} ({counted(len(broken), 'violation')})",
            facts=facts,
            hint="replace these packages or get the missing facts, or change the policy",
        )


def _page_of(name: str) -> Path:
    """Return the default path of a page. Raises `BundlerError` if another file is there."""
    path = Path(f"{name}.report.html")
    if not path.exists():
        return path
    with files.explained(path), files.open_input(path) as source:
        start = source.read(2000)
    if b'content="hps-bundler"' not in start:
        raise BundlerError(f"{path} exists and is not a report", hint="choose another file with --output")
    return path
