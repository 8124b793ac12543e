"""The command that verifies and repairs a store."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path

import click

from bundler.cli.command import command, flag, json_option, parsed, store_argument
from bundler.cli.terminal import reporting, result, say
from bundler.lazily import lazily
from bundler.units import counted, parse_duration

with lazily():
    from bundler.publications import restoring
    from wheelhouse import errors
    from wheelhouse.store import creation, damage, store


class _Share(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """A percentage such as 5%."""

    name = "percentage"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the percentage `value` as a number from 0 to 1."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", str(value))
        if not match or not 0 < float(match[1]) <= 100:  # noqa: PLR2004 - percent
            self.fail(f"must be a percentage such as 5% (got {value!r})", param, ctx)
        return float(match[1]) / 100


@command("verify")
@store_argument
@click.option(
    "--sample",
    metavar="PERCENT",
    type=_Share(),
    default="100%",
    help="Verify a random sample of the files.",
)
@click.option(
    "--since", metavar="AGE", help="Verify only files written in the last AGE, such as 7d."
)
@flag("--resume", help="Skip files that an interrupted run has verified.")
@flag("--repair", help="Restore what can be restored from the rest of the store.")
@json_option
def verify(
    path: Path,
    sample: float,
    since: str | None,
    resume: bool,
    repair: bool,
    as_json: bool,
) -> None:
    """Verify a store: files, records, pages and publications.

    Lists the files that are missing, changed or foreign, and fails if there are any. --repair restores wheels from
    good copies, records and metadata from the wheels, and pages from the records. Publish the bundle again to restore
    everything else.

    \b
    Examples:
        bundler store verify /shared/store
        bundler store verify /shared/store --sample 5% --since 30d
    """
    start = 0.0
    if since is not None:
        start = time.time() - parsed(parse_duration, since, "--since")
    place = creation.create_store(path) if repair else store.open_store(path)
    extent = restoring.Extent(sample=sample, since=start, resume=resume)
    found = _find(place, extent)
    restored: list[damage.Damage] = []
    if repair and found:
        restored = restoring.restore(place, found)
        found = _find(place, extent)
    document = {
        "path": path,
        "damage": list(map(asdict, found)),
        "restored": [item.path for item in restored],
    }
    result(document, [], as_json=as_json)
    if restored:
        say(f"Restored {counted(len(restored), 'file')}")
    if found:
        raise _damaged(path, found, repair=repair)
    say(f"Verified {path}")


def _damaged(path: Path, found: list[damage.Damage], *, repair: bool) -> errors.StoreError:
    hint = "run with --repair, or publish the bundles of these files again"
    if repair:
        hint = "publish the bundles of these files again, and delete foreign files"
    facts = [f"{item.problem:8} {item.path}" for item in found]
    return errors.StoreError(
        f"{path}: {counted(len(found), 'file')} damaged", facts=facts, hint=hint
    )


def _find(place: store.Store, extent: restoring.Extent) -> list[damage.Damage]:
    with reporting() as report:
        return restoring.find_damage(place, extent, report=report)
