"""Who approved a publication: its signature covers the bundle, and everything else follows from that."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from bundler.bundles.readme import readme
from bundler.errors import SignatureError
from bundler.layout import COLLECTOR, EXEC_SCRIPT, MANIFEST, PUBLICATION, README, RUN, RUN_SHELL
from bundler.manifest_reader import MANIFEST_LIMIT, parse
from bundler.publications.approval import Policy, trusts
from bundler.publications.execution import (
    collector,
    describe,
    render,
    render_run,
    render_shell,
    to_json,
)
from bundler.publications.strategy import INDEX
from bundler.trust.signature import Approval, approvals
from wheelhouse import files
from wheelhouse.store.store import Store

# Bytes; publications have no larger ones.
_LIMIT = 64 << 20


def require_approved(publication: Path, policy: Policy | None) -> list[Approval]:
    """Return the signatures of `publication` that its store and `policy` require, the newest of each.

    They do not cover the execution script, see `genuine_script`. Raises `SignatureError` if one is missing or not
    accepted.
    """
    return [
        approvals(publication, trust)[0]
        for trust in trusts(Store(publication.parent.parent), policy)
    ]


def genuine_script(publication: Path, approval: Approval) -> bytes:
    """Return the execution script of `publication`, whose bundle is signed with `approval`.

    Only its path on the nodes is taken from the publication; nodes verify every file against its digest.
    Raises `SignatureError` unless this script and the other files that were added to the bundle are what
    `publish-index` writes for it.
    """
    data = files.read_plain(publication / MANIFEST, MANIFEST_LIMIT)
    if hashlib.sha256(data).hexdigest() != approval.manifest:
        raise _changed(publication, MANIFEST)
    manifest = parse(data, publication / MANIFEST)
    described = describe(manifest, _stated_place(publication), INDEX.name)
    expected = {
        PUBLICATION: to_json(described),
        EXEC_SCRIPT: render(described),
        COLLECTOR: collector(),
        RUN: render_run(described),
        RUN_SHELL: render_shell(described),
        README: readme(manifest, published=True),
    }
    for name, genuine in expected.items():
        if files.read_plain(publication / name, _LIMIT) != genuine:
            raise _changed(publication, name)
    return expected[EXEC_SCRIPT]


def _stated_place(publication: Path) -> str:
    """Return the path of `publication` on the nodes, as its description states it.

    Raises `SignatureError` if it is not the description of a publication that a signature covers completely.
    """
    try:
        stated = json.loads(files.read_plain(publication / PUBLICATION, _LIMIT))
        place, base, strategy = (stated[key] for key in ("path", "base", "strategy"))
        has_archives = any(target["archives"] for target in stated["targets"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _changed(publication, PUBLICATION) from None
    if not (isinstance(place, str) and isinstance(strategy, str)):
        raise _changed(publication, PUBLICATION)
    if has_archives:
        raise SignatureError(
            f"{publication.name}: no signature covers its {strategy}s, which publish-index made",
            problem="uncovered",
            hint="publish the bundle with the strategy index",
        )
    name = re.split(r"[/\\]", place)[-1]
    if strategy != INDEX.name or base != place or name != publication.absolute().name:
        raise _changed(publication, PUBLICATION)
    return place


def _changed(publication: Path, name: str) -> SignatureError:
    return SignatureError(
        f"{publication / name} is not what this version of publish-index writes",
        problem="changed",
        hint="if another version published it, publish the bundle again; otherwise find out who changed the file",
    )
