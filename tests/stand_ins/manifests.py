"""Manifests of small bundles."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from bundler.layout import script_files, script_folder
from bundler.manifest import File, Manifest, ScriptEntry, TargetEntry

_A, _B = "a" * 64, "b" * 64

# Characters that change the direction of text, and separators of lines.
_DIRECTIONS = "".join(map(chr, (0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))))
# What a script may be called on any system.
SCRIPT_NAMES = st.text(
    alphabet=st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=f"/\\{_DIRECTIONS}"),
    min_size=1,
).filter(lambda name: name not in (".", "..") and not re.match("[A-Za-z]:", name))


def manifest(script: str = "solve.py", wheel: str = "alpha-1.0-py3-none-any.whl") -> Manifest:
    target = TargetEntry(
        name="3.12-x86_64-manylinux_2_28",
        python="3.12",
        platform="x86_64-manylinux_2_28",
        system="Linux",
        machine="x86_64",
        libc=("glibc", 2, 28),
        wheels={script: (wheel,)},
    )
    folder = f"targets/{target.name}/{script_folder(script)}"
    files = (
        File(path=f"{folder}/{script}", size=1, sha256=_A),
        File(path=f"{folder}/{script}.lock", size=1, sha256=_B),
        File(path=f"{folder}/{script_files(script)[2]}", size=1, sha256=_B),
        File(path=f"wheels/{wheel}", size=1, sha256=_B, origin="https://x.test/a.whl"),
    )
    entry = ScriptEntry(name=script, sha256=_A, requires_python=">=3.9", dependencies=("alpha",))
    return Manifest(
        name="solve",
        scripts=(entry,),
        targets=(target,),
        files=tuple(sorted(files, key=lambda file: file.path)),
    )
