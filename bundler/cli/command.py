"""Commands and groups with the options that all of them share."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from bundler.cli import terminal
from bundler.lazily import lazily
from bundler.version import __version__

with lazily():
    from bundler.bundles import delta, temporary
    from bundler.trust import ssh_keygen

_Value = TypeVar("_Value")
# Python creates and deletes folders by calling itself for each level, which it does at most 1,000 times.
_MOST_FOLDERS = 500
# Texts for people.
_MAY_BE_EMPTY = ("note",)
_EXIT_CODES = "Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted."

flag = functools.partial(click.option, is_flag=True)
PATH = click.Path(path_type=Path)
path_argument = click.argument("path", metavar="PATH", type=PATH)
store_argument = click.argument("path", metavar="STORE", type=PATH)
publication_argument = click.argument("publication", metavar="PUBLICATION", type=PATH)
base_option = click.option(
    "--base",
    metavar="PATH",
    type=PATH,
    help="Complete a delta with the files of this bundle, publication or store.",
)
json_option = flag("--json", "as_json", help="Print the result as JSON.")


def with_trust(
    command: Callable[..., None], purpose: str = "Require a signature by a signer in this file"
) -> Callable[..., None]:
    """Add the options that say whom to trust, for a `purpose`, to `command`; pass them on as `trust`, or None."""

    @click.option(
        "--trust",
        "allowed",
        metavar="ALLOWED_SIGNERS",
        type=PATH,
        help=f"{purpose} (allowed signers, see `ssh-keygen`).",
    )
    @click.option(
        "--revoked",
        metavar="FILE",
        type=PATH,
        help="Reject signatures by the keys in this file (public keys, or a KRL of `ssh-keygen`).",
    )
    @functools.wraps(command)
    def with_options(
        *args: Any, allowed: Path | None, revoked: Path | None, **settings: Any
    ) -> None:
        if revoked and not allowed:
            raise click.UsageError("--revoked needs --trust")
        trust = None
        if allowed:
            trust = ssh_keygen.Trust(allowed=allowed, revoked=revoked)
        command(*args, trust=trust, **settings)

    return with_options


def parsed(parse: Callable[[str], _Value], text: str, option: str) -> _Value:
    """Return what `parse` makes of `text`, a value of `option`. Raises `BadParameter` if it raises `ValueError`."""
    try:
        return parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


@contextlib.contextmanager
def unpacked(path: Path, base: Path | None) -> Iterator[list[Path]]:
    """Yield the bundle or publication `path`, or the bundles in the archive `path`; see `base_option` for `base`."""
    with contextlib.ExitStack() as stack:
        with terminal.reporting() as report:
            folders = stack.enter_context(temporary.unpacked([path], report, delta.base_of(base)))
        yield folders


def _shared_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_when_set(terminal.set_quiet),
            help="Write only results, warnings and errors.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_when_set(terminal.set_verbose),
            help="Write details, such as the commands that are run.",
        ),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            expose_value=False,
            is_eager=True,
            callback=lambda _context, _parameter, value: terminal.set_colour(value),
            help="Control the use of colour; auto respects NO_COLOR.",
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_show_version,
            help="Print the version and exit.",
        ),
    ]


def _when_set(action: Callable[[], None]) -> Callable[..., None]:
    def callback(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            action()

    return callback


def _show_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        program = (context.find_root().info_name or "").removeprefix("python -m ")
        click.echo(f"{program} {__version__}")
        context.exit()


class _Shared(click.Command):
    """A command whose help lists the shared options in a section of their own."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings["context_settings"] = {
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
            "show_default": True,
        }
        super().__init__(*args, **settings)
        self.shared = _shared_options()
        self.params += self.shared

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of this command, then those of every command."""
        own, shared = [], []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None or not isinstance(parameter, click.Option):
                continue
            if parameter in self.shared or "--help" in parameter.opts:
                shared.append(record)
            else:
                own.append(record)
        for title, records in (("Options", own), ("Global options", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(_EXIT_CODES)


class Command(_Shared):
    """A command with the shared options, of which no option and no argument may be empty.

    Shows its help if it needs arguments and there are none.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.no_args_is_help = any(parameter.required for parameter in self.params)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args`. Raises `click.BadParameter` for an empty value, such as that of an unset variable.

        It would mean the current folder, or that there is no limit.
        """
        if not ctx.resilient_parsing:
            values, _, _ = self.make_parser(ctx).parse_args(args=list(args))
            for parameter in self.get_params(ctx):
                value = values.get(parameter.name or "")
                words = value if isinstance(value, list | tuple) else [value]
                for word in words:
                    fault = isinstance(word, str) and _fault(parameter, word)
                    if fault:
                        raise click.BadParameter(fault, ctx, parameter)
        return super().parse_args(ctx, args)


def command(name: str | None = None) -> Callable[[Callable[..., None]], Command]:
    """Return what makes a function a command of this tool."""
    return click.command(name, cls=Command)


def _fault(parameter: click.Parameter, word: str) -> str:
    """Return why no value of `parameter` may be `word`, or nothing."""
    if parameter.name not in _MAY_BE_EMPTY and not word.strip():
        return "must not be empty"
    if isinstance(parameter.type, click.Path) and word.count("/") > _MOST_FOLDERS:
        return f"names more than {_MOST_FOLDERS} folders"
    return ""


class Group(_Shared, click.Group):
    """A group of commands with the shared options."""

    command_class = Command
    group_class = type

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands first."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)


def command_at(place: str) -> click.Command:
    """Return the command at `place`, which is `MODULE:NAME` in this package."""
    module, _, name = place.partition(":")
    command: click.Command = getattr(import_module(f"bundler.cli.{module}"), name)
    return command


class LazyGroup(Group):
    """A group whose commands are imported when they are used; `lazy` has their places (see `command_at`) by name."""

    def __init__(self, *args: Any, lazy: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *self.lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command `cmd_name`, or None if there is none."""
        if cmd_name in self.lazy:
            return command_at(self.lazy[cmd_name])
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` start with. Raises `click.UsageError`, with a similar name if there is one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib  # noqa: PLC0415 - a millisecond of every other start

            # Click knows only the commands that are imported already.
            similar = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not similar:
                raise
            message = f"No such command {args[0]!r}. Did you mean {similar[0]!r}?"
            raise click.UsageError(message, ctx) from None
