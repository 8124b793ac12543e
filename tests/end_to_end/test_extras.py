"""The far side has only the packages that this one depends on itself: everything else is kept from being imported."""

from __future__ import annotations

import shutil
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import Workplace
from tests.integration.test_audit import write
from tests.stand_ins.osv import record
from tests.stand_ins.signers import allow, make_key
from tests.stand_ins.wheels import make_wheel

# Where the tool that is tested was installed from.
SOURCE = Path(__file__).parents[2]
BLOCKER = """
import sys
BLOCKED = {blocked!r}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Blocker())
"""
MODULES = {
    "backports-zstd": "backports",
    "ansys-hps-client": "ansys",
    "pip-tools": "piptools",
    "tomli-w": "tomli_w",
}
MODULES |= {
    "cyclonedx-python-lib": "cyclonedx",
    "pypi-attestations": "pypi_attestations",
    "pyyaml": "yaml",
}


def modules_of(*extras: str) -> set[str]:
    """Return the modules of the packages that `extras` install, and of what these bring for HPS."""
    requirements = [Requirement(line) for line in requires("hps-bundler") or []]
    names = {
        requirement.name
        for requirement in requirements
        for extra in extras
        if requirement.marker and requirement.marker.evaluate({"extra": extra})
    }
    return {MODULES.get(name, name) for name in names} | (
        {"httpx", "pydantic"} if "hps" in extras else set()
    )


@pytest.fixture
def far_side(workplace: Workplace, tmp_path: Path) -> Workplace:
    """A workplace with a bundle, in which no extra is installed."""
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha", body="import alpha\nprint('runs')\n")
    workplace.bundle("solve.py")
    blocked = modules_of("attestations", "bundle", "hps", "pip-tools", "sbom", "yaml", "zstd")
    assert {"uv", "requests", "ansys", "piptools"} <= blocked
    block(workplace, tmp_path, blocked)
    return workplace


def block(workplace: Workplace, tmp_path: Path, modules: set[str]) -> None:
    """Keep commands of `workplace` from importing `modules`."""
    (tmp_path / "blocker").mkdir()
    (tmp_path / "blocker" / "sitecustomize.py").write_text(BLOCKER.format(blocked=modules))
    workplace.environment["PYTHONPATH"] = str(tmp_path / "blocker")


def test_every_command_of_the_far_side_works_without_an_extra(far_side: Workplace) -> None:
    publication = far_side.publish()
    shutil.move(allow(make_key(far_side.folder / "key")).allowed, far_side.folder / "allowed")
    write(far_side.folder / "osv", record("PYSEC-1", "alpha", versions=["1.0"]))
    (far_side.folder / "node.json").write_text(far_side.run("bundler", "probe").stdout)
    for command in (
        *(
            "sign solve.bundle --key key",
            "verify solve.bundle --trust allowed",
            "report solve.bundle --trust allowed",
        ),
        *("audit solve.bundle --advisories osv", "audit share --advisories osv --json"),
        *(
            "verify solve.bundle",
            "verify solve.bundle --attestations",
            "inspect solve.bundle",
            f"inspect {publication}",
            "guide jobs",
            "completion bash",
        ),
        *(
            f"check {publication} --probe node.json",
            f"gc {far_side.folder}",
            "rehearse solve.bundle",
        ),
        *(f"rehearse {publication} -o task", f"submit {publication} --dry-run"),
        *(f"store {name} share" for name in ("list", "stats", "log", "verify", "init")),
        *(f"store show share {publication}", f"store alias share solve {publication.name}"),
        "store yank share alpha-1.0-py3-none-any.whl --reason broken",
        "store unyank share alpha-1.0-py3-none-any.whl",
        *("publish-index share solve.bundle/wheels", f"store remove share {publication} --force"),
    ):
        done = far_side.run("bundler", *command.split())
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["bundle", "solve.py", "--replace", "--upgrade"], "bundle"),
        (["bundler", "hps", "list", "--url", "http://127.0.0.1:9/hps"], "hps"),
        (["bundler", "sbom", "solve.bundle"], "sbom"),
        (["bundler", "audit", "solve.bundle", "--advisories", "advisories"], "yaml"),
    ],
)
def test_a_command_whose_extra_is_missing_names_it(
    far_side: Workplace, command: list[str], extra: str
) -> None:
    (far_side.folder / "advisories").mkdir()
    (far_side.folder / "advisories" / "a.yaml").write_text("id: X")
    done = far_side.run(*command, HPS_ACCESS_TOKEN="token")  # noqa: S106 - of nobody
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert f"which this command needs\nhint: run `pip install '{SOURCE}[{extra}]'`" in done.stderr


def test_pip_tools_are_an_extra_of_their_own(workplace: Workplace, tmp_path: Path) -> None:
    workplace.script("solve.py")
    block(workplace, tmp_path, {"piptools"})
    done = workplace.run("bundle", "solve.py", "--resolver", "pip-tools")
    assert done.stderr.endswith(
        f"this command needs\nhint: run `pip install '{SOURCE}[pip-tools]'`\n"
    ), done.stderr


def test_a_module_that_is_missing_by_a_mistake_of_ours_is_a_bug(workplace: Workplace) -> None:
    lines = (
        "import bundler.cli, click\n@click.command()\ndef command():\n    import bundler.absent\n"
    )
    done = workplace.run("python", "-c", lines + "bundler.cli._run(command)\n")
    assert "ModuleNotFoundError: No module named 'bundler.absent'" in done.stderr
