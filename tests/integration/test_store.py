"""The store, with real pip and real uv as its judges."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.stand_ins.wheels import make_wheel
from wheelhouse.errors import FileError, StoreError, WheelError
from wheelhouse.store import adding, pages
from wheelhouse.store.creation import create_store
from wheelhouse.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Workplace


def put(folder: Path, named: tuple[str, bytes]) -> tuple[Path, str]:
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / named[0]
    path.write_bytes(named[1])
    return path, hashlib.sha256(named[1]).hexdigest()


def add(destination: Store, *wheels: tuple[Path, str]) -> list[Path]:
    return [path for path, _ in adding.add(destination, wheels)]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def share(tmp_path: Path) -> Store:
    return create_store(tmp_path / "share")


def test_real_uv_and_real_pip_install_from_the_index(
    workplace: Workplace, share: Store, tmp_path: Path
) -> None:
    add(
        share,
        put(tmp_path / "in", make_wheel("alpha-one", requires=["beta>1"], requires_python=">=3.8")),
        put(tmp_path / "in", make_wheel("beta", "1.0")),
        put(tmp_path / "in", make_wheel("beta", "2.0+cpu")),
        put(tmp_path / "in", make_wheel("beta", "3.0", requires_python=">=3.99")),
    )
    simple = share.path / "simple"
    for command in (
        [
            "uv",
            "pip",
            "install",
            "--python",
            sys.executable,
            "--offline",
            "--default-index",
            simple.as_uri(),
            "--target",
            "by-uv",
            "alpha.one",
        ],
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--index-url",
            simple.as_uri(),
            "--target",
            "by-pip",
            "alpha.one",
        ],
    ):
        done = workplace.run(*command)
        assert done.returncode == 0, done.stderr
        target = workplace.folder / command[command.index("--target") + 1]
        assert {path.name for path in target.glob("*.dist-info")} == {
            "alpha_one-1.0.dist-info",
            "beta-2.0+cpu.dist-info",
        }


def test_real_uv_and_real_pip_refuse_a_tampered_file(
    workplace: Workplace, share: Store, tmp_path: Path
) -> None:
    (path,) = add(share, put(tmp_path / "in", make_wheel("alpha")))
    path.chmod(0o644)
    path.write_bytes(make_wheel("alpha", files={"alpha.py": b"evil = 1\n"})[1])
    simple = (share.path / "simple").as_uri()
    by_uv = workplace.run(
        "uv",
        "pip",
        "install",
        "--python",
        sys.executable,
        "--offline",
        "--default-index",
        simple,
        "--target",
        "a",
        "alpha",
    )
    assert by_uv.returncode != 0
    assert "Hash mismatch" in by_uv.stderr
    by_pip = workplace.run(
        sys.executable, "-m", "pip", "install", "--index-url", simple, "--target", "b", "alpha"
    )
    assert by_pip.returncode != 0
    assert "DO NOT MATCH" in by_pip.stderr


def test_adding_again_changes_nothing(share: Store, tmp_path: Path) -> None:
    wheels = [put(tmp_path / "in", make_wheel(name)) for name in ("alpha", "beta")]
    first = add(share, *wheels)
    before = tree(share.path)
    assert add(share, *wheels) == first
    assert tree(share.path) == before


def test_a_page_holds_all_that_was_ever_added(share: Store, tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        add(share, put(tmp_path / version, make_wheel("alpha", version)))
    page = (share.path / "simple" / "alpha" / "index.html").read_text()
    assert page.count("<a ") == 2


def test_a_name_with_other_bytes_is_refused_and_nothing_is_written(
    share: Store, tmp_path: Path
) -> None:
    add(share, put(tmp_path / "one", make_wheel("alpha")))
    before = tree(share.path)
    other = put(tmp_path / "two", make_wheel("alpha", files={"alpha.py": b"other = 1\n"}))
    with pytest.raises(StoreError, match="alpha-1.0-py3-none-any.whl"):
        add(share, put(tmp_path / "two", make_wheel("beta")), other)
    assert tree(share.path) == before


def test_a_file_of_the_store_that_rotted_is_replaced(share: Store, tmp_path: Path) -> None:
    wheel = put(tmp_path / "in", make_wheel("alpha"))
    (path,) = add(share, wheel)
    path.chmod(0o644)
    path.write_bytes(b"rot")
    add(share, wheel)
    assert path.read_bytes() == wheel[0].read_bytes()


def test_a_record_that_a_crash_left_half_written_is_written_again(
    share: Store, tmp_path: Path
) -> None:
    wheel = put(tmp_path / "in", make_wheel("alpha"))
    add(share, wheel)
    record = share.path / "records" / "alpha" / "alpha-1.0-py3-none-any.whl.json"
    good = json.loads(record.read_bytes())
    record.write_bytes(b"")
    add(share, wheel)
    assert json.loads(record.read_bytes()) | {"uploaded": ""} == good | {"uploaded": ""}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sha256", "../../../etc"),
        ("sha256", 5),
        ("metadata_sha256", None),
        ("filename", "beta-1.0-py3-none-any.whl"),
        ("project", "other"),
        ("requires_python", ["3"]),
        ("requires_python", "\ud800"),
    ],
)
def test_a_record_that_somebody_wrote_by_hand_is_none(
    share: Store, tmp_path: Path, key: str, value: object
) -> None:
    add(share, put(tmp_path / "in", make_wheel("alpha")))
    record = share.path / "records" / "alpha" / "alpha-1.0-py3-none-any.whl.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), key: value}))
    (share.path / "records" / "..%").mkdir()
    pages.write_pages(share, {"alpha"})
    assert "href" not in (share.path / "simple" / "alpha" / "index.html").read_text()
    assert (share.path / "simple" / "index.html").read_text().count("href") == 1


def test_a_store_json_that_has_no_end_is_refused(share: Store) -> None:
    (share.path / "store.json").unlink()
    (share.path / "store.json").symlink_to("/dev/zero")
    with pytest.raises(FileError, match="is not a regular file"):
        create_store(share.path)


def put_in_the_way(path: Path, kind: str) -> None:
    """Replace the file `path` by something that is not one."""
    path.parent.chmod(0o755)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to("/nowhere")


@pytest.mark.parametrize("kind", ["pipe", "device", "nothing"])
def test_what_is_not_a_regular_file_is_replaced_and_never_opened(
    share: Store, tmp_path: Path, kind: str
) -> None:
    wheel = put(tmp_path / "in", make_wheel("alpha"))
    (path,) = add(share, wheel)
    before = tree(share.path)
    pages = share.path / "simple" / "alpha"
    record = share.record("alpha", wheel[0].name)
    uploaded = json.loads(record.read_bytes())["uploaded"].encode()
    for damaged in (
        path,
        path.with_name(f"{path.name}.metadata"),
        record,
        pages / "index.html",
        pages / "index.json",
    ):
        put_in_the_way(damaged, kind)
    add(share, wheel)
    now = json.loads(record.read_bytes())["uploaded"].encode()
    assert {name: data.replace(now, uploaded) for name, data in tree(share.path).items()} == before


def test_a_malformed_record_is_reported_and_blocks_nobody(share: Store, tmp_path: Path) -> None:
    add(share, put(tmp_path / "in", make_wheel("alpha")))
    share.record("alpha", "alpha-1.0-py3-none-any.whl").write_text("{")
    errors: list[StoreError] = []
    new = put(tmp_path / "in", make_wheel("alpha", "2.0"))
    list(adding.add(share, [new], None, errors.append))
    assert [error.message for error in errors] == [
        f"{share.path}/records/alpha/alpha-1.0-py3-none-any.whl.json: is not a valid record"
    ]
    page = (share.path / "simple" / "alpha" / "index.html").read_text()
    assert "alpha-2.0" in page
    assert "alpha-1.0" not in page


def test_a_stray_file_among_the_records_is_not_a_project(share: Store, tmp_path: Path) -> None:
    (share.path / "records" / "notes").write_text("mine")
    add(share, put(tmp_path / "in", make_wheel("alpha")))
    assert "notes" not in (share.path / "simple" / "index.html").read_text()
    assert share.projects() == ["alpha"]


def test_a_store_of_format_1_gets_json_pages_and_is_refused_by_its_own_version(
    share: Store, tmp_path: Path
) -> None:
    wheel = put(tmp_path / "in", make_wheel("alpha"))
    add(share, wheel)
    record = share.record("alpha", wheel[0].name)
    old = json.loads(record.read_bytes())
    record.write_text(
        json.dumps({key: old[key] for key in old if key not in {"size", "uploaded", "origin"}})
    )
    (share.path / "store.json").write_text('{"format": 1}')
    (share.path / "simple" / "alpha" / "index.json").unlink()
    create_store(share.path)
    page = json.loads((share.path / "simple" / "alpha" / "index.json").read_bytes())
    assert page["files"][0]["size"] == wheel[0].stat().st_size
    assert "upload-time" not in page["files"][0]
    assert json.loads((share.path / "store.json").read_bytes()) == {"format": 2}


def test_a_json_page_says_what_the_standards_ask_for(share: Store, tmp_path: Path) -> None:
    wheel = put(tmp_path / "in", make_wheel("alpha", requires_python=">=3.9"))
    older = put(tmp_path / "in", make_wheel("alpha", "0.9"))
    add(share, wheel, older)
    page = json.loads((share.path / "simple" / "alpha" / "index.json").read_bytes())
    assert page["meta"] == {"api-version": "1.4"}
    assert (page["name"], page["versions"], page["project-status"]) == (
        "alpha",
        ["0.9", "1.0"],
        {"status": "active"},
    )
    entry = page["files"][1]
    assert entry["hashes"] == {"sha256": wheel[1]}
    assert (share.path / "simple" / "alpha" / entry["url"]).resolve().read_bytes() == wheel[
        0
    ].read_bytes()
    assert entry["size"] == wheel[0].stat().st_size
    assert entry["requires-python"] == ">=3.9"
    assert entry["yanked"] is False
    metadata = (share.path / "simple" / "alpha" / f"{entry['url']}.metadata").resolve().read_bytes()
    assert entry["core-metadata"] == {"sha256": hashlib.sha256(metadata).hexdigest()}
    assert (
        abs(
            datetime.fromisoformat(entry["upload-time"].replace("Z", "+00:00")).timestamp()
            - time.time()
        )
        < 600
    )
    assert json.loads((share.path / "simple" / "index.json").read_bytes()) == {
        "meta": {"api-version": "1.4"},
        "projects": [{"name": "alpha"}],
    }


def test_what_is_no_wheel_is_refused(share: Store, tmp_path: Path) -> None:
    with pytest.raises(WheelError, match="cannot be read"):
        add(share, put(tmp_path, ("alpha-1.0-py3-none-any.whl", b"junk")))


def test_many_publishers_at_once_give_the_union_and_no_half_page(
    share: Store, tmp_path: Path
) -> None:
    batches = [
        [
            put(tmp_path / str(number), make_wheel(project, f"{number}.0"))
            for project in ("alpha", "beta")
        ]
        for number in range(12)
    ]
    page = share.path / "simple" / "alpha" / "index.html"
    stop, torn = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            if page.exists() and not page.read_bytes().endswith(b"</html>\n"):
                torn.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda batch: add(share, *batch), batches))
    stop.set()
    reader.join()
    assert torn == []
    for project in ("alpha", "beta"):
        assert (share.path / "simple" / project / "index.html").read_text().count("<a ") == 12


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(StoreError, match="is not empty and has no store.json"):
        create_store(tmp_path / "photos")
    newer = create_store(tmp_path / "newer")
    (newer.path / "store.json").write_text(json.dumps({"format": 3}))
    with pytest.raises(StoreError, match="format 3"):
        create_store(newer.path)
    (newer.path / "store.json").write_text("{")
    with pytest.raises(StoreError, match="is invalid"):
        create_store(newer.path)
