"""The execution script: the program for nodes, with what it must know of its publication filled in."""

from __future__ import annotations

import hashlib
import json
import pprint
import re
from typing import TYPE_CHECKING, Any

from bundler.layout import ARCHIVES
from bundler.publications.joining import COLLECTOR, JOB, join

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.manifest import Manifest, TargetEntry

_BLOCK = re.compile(r"(?<=# <publication>\n).*(?=# </publication>\n)", re.DOTALL)
_WIDTH = 120


def describe(
    manifest: Manifest,
    path: str,
    strategy: str = "index",
    archives: Mapping[str, str] | None = None,
    base: str | None = None,
) -> dict[str, Any]:
    """Return what the execution script needs to know of the publication of `manifest` that evaluators see at `path`.

    `archives` gives the digest of what each script unpacks on each target, by the path from `archive_path`; `base` is
    the publication whose scripts and wheels are used, where it is another one.
    """
    archives = archives or {}
    digests = {file.path: file.sha256 for file in manifest.files}
    return {
        "path": path,
        "base": base or path,
        "strategy": strategy,
        "gc": hashlib.sha256(collector()).hexdigest(),
        "scripts": {script.name: script.sha256 for script in manifest.scripts},
        "targets": [
            {
                "folder": target.folder(),
                "python": target.python,
                "system": target.system,
                "machine": target.machine,
                "libc": list(target.libc) if target.libc else None,
                "locks": {script.name: digests[f"{target.folder()}/{script.name}.lock"] for script in manifest.scripts},
                "uv": [target.uv, digests[target.uv]] if target.uv else None,
                "interpreter": [target.interpreter, digests[target.interpreter]] if target.interpreter else None,
                "archives": {
                    script.name: [archive, archives[archive]]
                    for script in manifest.scripts
                    if (archive := archive_path(script.name, target)) in archives
                },
            }
            for target in manifest.targets
        ],
    }


def collector() -> bytes:
    """Return the program that cleans the cache of a node."""
    return join(COLLECTOR).encode()


def to_json(publication: Mapping[str, Any]) -> bytes:
    """Return publication.json: what `describe` gave."""
    return (json.dumps(publication, indent=1) + "\n").encode()


def render(publication: Mapping[str, Any]) -> bytes:
    """Return the execution script of the publication that `describe` described."""
    block = f"PUBLICATION = {pprint.pformat(publication, width=_WIDTH - 14, sort_dicts=False)}\n"
    # Some evaluators read scripts in the locale's encoding: nothing but ASCII is safe.
    ascii_block = block.encode("ascii", "backslashreplace").decode()
    return _BLOCK.sub(lambda _: ascii_block, join(JOB), count=1).encode()


def archive_path(script: str, target: TargetEntry) -> str:
    """Return where a publication holds the cache or the environment of `script` on `target`."""
    return f"{ARCHIVES}{target.name}/{script}.tar.gz"
