"""A machine with a shell, coreutils, gzip and tar, and nothing else: a folder that becomes the root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path

from tests.stand_ins.nodes import allowed
from tests.stand_ins.wheels import make_wheel

PROGRAMS = (
    *(
        "basename",
        "cat",
        "chmod",
        "cut",
        "dirname",
        "head",
        "ls",
        "mkdir",
        "mv",
        "pwd",
        "readlink",
        "rm",
        "rmdir",
        "sha256sum",
    ),
    *("sha256sum", "sh", "tail", "true", "uname", "gzip", "tar"),
)
# Root could read what another user of that machine could not, and would hide it.
_OTHER_USER = 1000
_ISOLATED = (
    ("unshare", "-n", f"--setuid={_OTHER_USER}", f"--setgid={_OTHER_USER}")
    if os.geteuid() == 0
    else ("unshare", "-rn")
)
POSSIBLE = allowed(*_ISOLATED, "--root=/", "true")


def libraries(path: Path) -> set[str]:
    """Return the shared libraries that the program or library `path` needs."""
    text = subprocess.run(
        ["ldd", path], capture_output=True, text=True, check=False, timeout=60
    ).stdout
    return set(re.findall(r"(?:=> |^\s+)(/\S+) \(", text, re.MULTILINE))


def make_root(root: Path, python: Path) -> None:
    """Create the machine in `root`, with the system libraries that the Python installed at `python` needs."""
    for name in ("bin", "dev", "etc", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "dev" / "null").touch()
    needed: set[str] = set()
    for name in PROGRAMS:
        program = Path(shutil.which(name) or "").resolve()
        shutil.copy(program, root / "bin" / name)
        needed |= libraries(program)
    for module in [python / "bin" / "python3", *python.glob("lib/python3.*/lib-dynload/*.so")]:
        needed |= libraries(module)
    for library in needed:
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def run(root: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run the shell command `command` on the machine, without network, as a user to whom all of it belongs."""
    if os.geteuid() == 0:
        for path in [root, *root.rglob("*")]:
            os.chown(path, _OTHER_USER, _OTHER_USER, follow_symlinks=False)
    return subprocess.run(
        [*_ISOLATED, f"--root={root}", "/bin/sh", "-ec", command],
        env={"PATH": "/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def wheel_of(name: str) -> tuple[str, bytes]:
    """Return the file name and bytes of a wheel of the installed package `name`."""

    package = distribution(name)
    tags = re.findall(r"^Tag: (.+)$", package.read_text("WHEEL") or "", re.MULTILINE)
    contents = {
        file.as_posix(): Path(str(file.locate())).read_bytes()
        for file in package.files or ()
        if not file.as_posix().startswith("..")
        and ".dist-info/" not in file.as_posix()
        and file.suffix != ".pyc"
    }
    requires = [
        line
        for line in package.requires or ()
        if "extra ==" not in line.replace("'", "").replace('"', "")
    ]
    tag = "-".join(
        ".".join(dict.fromkeys(parts))
        for parts in zip(*(tag.split("-") for tag in tags), strict=True)
    )
    return make_wheel(
        package.metadata["Name"], package.version, tag=tag, requires=requires, files=contents
    )
