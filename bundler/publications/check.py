"""Check whether a publication would run on a node, from the facts that `bundler probe` printed there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from bundler.errors import BundlerError
from bundler.manifest import Manifest, TargetEntry
from bundler.node.description import Fit
from bundler.node.facts import MACHINES, misfit
from bundler.publications.strategy import INDEX, Strategy
from bundler.units import counted
from wheelhouse import files
from wheelhouse.errors import PythonRequestError
from wheelhouse.python_request import parse_python_request

# The same as in the execution script.
OLDEST_UV = Version("0.6.14")
# Bytes; facts are small.
_LIMIT = 1 << 20


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts in the file `path`. Raises `BundlerError`, `FileError`."""
    with files.explained(path), files.open_input(path) as source:
        data = source.read(_LIMIT)
    try:
        facts = json.loads(data)
        libc = facts["libc"]
        facts["libc"] = (str(libc[0]), int(libc[1]), int(libc[2])) if libc else None
        facts["machine"] = MACHINES.get(facts["machine"].lower(), facts["machine"].lower())
        facts["pythons"] = dict(facts["pythons"])
        facts["uv"], facts["system"] = (
            facts["uv"] and str(Version(facts["uv"])),
            str(facts["system"]),
        )
    except (
        InvalidVersion,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise BundlerError(
            f"{path} does not contain facts about a node",
            hint=f"run on the node: bundler probe > {path.name}",
        ) from error
    return dict(facts)


def obstacles(
    manifest: Manifest, facts: dict[str, Any], strategy: Strategy = INDEX
) -> dict[str, list[str]]:
    """Return, for each target, the reasons why it does not run on a node with `facts`; none if it does."""
    return {target.name: _obstacles(target, facts, strategy) for target in manifest.targets}


def _obstacles(target: TargetEntry, facts: dict[str, Any], strategy: Strategy) -> list[str]:
    fit: Fit = {"system": target.system, "machine": target.machine, "libc": target.libc}
    reason = misfit(fit, (facts["system"], facts["machine"], facts["libc"]))
    if reason:
        return [reason]
    if strategy.self_contained:
        return []
    reasons = []
    if facts["uv"] and Version(facts["uv"]) < OLDEST_UV and not target.uv:
        reasons.append(
            f"uv {facts['uv']} is older than {OLDEST_UV}; update it, or bundle with --include-uv"
        )
    if not target.interpreter and not any(
        _is(version, target.python) for version in facts["pythons"]
    ):
        reasons.append(
            f"no Python {target.python} on PATH; install it, or bundle with --include-python"
        )
    return reasons


def would_not_run(
    publication: Path, nodes: Mapping[str, Mapping[str, Sequence[str]]]
) -> BundlerError:
    """Return the error for `nodes` on which no target of `publication` runs, with the reasons for each target."""
    facts = []
    for node, targets in sorted(nodes.items()):
        facts.append(node)
        facts += [
            f"  {target}: {'; '.join(reasons)}" for target, reasons in sorted(targets.items())
        ]
    return BundlerError(
        f"{publication.name} would not run on {counted(len(nodes), 'node')}", facts=facts
    )


def _is(found: str, wanted: str) -> bool:
    """Return whether the Python `found` of a node, such as 3.13.1t, satisfies `wanted`, such as 3.13t."""
    try:
        here, target = parse_python_request(found), parse_python_request(wanted)
    except PythonRequestError:
        return False
    matches = replace(here, version=target.version) == target
    return matches and f"{here.version}.".startswith(f"{target.version}.")


def needs_uv(manifest: Manifest, facts: dict[str, Any], strategy: Strategy = INDEX) -> bool:
    """Return whether uv must be registered for the node, which facts cannot show."""
    return (
        not strategy.self_contained
        and not facts["uv"]
        and not all(target.uv for target in manifest.targets)
    )
