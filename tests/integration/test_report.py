"""The page for approvers: complete, harmless, and shown by a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from bundler.assessment.html import link, table
from bundler.assessment.page import page
from tests.conftest import Workplace
from tests.integration.test_audit import ACCEPTED, GHSA, write
from tests.stand_ins.signers import allow, make_key
from tests.stand_ins.wheels import make_wheel

CHROMIUM = shutil.which("chromium")
EVIL = "<script>alert(1)</script>"
VOID = {"meta", "br", "link"}


class Checker(HTMLParser):
    """What is on a page; the elements must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open and self.open[-1] != "style" else ""


def checked(data: bytes) -> Checker:
    checker = Checker()
    checker.feed(data.decode())
    assert not checker.open
    return checker


@pytest.fixture
def reviewed(workplace: Workplace) -> Workplace:
    """A workplace with two months of a bundle, signed, with advisories and a policy."""
    files = {
        "alpha.so": b"",
        "alpha-1.0.dist-info/sboms/a.json": b'{"components": [{"name": "zlib", "version": "1"}]}',
    }
    workplace.index.add(make_wheel("alpha", headers=["License-Expression: MIT"], files=files))
    workplace.script("eval.py", "alpha")
    workplace.bundle("eval.py", "-o", "before.bundle")
    workplace.index.add(make_wheel("beta", headers=[f"License: {EVIL}"]))
    workplace.index.facts["alpha-1.0-py3-none-any.whl"] = {
        "upload-time": "2026-01-02T03:04:05Z",
        "yanked": EVIL,
    }
    workplace.index.statuses["beta"] = "quarantined"
    workplace.script("eval.py", "alpha==1.0", "beta")
    key = make_key(workplace.folder / "anna")
    assert workplace.run("bundle", "eval.py", "--sign", "anna").returncode == 0
    shutil.move(allow(key).allowed, workplace.folder / "allowed")
    write(workplace.folder / "osv", {**GHSA, "summary": EVIL})
    (workplace.folder / "accepted.json").write_text(json.dumps(ACCEPTED))
    (workplace.folder / "site.toml").write_text(
        'allowed-licences = ["MIT"]\nrequired-signers = ["anna@site"]\n'
    )
    return workplace


OPTIONS = ("--trust", "allowed", "--advisories", "osv", "--since", "before.bundle")


def test_the_page_says_everything_that_is_known(reviewed: Workplace) -> None:
    done = reviewed.run("bundler", "report", "eval.bundle", *OPTIONS)
    assert (done.returncode, done.stdout) == (0, "eval.report.html\n"), done.stderr
    text = checked((reviewed.folder / "eval.report.html").read_bytes()).text
    for words in (
        "Bundle eval",
        "Signed by anna@site",
        "hps-bundler 0.",
        "Packages since before.bundle",
        "CVE-2026-1",
        "quarantined",
        "1 file; zlib 1",
        "Decision",
        EVIL,
    ):
        assert words in text, words


def test_what_nothing_vouches_for_is_a_claim_and_counts_as_missing(reviewed: Workplace) -> None:
    (reviewed.folder / "age.toml").write_text('minimum-release-age = "7 d"\n')
    signed = reviewed.run(
        "bundler", "report", "eval.bundle", "--policy", "age.toml", "--trust", "allowed"
    )
    assert "alpha 1.0" not in signed.stderr
    shutil.rmtree(reviewed.folder / "eval.bundle" / "signatures")
    for options in ((), ("--trust", "allowed")):
        done = reviewed.run("bundler", "report", "eval.bundle", "--policy", "age.toml", *options)
        assert done.returncode == 1
        assert "minimum-release-age: alpha 1.0: its upload time is " in done.stderr
    reviewed.run("bundler", "report", "eval.bundle", "-o", "claims.html")
    text = checked((reviewed.folder / "claims.html").read_bytes()).text
    assert "claimed; no accepted signature covers it" in text


def test_nothing_in_a_bundle_becomes_markup(reviewed: Workplace) -> None:
    reviewed.run("bundler", "report", "eval.bundle", *OPTIONS)
    tags = checked((reviewed.folder / "eval.report.html").read_bytes()).tags
    assert "script" not in {name for name, _ in tags}
    assert not [
        attribute
        for _, attributes in tags
        for attribute in attributes
        if attribute.startswith("on")
    ]
    policies = [
        about["content"]
        for name, about in tags
        if about.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not [about for name, about in tags if "src" in about]


def test_every_link_leads_to_a_row_or_to_the_web(reviewed: Workplace) -> None:
    reviewed.run("bundler", "report", "eval.bundle", *OPTIONS)
    tags = checked((reviewed.folder / "eval.report.html").read_bytes()).tags
    names = [about["id"] for _, about in tags if about.get("id")]
    assert len(set(names)) == len(names)
    links = [str(about["href"]) for name, about in tags if name == "a"]
    assert links
    assert all(link.startswith("http") or link.removeprefix("#") in names for link in links)


def test_tables_and_headings_are_accessible(reviewed: Workplace) -> None:
    reviewed.run("bundler", "report", "eval.bundle", *OPTIONS)
    tags = checked((reviewed.folder / "eval.report.html").read_bytes()).tags
    names = [name for name, _ in tags]
    assert names.count("caption") == names.count("table")
    assert all(about.get("scope") in ("row", "col") for name, about in tags if name == "th")
    assert [name for name in names if name in ("h1", "h2", "h3")][:2] == ["h1", "h2"]
    assert next(about for name, about in tags if name == "html")["lang"] == "en"


def test_programs_get_the_same_as_json(reviewed: Workplace) -> None:
    done = reviewed.run(
        "bundler", "report", "eval.bundle", *OPTIONS, "--accept", "accepted.json", "--json"
    )
    document: dict[str, Any] = json.loads(done.stdout)
    assert not (reviewed.folder / "eval.report.html").exists()
    assert [entry["project"] for entry in document["changes"]["packages"]] == ["beta"]
    assert document["vulnerabilities"]["findings"][0]["accepted"]["day"] == "2026-03-04"
    alpha, beta = document["packages"]
    assert (alpha["uploaded"], alpha["yanked"], alpha["native"]) == (
        "2026-01-02T03:04:05Z",
        EVIL,
        1,
    )
    assert (beta["status"], beta["uploaded"], beta["age-days"]) == ("quarantined", None, None)
    assert [(entry["licence"], entry["unusual"]) for entry in document["licences"]] == [
        (EVIL, True),
        ("MIT", False),
    ]
    assert document["violations"] == []
    assert checked(page(document, None)).text.count("accepted on 2026-03-04") == 1


def test_a_policy_gives_a_verdict_and_an_exit_code(reviewed: Workplace) -> None:
    done = reviewed.run("bundler", "report", "eval.bundle", *OPTIONS, "--policy", "site.toml")
    assert (done.returncode, done.stdout) == (1, "eval.report.html\n")
    assert (
        "error: eval.bundle violates the policy site.toml (1 violation)\n  allowed-licences: beta 1.0: "
        in done.stderr
    )
    assert (
        "Violates the policy (1 violation)"
        in checked((reviewed.folder / "eval.report.html").read_bytes()).text
    )
    (reviewed.folder / "site.toml").write_text(f'allowed-licences = ["MIT", "{EVIL}"]\n')
    assert reviewed.run("bundler", "report", "eval.bundle", "--policy", "site.toml").returncode == 0


def test_a_missing_signature_and_unknown_facts_are_on_the_page(reviewed: Workplace) -> None:
    reviewed.run("bundler", "report", "before.bundle", "--trust", "allowed", "-o", "page.html")
    text = checked((reviewed.folder / "page.html").read_bytes()).text
    assert "before.bundle has no signature" in text
    assert "Unknown: the bundle has no provenance" in text
    assert "Upload times and yanked files are unknown" in text
    assert "Not audited" in text
    reviewed.run("bundler", "report", "before.bundle", "-o", "page.html")
    assert "Not checked" in checked((reviewed.folder / "page.html").read_bytes()).text


def test_a_file_that_is_not_a_report_is_not_replaced(reviewed: Workplace) -> None:
    (reviewed.folder / "eval.report.html").write_text("mine")
    done = reviewed.run("bundler", "report", "eval.bundle")
    assert (done.returncode, (reviewed.folder / "eval.report.html").read_text()) == (1, "mine")
    assert (
        "error: eval.report.html exists and is not a report\nhint: choose another file"
        in done.stderr
    )
    done = reviewed.run("bundler", "report", "eval.bundle", "-o", "-")
    checked(done.stdout.encode())
    (reviewed.folder / "eval.report.html").write_text(done.stdout)
    assert reviewed.run("bundler", "report", "eval.bundle").returncode == 0


def test_what_an_unsigned_bundle_says_about_uploads_does_not_count_where_a_signature_is_required(
    reviewed: Workplace,
) -> None:
    shutil.rmtree(reviewed.folder / "eval.bundle" / "signatures")
    for options, uploaded in (((), "2026-01-02T03:04:05Z"), (("--trust", "allowed"), None)):
        done = reviewed.run("bundler", "report", "eval.bundle", *options, "--json")
        assert json.loads(done.stdout)["packages"][0]["uploaded"] == uploaded


def test_what_the_provenance_says_about_other_bytes_does_not_count(reviewed: Workplace) -> None:
    path = reviewed.folder / "eval.bundle" / "provenance.json"
    document = json.loads(path.read_bytes())
    for entry in document["predicate"]["buildDefinition"]["resolvedDependencies"]:
        entry["digest"]["sha256"] = "0" * 64
    path.write_text(json.dumps(document))
    done = reviewed.run("bundler", "report", "eval.bundle", "--json")
    assert [row["uploaded"] for row in json.loads(done.stdout)["packages"]] == [None, None]


def test_a_damaged_bundle_has_no_report(reviewed: Workplace) -> None:
    (reviewed.folder / "eval.bundle" / "README.txt").write_text("changed")
    done = reviewed.run("bundler", "report", "eval.bundle")
    assert (done.returncode, done.stdout) == (1, "")
    assert not (reviewed.folder / "eval.report.html").exists()


def test_links_lead_to_the_web_only() -> None:
    assert (
        link("https://x.test/a?b=1&c", "a")
        == '<a href="https://x.test/a?b=1&amp;c" rel="noreferrer">a</a>'
    )
    for url in (
        "javascript:alert(1)",
        "file:///etc",
        'https://x.test/" onclick=',
        "data:text/html,x",
    ):
        assert link(url, "<a>") == "&lt;a&gt;"
    assert '<tr id="a&quot;b">' in table("c", ["h"], [["x"]], names=['a"b'])


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_and_prints_it(reviewed: Workplace, tmp_path: Path) -> None:
    reviewed.run("bundler", "report", "eval.bundle", *OPTIONS)
    address = (reviewed.folder / "eval.report.html").as_uri()
    common = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/profile",
    ]
    for width in (1200, 400):
        picture = tmp_path / f"{width}.png"
        command = [*common, f"--window-size={width},900", f"--screenshot={picture}", address]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert int.from_bytes(picture.read_bytes()[16:20], "big") == width
    subprocess.run(
        [*common, f"--print-to-pdf={tmp_path}/page.pdf", address],
        check=True,
        capture_output=True,
        timeout=120,
    )
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594" in printed or b"/MediaBox [0 0 595" in printed, (
        "A4 is 595 points wide"
    )
