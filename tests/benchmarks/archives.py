"""Packing and unpacking archives against GNU tar and sha256sum, deltas, compression and memory.

    python -m tests.benchmarks.archives [ROUNDS] [GIGABYTES]

The bundle of twelve targets comes from the real index; the large one, for the memory, has a wheel that is a hole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.layout import MANIFEST, SUMS, sums
from bundler.manifest_reader import read_manifest
from tests.benchmarks.bundling import BIN, CASES
from tests.stand_ins.wheels import make_wheel
from wheelhouse.files import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHECK = "sha256sum --check --quiet --strict SHA256SUMS"


def timed(command: str, cwd: Path) -> tuple[float, int]:
    """Run the shell command `command`; return wall seconds and the largest resident size of its processes, in bytes."""
    started = time.perf_counter()
    with subprocess.Popen(
        ["bash", "-ec", f"set -o pipefail; {command}"], cwd=cwd, stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: {command}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def in_turn(
    ways: dict[str, str], folder: Path, rounds: int, clear: Sequence[str] = ()
) -> dict[str, float]:
    """Run `ways` in turn, `rounds` times, without the paths `clear`; return the median seconds of each."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, command in ways.items():
            for name in clear:
                subprocess.run(["rm", "-rf", folder / name], check=True)
            subprocess.run(["sync"], check=True)
            seconds[way].append(timed(command, folder)[0])
    return {way: statistics.median(values) for way, values in seconds.items()}


def show(title: str, seconds: dict[str, float]) -> None:
    """Print the seconds of each way and their ratio to the first."""
    print(f"\n{title}")
    first = next(iter(seconds.values()))
    for way, value in seconds.items():
        print(f"  {way:44} {value:7.2f} s  {value / first:5.2f}")


def make_large(folder: Path, size: int) -> Path:
    """Make a bundle with a wheel of `size` bytes, all of them zero."""
    wheels = folder / "wheels"
    wheels.mkdir()
    name, data = make_wheel("alpha")
    (wheels / name).write_bytes(data)
    lines = [
        "dependencies = ['alpha']",
        "[tool.uv]",
        "no-index = true",
        f"find-links = ['{wheels}']",
    ]
    (folder / "large.py").write_text(
        "# /// script\n" + "".join(f"# {line}\n" for line in lines) + "# ///\n"
    )
    subprocess.run(
        [BIN / "bundle", "large.py", "-q"], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    bundle = folder / "large.bundle"
    (wheel,) = (bundle / "wheels").iterdir()
    os.truncate(wheel, 0)
    os.truncate(wheel, size)
    digest = subprocess.run(
        ["sha256sum", wheel], check=True, capture_output=True, text=True
    ).stdout.split()[0]
    old = hashlib.sha256(data).hexdigest()
    manifest = read_manifest(bundle)
    files = []
    for file in manifest.files:
        path = bundle / file.path
        if path != wheel:
            text = path.read_bytes().replace(old.encode(), digest.encode())
            path.write_bytes(
                text.replace(f"size = {len(data)}".encode(), f"size = {size}".encode())
            )
            digest_of, length = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
        else:
            digest_of, length = digest, size
        files.append(replace(file, sha256=digest_of, size=length))
    text = replace(manifest, files=tuple(files)).to_json()
    (bundle / MANIFEST).write_bytes(text)
    digests = {file.path: file.sha256 for file in files}
    (bundle / SUMS).write_bytes(sums({MANIFEST: hashlib.sha256(text).hexdigest(), **digests}))
    return bundle


def main() -> None:
    """Measure and print the tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    size = int(float(sys.argv[2] if len(sys.argv) > 2 else 2) * 1e9)
    bundler = f"{BIN}/bundler"
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("BENCH_DIR")) as scratch:
        folder = Path(scratch)
        case = CASES[1]
        script = case.script(folder)
        command: list[str | Path] = [
            BIN / "bundle",
            script,
            "-q",
            "-o",
            folder / "case.bundle",
            *case.options(),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        bytes_of = sum(
            path.stat().st_size for path in (folder / "case.bundle").rglob("*") if path.is_file()
        )
        print(f"Bundle of {case.name}: {bytes_of / 1e6:.1f} MB")
        packing = {
            "sha256sum --check, tar --create": f"(cd case.bundle; {_CHECK}); tar -cf peer.tar case.bundle",
            "bundler pack": f"{bundler} pack -q case.bundle -o ours.tar",
        }
        show("Pack and verify", in_turn(packing, folder, rounds, ["peer.tar", "ours.tar"]))
        unpacking = {
            "tar --extract, sha256sum --check": f"mkdir p; tar -xf peer.tar -C p; cd p/case.bundle; {_CHECK}",
            "bundler unpack": f"{bundler} unpack -q ours.tar -o u",
        }
        subprocess.run(
            ["bash", "-ec", packing["bundler pack"] + "; tar -cf peer.tar case.bundle"],
            cwd=folder,
            check=True,
        )
        show("Unpack and verify", in_turn(unpacking, folder, rounds, ["p", "u"]))

        seconds = in_turn(
            {"zstd": f"{bundler} pack -q case.bundle -o z.tar --compress zstd"},
            folder,
            1,
            ["z.tar"],
        )
        ratio = (folder / "z.tar").stat().st_size / (folder / "ours.tar").stat().st_size
        back = in_turn({"zstd": f"{bundler} unpack -q z.tar -o z"}, folder, 1, ["z"])
        print(
            f"\nZstandard: {ratio:.1%} of the size, pack {seconds['zstd']:.1f} s, unpack {back['zstd']:.1f} s"
        )

        measure_delta(folder, bundler, bytes_of)
        shutil.rmtree(folder / "case.bundle")
        large = make_large(folder, size)
        packed = timed(f"{bundler} pack -q {large.name} -o - > /dev/null", folder)
        piped = timed(
            f"{bundler} pack -q {large.name} -o - | {bundler} unpack -q - -o large", folder
        )
        print(f"\nBundle of {size / 1e9:g} GB")
        for text, (seconds_of, memory) in {"pack": packed, "pack | unpack": piped}.items():
            print(
                f"  {text:15} {seconds_of:6.1f} s  {size / seconds_of / 1e6:6.0f} MB/s  {memory / 1e6:5.0f} MB at most"
            )


def measure_delta(folder: Path, bundler: str, bytes_of: int) -> None:
    """Print the size of a delta after one requirement was added."""
    new: Callable[[], set[Path]] = lambda: set((folder / "case.bundle" / "wheels").iterdir())  # noqa: E731 - used twice
    before = new()
    subprocess.run(["cp", "-r", folder / "case.bundle", folder / "old.bundle"], check=True)
    case = replace(CASES[1], requirements=[*CASES[1].requirements, "pyyaml"])
    case.script(folder)
    command: list[str | Path] = [
        BIN / "bundle",
        folder / "case.py",
        "-q",
        "-o",
        folder / "case.bundle",
        *case.options(),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    timed(f"{bundler} pack -q case.bundle -o delta.tar --since old.bundle", folder)
    # By digest: a child process would count the memory of this one at its start.
    old = {sha256(path) for path in (folder / "old.bundle").rglob("*") if path.is_file()}
    files = [
        path
        for path in (folder / "case.bundle").rglob("*")
        if path.is_file() and sha256(path) not in old
    ]
    fresh = sum(path.stat().st_size for path in files)
    delta = (folder / "delta.tar").stat().st_size
    wheels = len(new() - before)
    print(
        f"\nDelta with {wheels} new wheels: {delta / 1e6:.2f} MB of {bytes_of / 1e6:.1f} MB, ",
        end="",
    )
    print(f"{delta / fresh:.3f} times the new bytes")


if __name__ == "__main__":
    main()
