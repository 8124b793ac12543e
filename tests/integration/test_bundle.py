"""Bundling with real uv against a local index."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import BIN, PYTHON, Workplace
from tests.stand_ins import index as faults
from tests.stand_ins.index import Index, serving
from tests.stand_ins.sources import write_source
from tests.stand_ins.wheels import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINUX = "x86_64-manylinux_2_28"


@pytest.fixture
def other() -> Iterator[Index]:
    with serving(Index()) as served:
        yield served


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def wheels(bundle: Path) -> list[str]:
    return sorted(path.name for path in (bundle / "wheels").iterdir())


def manifest(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
    return found


def test_only_the_path_of_the_bundle_is_on_standard_output(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert (done.returncode, done.stdout) == (0, "solve.bundle\n")
    assert "Bundled 1 wheel for 1 target (" in done.stderr


def test_several_targets_share_each_file_and_get_their_own_markers(workplace: Workplace) -> None:
    workplace.index.add(
        make_wheel(
            "tool",
            requires=["colors; sys_platform == 'win32'", "backport; python_version < '3.11'"],
        )
    )
    workplace.index.add(make_wheel("colors"))
    workplace.index.add(make_wheel("backport"))
    for python in ("cp310", "cp312"):
        for platform in ("manylinux_2_17_x86_64", "win_amd64"):
            workplace.index.add(make_wheel("fast", tag=f"{python}-{python}-{platform}"))
    workplace.script("solve.py", "tool", "fast", requires=">=3.10")
    done = workplace.run(
        "bundle",
        "solve.py",
        "--python",
        "3.10",
        "--python",
        "3.12",
        "--platform",
        LINUX,
        "--platform",
        "windows",
    )
    assert done.returncode == 0, done.stderr
    bundle = workplace.folder / "solve.bundle"
    assert len(wheels(bundle)) == 7
    installs = {
        target["name"]: sorted(name.split("-")[0] for name in target["wheels"]["solve.py"])
        for target in manifest(bundle)["targets"]
    }
    assert installs == {
        f"3.12-{LINUX}": ["fast", "tool"],
        f"3.10-{LINUX}": ["backport", "fast", "tool"],
        "3.12-x86_64-pc-windows-msvc": ["colors", "fast", "tool"],
        "3.10-x86_64-pc-windows-msvc": ["backport", "colors", "fast", "tool"],
    }


def test_the_same_inputs_give_the_same_bytes_and_nothing_of_this_machine(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("alpha", requires=["beta"]))
    workplace.index.add(make_wheel("beta"))
    workplace.script("solve.py", "alpha")
    one = tree(workplace.bundle("solve.py", "-o", "one"))
    two = tree(
        workplace.bundle(
            "solve.py", "-o", "two", BUNDLER_CACHE_DIR=str(workplace.folder / "other-cache")
        )
    )
    assert one == two
    for path, data in one.items():
        if not path.startswith("wheels/"):
            assert str(workplace.folder).encode() not in data, path
            assert path == "manifest.json" or b"127.0.0.1" not in data, path


def test_sha256sum_checks_a_bundle(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    bundle = workplace.bundle(workplace.script("a b.py", "alpha"))
    assert workplace.run("sha256sum", "-c", "--strict", "SHA256SUMS", cwd=bundle).returncode == 0


def test_an_up_to_date_bundle_is_left_alone_without_asking_the_index(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    before = tree(workplace.bundle("solve.py"))
    workplace.index.add(make_wheel("alpha", "2.0"))
    workplace.index.requests.clear()
    assert tree(workplace.bundle("solve.py")) == before
    assert not workplace.index.requests
    assert wheels(workplace.bundle("solve.py", "--upgrade")) == ["alpha-2.0-py3-none-any.whl"]


def test_a_damaged_bundle_is_made_anew(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    bundle = workplace.bundle("solve.py")
    before = tree(bundle)
    (bundle / "wheels" / "alpha-1.0-py3-none-any.whl").write_bytes(
        b"rot"
    )  # through the link: the cache rots with it
    assert tree(workplace.bundle("solve.py")) == before


def test_a_lock_beside_the_script_is_honoured(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha", "1.0"))
    script = workplace.script("solve.py", "alpha")
    assert workplace.run("uv", "lock", "--script", script).returncode == 0
    locked = script.with_name("solve.py.lock").read_bytes()
    workplace.index.add(make_wheel("alpha", "2.0"))
    assert wheels(workplace.bundle("solve.py")) == ["alpha-1.0-py3-none-any.whl"]
    assert script.with_name("solve.py.lock").read_bytes() == locked


def test_a_lock_that_no_longer_fits_is_refused_with_what_to_do(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.index.add(make_wheel("beta"))
    script = workplace.script("solve.py", "alpha")
    assert workplace.run("uv", "lock", "--script", script).returncode == 0
    workplace.script("solve.py", "beta")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert (done.returncode, done.stdout) == (1, "")
    assert "solve.py.lock is out of date\n" in done.stderr
    assert "hint: run `uv lock --script solve.py`, or delete the lock" in done.stderr
    assert "Remove alpha v1.0" in done.stderr
    assert "Add beta v1.0" in done.stderr


def test_a_version_whose_wheels_need_a_newer_glibc_gives_way_to_one_that_fits(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("fast", "2.0", tag="cp312-cp312-manylinux_2_34_x86_64"))
    workplace.index.add(make_wheel("fast", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64"))
    workplace.script("solve.py", "fast")
    both = ("--platform", LINUX, "--platform", "x86_64-manylinux_2_34")
    done = workplace.run("bundle", "solve.py", "--python", "3.12", *both)
    assert done.returncode == 0, done.stderr
    assert [name[:8] for name in wheels(workplace.folder / "solve.bundle")] == [
        "fast-1.0",
        "fast-2.0",
    ]


def test_resolving_again_for_a_target_keeps_to_tool_uv_of_the_script(workplace: Workplace) -> None:
    """`uv pip compile` drops `[tool.uv]` without a word unless it is called just so."""
    links = workplace.folder / "links"
    links.mkdir()
    for named in (
        make_wheel("fast", "2.0", tag="cp312-cp312-manylinux_2_34_x86_64"),
        make_wheel("fast", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64"),
        make_wheel("fast", "1.5", tag="cp312-cp312-manylinux_2_17_x86_64"),
    ):
        (links / named[0]).write_bytes(named[1])
    workplace.script(
        "solve.py",
        "fast",
        uv="no-index = true\nfind-links = ['links']\nconstraint-dependencies = ['fast!=1.5']",
    )
    done = workplace.run("bundle", "solve.py", "--python", "3.12", "--platform", LINUX)
    assert done.returncode == 0, done.stderr
    assert wheels(workplace.folder / "solve.bundle") == [
        "fast-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    ]


def test_a_locked_version_that_does_not_fit_is_refused_rather_than_replaced(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("fast", "2.0", tag="cp312-cp312-manylinux_2_34_x86_64"))
    workplace.index.add(make_wheel("fast", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64"))
    script = workplace.script("solve.py", "fast")
    assert workplace.run("uv", "lock", "--script", script).returncode == 0
    done = workplace.run("bundle", "solve.py", "--python", "3.12", "--platform", LINUX)
    assert done.returncode == 1
    assert "fast 2.0   its wheels need glibc 2.34" in done.stderr


def test_all_packages_without_a_wheel_are_named_at_once_for_every_target(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_sdist("source"))
    workplace.index.add(make_wheel("fast", tag="cp312-cp312-manylinux_2_34_x86_64"))
    workplace.index.add(make_sdist("fast"))
    workplace.script("solve.py", "source", "fast")
    done = workplace.run(
        "bundle", "solve.py", "--python", "3.12", "--platform", LINUX, "--platform", "windows"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "fast 1.0     its wheels need glibc 2.34" in done.stderr
    assert done.stderr.count("source 1.0   only a source distribution is published") == 2
    assert "fits Python 3.12 on x86_64-pc-windows-msvc" in done.stderr
    assert not (workplace.folder / "solve.bundle").exists()


def test_two_scripts_share_files_and_keep_their_own_versions(workplace: Workplace) -> None:
    for version in ("1.0", "2.0"):
        workplace.index.add(make_wheel("alpha", version))
    workplace.index.add(make_wheel("beta"))
    workplace.script("one.py", "alpha<2", "beta")
    workplace.script("two.py", "alpha", "beta")
    bundle = workplace.bundle("one.py", "two.py")
    assert bundle.name == "one.bundle"
    assert [name[:9] for name in wheels(bundle)] == ["alpha-1.0", "alpha-2.0", "beta-1.0-"]


def test_one_file_name_with_different_bytes_from_two_places_is_refused(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("alpha"))
    other = workplace.folder / "other"
    other.mkdir()
    name, data = make_wheel("alpha", files={"alpha.py": b"other = 1\n"})
    (other / name).write_bytes(data)
    workplace.script("one.py", "alpha")
    workplace.script(
        "two.py", "alpha", uv=f'[tool.uv.sources]\nalpha = {{ path = "other/{name}" }}'
    )
    done = workplace.run("bundle", "one.py", "two.py", "--python", PYTHON)
    assert done.returncode == 1
    assert "has different bytes on two indexes" in done.stderr


def test_a_wheel_from_a_path_of_the_script_is_bundled(workplace: Workplace) -> None:
    name, data = make_wheel("alpha")
    (workplace.folder / "local wheels").mkdir()
    (workplace.folder / "local wheels" / name).write_bytes(data)
    workplace.script(
        "solve.py", "alpha", uv=f'[tool.uv.sources]\nalpha = {{ path = "local wheels/{name}" }}'
    )
    bundle = workplace.bundle("solve.py")
    assert wheels(bundle) == [name]
    assert str(workplace.folder).encode() not in (bundle / "manifest.json").read_bytes()


def test_a_wheel_given_by_url_is_bundled(workplace: Workplace) -> None:
    name = workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", f"alpha @ {workplace.index.url}/files/{name}")
    assert wheels(workplace.bundle("solve.py")) == [name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.py"], "nowhere.py: does not exist"),
        (["plain.py"], "plain.py: no inline script metadata, and it imports numpy\nhint: "),
        (["solve.py", "--python", "banana"], "banana is not a Python version"),
        (["solve.py", "--python", "3.99"], "3.99 is not a Python that uv knows"),
        (
            ["solve.py", "--platform", "solaris", "--platform", "beos"],
            "beos is not a supported platform",
        ),
        (
            ["solve.py", "--platform", "solaris", "--platform", "beos"],
            "solaris is not a supported platform",
        ),
        (["solve.py", "--python", "3.8"], "requires-python >=3.9 excludes Python 3.8"),
        (["solve.py", "--python", PYTHON, "-o", "taken"], "taken exists and is not a bundle"),
        (["solve.py", "--python", PYTHON, "-o", "plain.py"], "plain.py exists and is not a bundle"),
        (["solve.py", "--python", PYTHON, "-o", "/proc/x/y"], "/proc/x: No such file or directory"),
        (["/dev/zero", "--python", PYTHON], "/dev/zero: is not a regular file"),
        (
            ["solve.py", "--python", PYTHON, "--constraint", "/dev/zero"],
            "/dev/zero: is not a regular file",
        ),
        (["absent.py", "--python", PYTHON], "absent.py: uv could not resolve its dependencies"),
        (["absent.py", "--python", PYTHON], "nosuchthing was not found"),
        (["clash.py", "--python", PYTHON], "requirements are unsatisfiable"),
    ],
)
def test_bad_input_is_one_explained_failure(
    workplace: Workplace, arguments: list[str], words: str
) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    workplace.script("absent.py", "nosuchthing")
    workplace.script("clash.py", "alpha==1", "alpha==2")
    (workplace.folder / "plain.py").write_text("import numpy\n")
    (workplace.folder / "taken").mkdir()
    (workplace.folder / "taken" / "thesis.txt").touch()
    before = tree(workplace.folder)
    done = workplace.run("bundle", *arguments)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(workplace.folder) == before


def test_an_exact_minor_python_is_warned_of_and_bundled(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha", requires=f"=={PYTHON}")
    done = workplace.run("bundle", "solve.py")
    assert done.returncode == 0, done.stderr
    assert f'hint: use "=={PYTHON}.*"' in done.stderr


def test_an_index_that_is_down_is_told_in_the_words_of_uv(workplace: Workplace) -> None:
    workplace.script("solve.py", "alpha")
    done = workplace.run(
        "bundle",
        "solve.py",
        "--python",
        PYTHON,
        UV_DEFAULT_INDEX="http://127.0.0.1:9/simple",
        UV_HTTP_RETRIES="0",
    )
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_download_leaves_the_good_bundle_of_before(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    before = tree(workplace.bundle("solve.py"))
    name = workplace.index.add(make_wheel("alpha", "2.0"))
    workplace.index.faults[name] = faults.corrupt
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--upgrade")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{name}: has the digest" in done.stderr
    assert tree(workplace.folder / "solve.bundle") == before
    assert [path.name for path in workplace.folder.iterdir() if path.name.startswith(".")] == []


def test_a_foreign_folder_is_not_replaced_even_if_it_has_a_manifest(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    bundle = workplace.bundle("solve.py")
    (workplace.folder / "extension").mkdir()
    (workplace.folder / "extension" / "manifest.json").write_text('{"manifest_version": 3}')
    (bundle / "notes.txt").write_text("mine")
    (workplace.folder / "link").symlink_to(bundle)
    before = tree(workplace.folder)
    for output in ("extension", "solve.bundle", "link"):
        done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--upgrade", "-o", output)
        assert done.returncode == 1
        assert f"{output} exists and is not a bundle" in done.stderr
    assert tree(workplace.folder) == before


def test_an_empty_working_folder_may_become_the_bundle(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    script = workplace.script("solve.py", "alpha")
    (workplace.folder / "empty").mkdir()
    done = workplace.run(
        "bundle", script, "--python", PYTHON, "-o", ".", cwd=workplace.folder / "empty"
    )
    assert done.returncode == 0, done.stderr
    assert (workplace.folder / "empty" / "manifest.json").exists()


def test_secrets_of_urls_stay_out_of_the_manifest(workplace: Workplace) -> None:
    name = workplace.index.add(make_wheel("alpha"))
    url = f"{workplace.index.url}/files/{name}?token=SECRET1".replace(
        "http://", "http://me:SECRET2@"
    )
    workplace.script("solve.py", f"alpha @ {url}")
    bundle = workplace.bundle("solve.py")
    for path in bundle.rglob("*"):
        if path.is_file() and path.name != "solve.py":
            assert b"SECRET" not in path.read_bytes(), path


def test_certificates_that_cannot_be_used_are_told(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.script("solve.py", "alpha")
    (workplace.folder / "empty.pem").touch()
    for place in ("/nowhere.pem", str(workplace.folder / "empty.pem")):
        done = workplace.run(
            "bundle", "solve.py", "--python", PYTHON, SSL_CERT_FILE="", REQUESTS_CA_BUNDLE=place
        )
        assert done.returncode == 1
        assert f"{place}: cannot be read as certificates" in done.stderr


@pytest.mark.parametrize("way", ["url", "variables", "script"])
def test_an_index_with_a_password_serves_those_who_know_it_and_nobody_learns_it(
    workplace: Workplace, way: str
) -> None:
    workplace.index.password = "s3cret/pw"  # noqa: S105
    workplace.index.add(make_wheel("alpha"))
    simple = f"{workplace.index.url}/simple"
    with_password = simple.replace("http://", "http://me:s3cret%2Fpw@")
    settings = ""
    if way == "url":
        workplace.environment["UV_DEFAULT_INDEX"] = with_password
    else:
        del workplace.environment["UV_DEFAULT_INDEX"]
        url = with_password if way == "script" else simple
        settings = f'[[tool.uv.index]]\nname = "my-corp"\nurl = "{url}"\ndefault = true'
    if way == "variables":
        workplace.environment |= {
            "UV_INDEX_MY_CORP_USERNAME": "me",
            "UV_INDEX_MY_CORP_PASSWORD": "s3cret/pw",
        }
    workplace.script("solve.py", "alpha", uv=settings)
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    for path in (workplace.folder / "solve.bundle").rglob("*"):
        if path.is_file() and not (way == "script" and path.name == "solve.py"):
            assert b"s3cret" not in path.read_bytes(), path


def test_of_a_bundle_one_package_is_upgraded_and_the_versions_of_all_others_stand(
    workplace: Workplace,
) -> None:
    def add(version: str) -> None:
        for name in ("alpha", "beta"):
            workplace.index.add(make_wheel(name, version))

    def versions() -> list[str]:
        return [
            path.name.removesuffix("-py3-none-any.whl")
            for path in sorted((bundle / "wheels").iterdir())
        ]

    add("1.0")
    script = workplace.script("solve.py", "alpha", "beta")
    bundle = workplace.bundle("solve.py")
    add("2.0")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--upgrade-package", "Beta")
    assert versions() == ["alpha-1.0", "beta-2.0"], done.stderr
    assert "Changed: beta 1.0 -> 2.0\n" in done.stderr
    add("3.0")
    workplace.bundle("solve.py")
    assert versions() == ["alpha-1.0", "beta-2.0"], "it is up to date"
    workplace.bundle("solve.py", "-P", "alpha", "--with", "beta>1")
    assert versions() == ["alpha-3.0", "beta-2.0"]
    before = tree(bundle)
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "-P", "gamma", "-P", "alpha")
    assert done.returncode == 1
    assert "gamma is not in solve.bundle" in done.stderr
    assert workplace.run("uv", "lock", "--script", script).returncode == 0
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "-P", "alpha")
    assert "hint: run `uv lock --script solve.py --upgrade-package NAME`" in done.stderr
    assert tree(bundle) == before


def test_what_an_upgraded_package_needs_may_change_too(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha", "1.0", requires=["beta"]))
    workplace.index.add(make_wheel("beta", "1.0"))
    workplace.script("solve.py", "alpha")
    bundle = workplace.bundle("solve.py")
    workplace.index.add(make_wheel("alpha", "2.0", requires=["beta>=2"]))
    workplace.index.add(make_wheel("beta", "2.0"))
    workplace.bundle("solve.py", "-P", "alpha")
    assert (bundle / "wheels" / "beta-2.0-py3-none-any.whl").exists()


@pytest.mark.parametrize("options", [(), ("--resolver", "pip-tools")])
def test_packages_of_a_requirements_file_and_of_pip_tools_are_upgraded_too(
    workplace: Workplace, options: tuple[str, ...]
) -> None:
    source = "solve.py" if options else "requirements.txt"
    workplace.script("solve.py", "alpha", "beta")
    (workplace.folder / "requirements.txt").write_text("alpha\nbeta\n")
    workplace.environment["PIP_INDEX_URL"] = f"{workplace.index.url}/simple"
    for name in ("alpha", "beta"):
        workplace.index.add(make_wheel(name, "1.0"))
    bundle = workplace.bundle(source, *options)
    for name in ("alpha", "beta"):
        workplace.index.add(make_wheel(name, "2.0"))
    workplace.bundle(source, *options, "-P", "beta")
    assert sorted(path.name[:9] for path in (bundle / "wheels").iterdir()) == [
        "alpha-1.0",
        "beta-2.0-",
    ]


def test_a_version_that_only_one_target_has_stands_too(workplace: Workplace) -> None:
    """The one for an older C library is found by a resolution of its own."""
    for version, glibc in (("1.0", 17), ("2.0", 34)):
        workplace.index.add(
            make_wheel("alpha", version, tag=f"py3-none-manylinux_2_{glibc}_x86_64")
        )
    workplace.index.add(make_wheel("beta", "1.0"))
    workplace.script("solve.py", "alpha", "beta")
    platforms = [f"--platform=x86_64-manylinux_2_{minor}" for minor in (28, 35)]
    bundle = workplace.bundle("solve.py", *platforms)
    before = sorted(path.name for path in (bundle / "wheels").iterdir())
    assert [name[:9] for name in before] == ["alpha-1.0", "alpha-2.0", "beta-1.0-"]
    workplace.index.add(make_wheel("alpha", "1.5", tag="py3-none-manylinux_2_17_x86_64"))
    workplace.index.add(make_wheel("beta", "2.0"))
    workplace.bundle("solve.py", *platforms, "-P", "beta")
    assert [path.name[:9] for path in sorted((bundle / "wheels").iterdir())] == [
        "alpha-1.0",
        "alpha-2.0",
        "beta-2.0-",
    ]


def test_what_works_for_an_older_python_than_this_works_with_all_options(
    workplace: Workplace,
) -> None:
    """uv pip would take the Python that it runs on for the oldest one."""
    workplace.index.add(make_wheel("alpha"))
    workplace.index.add(make_wheel("beta"))
    (workplace.folder / "requirements.txt").write_text("alpha\n")
    workplace.script("solve.py", "alpha")
    for arguments in (
        ["solve.py"],
        ["solve.py", "-P", "alpha"],
        ["solve.py", "--with", "beta"],
        ["requirements.txt"],
    ):
        done = workplace.run(
            "bundle", *arguments, "--python", "3.9", "--python", "3.13", "--platform", "windows"
        )
        assert done.returncode == 0, done.stderr


def test_settings_of_the_working_folder_hold_for_every_way_to_resolve(
    workplace: Workplace, other: Index
) -> None:
    """Else a package would come from another index because one option more was given."""
    for name in ("alpha", "beta", "gamma"):
        workplace.index.add(make_wheel(name, "1.0"))
        other.add(make_wheel(name, "9.0"))
    workplace.environment["UV_DEFAULT_INDEX"] = ""
    home = workplace.folder.parent / "home" / ".config" / "uv"
    home.mkdir(parents=True)
    (home / "uv.toml").write_text(f'[[index]]\nurl = "{other.url}/simple"\ndefault = true\n')
    (workplace.folder / "uv.toml").write_text(
        f'[[index]]\nurl = "{workplace.index.url}/simple"\ndefault = true\n'
    )
    workplace.script("solve.py", "alpha", "beta")
    for options in ((), ("-P", "alpha"), ("--with", "gamma")):
        bundle = workplace.bundle("solve.py", *options)
        assert {path.name.split("-")[1] for path in (bundle / "wheels").iterdir()} == {"1.0"}, (
            options
        )


@pytest.mark.parametrize("option", ["--with", "-P"])
def test_a_dependency_may_be_called_like_anything(workplace: Workplace, option: str) -> None:
    for name in ("alpha", "script"):
        workplace.index.add(make_wheel(name))
    workplace.script("solve.py", "alpha", "script")
    workplace.bundle("solve.py")
    bundle = workplace.bundle("solve.py", option, "alpha")
    assert len(list((bundle / "wheels").iterdir())) == 2


def test_paths_are_found_also_where_the_temporary_folder_is_a_link(
    workplace: Workplace, tmp_path: Path
) -> None:
    """As on macOS."""
    write_source(workplace.folder / "libs" / "mine", "mine")
    (workplace.folder / "requirements.txt").write_text("./libs/mine\n")
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "link").symlink_to(deep)
    bundle = workplace.bundle("requirements.txt", TMPDIR=str(tmp_path / "link"))
    assert [path.name.split("-")[0] for path in (bundle / "wheels").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "lines",
    [
        "marker = \"os_name ~= 'posix'\"",
        "marker = \"extra == 'x'\"",
        '[packages.vcs]\ntype = "git"\nurl = "https://x.test/a\\u0000b"\ncommit-id = "'
        + "a" * 40
        + '"',
        '[packages.vcs]\ntype = "git"\nurl = "ext::sh -c true"\ncommit-id = "' + "a" * 40 + '"',
        '[packages.archive]\nurl = "http://[x/alpha-1.0-py3-none-any.whl"\nhashes = {sha256 = "'
        + "a" * 64
        + '"}',
        '[packages.archive]\nurl = "file:///a%00b/alpha-1.0-py3-none-any.whl"\nhashes = {sha256 = "'
        + "a" * 64
        + '"}',
        "x = " + "[" * 3000,
    ],
)
def test_a_lock_that_must_not_be_trusted_is_refused_in_words(
    workplace: Workplace, lines: str
) -> None:
    lock = f'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "alpha"\nversion = "1.0"\n{lines}\n'
    (workplace.folder / "pylock.toml").write_text(lock)
    done = workplace.run("bundle", "pylock.toml", "--python", PYTHON)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "error: " in done.stderr


def test_the_lock_of_a_script_behind_a_link_is_used_if_a_lock_is_required(
    workplace: Workplace,
) -> None:
    """uv does not follow the link, so without --locked nothing but a warning would be what uv does."""
    workplace.index.add(make_wheel("alpha", "1.0"))
    (workplace.folder / "real").mkdir()
    workplace.script("real/solve.py", "alpha")
    lock = [str(BIN / "uv"), "lock", "--script", "real/solve.py"]
    subprocess.run(
        lock, cwd=workplace.folder, env=workplace.environment, check=True, capture_output=True
    )
    workplace.index.add(make_wheel("alpha", "2.0"))
    (workplace.folder / "tool.py").symlink_to("real/solve.py")
    bundle = workplace.bundle("tool.py", "--locked")
    assert [path.name for path in (bundle / "wheels").iterdir()] == ["alpha-1.0-py3-none-any.whl"]
    done = workplace.run("bundle", "tool.py", "--python", PYTHON, "-o", "free.bundle")
    assert "is a link to" in done.stderr
    assert (workplace.folder / "free.bundle" / "wheels" / "alpha-2.0-py3-none-any.whl").is_file()
