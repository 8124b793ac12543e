"""Would a publication run on a node? Answered from the facts that `bundler probe` gathered there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bundler.errors import BadFacts
from bundler.templates.probe import MACHINES, misfit  # type: ignore[import-untyped, unused-ignore]
from wheelhouse import files

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.manifest import Manifest, TargetEntry

# A node tells little; more is no node.
_LIMIT = 1 << 20


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts in `path`; raise `BadFacts`, `FileFault`."""
    with files.explained(path), path.open("rb") as source:
        data = source.read(_LIMIT)
    try:
        facts = json.loads(data)
        libc = facts["libc"]
        facts["libc"] = (str(libc[0]), int(libc[1]), int(libc[2])) if libc else None
        facts["machine"] = MACHINES.get(facts["machine"].lower(), facts["machine"].lower())
        facts["pythons"] = dict(facts["pythons"])
        facts["uv"], facts["system"] = facts["uv"], str(facts["system"])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as fault:
        raise BadFacts(path) from fault
    return dict(facts)


def obstacles(manifest: Manifest, facts: dict[str, Any]) -> dict[str, list[str]]:
    """Return, by target, what keeps it from running on a node of `facts`; a target with none runs there."""
    return {target.name: _obstacles(target, facts) for target in manifest.targets}


def _obstacles(target: TargetEntry, facts: dict[str, Any]) -> list[str]:
    wanted = {"system": target.system, "machine": target.machine, "libc": target.libc}
    reason = misfit(wanted, (facts["system"], facts["machine"], facts["libc"]))
    if reason:
        return [str(reason)]
    here = [version for version in facts["pythons"] if f"{version}.".startswith(f"{target.python}.")]
    if target.interpreter or here:
        return []
    return [f"there is no Python {target.python} on its PATH: install one, or bundle with --include-python"]


def needs_uv(manifest: Manifest, facts: dict[str, Any]) -> bool:
    """Return whether the node must have uv registered as an application, which no probe can see."""
    return not facts["uv"] and not all(target.uv for target in manifest.targets)
