from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.conftest import Workplace

README = Path(__file__).parents[2] / "README.md"
COMMANDS = [
    ("bundle",),
    ("publish-index",),
    ("bundler", "bundle"),
    ("bundler", "publish-index"),
    ("bundler", "verify"),
    ("bundler", "inspect"),
    ("bundler", "rehearse"),
    ("bundler", "probe"),
    ("bundler", "check"),
    ("bundler", "gc"),
    ("bundler", "targets"),
    ("bundler", "pack-python"),
    ("submit-jobs",),
    ("bundler", "submit"),
    ("bundler", "hps"),
]
HPS = ["check", "watch", "fetch", "retry", "register", "template", "login"]


@pytest.mark.parametrize("command", [*COMMANDS, *(("bundler", "hps", name) for name in HPS)], ids=" ".join)
def test_every_command_has_a_help_with_an_example(workplace: Workplace, command: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        done = workplace.run(*command, option)
        assert done.returncode == 0
        assert re.search(r"Example.*:\n\s+(bundler? |publish-index |submit-jobs )", done.stdout), done.stdout


def test_the_commands_tested_here_are_all_there_are_and_the_readme_names_them(workplace: Workplace) -> None:
    listed = workplace.run("bundler", "--help").stdout.partition("Commands:\n")[2]
    found = {line.split()[0] for line in listed.splitlines() if line.strip()}
    assert found == {command[-1] for command in COMMANDS} - {"submit-jobs"}
    listed = workplace.run("bundler", "hps", "--help").stdout.partition("Commands:\n")[2]
    assert {line.split()[0] for line in listed.splitlines() if line.strip()} == set(HPS)
    text = README.read_text(encoding="utf-8")
    assert all(f"`{name} " in text or f"`bundler {name}" in text for name in found)


@pytest.mark.parametrize(
    "arguments", [["bundle", "--nonsense"], ["bundler", "nonsense"], ["publish-index", "--strategy", "luck", "x"]]
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(workplace: Workplace, arguments: list[str]) -> None:
    done = workplace.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_is_a_command_too(workplace: Workplace) -> None:
    assert workplace.run("python", "-m", "bundler", "--version").stdout == workplace.run("bundler", "--version").stdout


def test_the_commands_of_the_far_side_start_without_http_and_uv(workplace: Workplace) -> None:
    """The far side may have nothing: importing what verifies, publishes and inspects needs neither."""
    lines = "import sys, bundler.cli, bundler.bundles.verify, bundler.bundles.inspection\n"
    lines += "import bundler.publications.publication, bundler.publications.check\n"
    lines += "assert not {'requests', 'urllib3', 'uv', 'ansys'} & set(sys.modules), sorted(sys.modules)\n"
    done = workplace.run("python", "-c", lines)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_that_comes_while_a_destructor_runs_ends_the_command(
    workplace: Workplace, number: signal.Signals, code: int
) -> None:
    lines = f"""
import os, time, click, bundler.cli
class Thing:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
        time.sleep(0.01)
@click.command()
def command():
    thing = Thing()
    del thing
    time.sleep(60)
bundler.cli._run(command)
"""
    with workplace.started("python", "-c", lines) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    assert "ignored" not in err


def test_help_loads_nothing_heavy(workplace: Workplace) -> None:
    done = workplace.run("python", "-X", "importtime", "-m", "bundler", "--help")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"packaging", "requests", "concurrent.futures", "tempfile", "wheelhouse.locks"} & loaded


def test_inspect_shows_a_table_for_people_and_json_for_programs(workplace: Workplace) -> None:
    from tests.stand_ins.wheels import make_wheel

    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    bundle = workplace.bundle("solve.py")
    assert "alpha  1.0" in workplace.run("bundler", "inspect", bundle).stdout
    assert '"project": "alpha"' in workplace.run("bundler", "inspect", "--json", bundle).stdout


def test_a_bundle_is_not_submitted_before_it_is_published(workplace: Workplace) -> None:
    workplace.script("solve.py")
    bundle = workplace.bundle("solve.py")
    done = workplace.run("submit-jobs", bundle, "--url", "https://127.0.0.1:9/hps", HPS_ACCESS_TOKEN="token")  # noqa: S106 - of nobody
    assert done.returncode == 1
    assert "is a bundle and not a publication yet" in done.stderr


def test_a_node_is_probed_and_a_publication_checked_against_it(workplace: Workplace) -> None:
    workplace.script("solve.py")
    workplace.bundle("solve.py")
    publication = workplace.publish()
    (workplace.folder / "node.json").write_text(workplace.run("bundler", "probe").stdout)
    done = workplace.run("bundler", "check", publication, "--probe", "node.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("node.json\t3.")
    facts = (workplace.folder / "node.json").read_text().replace('"Linux"', '"Windows"')
    (workplace.folder / "other.json").write_text(facts)
    done = workplace.run("bundler", "check", publication, "--probe", "node.json", "--probe", "other.json")
    assert done.returncode == 1
    assert "would not run on 1 of the nodes:\n  other.json" in done.stderr
    assert workplace.run("bundler", "probe", "--script").stdout.startswith('"""Prints what a node is')
