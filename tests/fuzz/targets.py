"""What is fuzzed: each target takes bytes, and whatever they are, nothing but an explained failure may come of them."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.assessment.acceptance import read_acceptances
from bundler.assessment.audit import Use, audit
from bundler.assessment.contents import read_contents
from bundler.assessment.findings import document, lines
from bundler.assessment.graph import dependencies
from bundler.assessment.page import page as report
from bundler.assessment.policy import Policy, read_policy, violations
from bundler.assessment.review import review
from bundler.assessment.snapshot import read_snapshot
from bundler.bundle_folder import Bundle
from bundler.bundles import parts, unpacking
from bundler.bundles.consistency import require_consistent
from bundler.bundles.verify import foreign_files, verify
from bundler.hps.connection import explained
from bundler.hps.outputs import latest, outputs_of, places_of
from bundler.jobs.options import Options
from bundler.jobs.submission import compose
from bundler.jobs.table import table_of
from bundler.layout import MANIFEST, PROVENANCE, PUBLICATION, SIGNATURES, SUMS
from bundler.manifest import File
from bundler.manifest_reader import parse, read_manifest
from bundler.node import garbage, preparing, scripts, task, tools
from bundler.node.errors import OfflineRunError
from bundler.progress import silent
from bundler.publications.check import needs_uv, obstacles, read_facts
from bundler.publications.strategy import read_strategy
from bundler.sources.script import read_script
from bundler.sources.tool_table import settings_of
from bundler.trust import statement
from bundler.trust.attachments import attach
from bundler.trust.provenance import read_provenance
from bundler.trust.ssh_keygen import Trust, require_trust
from tests.stand_ins.manifests import manifest
from wheelhouse import wheel
from wheelhouse.errors import WheelhouseError
from wheelhouse.files import safe_path
from wheelhouse.store import creation, pages
from wheelhouse.unpack import require_interpreter, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.manifest import Manifest

_LIMIT = 1 << 20
_WHEEL = "alpha-1.0-py3-none-any.whl"
_SHA256 = "ab" * 32


def a_manifest() -> Manifest:
    """Return the manifest of a bundle of one script that needs one wheel, with an index."""
    bare = manifest(script="s.py", wheel=_WHEEL)
    pages = [
        f"{bare.targets[0].folder()}/simple/{name}" for name in ("index.html", "alpha/index.html")
    ]
    found = [*bare.files, *(File(path=path, size=1, sha256=_SHA256) for path in pages)]
    whole = [replace(file, sha256=_SHA256) for file in sorted(found, key=lambda file: file.path)]
    return replace(bare, files=tuple(whole), scripts=(replace(bare.scripts[0], sha256=_SHA256),))


@contextlib.contextmanager
def only(folder: Path) -> Iterator[None]:
    """Fail where anything appears or disappears beside `folder`."""
    before = {path.name for path in folder.parent.iterdir()}
    yield
    assert {path.name for path in folder.parent.iterdir()} == before, (
        "something was written outside"
    )


def _manifest(data: bytes, folder: Path) -> None:
    (folder / MANIFEST).write_bytes(data)
    found = read_manifest(folder)
    for file in found.files:
        assert safe_path(file.path)
    for script in found.scripts:
        assert "/" not in script.name
    assert parse(found.to_json(), folder) == found
    verify(folder)


def _sums(data: bytes, folder: Path) -> None:
    (folder / MANIFEST).write_bytes(a_manifest().to_json())
    (folder / SUMS).write_bytes(data)
    foreign_files(folder)
    verify(folder)


def _publication(data: bytes, folder: Path) -> None:
    (folder / MANIFEST).write_bytes(a_manifest().to_json())
    (folder / PUBLICATION).write_bytes(data)
    read_strategy(folder)
    compose(folder, [{}], Options())


def _named_wheels(data: bytes, folder: Path) -> None:
    """The first byte says which file of a target the rest is."""
    whole = a_manifest()
    places = [file.path for file in whole.files if file.path.startswith("targets/")]
    for path in places:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    if data:
        (folder / places[data[0] % len(places)]).write_bytes(data[1:])
    require_consistent(Bundle(folder=folder, manifest=whole))


def _script(data: bytes, folder: Path) -> None:
    (folder / "s.py").write_bytes(data)
    settings_of(folder / "s.py", read_script(folder / "s.py").tool)


def _wheel(data: bytes, folder: Path) -> None:
    (folder / _WHEEL).write_bytes(data)
    wheel.parse_metadata(folder / _WHEEL)


def _wheel_name(data: bytes, _: Path) -> None:
    with contextlib.suppress(ValueError):
        name = data.decode(errors="surrogateescape")
        wheel.parse_filename(name)
        assert safe_path(name)
        assert "/" not in name


def _archive(data: bytes, folder: Path) -> None:
    """The first byte says which kind of archive the rest is."""
    path = folder / ("a.zip" if data[:1] == b"z" else "a.tar.gz")
    path.write_bytes(data[1:])
    inner = folder / "inner"
    inner.mkdir()
    with contextlib.suppress(WheelhouseError):
        require_interpreter(path, windows=False)
    with only(inner):
        unpack(path, inner, limit=_LIMIT)
    real = inner.resolve()
    for each in inner.rglob("*"):
        assert each.resolve().is_relative_to(real)


def _bundles(data: bytes, folder: Path) -> None:
    """An archive of bundles, read as a stream: all of it arrives, or nothing."""
    inner = folder / "inner"
    inner.mkdir()
    arrived = False
    try:
        base = {_SHA256: [folder / "base"]}
        unpacking.unpack(io.BytesIO(data), Path("a.tar"), inner, lambda: base, report=silent)
        arrived = True
    finally:
        assert bool(list(inner.iterdir())) == arrived


def _parts(data: bytes, folder: Path) -> None:
    """A list of parts: what is read is what their digests say."""
    (folder / "a.tar.parts").write_bytes(data)
    for number in range(1, 4):
        (folder / f"a.tar.{number:03}").write_bytes(b"x")
    with parts.opened([folder / "a.tar.parts"]) as source:
        while source.read(100):
            pass
    digest = hashlib.sha256(b"x").hexdigest().encode()
    assert all(line.startswith(digest) for line in data.splitlines())


def _store(data: bytes, folder: Path) -> None:
    (folder / "store.json").write_bytes(data)
    creation.create_store(folder)


def _record(data: bytes, folder: Path) -> None:
    opened = creation.create_store(folder)
    (folder / "records" / "alpha").mkdir()
    (folder / "records" / "alpha" / f"{_WHEEL}.json").write_bytes(data)
    pages.write_pages(opened, {"alpha"})
    for page in folder.glob("simple/**/*.html"):
        for link in re.findall(r'href="([^"#]*)', page.read_text()):
            assert link in ("alpha/", f"../../files/{link[12:14]}/{link[15:79]}/{_WHEEL}")


def _facts(data: bytes, folder: Path) -> None:
    (folder / "node.json").write_bytes(data)
    facts = read_facts(folder / "node.json")
    obstacles(a_manifest(), facts)
    needs_uv(a_manifest(), facts)


def _memory(data: bytes, folder: Path) -> None:
    path = folder / "0123456789abcdef.use"
    path.write_bytes(data)
    tools.remembered(str(path), {"targets/a"})
    preparing.is_prepared(str(path))
    kept = folder / "cache" / "bundler"
    (kept / "0123456789abcdef").mkdir(parents=True)
    (kept / "a.use").write_bytes(data)
    (folder / "mine").mkdir()
    with only(folder / "cache"):
        garbage.collect(str(folder / "cache"), 0)
    assert (folder / "mine").is_dir()


def _output_parameters(data: bytes, folder: Path) -> None:
    (folder / "output_parameters.json").write_bytes(data)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert isinstance(task.read_output_parameters(), dict)
    except OfflineRunError:
        pass
    finally:
        os.chdir(before)


def _arguments(data: bytes, _: Path) -> None:
    text = data.decode(errors="surrogateescape")
    publication: Any = {"scripts": {"a.py": "", "b.py": ""}}
    with contextlib.suppress(OfflineRunError):
        assert all(isinstance(word, str) for word in task.arguments(text))
    with contextlib.suppress(OfflineRunError):
        assert set(scripts.choose_scripts(publication, {"BUNDLER_SCRIPT": text})) <= {
            "a.py",
            "b.py",
        }


def _hps(data: bytes, folder: Path) -> None:
    """What the client hands over: JSON that it has not checked, as `as_objects=False` gives it."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return  # the client says so
    told = told if isinstance(told, list) else [told]
    jobs, tasks, about, steps = (told + [[], [], [], []])[:4]
    with explained("https://hps.test"):
        places = places_of(jobs)
        outputs, _ = outputs_of(
            "p",
            places,
            latest(tasks),
            {file["id"]: file for file in about},
            {each["id"]: str(each) for each in steps},
        )
        table = table_of(jobs, places, {}, {})
        for output in outputs:
            assert safe_path(output.path), output.path
        for row in csv.reader(io.StringIO(table.decode(), newline="")):
            assert not [cell for cell in row if re.match(r"\s*[=+@]", cell)], row
        for place in places.values():
            assert safe_path(place)
            assert "/" not in place
        assert folder.is_dir()


def _statement(data: bytes, folder: Path) -> None:
    """A statement and a provenance in a bundle that is otherwise whole; none of them is accepted."""
    (folder / MANIFEST).write_bytes(a_manifest().to_json())
    (folder / SIGNATURES).mkdir()
    with contextlib.suppress(ValueError):
        assert statement.parse(data).to_bytes() == data
    (folder / SIGNATURES / "0123456789abcdef.sums").write_bytes(data)
    (folder / "copy").mkdir()
    (folder / "copy" / MANIFEST).write_bytes(a_manifest().to_json())
    attach(folder, folder / "copy", folder / "copy")
    assert not (folder / "copy" / SIGNATURES).exists()


def _provenance(data: bytes, folder: Path) -> None:
    whole = a_manifest()
    (folder / MANIFEST).write_bytes(whole.to_json())
    (folder / PROVENANCE).write_bytes(data)
    try:
        read_provenance(data, whole.to_json())
    except ValueError:
        return
    bare = replace(
        whole, files=tuple(file for file in whole.files if not file.path.startswith("wheels/"))
    )
    document = review(Bundle(folder=folder, manifest=bare), date(2026, 1, 2))
    report(document, violations(Policy(), document)).decode()


def _signers(data: bytes, folder: Path) -> None:
    (folder / "allowed").write_bytes(data)
    require_trust(Trust(allowed=folder / "allowed", revoked=folder / "allowed"))


def _advisory(data: bytes, folder: Path) -> None:
    """The first byte says in which form the rest is."""
    (folder / ("a.json" if data[:1] < b"\x80" else "a.yaml")).write_bytes(data[1:])
    uses = {("alpha", "1.0"): [Use(place="p", since="", scripts=())]}
    snapshot = read_snapshot(folder)
    for line in [
        *lines(audit(uses, snapshot)),
        json.dumps(document([], 1, snapshot, date(2026, 1, 2))),
    ]:
        assert line.isprintable()


def _advisories(data: bytes, folder: Path) -> None:
    (folder / "all.zip").write_bytes(data)
    read_snapshot(folder / "all.zip")


def _acceptance(data: bytes, folder: Path) -> None:
    (folder / "accepted.json").write_bytes(data)
    for entry in read_acceptances(folder / "accepted.json"):
        assert (entry.reason or "").isprintable()


def _policy(data: bytes, folder: Path) -> None:
    (folder / "site.toml").write_bytes(data)
    read_policy(folder / "site.toml")


def _contents(data: bytes, folder: Path) -> None:
    (folder / _WHEEL).write_bytes(data)
    contents = read_contents(folder / _WHEEL)
    assert str(contents.licence).isprintable()
    whole = a_manifest()
    dependencies(whole.scripts[0], whole.targets[0], [contents])


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "manifest": _manifest,
    "sums": _sums,
    "publication": _publication,
    "named_wheels": _named_wheels,
    "script": _script,
    "wheel": _wheel,
    "wheel_name": _wheel_name,
    "archive": _archive,
    "bundles": _bundles,
    "parts": _parts,
    "store": _store,
    "record": _record,
    "facts": _facts,
    "memory": _memory,
    "output_parameters": _output_parameters,
    "arguments": _arguments,
    "hps": _hps,
    "statement": _statement,
    "provenance": _provenance,
    "signers": _signers,
    "advisory": _advisory,
    "advisories": _advisories,
    "acceptance": _acceptance,
    "policy": _policy,
    "contents": _contents,
}
# Where files are made and removed fastest.
_MEMORY = "/dev/shm"


def check(target: str, data: bytes) -> None:
    """Feed `data` to `target`; raise where anything but success or an explained failure comes of it."""
    place = _MEMORY if Path(_MEMORY).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=place) as scratch:
        folder = Path(scratch, "inner")
        folder.mkdir()
        with only(folder):
            try:
                TARGETS[target](data, folder)
            except WheelhouseError as fault:
                str(fault)
