"""The execution script: a real Python file with one marked block, which is filled in here."""

from __future__ import annotations

import pprint
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bundler.manifest import Manifest

_BLOCK = re.compile(r"(?<=# <publication>\n).*(?=# </publication>\n)", re.DOTALL)
_WIDTH = 120


def render(manifest: Manifest, path: str) -> bytes:
    """Return the execution script of the publication of `manifest` that evaluators see at `path`."""
    template = files("bundler").joinpath("templates/exec_script.py").read_text(encoding="utf-8")
    block = f"PUBLICATION = {pprint.pformat(_publication(manifest, path), width=_WIDTH - 14, sort_dicts=False)}\n"
    # Some evaluators read scripts in the locale's encoding: nothing but ASCII is safe.
    ascii_block = block.encode("ascii", "backslashreplace").decode()
    return _BLOCK.sub(lambda _: ascii_block, template, count=1).encode()


def _publication(manifest: Manifest, path: str) -> dict[str, Any]:
    return {
        "path": path,
        "scripts": {script.name: script.sha256 for script in manifest.scripts},
        "targets": [
            {
                "folder": target.folder(),
                "python": target.python,
                "system": target.system,
                "machine": target.machine,
                "libc": list(target.libc) if target.libc else None,
                "locks": {
                    script.name: manifest.file(f"{target.folder()}/{script.name}.lock").sha256
                    for script in manifest.scripts
                },
            }
            for target in manifest.targets
        ],
    }
