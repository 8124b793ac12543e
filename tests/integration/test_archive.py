"""Archives of bundles: the same bytes everywhere, and nothing of a damaged or hostile one is ever visible."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import bundler
from bundler.bundles.archive import pack
from bundler.bundles.temporary import unpacked
from bundler.bundles.unpacking import unpack
from bundler.errors import BundlerError, DamagedError
from bundler.progress import Progress, silent
from tests.conftest import BIN, Workplace, clean_environment
from tests.stand_ins.index import Index, serving
from tests.stand_ins.nodes import MOUNTS
from tests.stand_ins.wheels import make_wheel
from wheelhouse.errors import ArchiveError, WheelhouseError


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that nobody writes to."""
    place = tmp_path_factory.mktemp("bundled")
    (place / "home").mkdir()
    with serving(Index()) as index:
        environment = clean_environment(place / "home", {"UV_DEFAULT_INDEX": f"{index.url}/simple"})
        site = Workplace(folder=place, index=index, environment=environment)
        index.add(make_wheel("alpha"))
        site.script("solve.py", "alpha")
        return site.bundle("solve.py")


@pytest.fixture(scope="session")
def archive(bundled: Path) -> bytes:
    return packed(bundled)


def packed(*bundles: Path) -> bytes:
    out = io.BytesIO()
    pack(bundles, out, report=silent)
    return out.getvalue()


def unpack_all(data: bytes, folder: Path) -> list[Path]:
    """Unpack `data` as a stream that cannot seek."""
    source: Any = _Pipe(data)  # What tarfile needs of a stream.
    return unpack(source, Path("x.tar"), folder, report=silent)


class _Pipe:
    def __init__(self, data: bytes) -> None:
        self._source = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._source.read(min(size, 10_000))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rewritten(
    data: bytes, change: Callable[[tarfile.TarFile, tarfile.TarInfo, bytes], None]
) -> bytes:
    """Return an archive to which `change` adds each member of `data` as it likes."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(data)) as source,
        tarfile.open(fileobj=out, mode="w") as target,
    ):
        for member in source:
            content = source.extractfile(member)
            change(target, member, content.read() if content else b"")
    return out.getvalue()


def add(target: tarfile.TarFile, name: str, data: bytes = b"", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    target.addfile(member, io.BytesIO(data))


def test_an_archive_is_the_same_bytes_from_any_folder_with_any_umask(
    bundled: Path, archive: bytes, tmp_path: Path
) -> None:
    copy = tmp_path / "another name"
    shutil.copytree(bundled, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    assert packed(copy) == archive
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
    assert [member.name for member in members[:2]] == [
        "solve.bundle/manifest.json",
        "solve.bundle/SHA256SUMS",
    ]
    assert {(member.mtime, member.uid, member.uname, member.mode) for member in members} == {
        (0, 0, "", 0o644)
    }


def test_a_bundle_that_is_named_twice_is_packed_once(bundled: Path, archive: bytes) -> None:
    assert packed(bundled, bundled) == archive


def test_what_was_packed_is_unpacked_byte_for_byte(
    bundled: Path, archive: bytes, tmp_path: Path
) -> None:
    (folder,) = unpack_all(archive, tmp_path)
    assert folder == tmp_path / "solve.bundle"
    assert files_of(folder) == files_of(bundled)
    bundler.verify(folder)
    with pytest.raises(BundlerError, match="already exists"):
        unpack_all(archive, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["solve.bundle"]


def test_plain_tar_can_unpack_it(
    bundled: Path, archive: bytes, tmp_path: Path, workplace: Workplace
) -> None:
    (tmp_path / "x.tar").write_bytes(archive)
    assert workplace.run("tar", "-xf", tmp_path / "x.tar", cwd=tmp_path).returncode == 0
    assert files_of(tmp_path / "solve.bundle") == files_of(bundled)


def test_a_bundle_that_is_damaged_is_not_packed(bundled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "solve.bundle"
    shutil.copytree(bundled, copy)
    wheel = next((copy / "wheels").iterdir())
    data = wheel.read_bytes()
    for change in (b"short", data + b"x", b"x" * len(data)):
        wheel.write_bytes(change)
        with pytest.raises(DamagedError, match=r"changed  wheels/alpha-1\.0"):
            bundler.pack([copy], tmp_path / "x.tar")
    assert not [path for path in tmp_path.iterdir() if path.name != "solve.bundle"]
    with pytest.raises(BundlerError, match="two bundles are called solve.bundle"):
        packed(bundled, copy)


@pytest.mark.parametrize(
    "part", ["after the manifest", "in a wheel", "before the last file", "nothing", "half a header"]
)
def test_a_truncated_archive_is_incomplete_and_leaves_nothing(
    archive: bytes, tmp_path: Path, part: str
) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
    (wheel,) = [member for member in members if member.name.endswith(".whl")]
    end = {
        "after the manifest": members[1].offset,
        "in a wheel": wheel.offset_data + 10,
        "before the last file": members[-1].offset,
        "nothing": 0,
        "half a header": wheel.offset + 100,
    }[part]
    with pytest.raises(ArchiveError):
        unpack_all(archive[:end], tmp_path)
    assert list(tmp_path.iterdir()) == []


def twice(tar: tarfile.TarFile, member: tarfile.TarInfo, data: bytes) -> None:
    add(tar, member.name, data)
    add(tar, member.name, data)


def with_another(tar: tarfile.TarFile, member: tarfile.TarInfo, data: bytes) -> None:
    add(tar, member.name, data)
    add(tar, f"{member.name}.more", data)


HOSTILE: dict[str, Callable[[tarfile.TarFile, tarfile.TarInfo, bytes], None]] = {
    "a link": lambda tar, member, _data: add(
        tar, member.name, type=tarfile.SYMTYPE, linkname="/etc/passwd"
    ),
    "a hard link": lambda tar, member, _data: add(
        tar, member.name, type=tarfile.LNKTYPE, linkname="solve.bundle/x"
    ),
    "a device": lambda tar, member, _data: add(tar, member.name, type=tarfile.CHRTYPE),
    "a pipe": lambda tar, member, _data: add(tar, member.name, type=tarfile.FIFOTYPE),
    "a folder": lambda tar, member, _data: add(tar, member.name, type=tarfile.DIRTYPE),
    "an absolute name": lambda tar, member, data: add(tar, f"/tmp/{member.name}", data),
    "a name that leads out": lambda tar, member, data: add(
        tar, f"solve.bundle/../../{member.name}", data
    ),
    "no folder": lambda tar, member, data: add(tar, member.name.partition("/")[2], data),
    "another bundle's manifest": lambda tar, member, data: add(
        tar, member.name.replace("solve", "other"), data
    ),
    "files twice": twice,
    "other bytes": lambda tar, member, data: add(
        tar, member.name, data[:-1] + bytes([data[-1] ^ 1])
    ),
    "longer files": lambda tar, member, data: add(tar, member.name, data + b" "),
    "shorter files": lambda tar, member, data: add(tar, member.name, data[:-1]),
    "a foreign file": with_another,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(
    archive: bytes, tmp_path: Path, kind: str
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(WheelhouseError):
        unpack_all(rewritten(archive, HOSTILE[kind]), inside)
    assert list(inside.iterdir()) == []
    assert list(tmp_path.iterdir()) == [inside]


def test_files_before_their_manifest_and_huge_headers_are_refused(
    archive: bytes, tmp_path: Path
) -> None:
    def last(tar: tarfile.TarFile, member: tarfile.TarInfo, data: bytes) -> None:
        if not member.name.endswith("manifest.json"):
            add(tar, member.name, data)

    with pytest.raises(ArchiveError, match="before the manifest of its bundle"):
        unpack_all(rewritten(archive, last), tmp_path)
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 100_000}
    ):
        pass
    with pytest.raises(ArchiveError, match="a header is too large"):
        unpack_all(out.getvalue() + archive, tmp_path)
    for data in (b"", b"x" * 5000, b"\0" * 10240):
        with pytest.raises(ArchiveError):
            unpack_all(data, tmp_path)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(min_value=0), value=st.integers(0, 255), length=st.integers(1, 600))
def test_no_mutation_is_unpacked_as_something_else(
    archive: bytes, bundled: Path, tmp_path: Path, position: int, value: int, length: int
) -> None:
    start = position % len(archive)
    data = (
        archive[:start]
        + bytes([value]) * min(length, len(archive) - start)
        + archive[start + length :]
    )
    target = tmp_path / hashlib.sha256(data).hexdigest()[:16]
    target.mkdir(exist_ok=True)
    try:
        (folder,) = unpack_all(data, target)
    except WheelhouseError:
        assert list(target.iterdir()) == []
    else:
        assert files_of(folder) == files_of(bundled)
        shutil.rmtree(folder)
    assert {path.name for path in tmp_path.iterdir() if len(path.name) != 16} == set()
    target.rmdir()


def test_bundle_packs_an_archive_next_to_the_bundle(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    done = workplace.run("bundle", "solve.py", "--archive")
    assert (done.returncode, done.stdout) == (0, "solve.tar\n"), done.stderr
    assert (workplace.folder / "solve.tar").read_bytes() == packed(
        workplace.folder / "solve.bundle"
    )
    assert workplace.run("bundle", "solve.py", "--archive", "-o", ".").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["-o", "x.tar", "--split", "0"], 2, "must be at least 10.0 kB (got '0')"),
        (["-o", "-", "--split", "5 MB"], 2, "need a file, not a pipe"),
        ([], 2, "missing option '--output'"),
        (["-o", "x.tar", "--with-tool", "nowhere.sh"], 2, "nowhere.sh is not a file"),
        (["-o", "solve.tar", "--with-tool", "solve.tar"], 2, "need different names"),
        (["-o", "bundler.pyz", "--with-pyz"], 2, "need different names"),
        (["-o", "."], 1, "is a folder"),
        (["-o", ""], 2, "must not be empty"),
        (["-o", "x.001"], 1, "its name is that of a part"),
        (["-o", "x.parts"], 1, "its name is that of a part"),
        (["-o", "x\u2028.tar", "--split", "5 MB"], 1, "cannot be in a list of parts"),
        (["-o", "/dev/null"], 1, "is not a regular file"),
        (["-o", "x.tar", "--since", "nowhere"], 1, "error: nowhere does not exist"),
    ],
)
def test_wrong_options_of_pack_write_nothing(
    bundled: Path, workplace: Workplace, arguments: list[str], code: int, text: str
) -> None:
    done = workplace.run("bundler", "pack", bundled, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr
    assert [
        path.name for path in workplace.folder.iterdir() if path.name.startswith(("x", ".x"))
    ] == []


def test_a_bundle_is_not_packed_into_itself(bundled: Path, workplace: Workplace) -> None:
    done = workplace.run("bundler", "pack", bundled, "-o", bundled / "README.txt")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"is inside the bundle {bundled}" in done.stderr
    bundler.verify(bundled)


def test_a_script_in_the_place_of_a_bundle_is_told_what_to_do(workplace: Workplace) -> None:
    script = workplace.script("my eval.py").name
    for command in (["verify"], ["inspect"], ["rehearse"], ["unpack"], ["report"]):
        done = workplace.run("bundler", *command, script)
        assert done.returncode == 1
        assert (
            done.stderr
            == f"error: {script}: is a script, not a bundle\nhint: run `bundle 'my eval.py'` first\n"
        )


def test_a_full_standard_output_is_explained(bundled: Path, workplace: Workplace) -> None:
    done = workplace.run("bash", "-c", f"bundler pack {bundled} -o - > /dev/full")
    assert done.returncode == 1
    assert "error: standard output: No space left on device" in done.stderr


@pytest.mark.skipif(not MOUNTS, reason="this system does not let users mount")
@pytest.mark.parametrize("kilobytes", [4, 8, 12, 16, 20])
def test_a_full_disk_keeps_no_hidden_parts(
    bundled: Path, workplace: Workplace, kilobytes: int
) -> None:
    command = (
        f"mount -t tmpfs -o size={kilobytes}k none /mnt && {BIN}/bundler pack {workplace.folder / bundled} "
        "-o /mnt/x.tar --split 10kB; code=$?; ls -A /mnt; exit $code"
    )
    done = workplace.run("unshare", "-rm", "sh", "-c", command)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no space left" in done.stderr


def test_parts_are_published_once_from_several_folders(bundled: Path, workplace: Workplace) -> None:
    done = workplace.run("bundler", "pack", bundled, "-o", "x.tar", "--split", "10kB")
    (first, *others) = done.stdout.split()
    (workplace.folder / "disc").mkdir()
    (workplace.folder / first).rename(workplace.folder / "disc" / first)
    done = workplace.run("publish-index", "share", *others, f"disc/{first}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 1


def test_a_bundle_that_another_run_unpacked_meanwhile_is_an_error(
    archive: bytes, tmp_path: Path, workplace: Workplace
) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha", body="print('another')\n")
    other = packed(workplace.bundle("solve.py"))

    def meanwhile(progress: Progress) -> None:
        if progress.done == progress.total:
            unpack_all(other, tmp_path / "there")

    with pytest.raises(BundlerError, match="already exists"):
        unpack(io.BytesIO(archive), Path("x.tar"), tmp_path / "there", report=meanwhile)
    assert files_of(tmp_path / "there" / "solve.bundle") == files_of(
        workplace.folder / "solve.bundle"
    )


def test_one_medium_holds_the_archive_and_the_tool(bundled: Path, workplace: Workplace) -> None:
    (workplace.folder / "tool.sh").write_text("a tool")
    options = ["--with-pyz", "--with-tool", "tool.sh", "--json"]
    done = workplace.run("bundler", "pack", bundled, "-o", "medium/solve.tar", *options)
    assert done.returncode == 0, done.stderr
    names = ["medium/solve.tar", "medium/bundler.pyz", "medium/tool.sh"]
    assert json.loads(done.stdout) == {"archive": "medium/solve.tar", "files": names}
    assert all((workplace.folder / name).is_file() for name in names)


def test_commands_take_archives_and_pipes(
    bundled: Path, archive: bytes, workplace: Workplace
) -> None:
    assert workplace.run("bundler", "pack", bundled, "-o", "x.tar").stdout == "x.tar\n"
    assert (workplace.folder / "x.tar").read_bytes() == archive
    for command in ("verify", "inspect"):
        assert workplace.run("bundler", command, "x.tar").returncode == 0
    publication = workplace.run("publish-index", "share", "x.tar").stdout.strip()
    assert workplace.run("publish-index", "share", bundled).stdout.strip() == publication
    line = f"bundler pack {bundled} -o - | bundler unpack - -o there"
    done = workplace.run("bash", "-c", line)
    assert (done.returncode, done.stdout) == (0, "there/solve.bundle\n"), done.stderr
    (workplace.folder / "cut.tar").write_bytes(archive[: len(archive) // 2])
    for arguments in (["bundler", "verify"], ["publish-index", "share"], ["bundler", "unpack"]):
        done = workplace.run(*arguments, "cut.tar")
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "error: cut.tar: is incomplete: " in done.stderr
    with unpacked([workplace.folder / "x.tar"], silent, dict) as bundles:
        assert [path.name for path in bundles] == ["solve.bundle"]
