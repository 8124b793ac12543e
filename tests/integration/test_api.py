"""The library as a notebook uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bundler
from tests.conftest import PYTHON, Workplace
from tests.stand_ins.wheels import make_wheel

_MADE = {"sources", "bundles", "publications", "jobs", "hps", "node", "api", "cli"}


@pytest.fixture
def here(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A workplace that this process works in."""
    for name in set(os.environ) - set(workplace.environment):
        monkeypatch.delenv(name)
    for name, value in workplace.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workplace.folder)
    return workplace


def test_every_name_of_the_library_is_there_and_no_package_takes_its_place() -> None:
    assert set(bundler.__all__) <= set(dir(bundler))
    assert all(getattr(bundler, name) for name in bundler.__all__)
    assert not _MADE & set(bundler.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = bundler.nonsense  # type: ignore[attr-defined]


def test_a_script_is_bundled_published_and_described_without_a_word(
    here: Workplace, capfd: pytest.CaptureFixture[str]
) -> None:
    here.index.add(make_wheel("alpha"))
    here.script("solve.py", "alpha")
    before = dict(os.environ)
    made = bundler.bundle(["solve.py"], pythons=[PYTHON])
    publication = bundler.publish(made, here.folder / "share")
    manifest = bundler.verify(publication)
    submission = bundler.compose(publication, [{"frequency": 0.5}, {"frequency": 1.0}])
    assert made == Path("solve.bundle")
    assert [script.name for script in manifest.scripts] == ["solve.py"]
    assert (bundler.inspect(made)["strategy"], bundler.inspect(publication)["strategy"]) == (
        None,
        "index",
    )
    assert [parameter.name for parameter in submission.parameters] == ["frequency"]
    assert capfd.readouterr() == ("", "")
    assert dict(os.environ) == before, (
        "what a bundle takes of pip's configuration is for the bundle only"
    )


def test_report_is_told_what_the_command_says(here: Workplace) -> None:
    here.index.add(make_wheel("alpha"))
    here.script("solve.py", "alpha")
    heard: list[bundler.Progress] = []
    bundler.bundle(["solve.py"], pythons=[PYTHON], report=heard.append)
    assert heard[0].text.startswith(f"Bundling for Python {PYTHON} on ")
    assert heard[1].text.startswith("Resolving solve.py")
    assert heard[-1].text.startswith("Bundled 1 wheel ")
    heard.clear()
    bundler.bundle(["solve.py"], pythons=[PYTHON], report=heard.append)
    assert [progress.text for progress in heard] == [
        "solve.bundle is up to date (use --upgrade for newer versions)"
    ]


def test_what_cannot_be_bundled_is_an_error_of_the_library(here: Workplace) -> None:
    here.script("solve.py", requires=">=99")
    with pytest.raises(
        (bundler.BundlerError, bundler.WheelhouseError), match="requires-python >=99"
    ):
        bundler.bundle(["solve.py"], pythons=[PYTHON])
    assert not (here.folder / "solve.bundle").exists()


def test_importing_the_library_is_quick_because_it_imports_nothing_else() -> None:
    code = "import sys, bundler; print([name for name in sys.modules if name.startswith(('bundler.', 'wheelhouse'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['bundler.version']\n"
