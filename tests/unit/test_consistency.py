"""Locks and pages of a bundle name just the wheels of its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.bundle_folder import Bundle
from bundler.bundles.consistency import index_pages, require_consistent
from bundler.errors import ContradictionError
from bundler.layout import script_files
from bundler.manifest import File, Manifest
from tests.stand_ins.manifests import manifest
from wheelhouse.select import node_lock
from wheelhouse.select.selection import Pin
from wheelhouse.target import Target, parse_platform
from wheelhouse.wheel import Wheel

_SHA256 = "ab" * 32
_SCRIPT, _WHEEL = "s.py", "alpha-1.0-py3-none-any.whl"
_, _LOCK, _PYLOCK = script_files(_SCRIPT)
_PAGE, _ROOT = "simple/alpha/index.html", "simple/index.html"
_ELSEWHERE = "http://127.0.0.1:9/alpha-1.0-py3-none-any.whl"


@pytest.fixture
def bundle(tmp_path: Path) -> tuple[Path, Manifest]:
    """Write the targets of a bundle as `bundle` does; return its folder and manifest."""
    bare = manifest(script=_SCRIPT, wheel=_WHEEL)
    target = Target(python="3.12", platform=parse_platform(bare.targets[0].platform))
    pins = [Pin(wheel=Wheel(filename=_WHEEL, url="https://x.test/a.whl", sha256=_SHA256, size=7))]
    where = bare.folder(bare.targets[0], _SCRIPT)
    place = tmp_path / where
    place.mkdir(parents=True)
    for path, page in index_pages(where, {_WHEEL: _SHA256}).items():
        (place / "simple" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "simple" / path).write_bytes(page)
    node_lock.write_node_lock(place / _SCRIPT, pins, target)
    (place / _PYLOCK).write_bytes(node_lock.target_pylock(pins, "../../../wheels"))
    return tmp_path, sealed(tmp_path, bare)


def sealed(folder: Path, bare: Manifest) -> Manifest:
    """Return the manifest with the digests of the files as they are now: what hostile people do, too."""
    found = [
        File(
            path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=_digest(path)
        )
        for path in sorted((folder / "targets").rglob("*"))
        if path.is_file()
    ]
    return replace(bare, files=(*found, File(path=f"wheels/{_WHEEL}", size=7, sha256=_SHA256)))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_bundle_writes_is_consistent(bundle: tuple[Path, Manifest]) -> None:
    folder, manifest = bundle
    require_consistent(Bundle(folder=folder, manifest=manifest))


def put(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


# Reading without bounds takes from half a minute to hours for some of these.
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("path", "change"),
    [
        pytest.param(_LOCK, put(_SHA256, "cd" * 32), id="a lock names another digest"),
        pytest.param(
            _LOCK, put("../../../../wheels/", "../../../../elsewhere/"), id="a lock leads elsewhere"
        ),
        pytest.param(
            _LOCK,
            put('path = "', f'url = "{_ELSEWHERE}", path = "'),
            id="a wheel has a URL and a path",
        ),
        pytest.param(
            _LOCK,
            put('registry = "simple"', 'registry = "http://127.0.0.1:9/"'),
            id="another index",
        ),
        pytest.param(
            _LOCK, put('registry = "simple"', 'git = "http://127.0.0.1:9/a.git"'), id="a repository"
        ),
        pytest.param(
            _LOCK, lambda text: text.replace('name = "alpha"', 'name = "omega"'), id="another name"
        ),
        pytest.param(
            _LOCK,
            lambda text: text.replace('version = "1.0"', 'version = "2.0"'),
            id="another version",
        ),
        pytest.param(_LOCK, lambda text: text[: text.index("[[package]]")], id="no package"),
        pytest.param(_LOCK, lambda text: text + "\nx = " + "[" * 5000, id="brackets"),
        pytest.param(
            _LOCK,
            lambda text: text + "\n" + ".".join("a" * 50000) + " = 1\n",
            id="a key of many parts",
        ),
        pytest.param(
            _LOCK,
            lambda text: text + f"\n[a.{'b.' * 2000}c]\n" * 2000,
            id="many tables of many parts",
        ),
        pytest.param(
            _LOCK, lambda text: text + "\nx = " + "9" * 5000, id="a number of many digits"
        ),
        pytest.param(
            _PYLOCK, put("../../../wheels/", "../../../elsewhere/"), id="a pylock leads elsewhere"
        ),
        pytest.param(
            _PYLOCK,
            put(
                "[[packages.wheels]]",
                f'[packages.sdist]\nurl = "{_ELSEWHERE}"\n[[packages.wheels]]',
            ),
        ),
        pytest.param(
            _PYLOCK, put('path = "', f'url = "{_ELSEWHERE}"\npath = "'), id="a pylock with both"
        ),
        pytest.param(_PAGE, put("<head>", '<head><base href="http://127.0.0.1:9/">'), id="a base"),
        pytest.param(
            _PAGE,
            put('<a href="', f'<a href="{_ELSEWHERE}" data-href="'),
            id="a link and another attribute",
        ),
        pytest.param(
            _PAGE, put("</body>", f'<a href="{_ELSEWHERE}">x</a></body>'), id="one more link"
        ),
        pytest.param(_PAGE, lambda text: text + "<a " * 400_000, id="anchors without end"),
        pytest.param(
            _ROOT,
            put('"alpha/"', '"http://127.0.0.1:9/"'),
            id="the list of projects leads elsewhere",
        ),
        pytest.param(
            "simple/omega/index.html", lambda _: "", id="a page of a project that has no wheel"
        ),
    ],
)
def test_locks_and_pages_that_name_anything_else_are_refused_at_once(
    bundle: tuple[Path, Manifest], path: str, change: Callable[[str], str]
) -> None:
    folder, bare = bundle
    file = folder / bare.folder(bare.targets[0], _SCRIPT) / path
    file.parent.mkdir(exist_ok=True)
    before = file.read_text() if file.exists() else "x"
    after = change(before)
    assert after != before
    file.write_text(after)
    with pytest.raises(ContradictionError) as caught:
        require_consistent(Bundle(folder=folder, manifest=sealed(folder, bare)))
    assert [fault.partition(": ")[0] for fault in caught.value.errors] == [
        file.relative_to(folder).as_posix()
    ]
    assert "\x1b" not in str(caught.value)


def test_all_files_that_disagree_are_named_together(bundle: tuple[Path, Manifest]) -> None:
    folder, bare = bundle
    place = folder / bare.folder(bare.targets[0], _SCRIPT)
    for path in (_LOCK, _PYLOCK, _PAGE):
        (place / path).write_text("")
    with pytest.raises(ContradictionError) as caught:
        require_consistent(Bundle(folder=folder, manifest=sealed(folder, bare)))
    assert len(caught.value.errors) == 3
