"""The page from which somebody decides about a bundle: HTML without scripts, for the screen and for A4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files as resources
from string import Template
from typing import Any

from bundler.assessment.html import details, link, mark, paragraph, section, table
from bundler.assessment.licence import Licence
from bundler.assessment.policy import Violation
from bundler.units import counted, size_text

# What a review says about one thing.
_Row = Mapping[str, Any]
# Days; newer releases have been looked at by few people.
_RECENT = 14
_KINDS = ("Yanked", "Project not active", "New release", "Built from source", "Native code")
# What stands for "declared as" where nothing is declared.
_UNCLASSIFIED = {str(Licence()): "-"}
# Components inside a wheel that are listed.
_SHOWN = 9


def page(review: _Row, violations: Sequence[Violation] | None) -> bytes:
    """Return the page for the document `review`; `violations` is None if there is no policy."""
    parts = [
        *_head(review, violations),
        *_origin(review),
        *_changes(review["changes"]),
        *_vulnerabilities(review["vulnerabilities"]),
        *_licences(review),
        *_remarkable(review["packages"]),
        *_packages(review["packages"], vouched=review["vouched"]),
        _sign_off(),
    ]
    text = (resources("bundler") / "templates" / "report.html").read_text(encoding="utf-8")
    title = f"Bundle {review['name']}: report dated {review['day']}"
    return Template(text).substitute(title=escape(title), body="\n".join(parts)).encode()


def _head(review: _Row, violations: Sequence[Violation] | None) -> Iterator[str]:
    yield f"<h1>Bundle {escape(review['name'])}</h1>"
    yield paragraph(f"Report dated {escape(review['day'])}", "soft")
    if violations is not None:
        yield from _verdict(review, violations)
    scripts = map(_script, review["scripts"])
    targets = map(_target, review["targets"])
    wheels = review["packages"]
    projects = {row["project"] for row in wheels}
    packages = counted(len(projects), "package")
    yield details(
        {
            "Scripts": "<br>".join(scripts),
            "Targets": "<br>".join(targets),
            "Contents": f"{packages} in {counted(len(wheels), 'wheel')}, {size_text(review['size'])}",
            "SHA-256 of manifest.json": f"<code>{escape(review['manifest'])}</code>",
        }
    )


def _verdict(review: _Row, violations: Sequence[Violation]) -> Iterator[str]:
    if not violations:
        yield '<p class="verdict good">Satisfies the policy</p>'
        return
    yield f'<p class="verdict bad">Violates the policy ({counted(len(violations), "violation")})</p>'
    packages = {f"{row['project']} {row['version']}" for row in review["packages"]}
    rows = []
    for violation in violations:
        subject = escape(violation.subject)
        if violation.subject in packages:
            subject = _anchor(violation.subject)
        rows.append([escape(violation.rule), subject, escape(violation.fact)])
    yield table("Policy violations", ["Rule", "Subject", "Reason"], rows)


def _script(script: _Row) -> str:
    python = escape(script["requires-python"] or "any")
    locked = "locked" if script["locked"] else "not locked"
    return f"{escape(script['name'])} <span class='soft'>(Python {python}, {locked})</span>"


def _target(target: _Row) -> str:
    text = f"Python {target['python']} on {target['platform']}"
    if target["includes"]:
        text += f", including {', '.join(target['includes'])}"
    return escape(text)


def _origin(review: _Row) -> Iterator[str]:
    facts = {"Signature": "<br>".join(_signatures(review["signatures"]))}
    built = review["built"]
    if built is None:
        facts["Built"] = mark("warn", "Unknown: the bundle has no provenance")
    else:
        versions = ", ".join(f"{name} {version}" for name, version in built["versions"].items())
        facts["Built"] = f"{escape(built['finished'][:10])} with {escape(versions)}"
        if not review["vouched"]:
            facts["Built"] += f" {mark('warn', 'claimed; no accepted signature covers it')}"
        facts["From indexes"] = (
            "<br>".join(map(escape, built["indexes"])) or "uv&#x27;s default index"
        )
    yield section("Build and signatures")
    yield details(facts)


def _signatures(signatures: _Row) -> Iterator[str]:
    if not signatures["checked"]:
        yield mark("warn", "Not checked")
        return
    if not signatures["signers"]:
        yield mark("bad", signatures["problem"] or "No accepted signature")
    for entry in signatures["signers"]:
        signer = mark("good", f"Signed by {entry['name']}")
        yield f"{signer} on {escape(entry['signed'][:10])}, <code>{escape(entry['key'])}</code>"


def _changes(changes: _Row | None) -> Iterator[str]:
    yield section("What changed")
    if changes is None:
        yield paragraph("Not compared with an earlier bundle", "soft")
        return
    for name, values in (
        ("Scripts that differ", changes["scripts"]),
        ("Targets added or removed", changes["targets"]),
    ):
        if values:
            yield paragraph(f"{name}: {escape(', '.join(values))}")
    rows = []
    for entry in changes["packages"]:
        before = escape(", ".join(entry["before"]) or "new")
        after = escape(", ".join(entry["after"]) or "removed")
        rows.append([_anchor(entry["project"]), before, after])
    if rows:
        yield table(f"Packages since {changes['since']}", ["Package", "Before", "Now"], rows)
    elif not changes["scripts"] and not changes["targets"]:
        yield paragraph(f"No changes since {escape(changes['since'])}")


def _vulnerabilities(audit: _Row | None) -> Iterator[str]:
    yield section("Known vulnerabilities")
    if audit is None:
        yield paragraph(mark("warn", "Not audited"))
        return
    about = audit["advisories"]
    age = counted(about["age-days"], "day")
    amount = "1 advisory" if about["records"] == 1 else f"{about['records']} advisories"
    if about["malformed"]:
        yield paragraph(
            mark("bad", f"{counted(len(about['malformed']), 'advisory record')} could not be read")
        )
    yield paragraph(f"{amount} as of {escape(about['newest'])} ({age} old)", "soft")
    rows = [_finding(entry) for entry in audit["findings"]]
    if rows:
        headings = ["Severity", "Package", "Advisory", "What", "Fixed in", "Assessment"]
        yield table("The most severe first", headings, rows)
    else:
        yield paragraph(mark("good", "None"))


def _finding(entry: _Row) -> list[str]:
    severity = mark("bad", entry["severity"])
    state = "open"
    accepted = entry["accepted"]
    if accepted:
        severity = escape(entry["severity"])
        state = f"accepted on {accepted['day']}: {accepted['reason']}"
    return [
        severity,
        _anchor(f"{entry['project']} {entry['version']}"),
        escape(", ".join([entry["id"], *entry["aliases"]])),
        escape(entry["summary"]),
        escape(" or ".join(entry["fixed"]) or "none"),
        escape(state),
    ]


def _licences(review: _Row) -> Iterator[str]:
    yield section("Licences")
    rows = []
    for group in review["licences"]:
        licence = escape(group["licence"])
        if group["unusual"]:
            licence = mark("warn", group["licence"])
        form = "SPDX"
        if not group["classified"]:
            form = _UNCLASSIFIED.get(group["licence"], "unclassified text")
        rows.append([licence, form, ", ".join(map(_anchor, group["packages"]))])
    yield table(
        "Undeclared and unusual licences first", ["Licence", "Declared as", "Packages"], rows
    )


def _remarkable(packages: Sequence[_Row]) -> Iterator[str]:
    """Yield what deserves a second look, if there is any."""
    yield section("Worth a second look")
    points: dict[str, list[list[str]]] = {}
    for row in packages:
        package = _anchor(f"{row['project']} {row['version']}")
        for kind, text in _points(row):
            points.setdefault(kind, []).append([escape(kind), package, escape(text)])
    rows = [entry for kind in _KINDS for entry in points.get(kind, ())]
    if not any(row["uploaded"] for row in packages):
        yield paragraph(
            "Upload times and yanked files are unknown: the bundle has no provenance from an index that reports them",
            "soft",
        )
    if rows:
        yield table("Yanked, recent, built or native", ["Why", "Package", "Details"], rows)
    else:
        yield paragraph("None found")


def _points(row: _Row) -> Iterator[tuple[str, str]]:
    """Yield why a package deserves a second look: a kind and the details."""
    if row["yanked"] is not None:
        yield "Yanked", row["yanked"] or "no reason given"
    if row["status"] != "active":
        yield "Project not active", row["status"]
    age = row["age-days"]
    if age is not None and age < _RECENT:
        yield "New release", f"uploaded on {row['uploaded'][:10]}, {counted(age, 'day')} ago"
    if row["built"]:
        yield "Built from source", row["origin"]
    if row["native"]:
        parts = [
            f"{part['name']} {part['version'] or ''}".strip() for part in row["parts"][:_SHOWN]
        ]
        yield "Native code", "; ".join([counted(row["native"], "file"), *parts])


def _packages(packages: Sequence[_Row], *, vouched: bool) -> Iterator[str]:
    yield section("All wheels")
    rows, names = [], []
    anchors: set[str] = set()
    for row in packages:
        rows.append(
            [
                escape(f"{row['project']} {row['version']}"),
                size_text(row["size"]),
                escape(row["licence"]["text"]),
                escape(", ".join(row["scripts"]) or "nodes"),
                "<br>".join(_evidence(row, vouched=vouched)),
            ]
        )
        # The first wheel of a project is what rows about it lead to.
        names.append("" if row["project"] in anchors else f"package-{row['project']}")
        anchors.add(row["project"])
    yield table(
        "Every wheel with its file name, digest and origin",
        ["Package", "Size", "Licence", "Used by", "File"],
        rows,
        names=names,
    )


def _evidence(row: _Row, *, vouched: bool) -> Iterator[str]:
    yield f"<code>{escape(row['filename'])}</code>"
    yield f"<code>sha256 {escape(row['sha256'])}</code>"
    origin = row["origin"] or "unknown"
    if "://" in origin:
        yield link(origin, "from " + origin.rpartition("/")[2])
    else:
        yield escape(origin)
    for publisher in row["publishers"]:
        if vouched:
            yield f"published by {escape(publisher)} (attested)"
        else:
            yield f"claims to be published by {escape(publisher)} (not verified)"


def _anchor(package: str) -> str:
    """Return a link to the row of `package`, a project with or without version."""
    return f'<a href="#package-{escape(package.partition(" ")[0])}">{escape(package)}</a>'


def _sign_off() -> str:
    fields = ("Decision: approved / rejected", "Name", "Date", "Signature")
    return f'<h2>Decision</h2>\n<div class="sign">{"".join(f"<div>{text}</div>" for text in fields)}</div>'
