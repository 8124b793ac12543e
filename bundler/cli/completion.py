"""Shell completion: the script for each shell, and the values of options that have a long list."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from bundler.cli.command import command
from bundler.cli.programs import programs
from bundler.lazily import lazily

with lazily():
    from bundler.bundles import supported_targets


def complete_platform(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the platforms that start with `incomplete`."""
    return _starting_with(incomplete, supported_targets.platforms())


def complete_python(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the Python versions that start with `incomplete`."""
    return _starting_with(incomplete, supported_targets.pythons())


def _starting_with(incomplete: str, values: dict[str, str]) -> list[CompletionItem]:
    return [
        CompletionItem(value, help=text)
        for value, text in values.items()
        if value.startswith(incomplete)
    ]


@command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    The script completes commands, options and values of bundler, hps-bundler, bundle, publish-index and submit-jobs.

    \b
    Examples:
        bundler completion bash >> ~/.bashrc
        bundler completion fish > ~/.config/fish/completions/bundler.fish
    """
    writer = get_completion_class(shell)
    if writer is None:
        raise click.UsageError(f"click has no completion for {shell}")
    for name, program in programs().items():
        variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
        click.echo(writer(program, {}, name, variable).source())
