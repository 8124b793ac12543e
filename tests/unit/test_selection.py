from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from packaging.pylock import Pylock

from wheelhouse import toml
from wheelhouse.build.builder import Builder
from wheelhouse.errors import LockError, NoWheelsError, WheelhouseError
from wheelhouse.resolve.resolution import Resolution
from wheelhouse.select import node_lock, selection
from wheelhouse.select.selection import Pin
from wheelhouse.target import Target, parse_platform

BUILDER = Builder(cache=Path("unused"))
_DIGEST = {"sha256": "0" * 64}


def wheel(filename: str, **more: Any) -> dict[str, Any]:
    return {"url": f"https://x.test/{filename}", "hashes": _DIGEST, **more}


def resolution(*packages: dict[str, Any], requires_python: str = ">=3.9") -> Resolution:
    tables = {
        "lock-version": "1.0",
        "created-by": "uv",
        "requires-python": requires_python,
        "packages": list(packages),
    }
    return Resolution(subject="solve.py", pylock=Pylock.from_dict(tables), locked=True, base=Path())


def package(
    name: str, *wheels: dict[str, Any], version: str = "1.0", **more: Any
) -> dict[str, Any]:
    tables = {"name": name, "version": version, **more}
    return {**tables, "wheels": list(wheels)} if wheels else tables


def target(python: str = "3.12", platform: str = "x86_64-manylinux_2_28") -> Target:
    return Target(python=python, platform=parse_platform(platform))


def chosen(found: Resolution, at: Target) -> list[str]:
    return [node_lock.requirement(pin) for pin in selection.select(found, at, BUILDER).pins]


def sdist(name: str = "alpha") -> dict[str, Any]:
    return {"url": f"https://x.test/{name}-1.0.tar.gz", "hashes": _DIGEST}


def test_a_target_takes_the_best_wheel_that_fits_it() -> None:
    found = resolution(
        package(
            "alpha",
            *(
                wheel(f"alpha-1.0-cp312-cp312-{tag}.whl")
                for tag in (
                    "manylinux_2_17_x86_64",
                    "manylinux_2_28_x86_64",
                    "manylinux_2_34_x86_64",
                    "win_amd64",
                )
            ),
        )
    )
    for platform, tag in (
        ("x86_64-manylinux_2_28", "manylinux_2_28_x86_64"),
        ("x86_64-manylinux2014", "manylinux_2_17_x86_64"),
        ("windows", "win_amd64"),
    ):
        (pin,) = selection.select(found, target(platform=platform), BUILDER).pins
        assert pin.wheel.filename == f"alpha-1.0-cp312-cp312-{tag}.whl"


def test_markers_are_those_of_the_target_and_not_of_this_machine() -> None:
    found = resolution(
        package("click", wheel("click-1.0-py3-none-any.whl")),
        package(
            "colorama", wheel("colorama-1.0-py3-none-any.whl"), marker="sys_platform == 'win32'"
        ),
    )
    assert chosen(found, target()) == ["click==1.0"]
    assert chosen(found, target(platform="windows")) == ["click==1.0", "colorama==1.0"]


def test_what_only_some_patch_releases_need_is_taken_with_its_marker() -> None:
    found = resolution(
        package(
            "timeout",
            wheel("timeout-1.0-py3-none-any.whl"),
            marker="python_full_version < '3.11.3'",
        )
    )
    assert chosen(found, target("3.11")) == ['timeout==1.0 ; python_full_version < "3.11.3"']
    assert chosen(found, target("3.11.2")) == ["timeout==1.0"]
    assert chosen(found, target("3.11.7")) == []
    assert chosen(found, target("3.12")) == []


def test_what_only_patch_releases_in_the_middle_need_is_taken_too() -> None:
    found = resolution(
        *(
            package(
                "fork", wheel(f"fork-{version}-py3-none-any.whl"), version=version, marker=marker
            )
            for version, marker in (
                ("1.0", "python_full_version < '3.11.3'"),
                ("2.0", "python_full_version >= '3.11.3' and python_full_version < '3.11.8'"),
                ("3.0", "python_full_version >= '3.11.8'"),
            )
        )
    )
    assert [requirement.split(" ;")[0] for requirement in chosen(found, target("3.11"))] == [
        "fork==1.0",
        "fork==2.0",
        "fork==3.0",
    ]
    assert [requirement.split(" ;")[0] for requirement in chosen(found, target("3.11.7"))] == [
        "fork==2.0"
    ]


def test_what_hangs_on_the_kernel_of_a_node_is_refused() -> None:
    found = resolution(
        package("alpha", wheel("alpha-1.0-py3-none-any.whl"), marker="platform_release >= '5'")
    )
    with pytest.raises(LockError, match="depends on the kernel of the node"):
        chosen(found, target())


def test_forks_of_one_package_go_to_the_pythons_they_are_for() -> None:
    found = resolution(
        package(
            "alpha", wheel("alpha-1.0-py3-none-any.whl"), marker="python_full_version < '3.11'"
        ),
        package(
            "alpha",
            wheel("alpha-2.0-py3-none-any.whl"),
            version="2.0",
            marker="python_full_version >= '3.11'",
        ),
    )
    assert chosen(found, target("3.10")) == ["alpha==1.0"]
    assert chosen(found, target("3.12")) == ["alpha==2.0"]


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ([], "only a source distribution is published"),
        (
            ["cp312-cp312-manylinux_2_34_x86_64", "cp312-cp312-manylinux_2_35_x86_64"],
            r"its wheels need glibc 2\.34",
        ),
        (["cp310-cp310-manylinux_2_17_x86_64"], r"no wheel for Python 3\.12, only for cp310"),
        (["cp312-cp312-win_amd64"], "no wheel for this platform, only for win_amd64"),
        (
            ["cp312-cp312-manylinux_2_17_aarch64"],
            "no wheel for this platform, only for manylinux_2_17_aarch64",
        ),
    ],
)
def test_a_package_without_a_fitting_wheel_is_named_with_the_reason(
    tags: list[str], reason: str
) -> None:
    found = resolution(
        package("alpha", *(wheel(f"alpha-1.0-{tag}.whl") for tag in tags), sdist=sdist())
    )
    with pytest.raises(NoWheelsError, match=rf"alpha 1\.0   {reason}"):
        chosen(found, target())


def test_a_wheel_without_a_source_distribution_behind_it_is_missed_in_the_same_words() -> None:
    with pytest.raises(NoWheelsError, match="win_amd64"):
        chosen(resolution(package("alpha", wheel("alpha-1.0-cp312-cp312-win_amd64.whl"))), target())


def test_all_packages_without_a_wheel_are_named_at_once() -> None:
    found = resolution(
        package("alpha", sdist=sdist()),
        package("beta", sdist=sdist("beta")),
        package("good", wheel("good-1.0-py3-none-any.whl")),
    )
    with pytest.raises(
        NoWheelsError, match="no wheel of 2 packages fits Python 3.12 on x86_64-manylinux_2_28"
    ) as caught:
        chosen(found, target())
    assert [misfit.project for misfit in caught.value.misfits] == ["alpha", "beta"]


def test_a_python_that_the_script_does_not_allow_is_refused() -> None:
    with pytest.raises(WheelhouseError, match=r"requires-python >=3\.13 excludes Python 3\.12"):
        chosen(resolution(requires_python=">=3.13"), target())


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (
            package("alpha", vcs={"type": "hg", "url": "https://x.test/a", "commit-id": "1" * 40}),
            "is not a git commit",
        ),
        (package("alpha", directory={"path": "nowhere"}), "No such file"),
        (
            package("alpha", wheel("alpha-1.0-py3-none-any.whl", hashes={"md5": "0" * 31})),
            "is not a digest of md5",
        ),
    ],
)
def test_what_cannot_be_carried_is_refused(package: dict[str, Any], words: str) -> None:
    with pytest.raises(LockError, match=words):
        chosen(resolution(package), target())


def test_a_wheel_given_by_url_is_taken() -> None:
    found = resolution(
        package(
            "alpha", archive={"url": "https://x.test/alpha-1.0-py3-none-any.whl", "hashes": _DIGEST}
        )
    )
    assert chosen(found, target()) == ["alpha==1.0"]


def test_the_lock_of_a_target_is_a_valid_pylock_that_selects_the_same_wheels() -> None:
    found = resolution(
        package("alpha", wheel("alpha-1.0-py3-none-any.whl", size=7)),
        package(
            "timeout",
            wheel("timeout-1.0-py3-none-any.whl"),
            marker="python_full_version < '3.11.3'",
        ),
    )
    pins = selection.select(found, target("3.11"), BUILDER).pins
    again = Pylock.from_dict(toml.loads(node_lock.target_pylock(pins, "../../wheels").decode()))
    (environment,) = target("3.11.0").environments(found.requires_python)
    selected = [
        source for _, source in again.select(environment=environment, tags=target("3.11").tags)
    ]
    assert [getattr(source, "path", None) for source in selected] == [
        f"../../wheels/{pin.wheel.filename}" for pin in pins
    ]
    assert isinstance(pins[0], Pin)


def test_a_pypy_that_may_have_one_abi_or_another_is_to_be_named_more_exactly() -> None:
    found = resolution(package("alpha", wheel("alpha-1.0-pp311-pypy311_pp73-win_amd64.whl")))
    with pytest.raises(
        NoWheelsError,
        match=r"fit some releases of this Python only; choose one, such as pypy3\.11\.15",
    ):
        chosen(found, target("pypy3.11", "windows"))
    assert chosen(found, target("pypy3.11.15", "windows"))


def test_a_free_threaded_python_takes_none_of_the_wheels_for_a_global_lock() -> None:
    ours, others = (
        wheel("alpha-1.0-cp313-cp313t-win_amd64.whl"),
        wheel("alpha-1.0-cp313-cp313-win_amd64.whl"),
    )
    (pin,) = selection.select(
        resolution(package("alpha", others, ours)), target("3.13t", "windows"), BUILDER
    ).pins
    assert pin.wheel.filename == "alpha-1.0-cp313-cp313t-win_amd64.whl"
    with pytest.raises(NoWheelsError, match=r"no wheel for Python 3\.13t, only for cp313"):
        chosen(resolution(package("alpha", others)), target("3.13t", "windows"))
