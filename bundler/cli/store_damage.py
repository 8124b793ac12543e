"""The command that verifies and repairs a store."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path

import click

from bundler.cli.command import Command, json_option
from bundler.cli.terminal import reporting, result, say
from bundler.units import counted, parse_duration
from wheelhouse.lazily import lazily

with lazily():
    from bundler.publications import restoring
    from wheelhouse import creation, errors, store
    from wheelhouse import damage as wheelhouse_damage

_PATH = click.Path(path_type=Path)


class _Share(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """A percentage such as 5%."""

    name = "percentage"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the percentage `value` as a number from 0 to 1."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", str(value))
        if not match or not 0 < float(match[1]) <= 100:  # noqa: PLR2004 - percent
            self.fail(f"must be a percentage such as 5% (got {value!r})", param, ctx)
        return float(match[1]) / 100


@click.command("verify", cls=Command, no_args_is_help=True)
@click.argument("path", metavar="STORE", type=_PATH)
@click.option("--sample", metavar="PERCENT", type=_Share(), default="100%", help="Verify a random sample of the files.")
@click.option("--since", metavar="AGE", help="Verify only files that were written in this time, such as 7d.")
@click.option("--resume", is_flag=True, help="Skip files that an interrupted run has verified.")
@click.option("--repair", is_flag=True, help="Restore what can be restored from the rest of the store.")
@json_option
def verify(path: Path, sample: float, since: str | None, resume: bool, repair: bool, as_json: bool) -> None:
    """Verify a store: files, records, pages and publications.

    Lists the files that are missing, changed or foreign, and fails if there are any. --repair restores wheels from
    good copies, records and metadata from the wheels, and pages from the records. Publish the bundle again to restore
    everything else.

    \b
    Examples:
        bundler store verify /shared/store
        bundler store verify /shared/store --sample 5% --since 30d
    """
    try:
        seconds = parse_duration(since) if since is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error
    place = creation.create_store(path) if repair else store.open_store(path)
    start = time.time() - seconds if seconds is not None else 0.0
    extent = restoring.Extent(sample=sample, since=start, resume=resume)
    damage, restored = _find(place, extent), []
    if repair and damage:
        restored = restoring.restore(place, damage)
        damage = _find(place, extent)
    document = {"path": path, "damage": [asdict(item) for item in damage], "restored": [item.path for item in restored]}
    result(document, [], as_json=as_json)
    if restored:
        say(f"Restored {counted(len(restored), 'file')}")
    if damage:
        raise errors.StoreError(
            f"{path}: {counted(len(damage), 'file')} damaged",
            facts=[f"{item.problem:8} {item.path}" for item in damage],
            hint="run with --repair, or publish the bundles of these files again"
            if not repair
            else "publish the bundles of these files again, and delete foreign files",
        )
    say(f"Verified {path}")


def _find(place: store.Store, extent: restoring.Extent) -> list[wheelhouse_damage.Damage]:

    with reporting() as report:
        return restoring.find_damage(place, extent, report=report)
