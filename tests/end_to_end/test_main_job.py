"""The command line from a script to an offline run, as a person, a cluster and an accident would have it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import BIN, PYTHON, REPOSITORY, Workplace
from tests.stand_ins import index as faults
from tests.stand_ins.nodes import ISOLATED, MOUNTS, evaluate, published, tree
from tests.stand_ins.wheels import make_wheel

ODD_NAMES = [
    "a b.py",
    "it's.py",
    '"quoted".py',
    "$(touch owned).py",
    "l\u00f6s\u00fcng.py",
    "-v.py",
    "100%.py",
    "no_suffix",
    "a#b?c.py",
]


def test_a_script_is_bundled_published_and_rehearsed(workplace: Workplace) -> None:
    publication = published(
        workplace,
        body="import alpha, beta\nopen('plot.txt', 'w').write(alpha.version + beta.version)\n",
    )
    done = workplace.run("bundler", "rehearse", publication, "-o", "task")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "task/plot.txt\n"
    assert (workplace.folder / "task" / "plot.txt").read_text() == "1.01.5"
    assert (
        "network namespace" if ISOLATED else "this system does not support network namespaces"
    ) in done.stderr


def test_a_bundle_is_rehearsed_without_a_store_and_leaves_no_trace(
    workplace: Workplace, tmp_path: Path
) -> None:
    published(workplace, body="import alpha\nprint('got', alpha.version)\n")
    shutil.rmtree(workplace.folder / "share")
    before = tree(workplace.folder)
    (tmp_path / "tmp").mkdir()
    done = workplace.run("bundler", "rehearse", "solve.bundle", TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stderr
    assert "got 1.0" in done.stderr
    assert tree(workplace.folder) == before
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_rehearsal_that_is_interrupted_leaves_nothing_behind(
    workplace: Workplace, tmp_path: Path, number: signal.Signals
) -> None:
    publication = published(
        workplace, body="import time\nprint('now', flush=True)\ntime.sleep(60)\n"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    workplace.environment["TMPDIR"] = str(temporary)
    with workplace.started("bundler", "rehearse", publication) as process:
        assert process.stderr is not None
        while "now" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        process.wait(30)
    assert list(temporary.iterdir()) == []


def test_a_publication_of_an_earlier_version_can_be_rehearsed(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    for name in ("mesh.py", "solve.py"):
        workplace.script(name, "alpha", body=f"import alpha\nprint({name!r}, 'runs')\n")
    workplace.bundle("mesh.py", "solve.py")
    publication = workplace.publish()
    # Earlier ones knew no list of scripts.
    script = publication / "exec_script.py"
    text, changes = re.subn(
        r"    if value and value not in names.*?\n(?=    if not selection)",
        "",
        script.read_text(),
        flags=re.DOTALL,
    )
    assert changes == 1
    sums = publication / "SHA256SUMS"
    known = (
        hashlib.sha256(script.read_bytes()).hexdigest(),
        hashlib.sha256(text.encode()).hexdigest(),
    )
    for path, words in ((script, text), (sums, sums.read_text().replace(*known))):
        path.chmod(0o644)
        path.write_text(words)
    done = workplace.run("bundler", "rehearse", publication)
    assert done.returncode == 0, done.stderr
    assert [name for name in ("mesh.py runs", "solve.py runs") if name not in done.stderr] == []


def test_the_published_script_has_no_network(workplace: Workplace) -> None:
    if not ISOLATED:
        pytest.skip("this system allows no network namespace")
    body = f"import urllib.request\nurllib.request.urlopen('{workplace.index.url}/simple/alpha/')\n"
    done = workplace.run("bundler", "rehearse", published(workplace, body))
    assert done.returncode == 1
    assert "Connection refused" in done.stderr  # its loopback is its own
    assert "the job failed" in done.stderr


def test_a_rehearsed_script_may_talk_to_itself(workplace: Workplace) -> None:
    body = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname())
"""
    done = workplace.run("bundler", "rehearse", published(workplace, body))
    assert done.returncode == 0, done.stderr


def test_a_job_is_rehearsed_with_its_parameters_and_input_files(workplace: Workplace) -> None:
    body = """
import json
given = json.load(open("input_parameters.json"))
json.dump({"sum": given["x"] + len(given["name"])}, open("output_parameters.json", "w"))
print(open("data.txt").read())
"""
    (workplace.folder / "data.txt").write_text("the data")
    options = [
        "--parameter",
        "x=2.5",
        "--parameter",
        "name=abc",
        "--input",
        "data.txt",
        "-o",
        "task",
    ]
    done = workplace.run("bundler", "rehearse", published(workplace, body), *options)
    assert done.returncode == 0, done.stderr
    assert "the data" in done.stderr
    assert '"sum": 5.5' in done.stderr
    assert done.stdout == "task/output_parameters.json\n"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_script_runs_whatever_it_is_called(workplace: Workplace, name: str) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script(
        name,
        "alpha",
        body="import sys, alpha\nprint('ran', ascii(sys.argv[0].rpartition('/')[2]))\n",
    )
    workplace.bundle("-o", "x.bundle", "--", name)
    publication = workplace.publish()
    assert publication.name.isascii()
    done = workplace.run("bundler", "rehearse", publication)
    assert done.returncode == 0, done.stderr
    assert f"ran {name!a}" in done.stderr
    assert not list(workplace.folder.rglob("owned"))


def test_the_oldest_uv_runs_what_the_newest_locked(workplace: Workplace, old_uv: Path) -> None:
    publication = published(workplace)
    done, _ = evaluate(workplace, publication, software=[{"name": "uv", "executable": str(old_uv)}])
    assert done.returncode == 0, done.stdout
    assert "got 1.0" in done.stdout
    _swap(publication / "wheels" / "beta-1.5-py3-none-any.whl")
    fresh = {"UV_CACHE_DIR": str(workplace.folder / "fresh")}
    done, _ = evaluate(
        workplace,
        publication,
        software=[{"name": "uv", "executable": str(old_uv)}],
        environment=fresh,
    )
    assert "was changed after it was published" in done.stdout
    assert done.returncode == 70


def test_parameters_go_in_and_come_back(workplace: Workplace) -> None:
    body = """
import json
x = json.load(open("input_parameters.json"))["x"]
json.dump({"y": x * 2}, open("output_parameters.json", "w"))
"""
    done, values = evaluate(workplace, published(workplace, body), parameter_values={"x": 21})
    assert done.returncode == 0, done.stdout
    assert values == {"x": 21, "y": 42}


@pytest.mark.parametrize("failure", ["raise", "return", "silent"])
def test_a_failing_script_fails_its_job_and_keeps_its_output_parameters(
    workplace: Workplace, failure: str
) -> None:
    body = "open('output_parameters.json', 'w').write('{\"y\": 1}')\nraise SystemExit(3)\n"
    done, values = evaluate(workplace, published(workplace, body), failure=failure)
    assert done.returncode == 70
    assert values == {"y": 1}
    assert "the script failed with exit code 3" in done.stdout


def test_many_jobs_of_a_node_share_one_environment(workplace: Workplace) -> None:
    publication = published(workplace, "import sys\nprint('prefix', sys.prefix)\n")
    prefixes = set()
    for _ in range(3):
        done, _ = evaluate(workplace, publication)
        assert done.returncode == 0, done.stdout
        prefixes.add(next(line for line in done.stdout.splitlines() if line.startswith("prefix")))
    assert len(prefixes) == 1


def test_a_publication_runs_from_a_read_only_share_that_was_moved(workplace: Workplace) -> None:
    publication = published(workplace)
    moved = workplace.folder / "elsewhere" / "copy"
    shutil.copytree(publication, moved)
    shutil.rmtree(workplace.folder / "share")
    before = tree(moved)
    for path in (moved, *moved.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    assert workplace.run("bundler", "verify", moved).returncode == 0
    done = workplace.run("bundler", "rehearse", moved)
    assert done.returncode == 0, done.stderr
    assert "got 1.0" in done.stderr
    assert tree(moved) == before


def _tamper(path: Path) -> None:
    """Flip a bit in the middle, as a bad disk or a bad neighbour would, and undo the links that share the file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def _swap(path: Path) -> None:
    """Put another good wheel of the same name in the place of `path`: only a hash can tell."""
    path.unlink()
    path.write_bytes(make_wheel("beta", "1.5", files={"beta.py": b"evil = 1\n"})[1])


def test_a_wheel_that_was_swapped_stops_the_job(workplace: Workplace) -> None:
    publication = published(workplace, "print('first line')\n")
    _swap(next(publication.glob("wheels/beta-*.whl")))
    done, _ = evaluate(workplace, publication)
    assert done.returncode != 0
    assert "was changed after it was published" in done.stdout
    assert "first line" not in done.stdout


def test_a_wheel_that_is_missing_stops_the_job(workplace: Workplace) -> None:
    publication = published(workplace, "print('first line')\n")
    next(publication.glob("wheels/beta-*.whl")).unlink()
    done, _ = evaluate(workplace, publication, failure="raise")
    assert done.returncode != 0
    assert "beta" in done.stdout
    assert "first line" not in done.stdout


def test_a_share_that_is_not_mounted_is_told(workplace: Workplace) -> None:
    publication = published(workplace)
    script = workplace.folder / "exec_script.py"
    shutil.copy(publication / "exec_script.py", script)
    shutil.rmtree(workplace.folder / "share")
    done, _ = evaluate(workplace, workplace.folder)
    assert done.returncode == 70
    assert "ask the administrator of the nodes whether the store is mounted" in done.stdout


def test_a_python_that_is_missing_is_told(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha", body="print('first line')\n")
    assert workplace.run("bundle", "solve.py", "--python", "3.14").returncode == 0
    done, _ = evaluate(workplace, workplace.publish(), failure="return")
    assert done.returncode != 0
    assert (
        "uv finds no Python 3.14 on this node\n"
        "[ERROR] hint: ask the administrator of the nodes to install one, or bundle the script with"
        in done.stdout
    )


def test_hostile_settings_of_the_node_change_nothing(workplace: Workplace) -> None:
    evil = workplace.folder / "evil"
    evil.mkdir()
    (evil / "alpha.py").write_text("version = 'evil'\n")
    workplace.environment.update(
        UV_INDEX_URL="http://127.0.0.1:9",
        UV_LOCKED="1",
        UV_NO_BINARY="1",
        UV_PYTHON="3.8",
        PYTHONPATH=str(evil),
    )
    publication = published(
        Workplace(
            workplace.folder,
            workplace.index,
            {**workplace.environment, "UV_LOCKED": "0", "UV_NO_BINARY": "0", "UV_PYTHON": PYTHON},
        )
    )
    done, _ = evaluate(workplace, publication)
    assert done.returncode == 0, done.stdout
    assert "got 1.0" in done.stdout


def test_a_share_that_evaluators_see_elsewhere_makes_a_publication_of_its_own(
    workplace: Workplace,
) -> None:
    publication = published(workplace)
    before = tree(publication)
    places = {publication}
    for seen, expected in (
        (r"S:\bundles", r"S:\\bundles\\publications"),
        ("/mnt/bundles", "/mnt/bundles/publications/"),
    ):
        done = workplace.run("publish-index", "share", "--seen-at", seen)
        assert done.returncode == 0, done.stderr
        place = Path(done.stdout.strip())
        assert expected in (place / "exec_script.py").read_text()
        places.add(place)
    assert len(places) == 3
    assert tree(publication) == before


def test_a_share_of_any_name_works(workplace: Workplace, old_uv: Path) -> None:
    published(workplace)
    odd = "sh#a r%20e?'$(x)\u00e9"
    done = workplace.run("publish-index", odd, "solve.bundle")
    assert done.returncode == 0, done.stderr
    for uv in (BIN / "uv", old_uv):
        cache = {
            "UV_CACHE_DIR": str(workplace.folder / f"cache-{uv.parent.name}-{uv.stat().st_size}")
        }
        run, _ = evaluate(
            workplace,
            Path(done.stdout.strip()),
            software=[{"name": "uv", "executable": str(uv)}],
            environment=cache,
        )
        assert run.returncode == 0, run.stdout
        assert "got 1.0" in run.stdout


def test_a_script_without_dependencies_is_carried_like_any_other(workplace: Workplace) -> None:
    workplace.script("solve.py", body="print('got nothing')\n")
    workplace.bundle("solve.py")
    done = workplace.run("bundler", "rehearse", workplace.publish())
    assert done.returncode == 0, done.stderr
    assert "got nothing" in done.stderr


def test_what_hangs_on_the_patch_release_of_the_node_is_there(workplace: Workplace) -> None:
    patch = sys.version_info.micro
    requires = [
        f"fork==1.0; python_full_version < '{PYTHON}.{patch}'",
        f"fork==2.0; python_full_version >= '{PYTHON}.{patch}' and python_full_version < '{PYTHON}.{patch + 1}'",
        f"fork==3.0; python_full_version >= '{PYTHON}.{patch + 1}'",
    ]
    workplace.index.add(make_wheel("alpha", requires=requires))
    for version in ("1.0", "2.0", "3.0"):
        workplace.index.add(make_wheel("fork", version))
    workplace.script("solve.py", "alpha", body="import fork\nprint('got', fork.version)\n")
    workplace.bundle("solve.py")
    done, _ = evaluate(workplace, workplace.publish())
    assert done.returncode == 0, done.stdout
    assert "got 2.0" in done.stdout


def test_many_publishers_of_one_bundle_at_once_all_succeed(workplace: Workplace) -> None:
    published(workplace)
    shutil.rmtree(workplace.folder / "share")
    for _ in range(4):
        with contextlib.ExitStack() as stack:
            publishers = [
                stack.enter_context(workplace.started("publish-index", "share")) for _ in range(5)
            ]
            ended = [
                (process.communicate(timeout=60), process.returncode) for process in publishers
            ]
        assert [code for _, code in ended] == [0] * 5, ended
        assert len({out for (out, _), _ in ended}) == 1
        assert workplace.run("bundler", "verify", ended[0][0][0].strip()).returncode == 0
        shutil.rmtree(workplace.folder / "share")


def test_several_scripts_of_a_publication_run_by_name(workplace: Workplace) -> None:
    for version in ("1.0", "2.0"):
        workplace.index.add(make_wheel("alpha", version))
    workplace.script("one.py", "alpha<2", body="import alpha\nprint('one got', alpha.version)\n")
    workplace.script("two.py", "alpha", body="import alpha\nprint('two got', alpha.version)\n")
    workplace.bundle("one.py", "two.py")
    publication = workplace.publish()
    for name, words in (("one.py", "one got 1.0"), ("two.py", "two got 2.0")):
        done = workplace.run("bundler", "rehearse", publication, "--script", name)
        assert done.returncode == 0, done.stderr
        assert words in done.stderr
    done = workplace.run("bundler", "rehearse", publication)
    assert done.returncode == 0, done.stderr
    assert done.stderr.index("one got 1.0") < done.stderr.index("two got 2.0")
    done = workplace.run("bundler", "rehearse", publication, "--script", "three.py")
    assert done.returncode == 1
    assert "has no script three.py\nhint: its scripts are one.py, two.py" in done.stderr


@pytest.mark.parametrize("published_first", [False, True])
def test_all_scripts_run_with_nothing_but_uv_and_nothing_but_pip_and_leave_no_trace(
    workplace: Workplace, published_first: bool
) -> None:
    workplace.index.add(make_wheel("alpha", requires=["beta"]))
    workplace.index.add(make_wheel("beta"))
    body = "import alpha\nprint('got', alpha.version, __file__)\nopen('result.txt', 'w').close()\n"
    workplace.script("solve.py", "alpha", body=body)
    workplace.script("it's two.py", "alpha", body=body)
    bundle = workplace.bundle("solve.py", "it's two.py")
    place = workplace.publish(bundle) if published_first else bundle
    text = (place / "README.txt").read_text()
    assert text.startswith("Publication " if published_first else "Bundle ")
    shown = [
        block
        for block in text.partition("To run the scripts")[2].split("\n\n")
        if block.startswith("    ")
    ]
    setting, by_uv, by_pip = shown
    by_pip = by_pip.replace(f"python{PYTHON} ", f"{shlex.quote(sys.executable)} ", 1)
    for commands in (by_uv, by_pip):
        done = workplace.run(*ISOLATED, "sh", "-ec", f"{setting}\n{commands}", cwd=place)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("got 1.0") == 2
    assert Path(workplace.environment["HOME"], "work", "result.txt").exists()
    assert workplace.run("bundler", "verify", place).returncode == 0


def test_publishing_again_changes_nothing(workplace: Workplace) -> None:
    publication = published(workplace)
    share = workplace.folder / "share"
    before, inode = tree(share), publication.stat().st_ino
    assert workplace.publish() == publication
    assert (tree(share), publication.stat().st_ino) == (before, inode)


def test_what_somebody_left_in_a_publication_is_no_reason_to_touch_it(workplace: Workplace) -> None:
    publication = published(workplace)
    (publication / ".DS_Store").touch()
    inode = publication.stat().st_ino
    assert workplace.publish() == publication
    assert publication.stat().st_ino == inode
    assert (publication / ".DS_Store").exists()


def test_a_page_of_the_index_that_got_lost_comes_back(workplace: Workplace) -> None:
    published(workplace)
    page = workplace.folder / "share" / "simple" / "alpha" / "index.html"
    before = page.read_bytes()
    page.unlink()
    workplace.publish()
    assert page.read_bytes() == before


def test_where_the_store_is_does_not_depend_on_where_one_stands(workplace: Workplace) -> None:
    publication = published(workplace)
    (workplace.folder / "sub").mkdir()
    done = workplace.run(
        "publish-index", "../share", "../solve.bundle", cwd=workplace.folder / "sub"
    )
    assert done.stdout.strip() == str(publication)
    done = workplace.run("publish-index", "share", "--seen-at", "relative/share")
    assert done.returncode == 2
    assert "must be an absolute path" in done.stderr


def test_a_damaged_publication_is_published_anew(workplace: Workplace) -> None:
    publication = published(workplace)
    before = tree(publication)
    _tamper(next(publication.glob("wheels/beta-*.whl")))
    workplace.publish()
    assert tree(publication) == before


def test_the_bundle_to_publish_is_found_or_the_choice_is_told(workplace: Workplace) -> None:
    done = workplace.run("publish-index", "share")
    assert done.returncode == 1
    assert "contains no bundle" in done.stderr
    published(workplace)
    shutil.copytree(workplace.folder / "solve.bundle", workplace.folder / "other.bundle")
    done = workplace.run("publish-index", "share")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "contains 2 bundles\n  other.bundle\n  solve.bundle\nhint: name the bundles to publish"
        in done.stderr
    )


def test_a_changed_bundle_is_not_published(workplace: Workplace) -> None:
    published(workplace)
    before = tree(workplace.folder / "share")
    (workplace.folder / "solve.bundle" / "wheels" / "extra.whl").touch()
    done = workplace.run("publish-index", "share")
    assert (done.returncode, done.stdout) == (1, "")
    assert "foreign  wheels/extra.whl" in done.stderr
    assert tree(workplace.folder / "share") == before


def test_a_store_whose_path_no_job_could_name_is_refused(workplace: Workplace) -> None:
    published(workplace)
    place = os.fsdecode(b"sh\xffare")
    done = workplace.run("publish-index", place)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the path is not valid UTF-8" in done.stderr
    assert not (workplace.folder / place).exists()


def test_a_destination_that_cannot_be_written_is_told(workplace: Workplace) -> None:
    published(workplace)
    (workplace.folder / "file").touch()
    for destination in ("file", "file/below", "/proc/nowhere"):
        done = workplace.run("publish-index", destination, "solve.bundle")
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_bundle_leaves_the_good_one_of_before(
    workplace: Workplace, how: signal.Signals, code: int
) -> None:
    published(workplace)
    bundle = workplace.folder / "solve.bundle"
    before = tree(bundle)
    name = workplace.index.add(make_wheel("beta", "2.0"))
    workplace.index.faults[name] = faults.stalled
    workplace.environment["UV_HTTP_TIMEOUT"] = "60"
    with workplace.started("bundle", "solve.py", "--upgrade", "--python", PYTHON) as process:
        while not workplace.index.requests[f"/files/{name}"]:
            time.sleep(0.02)
        asked = time.monotonic()
        while process.poll() is None and time.monotonic() - asked < 30:
            process.send_signal(how)  # again after a moment, as a person would
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=3)
        out, err = process.communicate()
    assert time.monotonic() - asked < 5  # the first signal ends it, or the second after 3 s
    assert (process.returncode, out) == (code, "")
    assert ("Interrupted" in err) == (how == signal.SIGINT)
    assert "Traceback" not in err
    assert tree(bundle) == before
    del workplace.index.faults[name]
    workplace.bundle("solve.py", "--upgrade")
    assert (bundle / "wheels" / name).exists()


def test_killed_at_any_moment_nothing_half_is_visible_and_the_next_run_works(
    workplace: Workplace,
) -> None:
    publication = published(workplace)
    share, bundle = workplace.folder / "share", workplace.folder / "solve.bundle"
    before = tree(publication)
    for version in range(2, 8):
        workplace.index.add(
            make_wheel("beta", f"{version}.0", files={"beta.py": os.urandom(300_000)})
        )
        for delay in (0.05 * version, 0.5):
            with workplace.started(
                "bundle", "solve.py", "--upgrade", "--python", PYTHON
            ) as process:
                time.sleep(delay)
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            assert workplace.run("bundler", "verify", bundle).returncode == 0
        workplace.bundle("solve.py", "--upgrade")
        with workplace.started("publish-index", "share") as process:
            time.sleep(0.03 * version)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        for visible in (share / "publications").iterdir():
            if not visible.name.startswith("."):
                assert workplace.run("bundler", "verify", visible).returncode == 0
        assert workplace.run("bundler", "verify", workplace.publish()).returncode == 0
    assert tree(publication) == before
    assert (share / "simple" / "beta" / "index.html").read_text().count("<a ") == 7


@pytest.mark.skipif(not MOUNTS, reason="this system allows no mount namespace")
@pytest.mark.parametrize(
    "command",
    [
        f"bundle solve.py --python {PYTHON} -o small/x.bundle",
        "publish-index small/share solve.bundle",
        "bundler install solve.bundle small/env",
    ],
)
def test_a_full_disk_is_told_and_what_was_good_stays(workplace: Workplace, command: str) -> None:
    workplace.index.add(
        make_wheel("alpha", files={"alpha.py": b"version = 1\n", "big.bin": os.urandom(3_000_000)})
    )
    workplace.script("solve.py", "alpha")
    workplace.bundle("solve.py")
    (workplace.folder / "small").mkdir()
    line = f"mount -t tmpfs -o size=2m tmpfs small && touch small/.keep && {shlex.quote(str(BIN))}/{command}"
    done = workplace.run(
        "unshare", "-rm", "sh", "-c", f"{line}; code=$?; find small -type f | sort; exit $code"
    )
    assert done.returncode == 1
    assert f"no space left on the disk at {workplace.folder / 'small'} (" in done.stderr
    assert "MB free)\nhint: " in done.stderr
    assert ("3.0 MB needed" in done.stderr) == command.startswith("publish-index")
    assert "Traceback" not in done.stderr
    assert "x.bundle" not in done.stdout
    assert "publications" not in done.stdout
    assert "env" not in done.stdout


def test_a_bundle_of_format_1_is_verified_published_and_rehearsed(workplace: Workplace) -> None:
    """All scripts of a target share a folder and an index in it."""
    old = shutil.copytree(
        REPOSITORY / "tests" / "golden" / "format-1", workplace.folder / "old.bundle"
    )
    assert workplace.run("bundler", "verify", old).returncode == 0
    publication = workplace.publish(old)
    if PYTHON != "3.11":
        pytest.skip("its target is Python 3.11")
    done = workplace.run("bundler", "rehearse", publication)
    assert done.returncode == 0, done.stderr
    assert [words for words in ("mesh ran", "solve ran") if words not in done.stderr] == []
    assert workplace.run("bundler", "verify", publication).returncode == 0
