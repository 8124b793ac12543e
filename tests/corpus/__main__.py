"""Bundles every script of the corpus for two targets, compares with what uv installs, and runs it with no network.

    python -m tests.corpus [NAME...]

Over the real package index. Each script is bundled for this machine and for another platform; the packages of each
target are compared with those that uv itself would install there from its own lock; then the script, which imports
each of its top-level modules, is run here in a rehearsal. Its bill of materials must be valid and list exactly the wheels
of the manifest. Prints a table; exits with 1 if any row differs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

CORPUS = Path(__file__).parent
BIN = Path(sys.executable).parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = ("3.12", "windows")
AT_ONCE = 2
# No minor release of CPython has had as many patch releases as the second.
FIRST_AND_LAST = (0, 39)
# What must be built here has no wheel for another platform.
BUILDS = {"sdist_pure": "docopt", "sdist_needs_compiler": "mmh3"}
HERE_ONLY = {"sdist_needs_compiler"}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command; one that takes ten minutes has failed."""
    # Not pip's indexes, which uv knows nothing of: both sides are to ask the same ones.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PIP_")}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "UV_PYTHON_DOWNLOADS": "never"}
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def by_uv(script: Path, folder: Path, python: str, platform: str) -> set[str] | None:
    """Return name==version of what uv itself would install for a target, from its own universal lock.

    A target is for every patch release of its Python, so uv is asked about the first and about one that is far off.
    None where uv cannot install what it has locked: its lock knows nothing of glibc and of processors.
    """
    lock = folder / "pylock.toml"
    if not lock.exists():
        export: list[str | Path] = [
            BIN / "uv",
            "export",
            "--quiet",
            "--script",
            script,
            "--format",
            "pylock.toml",
            "-o",
            lock,
        ]
        done = run(*export, cwd=folder)
        if done.returncode:
            raise RuntimeError(done.stderr.splitlines()[0])
    found: set[str] = set()
    for patch in FIRST_AND_LAST:
        install: list[str | Path] = [BIN / "uv", "pip", "install", "--dry-run", "--no-deps"]
        install += ["--target", folder / f"empty-{platform}"]
        options: list[str | Path] = [
            "--python-version",
            f"{python}.{patch}",
            "--python-platform",
            platform,
        ]
        done = run(*install, *options, "--requirements", lock, cwd=folder)
        if done.returncode:
            return None
        found |= set(re.findall(r"^ \+ (\S+==\S+)$", done.stderr, re.MULTILINE))
    return found


def differences(bundle: Path, platform: str, uvs: set[str] | None) -> list[str]:
    """Return what one side would install and the other would not."""
    return [] if uvs is None else sorted(chosen(bundle, platform) ^ uvs)


def sbom_faults(bundle: Path) -> list[str]:
    """Return what is wrong with the bill of materials of a bundle."""
    files = json.loads((bundle / "manifest.json").read_bytes())["files"]
    listed = {
        entry["path"][7:]: entry["sha256"] for entry in files if entry["path"].startswith("wheels/")
    }
    faults = []
    for path in (bundle / "sbom").iterdir():
        text = path.read_text()
        fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
        stated = {
            item["bom-ref"]: item["hashes"][0]["content"]
            for item in json.loads(text).get("components", [])
        }
        faults += [f"invalid bill: {fault}"] if fault else []
        faults += [] if stated == listed else ["the bill lists other wheels"]
    return faults


def target_platform(bundle: Path) -> str:
    """Return the platform of this machine as the bundle names it."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    return str(
        next(target["platform"] for target in manifest["targets"] if target["system"] != "Windows")
    )


def chosen(bundle: Path, platform: str) -> set[str]:
    """Return name==version of what a target of `bundle` installs."""
    done = run(BIN / "bundler", "inspect", bundle, "--json", cwd=bundle.parent)
    target = next(
        each for each in json.loads(done.stdout)["targets"] if each["platform"].startswith(platform)
    )
    return {f"{wheel['project']}=={wheel['version']}" for wheel in target["wheels"]}


def bundle_and_run(script: Path) -> tuple[str, list[str], bool]:
    """Return the name of a script, the cells of its row, and whether all was as it should be."""
    started = time.monotonic()
    command: list[str | Path]
    build = ["--build", BUILDS[script.stem]] if script.stem in BUILDS else []
    with tempfile.TemporaryDirectory(prefix="corpus-") as scratch:
        folder = Path(scratch)
        try:
            bundle = folder / "x.bundle"
            command = [BIN / "bundle", script, "-o", bundle, "--python", PYTHON, "--sbom", *build]
            done = run(*command, cwd=folder)
            if done.returncode:
                return (
                    script.stem,
                    ["not bundled", done.stderr.strip().splitlines()[-1][:90]],
                    False,
                )
            here = target_platform(bundle)
            uvs = by_uv(script, folder, PYTHON, here)
            differs = differences(bundle, here, uvs) + sbom_faults(bundle)
            count, size = (
                len(list((bundle / "wheels").iterdir())),
                sum(f.stat().st_size for f in bundle.rglob("*")),
            )
            if script.stem not in HERE_ONLY:
                other = folder / "other.bundle"
                command = [
                    BIN / "bundle",
                    script,
                    "-o",
                    other,
                    "--python",
                    OTHER[0],
                    "--platform",
                    OTHER[1],
                    *build,
                ]
                done = run(*command, cwd=folder)
                if done.returncode:
                    return (
                        script.stem,
                        ["not for windows", done.stderr.strip().splitlines()[1][:90]],
                        False,
                    )
                differs += differences(
                    other, "x86_64-pc-windows-msvc", by_uv(script, folder, *OTHER)
                )
            publication = run(
                BIN / "publish-index", folder / "share", bundle, cwd=folder
            ).stdout.strip()
            job = run(BIN / "bundler", "rehearse", publication, "-o", folder / "task", cwd=folder)
            ran = "imported" in job.stderr and job.returncode == 0
            words = "" if ran else job.stderr.strip().splitlines()[-2][:90]
            cells = [
                f"{count:3} wheels",
                f"{size / 1e6:6.1f} MB",
                ("as uv" if uvs is not None else "uv cannot")
                if not differs
                else f"differs: {differs}",
            ]
            cells += [
                "runs" if ran else f"does not run: {words}",
                f"{time.monotonic() - started:5.1f} s",
            ]
        except (
            RuntimeError,
            subprocess.TimeoutExpired,
            StopIteration,
            ValueError,
            IndexError,
        ) as fault:
            return script.stem, [f"{type(fault).__name__}: {str(fault)[:100]}"], False
        return script.stem, cells, ran and not differs


def main() -> int:
    """Print the table."""
    names = sys.argv[1:]
    scripts = sorted(path for path in CORPUS.glob("*.py") if not path.stem.startswith("__"))
    scripts = [path for path in scripts if not names or path.stem in names]
    bad = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, cells, good in pool.map(bundle_and_run, scripts):
            bad += not good
            print(f"{' ' if good else '!'} {name:22} {'   '.join(cells)}", flush=True)
    print(f"{len(scripts)} scripts, {bad} with differences")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
