"""The command line from a script to an offline run."""

from __future__ import annotations

from tests.conftest import Workplace
from tests.stand_ins.wheels import make_wheel


def test_a_script_is_bundled_published_and_runs_without_network(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha", requires=["beta>=1", "colorful; sys_platform == 'win32'"]))
    workplace.index.add(make_wheel("beta", "1.5"))
    workplace.index.add(make_wheel("colorful"))
    workplace.script("solve.py", "alpha", body="import alpha, beta\nprint('got', alpha.version, beta.version)\n")
    workplace.bundle("solve.py")
    publication = workplace.publish()
    done = workplace.run("bundler", "rehearse", publication)
    assert done.returncode == 0, done.stderr
    assert "got 1.0 1.5" in done.stderr
    assert "network namespace" in done.stderr or "Weak isolation" in done.stderr
