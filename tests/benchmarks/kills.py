"""Kill every command that changes a store at random moments, and see whether the store is whole.

    python -m tests.benchmarks.kills [COUNT [CASE...]]

After each kill, every link on every page must lead to bytes with the stated digest; then the same command must succeed,
and the store must have no damage and nothing half-made. Prints the number of kills that hit each command while it ran.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.bundling import BIN
from tests.conftest import PYTHON
from tests.stand_ins.index import Index, serving
from tests.stand_ins.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINK = re.compile(r'href="([^"#]+)#sha256=([0-9a-f]{64})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A command, what to run before it, and what must succeed after a kill; `{}` is the store."""

    name: str
    before: tuple[str, ...]
    command: str


CASES = (
    Case(name="publish", before=(), command="publish-index {} first.bundle"),
    Case(name="publish wheels", before=(), command="publish-index {} wheels"),
    Case(
        name="publish again",
        before=("rm -rf {}/files/*/*/beta*",),
        command="publish-index {} second.bundle",
    ),
    Case(name="remove", before=(), command="bundler store prune {} --keep-last 0"),
    Case(
        name="repair",
        before=("rm -rf {}/simple {}/records/beta",),
        command="bundler store verify {} --repair",
    ),
    Case(
        name="yank",
        before=(),
        command="bundler store yank {} beta-1.0-py3-none-any.whl --reason broken",
    ),
    Case(name="alias", before=(), command="publish-index {} second.bundle --as current"),
)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell command in `folder`, which must succeed."""
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=_env(folder),
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    return done


def _env(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "BUNDLER_CACHE_DIR": str(folder / "cache"),
    }


def broken_links(store: Path) -> list[str]:
    """Return the links of all pages that do not lead to bytes with the stated digest."""
    broken = []
    for page in store.glob("simple/*/index.html"):
        for target, sha256 in _LINK.findall(page.read_text()):
            path = (page.parent / target).resolve()
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                broken.append(f"{page.parent.name}: {target}")
    return broken


def kill(case: Case, template: Path, folder: Path, longest: float) -> bool:
    """Kill the command of `case` after a random time; return whether it was still running. Exits on a broken store."""
    store = folder / "store"
    shutil.rmtree(store, ignore_errors=True)
    run(f"cp -a {template} {store}", folder)
    for command in case.before:
        run(command.format(*[store] * command.count("{}")), folder)
    command = f"exec {case.command.format(store)}"
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=_env(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        time.sleep(random.uniform(0.15, longest))  # noqa: S311 - before that, Python starts
        hit = process.poll() is None
        process.kill()
    if not case.before and broken_links(store):
        raise SystemExit(f"{case.name}: broken links {broken_links(store)}")
    run(case.command.format(store), folder)
    run(f"bundler store verify {store}", folder)
    if (store / ".removed").exists():
        raise SystemExit(f"{case.name}: removed publications are left")
    return hit


def main(count: int, names: Sequence[str] = ()) -> None:
    """Kill the command of each case, or of those with `names`, until `count` kills have hit it."""
    with tempfile.TemporaryDirectory() as scratch, serving(Index()) as index:
        folder = Path(scratch)
        for name in ("alpha", "beta", "gamma"):
            index.add(make_wheel(name))
        for name, dependencies in (("first", '"alpha", "beta"'), ("second", '"beta", "gamma"')):
            (folder / f"{name}.py").write_text(
                f"# /// script\n# dependencies = [{dependencies}]\n# ///\n"
            )
            options = f"--python {PYTHON} -o {name}.bundle"
            run(f"env UV_DEFAULT_INDEX={index.url}/simple bundle {name}.py {options}", folder)
        run("mkdir wheels; cp first.bundle/wheels/* wheels", folder)
        run("publish-index template second.bundle", folder)
        for case in (case for case in CASES if not names or case.name in names):
            # A publication says where it is, so the template is published where it is copied to.
            shutil.rmtree(folder / "template", ignore_errors=True)
            run("rm -rf store; publish-index store second.bundle; mv store template", folder)
            started = time.monotonic()
            run(f"cp -a template store; {case.command.format('store')}", folder)
            longest = time.monotonic() - started
            hits = tries = 0
            while hits < count:
                hits += kill(case, folder / "template", folder, longest)
                tries += 1
            print(
                f"{case.name:16} killed {hits} times in {tries} runs of {longest:.2f} s: the store was whole"
            )


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["200"])[0]), sys.argv[2:])
