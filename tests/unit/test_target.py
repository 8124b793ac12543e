from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from packaging import tags
from packaging.markers import default_environment
from packaging.specifiers import SpecifierSet

from wheelhouse.errors import WheelhouseError
from wheelhouse.resolve.uv import executable
from wheelhouse.target import PLATFORMS, Target, parse_platform, this_platform


def target(python: str = "3.12", name: str = "x86_64-manylinux_2_28") -> Target:
    return Target(python=python, platform=parse_platform(name))


def test_the_tags_of_this_machine_are_those_that_packaging_finds_here() -> None:
    here = Target(
        python=f"{sys.version_info.major}.{sys.version_info.minor}", platform=this_platform()
    )
    # glibc here may be newer than any that uv has a name for, and uv ranks the unversioned linux tag last.
    known = {tag.platform for tag in here.tags}
    real = [
        tag
        for tag in tags.sys_tags()
        if tag.platform in known and not tag.platform.startswith("linux_")
    ]
    assert [tag for tag in here.tags if not tag.platform.startswith("linux_")] == real
    assert here.tags[-1].platform == "any"


def test_the_markers_of_this_machine_are_those_that_python_reports() -> None:
    here = Target(python=platform.python_version(), platform=this_platform())
    (environment,) = here.environments(SpecifierSet())
    real = default_environment()
    unknowable = {"platform_release", "platform_version"}
    assert {k: v for k, v in environment.items() if k not in unknowable} == {
        k: v for k, v in real.items() if k not in unknowable
    }


@pytest.mark.parametrize(
    ("name", "first", "holds", "lacks"),
    [
        (
            "x86_64-manylinux_2_28",
            "manylinux_2_28_x86_64",
            "manylinux2014_x86_64",
            "manylinux_2_31_x86_64",
        ),
        (
            "x86_64-manylinux2014",
            "manylinux_2_17_x86_64",
            "manylinux1_x86_64",
            "manylinux_2_28_x86_64",
        ),
        (
            "aarch64-manylinux_2_28",
            "manylinux_2_28_aarch64",
            "manylinux2014_aarch64",
            "manylinux2010_aarch64",
        ),
        (
            "x86_64-unknown-linux-musl",
            "musllinux_1_2_x86_64",
            "musllinux_1_1_x86_64",
            "manylinux_2_17_x86_64",
        ),
        ("windows", "win_amd64", "win_amd64", "win32"),
        ("aarch64-pc-windows-msvc", "win_arm64", "win_arm64", "win_amd64"),
        ("macos", "macosx_13_0_arm64", "macosx_11_0_universal2", "macosx_14_0_arm64"),
        ("x86_64-apple-darwin", "macosx_13_0_x86_64", "macosx_10_9_x86_64", "macosx_11_0_arm64"),
    ],
)
def test_a_platform_stands_for_its_tags(name: str, first: str, holds: str, lacks: str) -> None:
    platforms = [tag.platform for tag in target(name=name).tags]
    assert platforms[0] == first
    assert holds in platforms
    assert lacks not in platforms


def test_a_target_takes_the_wheels_of_its_python_and_the_stable_abi_of_older_ones() -> None:
    found = {(tag.interpreter, tag.abi) for tag in target("3.12").tags}
    assert {("cp312", "cp312"), ("cp39", "abi3"), ("py3", "none")} <= found
    assert not {("cp313", "cp313"), ("cp312", "cp312t"), ("cp313", "abi3")} & found


def test_aliases_mean_what_uv_says_they_mean() -> None:
    assert (
        parse_platform("linux")
        == parse_platform("x86_64-unknown-linux-gnu")
        == PLATFORMS["x86_64-manylinux_2_28"]
    )
    assert parse_platform("aarch64-manylinux2014").libc == ("glibc", 2, 17)


def test_markers_of_foreign_platforms_are_those_of_that_platform() -> None:
    (windows,) = target("3.12.1", "windows").environments(SpecifierSet())
    assert (windows["os_name"], windows["sys_platform"], windows["platform_machine"]) == (
        "nt",
        "win32",
        "AMD64",
    )
    (macos,) = target("3.12.1", "macos").environments(SpecifierSet())
    assert (macos["platform_system"], macos["platform_machine"]) == ("Darwin", "arm64")


@pytest.mark.parametrize(
    ("python", "requires", "versions"),
    [
        ("3.12", "", ["3.12.0", "3.12.39"]),
        ("3.12", ">=3.12.4", ["3.12.4", "3.12.39"]),
        ("3.12", "==3.12", ["3.12.0", "3.12.39"]),
        ("3.12", ">=3.13", []),
        ("3.12.4", ">=3.10", ["3.12.4"]),
        ("3.12.4", ">=3.12.5", []),
    ],
)
def test_a_minor_version_stands_for_the_patches_that_the_script_allows(
    python: str, requires: str, versions: list[str]
) -> None:
    found = [
        environment["python_full_version"]
        for environment in target(python).environments(SpecifierSet(requires))
    ]
    assert [*found[:1], *found[-1:]][: len(found)] == versions


@pytest.mark.parametrize(
    ("name", "near"),
    [("x86_64-manylinux2_28", "x86_64-manylinux_2_28"), ("Window", "windows"), ("solaris", "")],
)
def test_an_unknown_platform_is_refused_with_those_that_are_spelled_like_it(
    name: str, near: str
) -> None:
    with pytest.raises(
        WheelhouseError, match=f"did you mean {near}" if near else "hint: use one of uv's names"
    ):
        parse_platform(name)


def interpreters() -> list[str]:
    """Every Python of this machine that packaging runs on."""
    listing = ["python", "list", "--only-installed", "--offline", "--output-format", "json"]
    done = subprocess.run([executable(), *listing], capture_output=True, text=True, check=True)
    found = {
        entry["key"]: entry["path"]
        for entry in json.loads(done.stdout)
        if entry["version_parts"]["minor"] >= 9
    }
    managed = Path(sys.base_prefix).parent.glob(
        "3.*/bin/python3"
    )  # beside this one, where a manager keeps them
    return sorted({*found.values(), *map(str, managed), sys.executable})


ASK = """
import json, platform, sys
sys.path.insert(0, sys.argv[1])
from packaging import markers, tags
import sysconfig
pypy, threads = sys.implementation.name == "pypy", sysconfig.get_config_var("Py_GIL_DISABLED")
spelled = "pypy" * pypy + platform.python_version() + "t" * bool(threads)
print(json.dumps([spelled, markers.default_environment(), [str(tag) for tag in tags.sys_tags()]]))
"""


@pytest.mark.parametrize("interpreter", interpreters())
def test_tags_and_markers_are_those_that_a_real_interpreter_reports(
    interpreter: str, tmp_path: Path
) -> None:
    (tmp_path / "packaging").symlink_to(Path(tags.__file__).parent)
    done = subprocess.run(
        [interpreter, "-I", "-c", ASK, tmp_path], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"{interpreter} does not run packaging")
    python, environment, real = json.loads(done.stdout)
    here = Target(python=python, platform=this_platform())
    found = [str(tag) for tag in here.tags]
    known = set(found)
    # glibc here may be newer than any that uv has a name for, and uv ranks the unversioned linux tag last.
    assert [tag for tag in found if "-linux_" not in tag] == [
        tag for tag in real if tag in known and "-linux_" not in tag
    ]
    assert {tag for tag in real if tag not in known} <= {
        tag for tag in real if "linux_2_" in tag or tag.endswith("-linux_x86_64")
    }
    (ours,) = here.environments(SpecifierSet())
    unknowable = {
        "platform_release",
        "platform_version",
        *(["implementation_version"] if "pypy" in python else []),
    }
    assert {k: v for k, v in ours.items() if k not in unknowable} == {
        k: v for k, v in environment.items() if k not in unknowable
    }
