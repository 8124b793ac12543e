"""An audit of the packages of the corpus, against uv audit and pip-audit with the same records, and of a large store.

    python -m tests.benchmarks.audit PEERS [BUNDLE...]

PEERS is the folder of a virtual environment with pip-audit (`make bench` makes one). Each of BUNDLE gives packages; by
default, those of all scripts of the corpus are bundled first. Each package gets up to four advisories around its
version, of every form that OSV records have. The peers ask a service on loopback, which compares versions with
specifiers. Prints the packages, advisories and differences of each tool, and the seconds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.version import Version

from bundler.assessment.audit import Use, audit, packages_of
from bundler.assessment.snapshot import read_snapshot
from bundler.manifest_reader import read_manifest
from tests.benchmarks.bundling import BIN
from tests.stand_ins.osv import Record, record, serving

Package = tuple[str, str]
_LARGE = 20_000


def advisories(packages: list[Package]) -> list[Record]:
    """Return records around the versions of `packages`; half of them are about the version."""
    rng = random.Random(7)  # noqa: S311 - the same records in every run
    records: list[Record] = []
    for number, (project, text) in enumerate(packages):
        version = Version(text)
        after, before = f"{version.major + 1}.0", f"{max(version.major - 1, 0)}.0"
        forms: list[Record] = [
            record(f"PYSEC-2026-{number}", project, [("introduced", "0"), ("fixed", after)]),
            record(
                f"GHSA-{number:04}-aaaa",
                project,
                [("introduced", before), ("last_affected", version.public)],
            ),
            record(
                f"PYSEC-2025-{number}", project, [("introduced", "0"), ("fixed", version.public)]
            ),
            record(f"PYSEC-2024-{number}", project, versions=[version.public, "1.0-not-a-version"]),
            record(
                f"GHSA-{number:04}-bbbb",
                project,
                [("introduced", "0")],
                withdrawn="2026-01-01T00:00:00Z",
            ),
            record(f"GHSA-{number:04}-cccc", project, [("introduced", after)]),
        ]
        forms[1]["aliases"] = [f"CVE-2026-{number}", f"PYSEC-2026-{number}"]
        forms[1]["database_specific"] = {"severity": "MODERATE"}
        records += rng.sample(forms, rng.randint(0, 4))
    return records


def ours(packages: list[Package], folder: Path) -> set[tuple[str, str]]:
    """Return the (project, identifier) pairs that this tool finds, with every alias."""
    uses = {package: [Use(place="corpus", since="", scripts=())] for package in packages}
    return {
        (finding.project, name)
        for finding in audit(uses, read_snapshot(folder))
        for name in (finding.identity, *finding.aliases)
    }


def of_pip_audit(
    packages: list[Package], url: str, peers: Path, scratch: Path
) -> set[tuple[str, str]]:
    """Return the same of pip-audit."""
    path = scratch / "requirements.txt"
    path.write_text("".join(f"{project}=={version}\n" for project, version in packages))
    done = subprocess.run(
        [
            f"{peers}/bin/pip-audit",
            "-r",
            str(path),
            "--no-deps",
            "--disable-pip",
            "-s",
            "osv",
            "-f",
            "json",
        ]
        + ["--osv-url", f"{url}/v1/query", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    return {
        (dependency["name"], name)
        for dependency in document["dependencies"]
        for entry in dependency.get("vulns", [])
        for name in (entry["id"], *entry["aliases"])
    }


def of_uv(packages: list[Package], url: str, scratch: Path) -> set[tuple[str, str]]:
    """Return the same of `uv audit`, for a lock file with these packages."""
    names = "".join(f'    "{project}=={version}",\n' for project, version in packages)
    (scratch / "pyproject.toml").write_text(
        f'[project]\nname = "corpus"\nversion = "0"\nrequires-python = ">=3.8"\ndependencies = [\n{names}]\n'
    )
    lock: list[str] = ['version = 1\nrequires-python = ">=3.8"\n']
    lock += [
        f'[[package]]\nname = "{project}"\nversion = "{version}"\nsource = {{ registry = "https://x.test/simple" }}\n'
        f'sdist = {{ url = "https://x.test/{project}-{version}.tar.gz", hash = "sha256:{"0" * 64}" }}\n'
        for project, version in packages
    ]
    wanted = ", ".join(f'{{ name = "{project}" }}' for project, _ in packages)
    lock.append(
        f'[[package]]\nname = "corpus"\nversion = "0"\nsource = {{ virtual = "." }}\ndependencies = [{wanted}]\n'
    )
    (scratch / "uv.lock").write_text("\n".join(lock))
    done = subprocess.run(
        [BIN / "uv", "audit", "--frozen", "--service-url", f"{url}/", "--output-format", "json"],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "UV_HTTP_RETRIES": "0"},
    )
    document = json.loads(done.stdout)
    return set(_pairs(document))


def _pairs(document: Any) -> list[tuple[str, str]]:
    return [
        (entry["dependency"]["name"], name)
        for entry in document["vulnerabilities"]
        for name in (entry["id"], *entry.get("aliases", []))
    ]


def compare(packages: list[Package], peers: Path, scratch: Path) -> None:
    """Print what each tool finds, and the differences."""
    records = advisories(packages)
    folder = scratch / "osv"
    folder.mkdir()
    for entry in records:
        (folder / f"{entry['id']}.json").write_text(json.dumps(entry))
    print(f"{len(packages)} packages, {len(records)} advisories")
    with serving(records) as url:
        found: dict[str, set[tuple[str, str]]] = {}
        tools: dict[str, Callable[[], set[tuple[str, str]]]] = {
            "bundler": lambda: ours(packages, folder),
            "pip-audit": lambda: of_pip_audit(packages, url, peers, scratch),
            "uv audit": lambda: of_uv(packages, url, scratch),
        }
        for tool, run in tools.items():
            started = time.perf_counter()
            found[tool] = run()
            seconds = time.perf_counter() - started
            more, fewer = (
                sorted(found[tool] - found["bundler"]),
                sorted(found["bundler"] - found[tool]),
            )
            text = f"{len({project for project, _ in found[tool]})} affected packages, {len(found[tool])} identifiers"
            print(
                f"{tool:10} {seconds:6.2f} s  {text}; {len(more)} more and {len(fewer)} fewer than bundler"
            )
            for pair in [*more[:10], *fewer[:10]]:
                print(f"    {pair}")


def large(scratch: Path) -> None:
    """Print the seconds of an audit of many wheels after loading."""
    packages = [
        (f"project-{number // 10}", f"{number % 10}.{number % 7}") for number in range(_LARGE)
    ]
    folder = scratch / "large"
    folder.mkdir()
    for number, entry in enumerate(advisories(packages[::5])):
        (folder / f"{number}.json").write_text(json.dumps(entry))
    started = time.perf_counter()
    snapshot = read_snapshot(folder)
    loaded = time.perf_counter()
    uses = {package: [Use(place="store", since="", scripts=())] for package in packages}
    findings = audit(uses, snapshot)
    ended = time.perf_counter()
    print(
        f"{len(packages)} wheels, {snapshot.records} records: {loaded - started:.2f} s to load, ",
        end="",
    )
    print(f"{ended - loaded:.2f} s for the audit, {len(findings)} findings")


def main(peers: Path, bundles: list[Path]) -> None:
    """Compare the tools for the packages of `bundles`, or of the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if not bundles:
            corpus = Path(__file__).parents[1] / "corpus"
            for script in sorted(corpus.glob("[a-z]*.py")):
                made = scratch / f"{script.stem}.bundle"
                command = [f"{BIN}/bundle", str(script), "-o", str(made), "-q"]
                if subprocess.run(command, check=False, capture_output=True).returncode == 0:
                    bundles.append(made)
        packages = sorted(
            {package for path in bundles for package in packages_of(read_manifest(path), path.name)}
        )
        # A lock file of uv has one version of each project.
        compare(
            list({project: (project, version) for project, version in packages}.values()),
            peers,
            scratch,
        )
        large(scratch)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), [Path(text) for text in sys.argv[2:]])
