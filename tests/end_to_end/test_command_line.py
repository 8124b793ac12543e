from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, Workplace
from tests.stand_ins.wheels import make_wheel

COMMANDS = [
    ("bundle",),
    ("publish-index",),
    ("bundler", "bundle"),
    ("bundler", "publish-index"),
    ("bundler", "verify"),
    ("bundler", "sign"),
    ("bundler", "sbom"),
    ("bundler", "audit"),
    ("bundler", "rebuild"),
    ("bundler", "report"),
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
    ("bundler", "slurm"),
    ("bundler", "store"),
    ("bundler", "guide"),
    ("bundler", "completion"),
    ("bundler", "pyz"),
    ("bundler", "carry"),
    ("bundler", "pack"),
    ("bundler", "unpack"),
    ("bundler", "install"),
]
STORE = [
    *(
        "list",
        "show",
        "stats",
        "log",
        "verify",
        "init",
        "remove",
        "prune",
        "alias",
        "yank",
        "unyank",
        "resolve",
    ),
]
HPS = [
    *(
        "list",
        "show",
        "logs",
        "check",
        "watch",
        "fetch",
        "retry",
        "abort",
        "delete",
        "register",
        "template",
        "login",
    ),
]


SLURM = ["submit", "script", "collect", "retry"]
GROUPS = {"hps": HPS, "slurm": SLURM, "store": STORE}


@pytest.mark.parametrize(
    "command",
    [*COMMANDS, *(("bundler", group, name) for group, names in GROUPS.items() for name in names)],
    ids=" ".join,
)
def test_every_command_has_a_version_and_a_help_with_examples_and_exit_codes(
    workplace: Workplace, command: tuple[str, ...]
) -> None:
    for option in ("--help", "-h"):
        done = workplace.run(*command, option)
        assert done.returncode == 0
        examples = done.stdout.partition("Examples")[2].partition("\n\n")[0].splitlines()[1:]
        assert len(examples) >= 2, done.stdout
        assert all(
            re.match(r" +(bundler? |publish-index |submit-jobs |python3 |cat )", line)
            for line in examples
        )
        assert "Exit codes: " in done.stdout
    done = workplace.run(*command, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"{command[0]} \d+\.\d+\.\d+\n", done.stdout)


def test_the_commands_tested_here_are_all_there_are(workplace: Workplace) -> None:
    def listed(*command: str) -> set[str]:
        text = (
            workplace.run(*command, "--help")
            .stdout.partition("Commands:\n")[2]
            .partition("\n\n")[0]
        )
        return {line.split()[0] for line in text.splitlines()}

    assert listed("bundler") == {command[-1] for command in COMMANDS} - {"submit-jobs"}
    assert listed("hps-bundler") == listed("bundler")
    for group, names in GROUPS.items():
        assert listed("bundler", group) == set(names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bundle", "--nonsense"], "error: no such option: --nonsense\nhint: "),
        (["bundle", "--pyton", "3.12"], "error: no such option: --pyton\nhint: did you mean --"),
        (["bundler", "nonsense"], "error: no such command 'nonsense'\nhint: run `bundler --help`"),
        (["publish-index", "--strategy", "luck", "x"], "error: invalid value for '--strategy': "),
        (
            ["publish-index", "--json"],
            "error: missing argument 'STORE'\nhint: run `publish-index --help`",
        ),
    ],
)
def test_wrong_usage_is_exit_code_2_with_an_error_and_a_hint(
    workplace: Workplace, arguments: list[str], message: str
) -> None:
    done = workplace.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)


def test_colour_is_for_terminals_unless_asked_for(workplace: Workplace) -> None:
    plain = workplace.run("bundler", "verify", "absent")
    assert plain.stderr.startswith("error: absent")
    coloured = workplace.run("bundler", "verify", "absent", "--color", "always")
    assert coloured.stderr.startswith("\x1b[31m\x1b[1merror:\x1b[0m absent")
    assert workplace.run("bundler", "verify", "absent", NO_COLOR="1").stderr == plain.stderr


def test_quiet_leaves_the_result_and_verbose_adds_the_commands_that_are_run(
    workplace: Workplace,
) -> None:
    workplace.script("solve.py")
    quiet = workplace.run("bundle", "solve.py", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("solve.bundle\n", "")
    verbose = workplace.run("bundle", "solve.py", "--upgrade", "-v")
    assert " ms  uv lock " in verbose.stderr
    assert verbose.stdout == "solve.bundle\n"


def test_results_are_json_for_programs(workplace: Workplace) -> None:
    workplace.script("solve.py")
    assert json.loads(workplace.run("bundle", "solve.py", "--json").stdout) == {
        "bundle": "solve.bundle"
    }
    (publication,) = json.loads(workplace.run("publish-index", "share", "--json").stdout)[
        "publications"
    ]
    assert Path(publication).parent == workplace.folder / "share" / "publications"
    document = json.loads(workplace.run("bundler", "verify", "solve.bundle", "--json").stdout)
    assert (document["path"], document["missing"]) == ("solve.bundle", [])
    (workplace.folder / "solve.bundle" / "README.txt").unlink()
    done = workplace.run("bundler", "verify", "solve.bundle", "--json")
    assert (done.returncode, json.loads(done.stdout)["missing"]) == (1, ["README.txt"])


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("bundle --platform x86_64-pc-w", "x86_64-pc-windows-msvc"),
        ("bundle --python 3.13", "3.13t"),
        ("publish-index --strategy env", "environment"),
        ("bundler hps wa", "watch"),
        ("bundler guide perf", "performance"),
    ],
)
def test_a_shell_completes_commands_and_values(
    workplace: Workplace, words: str, value: str
) -> None:
    program, *rest = words.split()
    variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
    workplace.environment.update(
        {variable: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(rest))}
    )
    done = workplace.run(program)
    assert f"plain,{value}" in done.stdout.splitlines()
    del workplace.environment[variable]
    assert variable in workplace.run("bundler", "completion", "bash").stdout


def test_guides_are_shown_as_markdown_in_a_pipe_and_drawn_in_a_pager_on_a_terminal(
    workplace: Workplace,
) -> None:
    assert workplace.run("bundler", "guide", "jobs").stdout.startswith(
        "# Submit, watch and fetch jobs\n"
    )
    assert "troubleshooting" in workplace.run("bundler", "guide").stdout
    shown = on_a_terminal(workplace, "bundler", "guide", "jobs", PAGER="cat")
    assert "Submit, watch and fetch jobs" in shown
    assert "# Submit" not in shown


def test_progress_is_a_bar_on_a_terminal_that_leaves_one_line(workplace: Workplace) -> None:

    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    shown = on_a_terminal(workplace, "bundle", "solve.py")
    assert "Resolving solve.py" in shown
    assert "\x1b[2K" in shown, "steps are drawn over each other"
    assert re.search(r"Bundled 1 wheel for 1 target \(\d+\.\d kB\) in \d+\.\d s\r\n", shown)


def on_a_terminal(workplace: Workplace, *command: str, **environment: str) -> str:
    """Run `command` on a terminal of its own and return what it wrote there."""
    controller, terminal = pty.openpty()
    done = subprocess.Popen(
        [BIN / command[0], *command[1:]],
        cwd=workplace.folder,
        env={**workplace.environment, "TERM": "xterm-256color", **environment},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    text = b""
    with done:
        while True:
            try:
                chunk = os.read(controller, 65536)
            except OSError:  # the end, on Linux
                chunk = b""
            if not chunk:
                break
            text += chunk
    os.close(controller)
    assert done.returncode == 0, text
    return text.decode()


def test_a_module_is_a_command_too(workplace: Workplace) -> None:
    assert (
        workplace.run("python", "-m", "bundler", "--version").stdout
        == workplace.run("bundler", "--version").stdout
    )


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


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("verfiy",), "verify"), (("store", "prun"), "prune"), (("hps", "regster"), "register")],
)
def test_a_command_that_is_mistyped_is_suggested(
    workplace: Workplace, words: tuple[str, ...], meant: str
) -> None:
    done = workplace.run("bundler", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: no such command {words[-1]!r}" in done.stderr
    assert meant in done.stderr.partition("Did you mean ")[2]


def test_help_loads_nothing_heavy(workplace: Workplace) -> None:
    script = """
import atexit, sys
from bundler.lazily import _LazyModule
from bundler.cli import main
loaded = lambda: [name for name, module in sys.modules.items() if not isinstance(module, _LazyModule)]
atexit.register(lambda: print(*loaded(), file=sys.stderr))
sys.argv = ["bundler", "--help"]
main()
"""
    done = workplace.run("python", "-c", script)
    loaded = set(done.stderr.split())
    assert "bundler.cli.bundles" in loaded
    assert not {"packaging", "requests", "concurrent.futures", "wheelhouse.resolve.locks"} & loaded


def test_inspect_shows_a_table_for_people_and_json_for_programs(workplace: Workplace) -> None:

    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    bundle = workplace.bundle("solve.py")
    assert "alpha  1.0" in workplace.run("bundler", "inspect", bundle).stdout
    assert '"project": "alpha"' in workplace.run("bundler", "inspect", "--json", bundle).stdout


def test_a_bundle_is_not_submitted_before_it_is_published(workplace: Workplace) -> None:
    workplace.script("solve.py")
    bundle = workplace.bundle("solve.py")
    done = workplace.run(
        "submit-jobs",
        bundle,
        "--url",
        "https://127.0.0.1:9/hps",
        HPS_ACCESS_TOKEN="token",  # noqa: S106 - of nobody
    )
    assert done.returncode == 1
    assert "is a bundle, not a publication" in done.stderr


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
    done = workplace.run(
        "bundler", "check", publication, "--probe", "node.json", "--probe", "other.json"
    )
    assert done.returncode == 1
    assert "would not run on 1 node\n  other.json" in done.stderr
    assert workplace.run("bundler", "probe", "--script").stdout.startswith(
        '"""Prints facts about a node'
    )
