"""What is said and what is refused where a bundle is there already."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PYTHON, Workplace
from tests.stand_ins.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

LINUX = "x86_64-manylinux_2_28"


def scripts(bundle: Path) -> list[str]:
    return [each["name"] for each in json.loads((bundle / "manifest.json").read_bytes())["scripts"]]


@pytest.fixture
def two_folders(workplace: Workplace) -> Workplace:
    workplace.index.add(make_wheel("alpha"))
    for name in ("a", "b"):
        (workplace.folder / name).mkdir()
        workplace.script(f"{name}/run.py", "alpha", body=f"print({name!r})\n")
    return workplace


def test_a_bundle_of_a_script_of_the_same_name_elsewhere_is_not_replaced(
    two_folders: Workplace,
) -> None:
    bundle = two_folders.bundle("a/run.py")
    done = two_folders.run("bundle", "b/run.py", "--python", PYTHON)
    assert (done.returncode, done.stdout) == (1, "")
    assert "run.bundle contains other scripts: " in done.stderr
    assert str(two_folders.folder / "a" / "run.py") in done.stderr
    assert "hint: choose another --output, or use --replace" in done.stderr
    target = next(bundle.glob("targets/*/run"))
    assert (target / "run.py").read_bytes() == (two_folders.folder / "a" / "run.py").read_bytes()
    two_folders.bundle("b/run.py", "--replace")
    assert (target / "run.py").read_bytes() == (two_folders.folder / "b" / "run.py").read_bytes()


def test_a_script_that_was_edited_replaces_its_own_bundle(two_folders: Workplace) -> None:
    two_folders.bundle("a/run.py")
    two_folders.script("a/run.py", "alpha", body="print('edited')\n")
    two_folders.bundle("run.py", "-o", "../run.bundle", cwd=two_folders.folder / "a")


def test_a_bundle_of_fewer_or_more_scripts_is_not_replaced(workplace: Workplace) -> None:
    workplace.script("fit.py")
    workplace.script("other.py")
    bundle = workplace.bundle("fit.py")
    done = workplace.run("bundle", "fit.py", "other.py", "--python", PYTHON)
    assert (done.returncode, "contains other scripts: fit.py" in done.stderr) == (1, True)
    workplace.bundle("fit.py", "other.py", "--replace")
    assert scripts(bundle) == ["fit.py", "other.py"]
    done = workplace.run("bundle", "fit.py", "--python", PYTHON)
    assert (done.returncode, "other scripts: fit.py, other.py" in done.stderr) == (1, True)


def test_a_bundle_that_came_from_elsewhere_is_told_by_the_names_of_its_scripts(
    two_folders: Workplace,
) -> None:
    bundle = two_folders.bundle("a/run.py")
    bundle.rename(two_folders.folder / "moved.bundle")
    two_folders.bundle("b/run.py", "-o", "moved.bundle")


def test_bundles_that_are_gone_are_forgotten(workplace: Workplace, tmp_path: Path) -> None:
    workplace.environment["BUNDLER_CACHE_DIR"] = str(tmp_path / "cache")
    workplace.script("fit.py")
    for name in ("one", "two"):
        workplace.bundle("fit.py", "-o", f"{name}.bundle").rename(tmp_path / name)
    assert len(list((tmp_path / "cache" / "origins").iterdir())) == 1


def test_how_a_bundle_is_made_otherwise_is_told_before_it_is_made(workplace: Workplace) -> None:
    for version in ("1.0", "2.0"):
        workplace.index.add(make_wheel("alpha", version))
    workplace.script("fit.py", "alpha")
    (workplace.folder / "c.txt").write_text("alpha<2\n")
    workplace.bundle("fit.py", "--constraint", "c.txt", "--platform", LINUX)
    command = ["bundle", "fit.py", "--python", PYTHON, "--platform", "windows"]
    done = workplace.run(*command)
    assert done.returncode == 1
    assert f"error: fit.bundle is also for {PYTHON}-{LINUX}\n" in done.stderr
    assert f"hint: name these targets, too (--python {PYTHON} --platform {LINUX})" in done.stderr
    done = workplace.run(*command, "--replace")
    assert done.returncode == 0, done.stderr
    told = (
        f"Options of fit.bundle change: without --constraint alpha<2; no longer for {PYTHON}-{LINUX}; "
        f"now also for {PYTHON}-x86_64-pc-windows-msvc\n"
    )
    assert done.stderr.startswith(told)
    assert "Changed: alpha 1.0 -> 2.0\n" in done.stderr


def test_an_upgrade_that_finds_nothing_newer_says_so(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("fit.py", "alpha")
    workplace.bundle("fit.py")
    done = workplace.run("bundle", "fit.py", "--python", PYTHON, "-P", "alpha")
    assert "No newer version of alpha; all versions in fit.bundle were kept" in done.stderr
    done = workplace.run("bundle", "fit.py", "--python", PYTHON, "--upgrade")
    assert "No newer version of any package" in done.stderr
