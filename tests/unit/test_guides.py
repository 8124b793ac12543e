from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from bundler.cli.guide import TOPICS, read_guide
from bundler.cli.programs import programs
from bundler.sources.tool_table import KEYS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = {
    "README": README.read_text(encoding="utf-8"),
    **{topic: read_guide(topic) for topic in TOPICS},
}
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMANDS = re.compile(
    r"(?:^|[$(|] *|`)((?:hps-)?bundler|bundle|publish-index|submit-jobs)((?: [a-z][a-z-]*)*)",
    re.MULTILINE,
)


def snippets(text: str) -> list[str]:
    return [block or inline for block, inline in CODE.findall(text)]


def commands_of(group: click.Command, name: str) -> dict[str, click.Command]:
    commands = {name: group}
    if isinstance(group, click.Group):
        context = click.Context(group)
        for below in group.list_commands(context):
            command = group.get_command(context, below)
            assert command
            commands.update(commands_of(command, f"{name} {below}"))
    return commands


ALL = {
    name: command
    for program, top in programs().items()
    for name, command in commands_of(top, program).items()
}


def options_of(command: click.Command) -> set[str]:
    return {"--help", *(text for parameter in command.params for text in parameter.opts)}


# Options of the other programs that the pages name.
OTHERS = {
    *(
        "--index-url",
        "--default-index",
        "--find-links",
        "--frozen",
        "--no-index",
        "--offline",
        "--script",
    ),
    *(
        "--target",
        "--wheel-dir",
        "--epochs",
        "--format",
        "--check",
        "--quiet",
        "--parallel",
        "--python",
    ),
    *(
        # Of other engines.
        "--address",
        "--me",
        "--ntasks-per-node",
        "--results",
        "--steps",
        "--verify-file",
        # Of run.py.
        "--cache",
        "--parameters",
        "--prepare",
        "--print-command",
        "--python-downloads-json-url",
        "--directory",
        "--require-hashes",
        "--detach-sign",
        "--keyring",
    ),
}


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_a_page_names_exists(page: str) -> None:
    options = {option for command in ALL.values() for option in options_of(command)} | OTHERS
    names = {
        name
        for snippet in snippets(PAGES[page])
        for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+", snippet)
    }
    assert not names - options


@pytest.mark.parametrize("page", PAGES)
def test_the_options_of_a_command_that_a_page_shows_are_its_own(page: str) -> None:
    for line in (line for snippet in snippets(PAGES[page]) for line in snippet.splitlines()):
        words = line.removeprefix("$ ").partition(" # ")[0].split()
        name = next(
            (
                name
                for name in sorted(ALL, key=len, reverse=True)
                if words[: len(name.split())] == name.split()
            ),
            "",
        )
        if name:
            assert {word for word in words if word.startswith("--")} <= options_of(ALL[name]), line


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    for snippet in snippets(PAGES[page]):
        for program, rest in COMMANDS.findall(snippet):
            words = rest.split()
            if isinstance(ALL[program], click.Group) and words:
                assert f"{program} {words[0]}" in ALL, snippet
            if program.endswith("bundler") and words[:1] == ["hps"] and len(words) > 1:
                assert f"{program} {words[0]} {words[1]}" in ALL, snippet
            if program.endswith("bundler") and words[:1] == ["guide"] and len(words) > 1:
                assert words[1] in TOPICS, snippet


def test_every_command_is_in_the_readme() -> None:
    for name in ALL:
        first, _, rest = name.partition(" ")
        if rest and first == "bundler":
            assert (
                f"`bundler {rest}" in PAGES["README"] or f"`{rest.split()[-1]}" in PAGES["README"]
            ), name


def test_the_readme_has_at_most_150_lines_and_none_is_longer_than_120_columns() -> None:
    lines = PAGES["README"].splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120


def test_every_guide_has_a_topic_and_the_readme_links_to_it() -> None:
    assert {path.stem for path in (ROOT / "bundler" / "guides").iterdir()} == set(TOPICS)
    assert all(f"(bundler/guides/{topic}.md)" in PAGES["README"] for topic in TOPICS)


def test_every_file_that_a_page_links_to_exists() -> None:
    for page, text in PAGES.items():
        folder = ROOT if page == "README" else ROOT / "bundler" / "guides"
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (folder / target).exists(), (page, target)


def test_every_key_of_tool_bundler_is_in_the_guide_for_scripts() -> None:

    assert all(f"`{key}`" in PAGES["scripts"] for key in KEYS)


def test_no_summary_of_a_command_or_topic_is_cut_off() -> None:
    for command in ALL.values():
        if isinstance(command, click.Group):
            listing = command.get_help(click.Context(command, info_name="bundler"))
            assert "..." not in listing.partition("Commands:")[2].partition("Options:")[0]
        assert len(command.get_short_help_str(200)) < 60
    assert max(len(summary) for summary in TOPICS.values()) < 60
