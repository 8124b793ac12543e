"""Commands that tell what is in a bundle and what is known about it."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from bundler.cli.command import (
    PATH,
    base_option,
    command,
    flag,
    json_option,
    path_argument,
    unpacked,
    with_trust,
)
from bundler.cli.terminal import reporting, result, say
from bundler.errors import BundlerError
from bundler.lazily import lazily
from bundler.units import counted

with lazily():
    from bundler import assurance, manifest_reader
    from bundler.assessment import page, policy as policies, sbom as sboms
    from bundler.trust import ssh_keygen
    from wheelhouse import atomic, files


@command("sbom")
@path_argument
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=PATH,
    help="Write the documents to files in this folder.",
)
@click.option("--script", metavar="NAME", help="Write only the documents for this script.")
@click.option("--target", metavar="NAME", help="Write only the documents for this target.")
@base_option
@json_option
def sbom(
    path: Path,
    output: Path | None,
    script: str | None,
    target: str | None,
    base: Path | None,
    as_json: bool,
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
    with unpacked(path, base) as folders:
        for folder in folders:
            names = _document_names(folder, script, target)
            documents |= {
                name: data for name, data in assurance.sbom(folder).items() if name in names
            }
    if not documents:
        raise click.UsageError(
            f"{path} has no such script and target; `bundler inspect` lists them"
        )
    if output is None and len(documents) > 1:
        raise click.UsageError(
            f"{path} has {len(documents)} documents; use --output, or --script and --target"
        )
    if output is None:
        click.echo(b"".join(documents.values()), nl=False)
        return
    with files.explained(output):
        files.make_folder(output)
    rows = []
    for name, data in documents.items():
        file = output / name.rpartition("/")[2]
        with atomic.creating(file) as partial:
            partial.write_bytes(data)
        rows.append({"path": file, "sha256": hashlib.sha256(data).hexdigest()})
    result({"sboms": rows}, [row["path"] for row in rows], as_json=as_json)


def _document_names(folder: Path, script: str | None, target: str | None) -> set[str]:
    """Return the names of the documents for a script and a target, None for all."""
    manifest = manifest_reader.read_manifest(folder)
    scripts = [entry.name for entry in manifest.scripts if script in (None, entry.name)]
    targets = [entry.name for entry in manifest.targets if target in (None, entry.name)]
    return {sboms.sbom_path(*names) for names in itertools.product(scripts, targets)}


@command("rebuild")
@click.option(
    "--compare",
    "bundle",
    metavar="BUNDLE",
    type=PATH,
    required=True,
    help="Build this bundle again.",
)
@click.option(
    "-o", "--output", metavar="DIR", type=PATH, help="Keep the new bundle in this folder."
)
@flag("--build", help="Build from source what was built; this runs code that the bundle names.")
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
    if output is not None and output.exists():
        raise click.BadParameter(f"{output} exists", param_hint="--output")
    if output is not None and not output.absolute().parent.is_dir():
        raise click.BadParameter(f"{output} is not in a folder", param_hint="--output")
    with reporting() as report:
        difference = assurance.rebuild(bundle, output, build=build, report=report)
    result(asdict(difference), [], as_json=as_json)
    lines = difference.lines()
    if lines:
        raise BundlerError(
            f"{bundle} differs from its rebuild in {counted(len(lines), 'file')}",
            facts=lines,
            hint="if uv and this tool have the versions in provenance.json, find out who changed the files",
        )
    say(f"{bundle} and its rebuild are identical")


@command("report")
@path_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=PATH,
    help="Write to this file.  [default: NAME.report.html]",
)
@click.option(
    "--since",
    metavar="OLD",
    type=PATH,
    help="Show changes since this earlier bundle or publication.",
)
@click.option(
    "--advisories",
    metavar="FILE",
    type=PATH,
    help="OSV records for PyPI, as for `bundler audit`.",
)
@click.option(
    "--accept",
    metavar="FILE",
    type=PATH,
    help="OpenVEX document with findings that do not matter.",
)
@click.option(
    "--policy",
    metavar="FILE",
    type=PATH,
    help="Rules of your site (TOML); fail if one is violated.",
)
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
    signature is reported and is not an error. See `bundler guide approval`.

    \b
    Examples:
        bundler report eval.bundle
        bundler report eval.bundle --trust allowed_signers --advisories all.zip --policy site.toml
    """
    if accept and not advisories:
        raise click.UsageError("--accept needs --advisories")
    rules = policies.read_policy(policy) if policy else None
    with unpacked(path, base) as folders:
        if len(folders) > 1:
            raise click.UsageError(
                f"{path} contains {len(folders)} bundles; unpack it, and report each of them"
            )
        document = assurance.report(
            folders[0], trust=trust, since=since, advisories=advisories, accept=accept
        )
    violations = policies.violations(rules, document) if rules else None
    if as_json:
        result({**document, "violations": list(map(asdict, violations or ()))}, [], as_json=True)
    if output or not as_json:
        _write_page(
            page.page(document, violations),
            output or _default_page(document["name"]),
            as_json=as_json,
        )
    if violations:
        raise _violated(path, policy, violations)


def _default_page(name: str) -> Path:
    """Return the default path of a page. Raises `BundlerError` if another file is there."""
    path = Path(f"{name}.report.html")
    if not path.exists():
        return path
    with files.explained(path), files.open_input(path) as source:
        start = source.read(2000)
    if b'content="hps-bundler"' not in start:
        raise BundlerError(
            f"{path} exists and is not a report", hint="choose another file with --output"
        )
    return path


def _write_page(html: bytes, path: Path, *, as_json: bool) -> None:
    if str(path) == "-":
        click.echo(html, nl=False)
        return
    with atomic.creating(path) as partial:
        partial.write_bytes(html)
    if not as_json:
        result(None, [path])


def _violated(
    path: Path, policy: Path | None, violations: Sequence[policies.Violation]
) -> BundlerError:
    return BundlerError(
        f"{path} violates the policy {policy} ({counted(len(violations), 'violation')})",
        facts=[f"{entry.rule}: {entry.subject}: {entry.fact}" for entry in violations],
        hint="replace these packages or get the missing facts, or change the policy",
    )
