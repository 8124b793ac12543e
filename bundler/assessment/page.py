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

# Days; newer releases have been looked at by few people.
_RECENT = 14
_KINDS = ("Yanked", "Project not active", "New release", "Built from source", "Native code")
# What stands for "declared as" where nothing is declared.
_UNCLASSIFIED = {str(Licence()): "-"}
# Components inside a wheel that are listed.
_SHOWN = 9


def page(review: Mapping[str, Any], violations: Sequence[Violation] | None) -> bytes:
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


def _head(review: Mapping[str, Any], violations: Sequence[Violation] | None) -> Iterator[str]:
    yield f"<h1>Bundle {escape(review['name'])}</h1>"
    yield paragraph(f"Report dated {escape(review['day'])}", "soft")
    if violations is not None:
        verdict = (
            f"Violates the policy ({counted(len(violations), 'violation')})" if violations else "Satisfies the policy"
        )
        yield f'<p class="verdict {"bad" if violations else "good"}">{verdict}</p>'
    if violations:
        packages = {f"{row['project']} {row['version']}" for row in review["packages"]}
        rows = [
            [
                escape(entry.rule),
                _anchor(entry.subject) if entry.subject in packages else escape(entry.subject),
                escape(entry.fact),
            ]
            for entry in violations
        ]
        yield table("Policy violations", ["Rule", "Subject", "Reason"], rows)
    scripts = "<br>".join(
        f"{escape(script['name'])} <span class='soft'>(Python {escape(script['requires-python'] or 'any')}, "
        f"{'locked' if script['locked'] else 'not locked'})</span>"
        for script in review["scripts"]
    )
    targets = "<br>".join(map(_target, review["targets"]))
    rows = review["packages"]
    projects = len({row["project"] for row in rows})
    yield details(
        {
            "Scripts": scripts,
            "Targets": targets,
            "Contents": f"{counted(projects, 'package')} in {counted(len(rows), 'wheel')}, {size_text(review['size'])}",
            "SHA-256 of manifest.json": f"<code>{escape(review['manifest'])}</code>",
        }
    )


def _target(target: Mapping[str, Any]) -> str:
    includes = f", including {', '.join(target['includes'])}" if target["includes"] else ""
    return f"Python {escape(target['python'])} on {escape(target['platform'])}{escape(includes)}"


def _origin(review: Mapping[str, Any]) -> Iterator[str]:
    signatures, built = review["signatures"], review["built"]
    lines = []
    for entry in signatures["signers"]:
        signer = mark("good", f"Signed by {entry['name']}")
        lines.append(f"{signer} on {escape(entry['signed'][:10])}, <code>{escape(entry['key'])}</code>")
    if not signatures["checked"]:
        lines = [mark("warn", "Not checked")]
    elif not lines:
        lines = [mark("bad", signatures["problem"] or "No accepted signature")]
    facts = {"Signature": "<br>".join(lines)}
    if built is None:
        facts["Built"] = mark("warn", "Unknown: the bundle has no provenance")
    else:
        versions = ", ".join(f"{name} {version}" for name, version in built["versions"].items())
        claim = "" if review["vouched"] else f" {mark('warn', 'claimed; no accepted signature covers it')}"
        facts["Built"] = f"{escape(built['finished'][:10])} with {escape(versions)}{claim}"
        facts["From indexes"] = "<br>".join(map(escape, built["indexes"])) or "uv&#x27;s default index"
    yield section("Build and signatures")
    yield details(facts)


def _changes(changes: Mapping[str, Any] | None) -> Iterator[str]:
    yield section("What changed")
    if changes is None:
        yield paragraph("Not compared with an earlier bundle", "soft")
        return
    rows = [
        [
            _anchor(entry["project"]),
            escape(", ".join(entry["before"]) or "new"),
            escape(", ".join(entry["after"]) or "removed"),
        ]
        for entry in changes["packages"]
    ]
    others = [("Scripts that differ", changes["scripts"]), ("Targets added or removed", changes["targets"])]
    for name, values in others:
        if values:
            yield paragraph(f"{name}: {escape(', '.join(values))}")
    if rows:
        yield table(f"Packages since {changes['since']}", ["Package", "Before", "Now"], rows)
    elif not any(values for _, values in others):
        yield paragraph(f"No changes since {escape(changes['since'])}")


def _vulnerabilities(audit: Mapping[str, Any] | None) -> Iterator[str]:
    yield section("Known vulnerabilities")
    if audit is None:
        yield paragraph(mark("warn", "Not audited"))
        return
    about = audit["advisories"]
    age = counted(about["age-days"], "day")
    amount = "1 advisory" if about["records"] == 1 else f"{about['records']} advisories"
    if about["malformed"]:
        yield paragraph(mark("bad", f"{counted(len(about['malformed']), 'advisory record')} could not be read"))
    yield paragraph(f"{amount} as of {escape(about['newest'])} ({age} old)", "soft")
    rows = []
    for entry in audit["findings"]:
        accepted = entry["accepted"]
        state = f"accepted on {accepted['day']}: {accepted['reason']}" if accepted else "open"
        rows.append(
            [
                escape(entry["severity"]) if accepted else mark("bad", entry["severity"]),
                _anchor(f"{entry['project']} {entry['version']}"),
                escape(", ".join([entry["id"], *entry["aliases"]])),
                escape(entry["summary"]),
                escape(" or ".join(entry["fixed"]) or "none"),
                escape(state),
            ]
        )
    if rows:
        yield table(
            "The most severe first", ["Severity", "Package", "Advisory", "What", "Fixed in", "Assessment"], rows
        )
    else:
        yield paragraph(mark("good", "None"))


def _licences(review: Mapping[str, Any]) -> Iterator[str]:
    yield section("Licences")
    rows = [
        [
            mark("warn", group["licence"]) if group["unusual"] else escape(group["licence"]),
            "SPDX" if group["classified"] else _UNCLASSIFIED.get(group["licence"], "unclassified text"),
            ", ".join(map(_anchor, group["packages"])),
        ]
        for group in review["licences"]
    ]
    yield table("Undeclared and unusual licences first", ["Licence", "Declared as", "Packages"], rows)


def _remarkable(packages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what deserves a second look, if there is any."""
    yield section("Worth a second look")
    rows = [
        [escape(kind), _anchor(f"{row['project']} {row['version']}"), escape(text)]
        for kind in _KINDS
        for row in packages
        for text in _points(row).get(kind, ())
    ]
    if not any(row["uploaded"] for row in packages):
        yield paragraph(
            "Upload times and yanked files are unknown: the bundle has no provenance from an index that reports them",
            "soft",
        )
    if rows:
        yield table("Yanked, recent, built or native", ["Why", "Package", "Details"], rows)
    else:
        yield paragraph("None found")


def _points(row: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return why a package deserves a second look: details by kind."""
    points: dict[str, list[str]] = {}
    if row["yanked"] is not None:
        points["Yanked"] = [row["yanked"] or "no reason given"]
    if row["status"] != "active":
        points["Project not active"] = [row["status"]]
    if row["age-days"] is not None and row["age-days"] < _RECENT:
        points["New release"] = [f"uploaded on {row['uploaded'][:10]}, {counted(row['age-days'], 'day')} ago"]
    if row["built"]:
        points["Built from source"] = [row["origin"]]
    if row["native"]:
        parts = [f"{part['name']} {part['version'] or ''}".strip() for part in row["parts"][:_SHOWN]]
        points["Native code"] = ["; ".join([counted(row["native"], "file"), *parts])]
    return points


def _packages(packages: Sequence[Mapping[str, Any]], *, vouched: bool) -> Iterator[str]:
    yield section("All wheels")
    anchors: set[str] = set()
    rows, names = [], []
    for row in packages:
        origin = row["origin"] or "unknown"
        evidence = [f"<code>{escape(row['filename'])}</code>", f"<code>sha256 {escape(row['sha256'])}</code>"]
        evidence.append(link(origin, "from " + origin.rpartition("/")[2]) if "://" in origin else escape(origin))
        evidence += [_publisher(name, vouched=vouched) for name in row["publishers"]]
        rows.append(
            [
                escape(f"{row['project']} {row['version']}"),
                size_text(row["size"]),
                escape(row["licence"]["text"]),
                escape(", ".join(row["scripts"]) or "nodes"),
                "<br>".join(evidence),
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


def _publisher(name: str, *, vouched: bool) -> str:
    if vouched:
        return f"published by {escape(name)} (attested)"
    return f"claims to be published by {escape(name)} (not verified)"


def _anchor(package: str) -> str:
    """Return a link to the row of `package`, a project with or without version."""
    return f'<a href="#package-{escape(package.partition(" ")[0])}">{escape(package)}</a>'


def _sign_off() -> str:
    fields = ("Decision: approved / rejected", "Name", "Date", "Signature")
    return f'<h2>Decision</h2>\n<div class="sign">{"".join(f"<div>{text}</div>" for text in fields)}</div>'
