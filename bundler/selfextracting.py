"""Shell programs with an archive at their end, which they verify and unpack."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files as resources
from pathlib import Path

from wheelhouse import files


def write_shell(template: str, values: Mapping[str, str], archive: Path, path: Path) -> None:
    """Write the shell program `path` from the file `template` with `values`, and the contents of `archive` at its end.

    `{verify}` stands for the functions in `verify.sh`, `{sha256}` and `{offset}` for the digest of the archive and the
    place of its first byte, counted from 1. Raises `FileError`.
    """
    templates = resources("bundler") / "templates"
    text = (templates / template).read_text(encoding="utf-8")
    verify = (templates / "verify.sh").read_text(encoding="utf-8").rstrip()
    text = text.replace("{verify}", verify)
    for name, value in {**values, "sha256": files.sha256(archive)}.items():
        text = text.replace(f"{{{name}}}", value)
    # The offset is part of the text whose length it states.
    offset = len(text.encode()) - len("{offset}") + 1
    offset += len(str(offset + len(str(offset))))
    with files.explained(path), path.open("xb") as out, archive.open("rb") as source:
        out.write(text.replace("{offset}", str(offset)).encode())
        while data := source.read(files.CHUNK):
            out.write(data)
    path.chmod(0o755)
