"""Write execution scripts: the program for nodes, with the description of a publication."""

from __future__ import annotations

import hashlib
import json
import pprint
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from bundler.layout import ARCHIVES
from bundler.manifest import Manifest, TargetEntry
from bundler.publications.program import BATCH, COLLECTOR, DIRECT, JOB, join
from bundler.trust.signature import Approval

_BLOCK = re.compile(r"(?<=# <publication>\n).*(?=# </publication>\n)", re.DOTALL)
_WIDTH = 120
# Python looks next to a program for its modules, where somebody could place others, even one called __future__.
_LOADER = """\
import sys

if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]
PROGRAM = r'''
{program}
'''
# Empty lines, so that tracebacks show the lines of this file.
exec(compile("\\n" * 4 + PROGRAM, __file__, "exec"))
"""
# How `render` writes that nobody checked a signature.
_UNSTATED = b" 'approved': None,\n"


def describe(
    manifest: Manifest,
    path: str,
    strategy: str = "index",
    archives: Mapping[str, str] | None = None,
    base: str | None = None,
    approved: str | None = None,
) -> dict[str, Any]:
    """Return the description of the publication of `manifest` that nodes see at `path`.

    `archives` are the digests of archives by their path (see `archive_path`); `base` is the path of the publication
    whose scripts and wheels are used, if it is another one. `approved` says who signed the bundle, for the log of jobs.
    """
    return {
        "path": path,
        "base": base or path,
        "strategy": strategy,
        "approved": approved,
        "gc": hashlib.sha256(collector()).hexdigest(),
        "scripts": {script.name: script.sha256 for script in manifest.scripts},
        "targets": [_target(manifest, target, archives or {}) for target in manifest.targets],
    }


def _target(manifest: Manifest, target: TargetEntry, archives: Mapping[str, str]) -> dict[str, Any]:
    """Return the description of `target`; every file is given with its digest."""
    digests = manifest.digests()
    folders, locks, packed = {}, {}, {}
    for script in manifest.scripts:
        folders[script.name] = manifest.folder(target, script.name)
        locks[script.name] = digests[f"{folders[script.name]}/{script.name}.lock"]
        archive = archive_path(script.name, target)
        if archive in archives:
            packed[script.name] = [archive, archives[archive]]
    return {
        "folder": target.folder(),
        "folders": folders,
        "python": target.python,
        "system": target.system,
        "machine": target.machine,
        "libc": list(target.libc) if target.libc else None,
        "locks": locks,
        "uv": [target.uv, digests[target.uv]] if target.uv else None,
        "interpreter": [target.interpreter, digests[target.interpreter]]
        if target.interpreter
        else None,
        "archives": packed,
    }


def collector() -> bytes:
    """Return the program that cleans the cache of a node."""
    return join(COLLECTOR).encode()


def to_json(publication: Mapping[str, Any]) -> bytes:
    """Return the bytes of publication.json for the description `publication`."""
    return (json.dumps(publication, indent=1) + "\n").encode()


def render(publication: Mapping[str, Any]) -> bytes:
    """Return the execution script for the description `publication`."""
    return _with_block(join(JOB), publication)


def _with_block(program: str, publication: Mapping[str, Any]) -> bytes:
    """Return `program` with the description `publication` in its marked block."""
    block = f"PUBLICATION = {pprint.pformat(publication, width=_WIDTH - 14, sort_dicts=False)}\n"
    # Some evaluators read scripts in the encoding of the locale, so only ASCII is safe.
    ascii_block = block.encode("ascii", "backslashreplace").decode()
    return _BLOCK.sub(lambda _: ascii_block, program, count=1).encode()


def render_run(publication: Mapping[str, Any]) -> bytes:
    """Return run.py for the description `publication`."""
    return _loaded(_with_block(join(DIRECT), publication))


def render_batch(publication: Mapping[str, Any]) -> bytes:
    """Return the program for nodes of batch systems for the description `publication`."""
    return _loaded(_with_block(join(BATCH), publication))


def _loaded(program: bytes) -> bytes:
    """Return `program` in a loader that lets no file next to it become one of its modules."""
    text = program.decode()
    assert "'''" not in text  # noqa: S101 - it would end the string
    return _LOADER.replace("{program}", text).encode()


def render_shell(publication: Mapping[str, Any]) -> bytes:
    """Return run.sh for the description `publication`: with the Pythons that it includes for Linux."""
    lines = []
    for target in publication["targets"]:
        if target["system"] != "Linux" or not target["interpreter"]:
            continue
        path, sha256 = target["interpreter"]
        libc, _, minor = target["libc"]
        lines.append(f"{target['machine']} {libc} {minor} {sha256} {path}")
    text = files("bundler").joinpath("templates/run.sh").read_text(encoding="utf-8")
    return text.replace("@PYTHONS@", "\n".join(lines)).encode()


def stating(exec_script: bytes, approved: Sequence[Approval]) -> bytes:
    """Return `exec_script` of a publication whose signatures were checked, so that it logs who signed what."""
    text = "; ".join(
        f"{entry.signer} on {entry.signed}, manifest {entry.manifest}" for entry in approved
    )
    return exec_script.replace(
        _UNSTATED, b" 'approved': " + repr(text).encode("ascii", "backslashreplace") + b",\n", 1
    )


def archive_path(script: str, target: TargetEntry) -> str:
    """Return the path of the archive for `script` on `target` in a publication."""
    return f"{ARCHIVES}{target.name}/{script}.tar.gz"
