"""Would a publication run on a node? Answered from the facts that `bundler probe` gathered there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from bundler.errors import BundlerError
from bundler.node.facts import MACHINES, misfit
from bundler.publications.strategy import INDEX
from wheelhouse import files
from wheelhouse.errors import PythonRequestError
from wheelhouse.python_request import parse_python_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.manifest import Manifest, TargetEntry
    from bundler.node.description import Fit
    from bundler.publications.strategy import Strategy

# As in exec_script.py.
OLDEST_UV = Version("0.6.14")
# A node tells little; more is no node.
_LIMIT = 1 << 20


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts in `path`; raise `BundlerError`, `FileError`."""
    with files.explained(path), path.open("rb") as source:
        data = source.read(_LIMIT)
    try:
        facts = json.loads(data)
        libc = facts["libc"]
        facts["libc"] = (str(libc[0]), int(libc[1]), int(libc[2])) if libc else None
        facts["machine"] = MACHINES.get(facts["machine"].lower(), facts["machine"].lower())
        facts["pythons"] = dict(facts["pythons"])
        facts["uv"], facts["system"] = facts["uv"] and str(Version(facts["uv"])), str(facts["system"])
    except (
        InvalidVersion,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as fault:
        raise BundlerError(
            f"{path}: does not hold the facts of a node", hint=f"gather them there: bundler probe > {path.name}"
        ) from fault
    return dict(facts)


def obstacles(manifest: Manifest, facts: dict[str, Any], strategy: Strategy = INDEX) -> dict[str, list[str]]:
    """Return, by target, what keeps it from running on a node of `facts`; a target with none runs there."""
    return {target.name: _obstacles(target, facts, strategy) for target in manifest.targets}


def _obstacles(target: TargetEntry, facts: dict[str, Any], strategy: Strategy) -> list[str]:
    wanted: Fit = {"system": target.system, "machine": target.machine, "libc": target.libc}
    reason = misfit(wanted, (facts["system"], facts["machine"], facts["libc"]))
    if reason:
        return [reason]
    if strategy.self_contained:
        return []
    found = []
    if facts["uv"] and Version(facts["uv"]) < OLDEST_UV and not target.uv:
        found.append(f"its uv is {facts['uv']}: update it to {OLDEST_UV} or newer, or bundle with --include-uv")
    if not target.interpreter and not any(_is(version, target.python) for version in facts["pythons"]):
        found.append(f"there is no Python {target.python} on its PATH: install one, or bundle with --include-python")
    return found


def would_not_run(publication: Path, nodes: Mapping[str, Mapping[str, Sequence[str]]]) -> BundlerError:
    """Return the failure of `nodes` on which no target of `publication` runs: by target the obstacles, for each."""
    facts = []
    for node, targets in sorted(nodes.items()):
        facts.append(node)
        facts += [f"  {target}: {'; '.join(reasons)}" for target, reasons in sorted(targets.items())]
    return BundlerError(f"{publication.name} would not run on {len(nodes)} of the nodes:", facts=facts)


def _is(found: str, wanted: str) -> bool:
    """Return whether a node's Python `found`, such as 3.13.1t, is one that `wanted`, such as 3.13t, means."""
    try:
        here, target = parse_python_request(found), parse_python_request(wanted)
    except PythonRequestError:
        return False
    same = replace(here, version=target.version) == target
    return same and f"{here.version}.".startswith(f"{target.version}.")


def needs_uv(manifest: Manifest, facts: dict[str, Any], strategy: Strategy = INDEX) -> bool:
    """Return whether the node must have uv registered as an application, which no probe can see."""
    return not strategy.self_contained and not facts["uv"] and not all(target.uv for target in manifest.targets)
