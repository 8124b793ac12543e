"""What a person sees on a terminal: nothing that was drawn damages what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import BIN, PYTHON, Workplace
from tests.stand_ins.hps import Hps
from tests.stand_ins.hps_evaluator import working
from tests.stand_ins.hps_site import evaluator
from tests.stand_ins.screen import show
from tests.stand_ins.wheels import make_wheel

WIDTHS = [60, 100, 120]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_messages_of_bundle_stand_alone_on_their_lines(
    workplace: Workplace, width: int
) -> None:
    for number in range(8):
        files = {f"big{number}.bin": bytes(1 << 20)}
        workplace.index.add(make_wheel(f"big{number}", files=files))
    workplace.script("eval.py", *(f"big{number}" for number in range(8)), body="import near\n")
    (workplace.folder / "near.py").touch()
    command: list[str | Path] = [BIN / "bundle", "--python", PYTHON, "eval.py"]
    lines = show(command, width, workplace.folder, workplace.environment)
    assert lines[0].startswith("warning: eval.py: imports near from near.py")
    assert lines[-1] == "eval.bundle"
    assert lines[-2].startswith("Bundled 8 wheels for 1 target (")
    assert "━" not in "".join(lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_bar_of_jobs_keeps_its_last_state_on_one_line(
    site: Workplace, hps: Hps, publication: Path, width: int
) -> None:
    with working(evaluator(site, hps)):
        command: list[str | Path] = [
            BIN / "submit-jobs",
            publication,
            "--sweep",
            "frequency=12,13",
            "--wait",
        ]
        lines = show(command, width, site.folder, site.environment)
    (failure,) = [line for line in lines if "job-2 failed" in line]
    assert failure.startswith("job-2 failed: the script failed: RuntimeError: unlucky")
    (state,) = [line for line in lines if "2/2" in line]
    assert "1 evaluated, 1 failed" in state
    assert lines[-1].startswith("error: not all jobs succeeded")
