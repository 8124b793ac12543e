"""What somebody may do to each class of files of a bundle or a publication, and what comes of it.

No such change is accepted by `verify`; and a job that runs in spite of it, since it needs no such file, prints just
what the published script prints.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bundler.bundles.verify import verify
from tests.conftest import BIN, Workplace, workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.nodes import STRATEGIES, bare, evaluate, publish, with_bundle
from wheelhouse.errors import WheelhouseError

_OF_A_BUNDLE = [
    *(
        "manifest.json",
        "SHA256SUMS",
        "README.txt",
        "wheels/alpha-*.whl",
        "wheels/beta-*.whl",
        "wheels/uv-*.whl",
    ),
    *(
        "pythons/*.tar.gz",
        "locks/*",
        "targets/*/*/solve.py",
        "targets/*/*/solve.py.lock",
        "targets/*/*/pylock.*.toml",
    ),
    *("targets/*/*/simple/index.html", "targets/*/*/simple/*/index.html"),
]
_OF_A_PUBLICATION = [
    *("exec_script.py", "publication.json", "cache_gc.py", "run.py", "run.sh"),
    "archives/*/*",
]
# What jobs of each strategy read of the share: without it, or with other bytes, they fail.
_READ = {
    "index": ["wheels/alpha-*.whl", "wheels/beta-*.whl", "wheels/uv-*.whl", "pythons/*.tar.gz"],
    "cache": ["wheels/uv-*.whl", "pythons/*.tar.gz", "archives/*/*"],
    "environment": ["archives/*/*"],
}
_ALWAYS_READ = ["targets/*/*/solve.py", "targets/*/*/solve.py.lock"]
# Runs wherever it is imported, and is nowhere asked for.
_EVIL = "print('EVIL')\nraise SystemExit('EVIL')\n"


def _change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    _replace(path, bytes(data))


def _truncate(path: Path) -> None:
    _replace(path, path.read_bytes()[:-1])


def _replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def _link(path: Path) -> None:
    """A link to the same bytes elsewhere, which may be others a moment later."""
    other = path.parents[-3] / f"{path.name}.other"
    shutil.copyfile(path, other)
    path.unlink()
    path.symlink_to(other)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _add(path: Path) -> None:
    for name in ("alpha.py", "beta.py", "sitecustomize.py", f"{path.name}.pth", f"new-{path.name}"):
        (path.parent / name).write_text(_EVIL)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "changed": _change,
    "truncated": _truncate,
    "deleted": Path.unlink,
    "a link": _link,
    "endless": _endless,
    "a pipe": _pipe,
    "joined by others": _add,
}


@dataclass(frozen=True)
class Published:
    """A bundle and its publications by strategy, with execution scripts as HPS holds them."""

    workplace: Workplace
    bundle: Path
    publications: dict[str, Path]
    scripts: dict[str, Path]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, mirror: Path) -> Iterator[Published]:
    with serving(Index()) as index:
        place = tmp_path_factory.mktemp("tampering")
        workplace = with_bundle(workplace_in(place, index), mirror, BIN / "uv")
        assert workplace.run("uv", "lock", "--script", "solve.py").returncode == 0
        workplace.bundle("solve.py", "--include-uv", "--python-mirror", mirror)
        publications = {strategy: publish(workplace, strategy) for strategy in STRATEGIES}
        scripts = {}
        for strategy, publication in publications.items():
            scripts[strategy] = workplace.folder / strategy
            scripts[strategy].mkdir()
            shutil.copy(publication / "exec_script.py", scripts[strategy])
        yield Published(workplace, workplace.folder / "solve.bundle", publications, scripts)


@contextlib.contextmanager
def damaged(folder: Path, pattern: str, damage: str) -> Iterator[Path]:
    """Do `damage` to a file of `folder`, all below it as before when the block ends."""
    path = next(folder.glob(pattern))
    before = set(folder.rglob("*"))
    aside = folder.parent / f"{folder.name}.aside"
    shutil.copy2(path, aside)
    mode = path.parent.stat().st_mode
    DAMAGES[damage](path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        aside.rename(path)
        for added in set(folder.rglob("*")) - before:
            added.unlink()
        path.parent.chmod(mode)


def refused(folder: Path) -> str:
    with pytest.raises(WheelhouseError) as caught:
        verify(folder)
    return str(caught.value)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", _OF_A_BUNDLE)
def test_a_bundle_that_was_tampered_with_is_refused(
    published: Published, pattern: str, damage: str
) -> None:
    with damaged(published.bundle, pattern, damage) as path:
        assert path.name in refused(published.bundle)
    verify(published.bundle)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", [*_OF_A_BUNDLE, *_OF_A_PUBLICATION])
def test_a_publication_that_was_tampered_with_is_refused(
    published: Published, pattern: str, damage: str
) -> None:
    publication = published.publications["cache"]
    with damaged(publication, pattern, damage) as path:
        assert path.name in refused(publication)
    verify(publication)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    ("strategy", "pattern"),
    [
        (strategy, pattern)
        for strategy in STRATEGIES
        for pattern in (*_READ[strategy], *_ALWAYS_READ)
    ]
    + [
        ("index", pattern)
        for pattern in (
            "manifest.json",
            "targets/*/*/simple/*/index.html",
            "targets/*/*/pylock.*.toml",
        )
    ],
)
def test_a_job_runs_what_was_published_or_does_not_run(
    published: Published, strategy: str, pattern: str, damage: str
) -> None:
    publication = published.publications[strategy]
    # A cache was filled from a publication of its own, and so were the locks that go with it.
    bare_publication = next(publication.parent.glob("*-base-*"))
    folder = (
        bare_publication if strategy == "cache" and pattern.startswith("targets") else publication
    )
    shutil.rmtree(published.workplace.folder / "node-cache", ignore_errors=True)
    with damaged(folder, pattern, damage) as path:
        done, _ = evaluate(
            bare(published.workplace),
            published.scripts[strategy],
            software=[],
            environment={
                "UV_CACHE_DIR": str(published.workplace.folder / "node-cache"),
                "BUNDLER_PUBLICATION": str(publication),
            },
        )
    assert "EVIL" not in done.stdout
    assert "Traceback" not in done.stdout
    harmless = damage in ("a link", "joined by others") or pattern not in (
        *_READ[strategy],
        *_ALWAYS_READ,
    )
    if harmless:
        assert done.returncode == 0, done.stdout
        assert "got 1.5" in done.stdout
    else:
        assert done.returncode != 0
        assert path.name in done.stdout
        assert "first line" not in done.stdout


def test_the_table_knows_all_classes_of_files(published: Published) -> None:
    for folder in (published.bundle, *published.publications.values()):
        left = {path for path in folder.rglob("*") if path.is_file()}
        for pattern in (*_OF_A_BUNDLE, *_OF_A_PUBLICATION):
            left -= set(folder.glob(pattern))
        assert left == set()
