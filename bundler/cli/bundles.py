"""Commands that make, publish and show bundles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bundler.cli.account import account_of_environment, connected
from bundler.cli.audit import SEVERITIES, show_vulnerabilities
from bundler.cli.command import (
    PATH,
    base_option,
    command,
    flag,
    json_option,
    path_argument,
    unpacked,
)
from bundler.cli.completion import complete_platform, complete_python
from bundler.cli.terminal import reporting, result, say
from bundler.lazily import lazily

with lazily():
    from bundler import api, assurance, manifest_reader, runnable as runnables
    from bundler.bundles import inspection, installing, jupyter as jupyter_kernels
    from bundler.hps import resources
    from bundler.trust import ssh_keygen


@command()
@click.argument("scripts", metavar="SCRIPT...", nargs=-1, required=True, type=PATH)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=PATH,
    help="Write the bundle to this folder.  [default: SCRIPT's name with .bundle]",
)
@click.option(
    "--python",
    "pythons",
    metavar="VERSION",
    multiple=True,
    shell_complete=complete_python,
    help="Bundle for this Python, such as 3.12, '>=3.11,<3.14', 3.13t (free-threaded) or pypy3.10. Repeatable.  "
    "[default: the one that `uv run` would start here]",
)
@click.option(
    "--platform",
    "platforms",
    metavar="PLATFORM",
    multiple=True,
    shell_complete=complete_platform,
    help="Bundle for this platform, such as x86_64-manylinux_2_28, windows or aarch64-apple-darwin. Repeatable.  "
    "[default: this machine's platform]",
)
@flag(
    "--for-hps",
    help="Bundle for the platforms of the evaluators that HPS reports, with common processors and C libraries.",
)
@flag("--include-uv", help="Include uv for each target, for nodes without uv.")
@flag("--include-python", help="Include Python for each target, for nodes without Python.")
@click.option(
    "--python-mirror",
    metavar="URL",
    help="Take the Pythons of --include-python from this URL or folder.  [default: uv's own downloads]",
)
@click.option(
    "--build",
    "builds",
    metavar="NAME",
    multiple=True,
    help="Build this package from source if no wheel fits. Git and folder sources are always built. Repeatable.",
)
@flag("--build-all", help="Build every package from source for which no wheel fits.")
@click.option(
    "--with",
    "requirements",
    metavar="REQUIREMENT",
    multiple=True,
    help="Add a requirement. Repeatable.",
)
@click.option(
    "--constraint",
    "constraints",
    metavar="FILE",
    multiple=True,
    type=PATH,
    help="Constrain versions using the given requirements files. Repeatable.",
)
@click.option(
    "--override",
    "overrides",
    metavar="FILE",
    multiple=True,
    type=PATH,
    help="Override versions using the given requirements files. Repeatable.",
)
@flag("--archive", help="Also pack the bundle into one file, next to it, with the suffix .tar.")
@flag(
    "--runnable",
    help="Also write a program with Python that runs: sh SCRIPT.run. Implies --include-python.",
)
@flag("--locked", help="Fail unless every script has an up-to-date lock file.")
@click.option(
    "--resolver",
    type=click.Choice(["uv", "pip-tools"]),
    default="uv",
    help="Resolve with this tool. pip-tools reads pip's configuration and resolves only for this machine.",
)
@flag("--replace", help="Replace the existing bundle even if it contains other scripts or targets.")
@flag("--upgrade", help="Upgrade all packages of an existing bundle.")
@click.option(
    "-P",
    "--upgrade-package",
    "upgrade_packages",
    metavar="NAME",
    multiple=True,
    help="Upgrade only this package and keep the bundled versions of the others where possible. Repeatable.",
)
@click.option(
    "--advisories",
    metavar="FILE",
    type=PATH,
    help="Show known vulnerabilities; see `bundler audit`.",
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Fail on this severity or higher.",
)
@flag("--sbom", help="Include a bill of materials (CycloneDX) for each script and target.")
@flag("--attestations", help="Verify and include the attestations of wheels (PEP 740).")
@flag("--provenance", help="Include a provenance statement (SLSA). Implied by --sign.")
@click.option(
    "--sign",
    "key",
    metavar="KEY",
    type=PATH,
    help="Sign the bundle with this ssh key; see `bundler sign`.",
)
@json_option
def bundle(
    scripts: tuple[Path, ...],
    for_hps: bool,
    archive: bool,
    runnable: bool,
    advisories: Path | None,
    fail_on: str | None,
    key: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Bundle scripts with the wheels they need.

    Reads the inline metadata (PEP 723) of each SCRIPT, resolves its dependencies for every target, downloads the
    wheels and writes them to a folder, the bundle. Prints the path of the bundle, or of the archive with
    --archive. With --runnable, also prints the path of the program.

    SCRIPT may also be a requirements.txt, a pylock.toml, or the folder of a project with a uv.lock; "-" reads a script
    from standard input. The lock file SCRIPT.lock is used if it exists. The keys "python" and "platform" of
    [tool.bundler] in a script replace the defaults of these options.

    \b
    Examples:
        bundle eval.py
        bundle eval.py --python 3.12 --platform x86_64-manylinux_2_28 --platform windows

    \b
    Environment variables:
        BUNDLER_CACHE_DIR   folder for downloads, instead of the user's cache folder
        UV_HTTP_TIMEOUT     seconds to wait for data from an index (30)
        UV_HTTP_RETRIES     retries of a failed request (3)
        UV_INDEX, UV_DEFAULT_INDEX, PIP_INDEX_URL and others configure indexes; see
        `bundler guide targets`.
    """
    # The other options have the names of the arguments of the library.
    _require_consistent(options, advisories, fail_on, archive=archive)
    if runnable:
        options["include_python"] = True
    if key:
        ssh_keygen.require_key(key)
        options["provenance"] = True
    with reporting() as report:
        if for_hps and not options["platforms"]:
            options["platforms"] = _platforms_of_hps()
        path = api.bundle(scripts, **options, report=report)
        if advisories:
            show_vulnerabilities(path, advisories, fail_on)
        if key:
            assurance.sign(path, key)
        document = {"bundle": path}
        written = [path]
        if archive:
            file = path.with_name(f"{path.name.removesuffix('.bundle')}.tar")
            written = api.pack([path], file, report=report)
            document["archive"] = written[0]
        if runnable:
            document["runnable"] = _write_runnable(path)
            written.append(document["runnable"])
    result(document, written, as_json=as_json)


def _require_consistent(
    options: Mapping[str, Any], advisories: Path | None, fail_on: str | None, *, archive: bool
) -> None:
    """Raise `UsageError` for options of `bundle` that do not go together."""
    if options["upgrade"] and options["upgrade_packages"]:
        raise click.UsageError("--upgrade and --upgrade-package cannot be used together")
    if fail_on and not advisories:
        raise click.UsageError("--fail-on needs --advisories")
    output = options["output"]
    if archive and output is not None and not output.name:
        raise click.UsageError("--archive needs an --output with a name")


def _write_runnable(bundle: Path) -> Path:
    """Write the bundle at `bundle` as a file that runs, next to it; return its path."""
    is_windows = manifest_reader.read_manifest(bundle).targets[0].system == "Windows"
    suffix = ".zip" if is_windows else ".run"
    output = bundle.with_name(f"{bundle.name.removesuffix('.bundle')}{suffix}")
    runnables.write_runnable(bundle, output)
    return output


def _platforms_of_hps() -> tuple[str, ...]:
    with connected(account_of_environment) as client:
        platforms = resources.platforms_to_bundle_for(resources.survey(client))
    say(
        f"Bundling for the evaluators of HPS: {', '.join(platforms)} (assuming common processors and C libraries)"
    )
    return platforms


@command("install")
@path_argument
@click.argument("place", metavar="DIR", type=PATH)
@click.option(
    "--script",
    metavar="NAME",
    help="The script whose environment to install, if there are several.",
)
@flag("--update", help="Replace an environment of another bundle in DIR.")
@flag(
    "--jupyter",
    help="Register the environment as a Jupyter kernel, which needs ipykernel in the bundle.",
)
@base_option
@json_option
def install_environment(
    path: Path,
    place: Path,
    script: str | None,
    update: bool,
    jupyter: bool,
    base: Path | None,
    as_json: bool,
) -> None:
    """Install a script's environment for people.

    PATH is a bundle, an archive or a publication. Verifies it and installs exactly its wheels to DIR, with the Python
    that it includes, or else one of this machine. DIR can be moved. Needs neither uv nor network. Prints the path of
    the Python in DIR.

    \b
    Examples:
        bundler install eval.bundle env && . env/bin/activate
        bundler install /shared/store/publications/eval-0123456789ab ~/envs/eval --update
    """
    with unpacked(path, base) as folders:
        if len(folders) > 1:
            raise click.UsageError(f"{path} contains several bundles; unpack it and install one")
        is_new = installing.install(folders[0], place, script, update=update, for_jupyter=jupyter)
    if not is_new:
        say(f"{place} is up to date")
    python = installing.interpreter(place)
    document = {"environment": place.absolute(), "python": python.absolute()}
    if jupyter:
        document["kernel"] = jupyter_kernels.register(python.absolute())
    result(document, [python], as_json=as_json)


@command()
@path_argument
@base_option
@json_option
def inspect(path: Path, base: Path | None, as_json: bool) -> None:
    """Show what a bundle or publication contains.

    Prints what the jobs of each script need and produce, and the wheels of each target with their versions and sizes.
    Does not read the wheels of a folder; use `bundler verify` for that. PATH may also be an archive.

    \b
    Examples:
        bundler inspect eval.bundle
        bundler inspect eval.bundle --json
    """
    with unpacked(path, base) as folders:
        for folder in folders:
            summary = api.inspect(folder)
            result(summary, [inspection.table(summary)], as_json=as_json)
