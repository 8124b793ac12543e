"""Audits of bundles and stores on the command line, without network access."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bundler import assurance
from bundler.assessment.advisory import advisories_of
from bundler.assessment.audit import Use, audit
from bundler.assessment.snapshot import Snapshot
from tests.conftest import Workplace
from tests.stand_ins.osv import Record, record
from tests.stand_ins.wheels import make_wheel

GHSA = record(
    "GHSA-1",
    "alpha",
    [("introduced", "0"), ("fixed", "1.5")],
    aliases=["CVE-2026-1"],
    summary="Reads any file",
    database_specific={"severity": "HIGH"},
)
PYSEC = record(
    "PYSEC-2026-7",
    "alpha",
    [("introduced", "0"), ("fixed", "1.5")],
    aliases=["CVE-2026-1"],
    published="2026-01-01",
)
OTHER = record("PYSEC-2026-8", "beta", versions=["1.0"], summary="Takes long")
FIXED = record("PYSEC-2026-9", "beta", [("introduced", "0"), ("fixed", "0.5")])
ACCEPTED = {
    "statements": [
        {
            "vulnerability": {"name": "CVE-2026-1"},
            "products": [{"@id": "pkg:pypi/alpha@1.0"}],
            "status": "not_affected",
            "impact_statement": "the file is never read",
            "timestamp": "2026-03-04T00:00:00Z",
        }
    ]
}


def write(folder: Path, *records: Record) -> Path:
    folder.mkdir(exist_ok=True)
    for entry in records:
        (folder / f"{entry['id']}.json").write_text(json.dumps(entry))
    return folder


@pytest.fixture
def audited(workplace: Workplace) -> Workplace:
    """A workplace with a bundle and a folder of advisories about its packages."""
    for name in ("alpha", "beta"):
        workplace.index.add(make_wheel(name))
    workplace.script("eval.py", "alpha", "beta")
    workplace.script("other.py", "beta")
    workplace.bundle("eval.py", "other.py", "-o", "eval.bundle")
    write(workplace.folder / "osv", GHSA, PYSEC, OTHER, FIXED)
    (workplace.folder / "accepted.json").write_text(json.dumps(ACCEPTED))
    return workplace


def test_each_vulnerability_is_printed_once_with_its_fix_and_its_use(audited: Workplace) -> None:
    done = audited.run("bundler", "audit", "eval.bundle", "--advisories", "osv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "beta 1.0  unknown  PYSEC-2026-8  not fixed",
        "  Takes long",
        "  used in eval.bundle by eval.py, other.py",
        "alpha 1.0  high  CVE-2026-1  fixed in 1.5",
        "  Reads any file",
        "  used in eval.bundle by eval.py",
    ]
    assert done.stderr.startswith(
        "Found 2 vulnerabilities in 2 packages; advisories as of 2026-11-20 ("
    )


def test_an_accepted_finding_is_shown_and_does_not_fail(audited: Workplace) -> None:
    write(audited.folder / "osv", {**OTHER, "withdrawn": "2026-02-02T00:00:00Z"})
    command = ["bundler", "audit", "eval.bundle", "--advisories", "osv", "--fail-on", "high"]
    done = audited.run(*command)
    assert done.returncode == 1
    assert (
        "error: eval.bundle: 1 finding of severity high or above, or without a rating\nhint: upgrade these packages"
        in done.stderr
    )
    done = audited.run(*command, "--accept", "accepted.json")
    assert done.returncode == 0, done.stderr
    assert "  accepted on 2026-03-04: the file is never read\n" in done.stdout
    assert "Found 0 vulnerabilities (and 1 accepted) in 2 packages" in done.stderr


@pytest.mark.parametrize(("threshold", "code"), [("critical", 1), ("high", 1)])
def test_an_unrated_finding_fails_at_every_threshold(
    audited: Workplace, threshold: str, code: int
) -> None:
    (audited.folder / "osv" / "GHSA-1.json").unlink()
    (audited.folder / "osv" / "PYSEC-2026-7.json").unlink()
    done = audited.run(
        "bundler", "audit", "eval.bundle", "--advisories", "osv", "--fail-on", threshold
    )
    assert done.returncode == code


def test_a_rated_finding_passes_a_higher_threshold(audited: Workplace) -> None:
    (audited.folder / "osv" / "PYSEC-2026-8.json").unlink()
    for threshold, code in (("critical", 0), ("high", 1), ("medium", 1), ("low", 1)):
        done = audited.run(
            "bundler", "audit", "eval.bundle", "--advisories", "osv", "--fail-on", threshold
        )
        assert done.returncode == code, threshold


def test_a_store_tells_which_publications_are_affected_since_when(audited: Workplace) -> None:
    audited.run("publish-index", "store", "eval.bundle")
    audited.script("later.py", "alpha")
    audited.bundle("later.py")
    audited.run("publish-index", "store", "later.bundle")
    done = audited.run("bundler", "audit", "store", "--advisories", "osv", "--json")
    document = json.loads(done.stdout)
    (finding,) = (entry for entry in document["findings"] if entry["project"] == "alpha")
    assert (finding["id"], finding["aliases"]) == ("CVE-2026-1", ["GHSA-1", "PYSEC-2026-7"])
    assert (finding["severity"], finding["fixed"], finding["published"]) == (
        "high",
        ["1.5"],
        "2026-01-01",
    )
    assert [use["scripts"] for use in finding["uses"]] == [["eval.py"], ["later.py"]]
    assert [use["in"].rpartition("-")[0] for use in finding["uses"]] == ["eval", "later"]
    assert all(use["since"] for use in finding["uses"])
    assert document["packages"] == 2
    assert document["advisories"]["records"] == 4


def test_an_archive_can_be_audited_and_malformed_records_are_mentioned(audited: Workplace) -> None:
    audited.run("bundler", "pack", "eval.bundle", "-o", "eval.tar")
    (audited.folder / "osv" / "a.json").write_text("[")
    done = audited.run("bundler", "audit", "eval.tar", "--advisories", "osv")
    assert done.returncode == 0
    assert "warning: 1 malformed record ignored, such as a.json\n" in done.stderr
    assert "alpha 1.0  high" in done.stdout


def test_a_bundle_can_be_audited_when_it_is_created(audited: Workplace) -> None:
    done = audited.run("bundle", "eval.py", "-o", "new.bundle", "--advisories", "osv")
    assert (done.returncode, done.stdout) == (0, "new.bundle\n")
    assert "alpha 1.0  high  CVE-2026-1  fixed in 1.5\n" in done.stderr
    assert "Found 2 vulnerabilities in 2 packages; " in done.stderr
    done = audited.run(
        "bundle", "eval.py", "-o", "new.bundle", "--advisories", "osv", "--fail-on", "critical"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "error: new.bundle: 1 finding of severity critical or above, or without a rating\nhint: "
        in done.stderr
    )
    assert audited.run("bundle", "eval.py", "--fail-on", "low").returncode == 2


def test_a_gate_does_not_trust_advisories_that_it_cannot_read(audited: Workplace) -> None:
    for path in (audited.folder / "osv").iterdir():
        path.unlink()
    write(audited.folder / "osv", FIXED)
    command = ["bundler", "audit", "eval.bundle", "--advisories", "osv", "--fail-on", "low"]
    assert audited.run(*command).returncode == 0
    (audited.folder / "osv" / "a.json").write_text("[")
    done = audited.run(*command)
    assert done.returncode == 1
    assert "error: 1 advisory record could not be read, such as a.json\nhint: " in done.stderr


def test_no_advisories_are_an_error(audited: Workplace) -> None:
    done = audited.run("bundler", "audit", "eval.bundle", "--advisories", "missing.zip")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: missing.zip: " in done.stderr
    assert "\nhint: " in done.stderr


def test_the_library_returns_findings(audited: Workplace) -> None:
    findings, packages, snapshot = assurance.audit(
        [audited.folder / "eval.bundle"],
        audited.folder / "osv",
        accept=audited.folder / "accepted.json",
    )
    assert (packages, snapshot.records) == (2, 4)
    assert [(entry.project, entry.acceptance is not None) for entry in findings] == [
        ("beta", False),
        ("alpha", True),
    ]


def test_advisories_meet_through_a_third_one() -> None:
    def made(identity: str, *aliases: str) -> Record:
        return record(identity, "alpha", versions=["1.0"], aliases=list(aliases))

    records = [
        made("A-1", "CVE-1"),
        made("B-1", "CVE-2"),
        made("C-1", "CVE-1", "CVE-2"),
        made("D-1", "CVE-3"),
    ]
    advisories = [entry for stated in records for entry in advisories_of(stated)]
    for order in (advisories, advisories[::-1]):
        snapshot = Snapshot(by_project={"alpha": order}, records=4, day="2026-01-01")
        uses: dict[tuple[str, str], list[Any]] = {
            ("alpha", "1.0"): [Use(place="p", since="", scripts=())]
        }
        findings = audit(uses, snapshot)
        assert [(entry.identity, len(entry.aliases)) for entry in findings] == [
            ("CVE-1", 4),
            ("CVE-3", 1),
        ]
