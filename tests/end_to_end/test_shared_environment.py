"""Jobs of a node share one environment, which nobody makes again while they use it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import BIN, PYTHON, Workplace
from tests.stand_ins.nodes import evaluate
from tests.stand_ins.sources import write_source
from tests.stand_ins.wheels import make_wheel

# What the public example of HPS declares: a patch release that the Python of the node is not, so that uv considers
# every environment outdated.
EXACT = f"=={PYTHON}"
BODY = """
import os, time
import alpha
time.sleep(0.05)
import beta
print("got", beta.version, os.stat(beta.__file__).st_ino)
"""


def published(workplace: Workplace, requires: str, uv: str = "") -> Path:
    workplace.index.add(make_wheel("alpha", requires=["beta>=1"]))
    workplace.index.add(make_wheel("beta", "1.5"))
    workplace.script("solve.py", "alpha", body=BODY, requires=requires, uv=uv)
    workplace.bundle("solve.py")
    return workplace.publish()


def at_once(workplace: Workplace, publication: Path, jobs: int, width: int, uv: Path) -> list[str]:
    """Run `jobs` jobs on a cold node, `width` at a time; return what they printed after "got"."""
    node = workplace.folder / f"node-{width}-{uv.parent.parent.name}"
    software = [{"name": "uv", "executable": str(uv)}]
    with ThreadPoolExecutor(width) as pool:
        running = [
            pool.submit(
                evaluate,
                workplace,
                publication,
                software=software,
                environment={"UV_CACHE_DIR": str(node)},
            )
            for _ in range(jobs)
        ]
        done = [job.result()[0] for job in running]
    failures = [job.stdout for job in done if job.returncode]
    assert failures == []
    return [line for job in done for line in job.stdout.splitlines() if line.startswith("got ")]


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    sys.version_info[2] == 0, reason="this Python is the patch release that the script allows"
)
@pytest.mark.parametrize(("jobs", "width"), [(40, 4), (200, 16)])
@pytest.mark.parametrize("age", ["today's uv", "the oldest uv"])
def test_jobs_at_once_keep_their_environment_if_requires_python_excludes_the_python_of_the_node(
    workplace: Workplace, old_uv: Path, age: str, jobs: int, width: int
) -> None:
    publication = published(workplace, EXACT)
    lines = at_once(
        workplace, publication, jobs, width, BIN / "uv" if age == "today's uv" else old_uv
    )
    assert len(lines) == jobs
    assert len(set(lines)) == 1, "the environment was made once"


@pytest.mark.parametrize(
    ("requires", "settings"),
    [
        (f">={PYTHON}.{sys.version_info[2] + 1}", ""),
        (f"!={PYTHON}.{sys.version_info[2]}", ""),
        (">=3.9", "reinstall = true"),
        (">=3.9", 'reinstall-package = ["beta"]\nno-cache = true'),
        (">=3.9", 'link-mode = "symlink"\ncache-dir = "/nowhere"'),
    ],
)
def test_no_metadata_of_a_script_makes_uv_change_an_environment_in_use(
    workplace: Workplace, old_uv: Path, requires: str, settings: str
) -> None:
    publication = published(workplace, requires, settings)
    for uv in (BIN / "uv", old_uv):
        assert len(set(at_once(workplace, publication, 8, 4, uv))) == 1


@contextmanager
def repairing(workplace: Workplace, publication: Path) -> Iterator[list[int]]:
    """Damage and repair the publication again and again during the block; yield the exit codes."""
    codes: list[int] = []
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            page = next(publication.glob("targets/*/*/simple/index.html"))
            page.chmod(0o644)
            page.write_text("damaged")
            codes.append(workplace.run("publish-index", "share").returncode)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield codes
    finally:
        ended.set()
        worker.join()


def test_jobs_keep_their_environment_while_their_publication_is_repaired(
    workplace: Workplace,
) -> None:
    publication = published(workplace, EXACT)
    first = at_once(workplace, publication, 1, 4, BIN / "uv")
    with repairing(workplace, publication) as codes:
        later = at_once(workplace, publication, 24, 4, BIN / "uv")
    assert set(later) == set(first)
    assert codes
    assert set(codes) == {0}


def test_relative_settings_and_references_of_a_script_do_no_harm_on_a_node(
    workplace: Workplace,
) -> None:
    """uv would look for them next to the copy of the script."""
    wheels = workplace.folder / "wheels"
    wheels.mkdir()
    for name, data in (make_wheel("alpha", requires=["beta"]), make_wheel("beta", "1.5")):
        (wheels / name).write_bytes(data)
    write_source(workplace.folder / "lib", "lib")
    body = "import alpha, beta, lib\nprint('got', beta.version, lib.version)\n"
    workplace.script("solve.py", "alpha", "lib @ ./lib", body=body, uv='find-links = ["wheels"]')
    workplace.bundle("solve.py")
    assert at_once(workplace, workplace.publish(), 1, 1, BIN / "uv") == ["got 1.5 1.0"]
