"""The example of the README over the public index, through the ordinary clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Workplace

EXAMPLE = Path(__file__).parents[1] / "examples" / "eval.py"

pytestmark = pytest.mark.internet


@pytest.fixture
def online(workplace: Workplace) -> Workplace:
    """A workplace whose index is the public one."""
    del workplace.environment["UV_DEFAULT_INDEX"]
    workplace.environment.update(UV_HTTP_TIMEOUT="30")
    return workplace


def test_the_example_plots_its_sine_without_network(online: Workplace) -> None:
    online.bundle(EXAMPLE)
    done = online.run("bundler", "rehearse", online.publish(), "-o", "task")
    assert done.returncode == 0, done.stderr
    assert (online.folder / "task" / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert '"maximum": 0.99999' in done.stderr


def test_an_older_glibc_gets_an_older_numpy(online: Workplace) -> None:
    options = [
        "--python",
        "3.12",
        "--platform",
        "x86_64-manylinux2014",
        "--platform",
        "x86_64-manylinux_2_28",
    ]
    done = online.run("bundle", EXAMPLE, *options)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((online.folder / "eval.bundle" / "manifest.json").read_bytes())
    numpy = [
        next(name for name in target["wheels"]["eval.py"] if name.startswith("numpy-"))
        for target in manifest["targets"]
    ]
    assert len({name.split("-")[1] for name in numpy}) == 2
    assert all("manylinux" in name for name in numpy)
