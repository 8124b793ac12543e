"""What happens on a node: tools that the publication carries, strategies, the share, many jobs at once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import BIN, PYTHON, Workplace, workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.nodes import (
    EVALUATOR,
    ISOLATED,
    MOUNTS,
    STRATEGIES,
    bare,
    evaluate,
    publish,
    tree,
    with_bundle,
)
from tests.stand_ins.wheels import make_wheel

# As root: become the user of the first argument, then run the others.
BECOME = """
import os, sys
user = int(sys.argv[1])
os.setgroups([])
os.setgid(user)
os.setuid(user)
os.execv(sys.argv[2], sys.argv[2:])
"""
# A uv that runs no script before all jobs are ready to run theirs.
GATHERING = """#!/bin/sh
if [ "$1" = run ] && [ "${{TMPDIR##*/}}" != locks ]; then
    : > "{node}/ready/$$"
    until [ "$(ls "{node}/ready" | wc -l)" -ge {jobs} ]; do sleep 0.05; done
fi
exec "{uv}" "$@"
"""
# Takes flock from files below a folder, as the file system of a cluster may.
NO_FLOCK = """
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int flock(int file, int operation) {
    const char *below = getenv("NO_FLOCK_BELOW");
    char link[64], path[4096] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) > 0 && below && strncmp(path, below, strlen(below)) == 0) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_flock, file, operation);
}
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Workplace]:
    """A workplace with a bundle, which nobody writes to."""
    with serving(Index()) as index:
        yield with_bundle(workplace_in(tmp_path_factory.mktemp("node"), index), mirror, BIN / "uv")


@pytest.fixture
def bundled(workplace: Workplace, template: Workplace) -> Workplace:
    workplace.index.files.update(template.index.files)
    shutil.copy(template.folder / "solve.py", workplace.folder)
    shutil.copytree(template.folder / "solve.bundle", workplace.folder / "solve.bundle")
    return workplace


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_node_needs_nothing_but_the_share(bundled: Workplace, strategy: str) -> None:
    publication = publish(bundled, strategy)
    for _ in range(2):
        done, _ = evaluate(bare(bundled), publication, software=[])
        assert done.returncode == 0, done.stdout
        assert "got 1.5" in done.stdout
        assert str(bundled.folder / "node-cache") in done.stdout.partition("got 1.5 ")[2]
    assert bundled.run("bundler", "verify", publication).returncode == 0


def test_the_uv_and_the_python_of_the_site_are_taken_where_they_will_do(bundled: Workplace) -> None:
    done, _ = evaluate(bundled, publish(bundled, "index"))
    assert done.returncode == 0, done.stdout
    assert f"{str(BIN / 'uv')!r}, 'run'" in done.stdout
    copies, *others = (bundled.folder / "node-cache" / "bundler").glob("?" * 16)
    assert sorted(tree(copies)) == [
        "launcher/solve.py",
        "launcher/solve.py.lock",
        "script/solve.py",
    ]
    assert others == []


def test_an_evaluator_may_be_of_python_3_8(bundled: Workplace) -> None:
    found = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
    if not found:
        pytest.skip("there is not a Python 3.8 here; the syntax is checked elsewhere")
    done, _ = evaluate(bundled, publish(bundled, "index"), evaluator=(found[0], EVALUATOR))
    assert done.returncode == 0, done.stdout
    assert "got 1.5" in done.stdout


def test_an_old_uv_of_the_site_gives_way_to_the_one_of_the_publication(bundled: Workplace) -> None:
    old = bundled.folder / "old-uv"
    old.write_text("#!/bin/sh\necho uv 0.5.0\n")
    old.chmod(0o755)
    done, _ = evaluate(
        bundled, publish(bundled, "index"), software=[{"name": "uv", "executable": str(old)}]
    )
    assert done.returncode == 0, done.stdout
    assert "got 1.5" in done.stdout


def test_a_job_after_one_that_met_a_damaged_file_works(bundled: Workplace) -> None:
    publication = publish(bundled, "index")
    path = next(publication.glob("pythons/*.tar.gz"))
    good = path.read_bytes()
    path.unlink()
    for data in (good[:-1], good):
        path.write_bytes(data)
        done, _ = evaluate(bare(bundled), publication, software=[])
        assert ("got 1.5" in done.stdout) == (data is good)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_many_jobs_at_once_on_a_cold_node_all_succeed_in_one_environment(
    bundled: Workplace, strategy: str
) -> None:
    publication = publish(bundled, strategy)
    node = bare(bundled)
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(lambda _: evaluate(node, publication, software=[])[0], range(16)))
    assert [job.returncode for job in jobs] == [0] * 16, [
        job.stdout for job in jobs if job.returncode
    ]
    assert (
        len({line for job in jobs for line in job.stdout.splitlines() if line.startswith("got")})
        == 1
    )
    kept = bundled.folder / "node-cache" / "bundler"
    assert not [path.name for path in kept.iterdir() if path.name.startswith(".unpacking")]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("how", ["job", "rehearsal"])
def test_what_no_digest_names_is_not_imported_and_not_read(
    bundled: Workplace, strategy: str, how: str
) -> None:
    publication = publish(bundled, strategy)
    evil = "open('owned', 'w').write('1')\nversion = 'evil'\n"
    for folder in (
        publication,
        *publication.glob("targets/**/"),
        *publication.glob("targets/*/*/simple"),
    ):
        for name in ("alpha.py", "beta.py", "sitecustomize.py", "usercustomize.py", "random.py"):
            (folder / name).write_text(evil)
        (folder / "uv.toml").write_text('index-url = "http://127.0.0.1:9/"\n')
        (folder / "pyproject.toml").write_text(
            "[tool.uv]\nfind-links = ['/nowhere']\n[project]\nbroken = [\n"
        )
        (folder / ".python-version").write_text("2.7\n")
        (folder / "pyvenv.cfg").write_text("home = /nowhere\n")
    if how == "job":
        done, _ = evaluate(bare(bundled), publication, software=[])
        said = done.stdout
    else:
        done = bundled.run("bundler", "rehearse", publication)
        said = done.stderr
    assert done.returncode == 0, said
    assert "got 1.5" in said
    assert not list(bundled.folder.rglob("owned"))


@pytest.fixture(scope="session")
def no_flock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that takes flock from the programs that load it, as a cluster's file system may."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler here")
    folder = tmp_path_factory.mktemp("no-flock")
    (folder / "no_flock.c").write_text(NO_FLOCK)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", "no_flock.so", "no_flock.c"], cwd=folder, check=True
    )
    return folder / "no_flock.so"


def cold_starts(
    bundled: Workplace, publication: Path, jobs: int, uv: Path = BIN / "uv", **settings: str
) -> list[str]:
    """Start `jobs` jobs at once on a node that ran none, each with a TMPDIR of its own; return what they printed."""
    node = bundled.folder / f"node-{uuid.uuid4().hex}"
    places = [node / f"tmp-{number}" for number in range(jobs)]
    for place in (*places, node / "ready"):
        place.mkdir(parents=True)
    gathering = node / "uv"
    gathering.write_text(GATHERING.format(jobs=jobs, node=node, uv=uv))
    gathering.chmod(0o755)
    with ThreadPoolExecutor(jobs) as pool:
        running = [
            pool.submit(
                evaluate,
                bundled,
                publication,
                software=[{"name": "uv", "executable": str(gathering)}],
                environment={"UV_CACHE_DIR": str(node / "cache")},
                prefix=[
                    "env",
                    f"TMPDIR={place}",
                    *(f"{name}={node}/{text}" for name, text in settings.items()),
                ],
            )
            for place in places
        ]
        return [job.result()[0].stdout for job in running]


def test_cold_starts_with_a_tmpdir_each_leave_each_other_their_environment(
    bundled: Workplace, old_uv: Path
) -> None:
    publication = publish(bundled, "index")
    for uv in (BIN / "uv", old_uv):
        assert [
            said for said in cold_starts(bundled, publication, 16, uv) if "got 1.5" not in said
        ] == []


@pytest.mark.parametrize("place", ["cache", "tmp-"])
def test_cold_starts_work_where_one_file_system_has_no_locks(
    bundled: Workplace, no_flock: Path, place: str
) -> None:
    publication = publish(bundled, "index")
    bundled.environment["LD_PRELOAD"] = str(no_flock)
    all_said = cold_starts(bundled, publication, 8, NO_FLOCK_BELOW=place)
    assert [said for said in all_said if "got 1.5" not in said] == []
    assert [said for said in all_said if "does not support file locks (flock)" in said]


def test_where_uv_fails_for_want_of_locks_the_cure_is_named(
    bundled: Workplace, no_flock: Path, old_uv: Path
) -> None:
    publication = publish(bundled, "index")
    software = [{"name": "uv", "executable": str(old_uv)}]
    (bundled.folder / "tmp").mkdir()
    prefix = [
        "env",
        f"LD_PRELOAD={no_flock}",
        f"TMPDIR={bundled.folder}/tmp",
        f"NO_FLOCK_BELOW={bundled.folder}/tmp",
    ]
    done, _ = evaluate(bundled, publication, software=software, prefix=prefix)
    assert done.returncode != 0
    assert (
        "The administrator of the nodes can set TMPDIR to a folder on a local disk." in done.stdout
    )


def test_a_node_that_died_while_it_unpacked_starts_afresh(bundled: Workplace) -> None:
    publication = publish(bundled, "environment")
    half = bundled.folder / "node-cache" / "bundler" / ".unpacking-dead" / "contents"
    half.mkdir(parents=True)
    (half / "python").touch()
    done, _ = evaluate(bare(bundled), publication, software=[])
    assert done.returncode == 0, done.stdout


def python_for_all(folder: Path, mirror: Path) -> Path:
    """Return a Python that any user can run: one of this machine, else the one of `mirror`, unpacked in `folder`."""
    for python in (Path(sys.base_prefix, "bin", "python3"), Path("/usr/bin/python3")):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [python, "-c", ""], check=True, user=40_000, group=40_000, extra_groups=[], cwd="/"
            )
            return python
    (archive,) = mirror.glob("*.tar.gz")
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return folder / "python" / "bin" / "python3"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become five others")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_several_users_on_one_node_do_not_meet(
    open_folder: Path, index: Index, mirror: Path, strategy: str
) -> None:
    # The repository and its virtual environment may lie where nobody else can enter.
    uv, program = open_folder / "uv", open_folder / "evaluator.py"
    shutil.copy(BIN / "uv", uv)
    shutil.copyfile(EVALUATOR, program)
    python = python_for_all(open_folder, mirror)
    bundled = with_bundle(workplace_in(open_folder, index), mirror, uv)
    publication = publish(bundled, strategy)
    cache = bundled.folder / "node-cache"
    cache.mkdir()
    cache.chmod(0o1777)
    node = bare(bundled)

    def job(uid: int) -> subprocess.CompletedProcess[str]:
        become = [str(python), "-c", BECOME, str(uid)]
        return evaluate(
            node, publication, software=[], prefix=become, owner=uid, evaluator=[python, program]
        )[0]

    users = range(40_001, 40_006) if strategy == "index" else range(40_001, 40_004)
    with ThreadPoolExecutor(len(users)) as pool:
        jobs = list(pool.map(job, users))
    assert [done.returncode for done in jobs] == [0] * len(users), [
        done.stdout for done in jobs if done.returncode
    ]
    assert {path.name: path.stat().st_uid for path in cache.iterdir()} == {
        f"user-{uid}": uid for uid in users
    }


@pytest.mark.parametrize("strategy", ["index", "cache"])
def test_the_oldest_uv_of_a_site_runs_what_the_newest_bundled(
    bundled: Workplace, old_uv: Path, strategy: str
) -> None:
    software = [{"name": "uv", "executable": str(old_uv)}]
    publication = publish(bundled, strategy)
    for _ in range(2):
        done, _ = evaluate(bundled, publication, software=software)
        assert done.returncode == 0, done.stdout
        assert f"{str(old_uv)!r}, 'run'" in done.stdout


def test_several_scripts_of_a_bundle_run_as_one_job(bundled: Workplace) -> None:
    step = "import json\nvalues = json.load(open('input_parameters.json'))\n"
    leave = "json.dump({}, open('output_parameters.json', 'w'))\n"
    bundled.script("mesh.py", body=step + leave.replace("{}", "{'cells': values['size'] * 2}"))
    bundled.script(
        "solve.py", "alpha", body=step + leave.replace("{}", "{'sum': values['cells'] + 1}")
    )
    bundled.bundle("mesh.py", "solve.py", "-o", "steps.bundle")
    publication = Path(bundled.run("publish-index", "share", "steps.bundle").stdout.strip())
    environment = {
        "UV_CACHE_DIR": str(bundled.folder / "node-cache"),
        "BUNDLER_SCRIPT": '["mesh.py", "solve.py"]',
    }
    done, values = evaluate(
        bundled, publication, environment=environment, parameter_values={"size": 4}
    )
    assert done.returncode == 0, done.stdout
    assert values == {"size": 4, "cells": 8, "sum": 9}


def test_a_ready_environment_has_the_commands_and_data_files_of_its_packages(
    bundled: Workplace, mirror: Path
) -> None:
    files = {
        "tool.py": b"def main():\n    print('command of', __name__)\n    return 0\n",
        "package/table.txt": b"the package's own",
        "tool-1.0.data/data/package/table.txt": b"not the package's own",
        "tool-1.0.dist-info/entry_points.txt": b"[console_scripts]\ntool = tool:main\n",
        "tool-1.0.data/scripts/old-tool": b"#!python\nfrom __future__ import annotations\nimport tool\ntool.main()\n",
        "tool-1.0.data/data/share/tool/table.txt": b"42",
    }
    bundled.index.add(make_wheel("tool", files=files))
    body = """
import pathlib, subprocess, sys
for name in ("tool", "old-tool"):
    subprocess.run([name], check=True)
print("table", pathlib.Path(sys.prefix, "share", "tool", "table.txt").read_text())
import tool
print(pathlib.Path(tool.__file__).with_name("package").joinpath("table.txt").read_text())
"""
    bundled.script("solve.py", "tool", body=body)
    bundled.bundle("solve.py", "--include-uv", "--python-mirror", mirror)
    for strategy in STRATEGIES:
        done, _ = evaluate(bundled, publish(bundled, strategy))
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("command of tool") == 2
        assert "table 42" in done.stdout
        assert "\nthe package's own" in done.stdout


@pytest.mark.skipif(not MOUNTS, reason="this system allows no mount namespace")
@pytest.mark.parametrize(
    ("strategy", "options", "words"),
    [
        ("index", "size=64k", "the disk of the uv cache is full"),
        (
            "cache",
            "size=64k",
            "the disk of the uv cache is full",
        ),
        (
            "environment",
            "size=64k",
            "the disk of the uv cache is full",
        ),
        (
            "index",
            "noexec",
            "if that disk is mounted noexec, ask the administrator of the nodes to set UV_CACHE_DIR",
        ),
    ],
)
def test_a_local_disk_that_will_not_do_is_told(
    bundled: Workplace, strategy: str, options: str, words: str
) -> None:
    publication = publish(bundled, strategy)
    cache = bundled.folder / "node-cache"
    cache.mkdir()
    mount = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
    prefix = ["unshare", "-rm", "sh", "-c", mount, str(cache)]
    software = [] if options == "noexec" else [{"name": "uv", "executable": str(BIN / "uv")}]
    done, _ = evaluate(bundled, publication, prefix=prefix, software=software)
    assert done.returncode == 70
    assert words in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "first line" not in done.stdout


@pytest.mark.skipif(not MOUNTS, reason="this system allows no mount namespace")
@pytest.mark.parametrize("failure", ["raise", "return", "silent"])
def test_a_full_task_folder_is_the_reason_and_the_error_file_still_has_room_for_it(
    bundled: Workplace, failure: str
) -> None:
    body = "import os, sys\nout = os.open('big', os.O_WRONLY | os.O_CREAT)\n"
    body += "try:\n    while True:\n        os.write(out, bytes(1000))\n"
    body += "except OSError:\n    sys.exit(3)\n"
    bundled.script("solve.py", "alpha", body=body)
    bundled.bundle("solve.py")
    publication = publish(bundled, "index")
    steps = 'mount -t tmpfs -o size=256k none "$PWD" && cd "$PWD"; "$@"; code=$?; '
    steps += "cat bundler_error.txt; exit $code"
    prefix = ["unshare", "-rm", "sh", "-c", steps, "sh"]
    done, _ = evaluate(bundled, publication, prefix=prefix, failure=failure)
    assert done.returncode == 70
    (reason,) = [line for line in done.stdout.splitlines() if line.startswith("node ")]
    assert ": the folder of the job is full: " in reason
    assert "hint: request more disk space for the job" in done.stdout


@pytest.mark.parametrize("damage", ["changed", "cut off", "empty", "missing"])
def test_a_damaged_wheel_is_the_reason_by_its_path(bundled: Workplace, damage: str) -> None:
    publication = publish(bundled, "index")
    (wheel,) = publication.glob("wheels/alpha-*.whl")
    data = wheel.read_bytes()
    wheel.unlink()
    middle = len(data) // 2
    contents = {
        "changed": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "cut off": data[:-1],
        "empty": b"",
    }
    if damage in contents:
        wheel.write_bytes(contents[damage])
    done, _ = evaluate(bundled, publication)
    assert done.returncode == 70
    (reason,) = [line for line in done.stdout.splitlines() if line.startswith("[ERROR] node ")]
    if damage == "missing":
        assert f"cannot read the wheel {wheel} (No such file or directory)" in reason
    else:
        assert f"the wheel {wheel} was changed after it was published" in reason


def test_what_no_publication_needs_leaves_the_cache_of_a_node(bundled: Workplace) -> None:
    first = publish(bundled, "index")
    environments = bundled.folder / "node-cache" / "environments-v2"
    assert evaluate(bundled, first)[0].returncode == 0
    (old,) = environments.iterdir()
    bundled.script("solve.py", "alpha", body="import alpha\nprint('got it')\n")
    bundled.bundle("solve.py")
    second = publish(bundled, "index")
    shutil.rmtree(first)
    done, _ = evaluate(bundled, second)
    assert "of unused entries" in done.stdout
    (left,) = environments.iterdir()
    assert left != old
    assert evaluate(bundled, second)[0].returncode == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_cache_over_its_limit_starts_anew_and_jobs_go_on(
    bundled: Workplace, strategy: str
) -> None:
    publication = publish(bundled, strategy)
    node = bare(bundled)
    assert evaluate(node, publication, software=[])[0].returncode == 0
    cache = bundled.folder / "node-cache"
    (use,) = cache.glob("bundler/*.use")
    use.with_name("newer.use").write_text(
        json.dumps({"publication": str(publication), "holds": []})
    )
    done = bundled.run("bundler", "gc", cache, "--limit", "50 kB")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split("\t")[1]) > 300_000
    assert sum(path.lstat().st_size for path in cache.rglob("*") if path.is_file()) < 50_000
    assert evaluate(node, publication, software=[])[0].returncode == 0


def test_nothing_is_removed_while_a_job_runs(bundled: Workplace) -> None:
    body = "import time, pathlib\npathlib.Path('started').touch()\ntime.sleep(5)\nimport alpha\n"
    bundled.script("solve.py", "alpha", body=body)
    bundled.bundle("solve.py")
    publication = publish(bundled, "index")
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(evaluate, bundled, publication)
        while not list(bundled.folder.glob("job-*/task/started")):
            assert not job.done(), job.result()[0].stdout
            time.sleep(0.05)
        done = bundled.run("bundler", "gc", "node-cache", "--limit", "1 B")
        assert "jobs are running, so nothing was removed" in done.stderr
        assert job.result()[0].returncode == 0


def test_two_versions_of_a_script_run_side_by_side(bundled: Workplace) -> None:
    first = publish(bundled, "index")
    bundled.index.add(make_wheel("beta", "2.0"))
    bundled.script("solve.py", "alpha", body="import alpha, beta\nprint('got', beta.version)\n")
    bundled.bundle("solve.py")
    second = publish(bundled, "index")
    for publication, words in ((first, "got 1.5"), (second, "got 2.0"), (first, "got 1.5")):
        done, _ = evaluate(bundled, publication)
        assert words in done.stdout


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_packages_of_the_user_and_bytecode_of_python_stay_out_of_it(
    bundled: Workplace, mirror: Path, strategy: str
) -> None:
    site = (
        Path(bundled.environment["HOME"]) / ".local" / "lib" / f"python{PYTHON}" / "site-packages"
    )
    site.mkdir(parents=True)
    (site / "beta.py").write_text("version = 'evil'\n")
    bundled.script(
        "solve.py", "alpha", body="import beta, helper\nprint('solve got', beta.version)\n"
    )
    bundled.bundle("solve.py", "--include-uv", "--python-mirror", mirror)
    publication = publish(bundled, strategy)
    before = tree(bundled.folder / "share")
    done, _ = evaluate(bundled, publication, files={"helper.py": "answer = 42\n"})
    assert "solve got 1.5" in done.stdout
    assert tree(bundled.folder / "share") == before


@pytest.mark.parametrize("mode", ["700", "777"])
def test_arguments_and_files_of_the_job_reach_the_script(bundled: Workplace, mode: str) -> None:
    body = (
        "import sys, helper\nprint('told', sys.argv[1:], helper.answer, open('data.txt').read())\n"
    )
    bundled.script("solve.py", "alpha", body=body)
    bundled.bundle("solve.py")
    publication = publish(bundled, "index")
    files = {"helper.py": "answer = 42\n", "data.txt": "input"}
    environment = {
        "UV_CACHE_DIR": str(bundled.folder / "node-cache"),
        "BUNDLER_ARGUMENTS": "--size 3 'a b'",
    }
    prefix = ["sh", "-c", f'chmod {mode} . && exec "$@"', "sh"]
    done, _ = evaluate(bundled, publication, files=files, environment=environment, prefix=prefix)
    assert done.returncode == 0, done.stdout
    assert "told ['--size', '3', 'a b'] 42 input" in done.stdout


def test_an_environment_needs_an_interpreter_in_the_bundle(workplace: Workplace) -> None:
    workplace.script("solve.py")
    workplace.bundle("solve.py")
    done = workplace.run("publish-index", "share", "--strategy", "environment")
    assert (done.returncode, done.stdout) == (1, "")
    assert "bundle again with --include-python" in done.stderr
    assert list((workplace.folder / "share" / "publications").iterdir()) == []


def test_an_interpreter_that_nodes_could_not_use_is_not_published(bundled: Workplace) -> None:
    bundle = bundled.folder / "solve.bundle"
    path = next(bundle.glob("pythons/*"))
    known = {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("python/lib/nothing"))
    changed = {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    # Somebody who makes bundles by hand has all digests fit.
    manifest, sums = bundle / "manifest.json", bundle / "SHA256SUMS"
    before = hashlib.sha256(manifest.read_bytes()).hexdigest()
    tables = json.loads(manifest.read_bytes())
    tables["files"] = [
        {**file, **changed} if file["sha256"] == known["sha256"] else file
        for file in tables["files"]
    ]
    manifest.write_text(json.dumps(tables))
    after = hashlib.sha256(manifest.read_bytes()).hexdigest()
    sums.write_text(
        sums.read_text()
        .replace(str(known["sha256"]), str(changed["sha256"]))
        .replace(before, after)
    )
    done = bundled.run("publish-index", "share")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path.name}: does not contain python/bin/python3" in done.stderr
    assert not list((bundled.folder / "share").rglob("*.whl"))


def test_a_cache_is_not_published_for_another_place(workplace: Workplace) -> None:
    workplace.script("solve.py")
    workplace.bundle("solve.py")
    done = workplace.run("publish-index", "share", "--strategy", "cache", "--seen-at", "/elsewhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "a uv cache only works at one path" in done.stderr


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_publishing_by_any_strategy_twice_changes_nothing(
    bundled: Workplace, strategy: str
) -> None:
    publication = publish(bundled, strategy)
    before = tree(bundled.folder / "share")
    assert publish(bundled, strategy) == publication
    assert tree(bundled.folder / "share") == before


class Traced:
    """What the processes of one job did, as strace saw it: one log per thread, so that no call is torn in two."""

    def __init__(self, logs: list[str], share: Path) -> None:
        log = "\n".join(logs)
        inside = re.escape(str(share))
        self.connected = re.findall(r"connect\(\d+(?:<[^>]*>)?, \{sa_family=(AF_INET6?)", log)
        self.opened = set(re.findall(rf'openat?\([^"\n]*"({inside}[^"]*)"[^\n]*= \d+', log))
        self.looked_at = set(
            re.findall(rf'(?:stat|access|readlink)[a-z0-9]*\([^"\n]*"({inside}[^"]*)"', log)
        )
        sizes = re.findall(
            rf"(?:read|pread64|sendfile|copy_file_range)\([^\n]*<{inside}/[^>]*>[^\n]*= (\d+)", log
        )
        self.read = sum(map(int, sizes))


def traced(workplace: Workplace, publication: Path, share: Path | None = None) -> Traced:
    logs = workplace.folder / f"strace-{uuid.uuid4().hex}"
    logs.mkdir()
    calls = "trace=%file,read,pread64,sendfile,copy_file_range,mmap,connect"
    tracer = ["strace", "-ff", "-y", "-s", "4096", "-e", calls, "-o", str(logs / "log")]
    done, _ = evaluate(workplace, publication, prefix=tracer)
    assert done.returncode == 0, done.stdout
    return Traced(
        [path.read_text(errors="replace") for path in logs.iterdir()], share or publication
    )


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here to count with")
def test_a_script_that_connects_is_seen_to_connect(bundled: Workplace) -> None:
    """The control of the proofs below: what they look for would be found."""
    body = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", 9))
"""
    bundled.script("solve.py", "alpha", body=body)
    bundled.bundle("solve.py")
    assert traced(bundled, publish(bundled, "index")).connected == ["AF_INET"]


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here to count with")
def test_the_share_sees_little_of_a_cold_start_and_next_to_nothing_of_a_warm_one(
    bundled: Workplace,
) -> None:
    for number in range(30):  # what the node does not need must not be looked at
        bundled.index.add(make_wheel(f"other{number}", files={"x.bin": bytes(100_000)}))
    bundled.script("other.py", *(f"other{number}" for number in range(30)))
    bundled.bundle("solve.py", "other.py", "-o", "both.bundle")
    done = bundled.run("publish-index", "share", "both.bundle")
    publication = Path(done.stdout.strip())
    bundled.environment["BUNDLER_SCRIPT"] = "solve.py"
    needed = sum(
        path.stat().st_size
        for path in publication.glob("wheels/*.whl")
        if path.name.startswith(("alpha", "beta"))
    )
    cold = traced(bundled, publication)
    assert cold.connected == []
    assert len(cold.looked_at | cold.opened) <= 40
    # These tests' wheels are small; the files of ours are what they are, and each is read once or twice.
    ours = [
        *publication.glob("targets/*/*/solve.py*"),
        publication / "exec_script.py",
        publication / "cache_gc.py",
    ]
    assert needed <= cold.read <= 1.1 * needed + 2 * sum(path.stat().st_size for path in ours)
    warm = traced(bundled, publication)
    assert warm.connected == []
    own = {str(publication / "exec_script.py")}  # HPS hands the execution script over itself
    files = {path for path in warm.opened - own if Path(path).is_file()}
    assert len(files) <= 3, files
    assert not [path for path in warm.opened if path.endswith(".whl")]


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here to count with")
@pytest.mark.parametrize("strategy", ["cache", "environment"])
def test_what_was_made_ready_needs_no_wheel_even_on_a_cold_node(
    bundled: Workplace, strategy: str
) -> None:
    seen = traced(bundled, publish(bundled, strategy), share=bundled.folder / "share")
    assert seen.connected == []
    assert not [path for path in seen.opened if path.endswith(".whl")]


def test_no_network_is_needed_in_any_strategy(bundled: Workplace) -> None:
    if not ISOLATED:
        pytest.skip(
            "this system allows no network namespace; strace above shows that nothing connects"
        )
    for strategy in STRATEGIES:
        done = bundled.run("bundler", "rehearse", publish(bundled, strategy))
        assert done.returncode == 0, done.stderr
        assert "network namespace" in done.stderr
        assert "got 1.5" in done.stderr
