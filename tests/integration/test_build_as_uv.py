"""What a build makes of a source is what `uv run` makes of it: asked of uv itself."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.conftest import BIN, Workplace
from tests.stand_ins.wheels import make_wheel
from wheelhouse.build.git import _without_secrets
from wheelhouse.fetch.credentials import Credentials

# Packs everything below src, and writes down what it was given. It may need a module, and take its version from git.
_BACKEND = """
import base64, hashlib, importlib, json, os, pathlib, subprocess, zipfile

def _version():
    text = pathlib.Path("version").read_text().strip()
    if text != "git":
        return text
    described = subprocess.run(["git", "describe", "--tags"], capture_output=True, text=True, check=True).stdout
    words = described.strip().lstrip("v").split("-")
    return words[0] if len(words) == 1 else words[0] + ".post" + words[1]

def _metadata():
    return "Metadata-Version: 2.1\\nName: lib\\nVersion: %s\\n" % _version()

def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "lib-%s.dist-info" % _version())
    info.mkdir()
    (info / "METADATA").write_text(_metadata())
    return info.name

def build_wheel(folder, settings=None, metadata=None):
    needed = pathlib.Path("needs")
    modules = [importlib.import_module(name) for name in (needed.read_text().split() if needed.exists() else [])]
    versions = {module.__name__: module.version for module in modules}
    facts = {"settings": settings or {}, "variable": os.environ.get("FLAVOUR"), "modules": versions}
    files = {"lib_facts.py": ("FACTS = %r" % facts).encode()}
    for top, _, names in os.walk("src", followlinks=True):
        for name in names:
            if not name.endswith(".pyc"):
                path = pathlib.Path(top, name)
                files[path.relative_to("src").as_posix()] = path.read_bytes()
    info = "lib-%s.dist-info/" % _version()
    files[info + "METADATA"] = _metadata().encode()
    files[info + "WHEEL"] = b"Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\\n" % (path, digest, len(data))
    files[info + "RECORD"] = (record + info + "RECORD,,\\n").encode()
    name = "lib-%s-py3-none-any.whl" % _version()
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return name
"""
_PYPROJECT = """
[build-system]
requires = {requires}
build-backend = "backend"
backend-path = ["."]
[project]
name = "lib"
{version}
"""
# Prints all that a build can change: the files of the package, what the backend was given, and the version.
_BODY = """
import importlib.metadata, lib_facts, pathlib
place = pathlib.Path(lib_facts.__file__).parent
names = sorted(p.relative_to(place).as_posix() for p in place.glob("lib/**/*.py"))
texts = [(place / name).read_text().strip() for name in names]
print("got", importlib.metadata.version("lib"), lib_facts.FACTS, names, texts)
"""
_SOURCES = '[tool.uv.sources]\nlib = { path = "./lib" }\n'


def write_lib(folder: Path, *, version: str = "1.0", requires: str = "[]", needs: str = "") -> Path:
    """Write the source tree of `lib` to `folder`."""
    stated = (
        'dynamic = ["version"]' if version == "git" else f'version = "{version}"\ndependencies = []'
    )
    files = {
        "pyproject.toml": _PYPROJECT.format(requires=requires, version=stated),
        "backend.py": _BACKEND,
        "version": version,
        "src/lib/__init__.py": "ORIGINAL = 1",
    }
    if needs:
        files["needs"] = needs
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = [
        "-c",
        "user.name=n",
        "-c",
        "user.email=n@example.org",
        "-c",
        "protocol.file.allow=always",
    ]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def repository(folder: Path) -> Path:
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def script(workplace: Workplace, *dependencies: str, uv: str = "") -> Path:
    return workplace.script("solve.py", *dependencies, body=_BODY, uv=uv)


def run(workplace: Workplace) -> str:
    """Return what the script prints under `uv run`."""
    command = [str(BIN / "uv"), "run", "--no-cache", "--script", "solve.py"]
    done = subprocess.run(
        command,
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return printed(done.stdout)


def printed(text: str) -> str:
    return next(line for line in text.splitlines() if line.startswith("got "))


def bundled(workplace: Workplace, *options: str) -> str:
    """Return what the script prints in a job."""
    bundle = workplace.bundle("solve.py", *options)
    done = workplace.run("bundler", "rehearse", bundle)
    assert done.returncode == 0, done.stderr
    return printed(done.stderr)


def test_a_folder_with_packages_called_build_and_dist_is_complete(workplace: Workplace) -> None:
    lib = write_lib(workplace.folder / "lib")
    for name in ("build", "dist", "venv", "node_modules"):
        (lib / "src" / "lib" / name).mkdir()
        (lib / "src" / "lib" / name / "__init__.py").write_text(f"NAME = {name!r}")
    script(workplace, "lib", uv=_SOURCES)
    assert bundled(workplace) == run(workplace)


def test_a_folder_with_links_that_lead_outside_contains_what_they_lead_to(
    workplace: Workplace,
) -> None:
    lib = write_lib(workplace.folder / "lib")
    (workplace.folder / "common").mkdir()
    (workplace.folder / "common" / "shared.py").write_text("SHARED = 1")
    (lib / "src" / "lib" / "common").symlink_to("../../../common")
    (lib / "src" / "lib" / "one.py").symlink_to(workplace.folder / "common" / "shared.py")
    script(workplace, "lib", uv=_SOURCES)
    first = bundled(workplace)
    assert first == run(workplace)
    # What a link leads to is part of the source.
    (workplace.folder / "common" / "shared.py").write_text("SHARED = 2")
    assert "SHARED = 2" in bundled(workplace)


def test_a_folder_of_a_repository_has_the_version_of_its_last_tag(workplace: Workplace) -> None:
    mono = workplace.folder / "mono"
    write_lib(mono / "packages" / "lib", version="git")
    git(repository(mono), "tag", "v2.1")
    script(workplace, "lib", uv=_SOURCES.replace("./lib", "./mono/packages/lib"))
    assert bundled(workplace) == run(workplace)
    git(mono, "commit", "--quiet", "--allow-empty", "-m", "second")
    git(mono, "tag", "v2.2")
    assert "got 2.2 " in bundled(workplace, "--upgrade")


@pytest.mark.parametrize("at", ["", "@main", "@v3.0"])
def test_a_repository_has_its_tags_submodules_and_history(workplace: Workplace, at: str) -> None:
    workplace.environment |= {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }
    core = workplace.folder / "core"
    core.mkdir()
    (core / "rules.py").write_text("RULES = 42")
    repository(core)
    lib = write_lib(workplace.folder / "lib", version="git")
    git(lib, "init", "--quiet", "--initial-branch=main")
    git(lib, "submodule", "--quiet", "add", "../core", "src/lib/core")
    git(repository(lib), "tag", "v3.0")
    if not at.endswith("3.0"):
        git(lib, "commit", "--quiet", "--allow-empty", "-m", "second")
    script(workplace, f"lib @ git+{lib.as_uri()}{at}")
    first = run(workplace)
    assert bundled(workplace) == first
    assert "RULES = 42" in first
    assert ("got 3.0 " in first) == at.endswith("3.0")


def test_an_archive_is_built_in_the_folder_that_its_url_names(workplace: Workplace) -> None:
    write_lib(workplace.folder / "tree" / "mono-1.0" / "python" / "lib")
    with tarfile.open(workplace.folder / "mono-1.0.tar.gz", "w:gz") as archive:
        archive.add(workplace.folder / "tree" / "mono-1.0", "mono-1.0")
    workplace.index.add(("mono-1.0.tar.gz", (workplace.folder / "mono-1.0.tar.gz").read_bytes()))
    url = f"{workplace.index.url}/files/mono-1.0.tar.gz"
    script(workplace, f"lib @ {url}#subdirectory=python/lib")
    assert bundled(workplace) == run(workplace)
    for outside in ("../..", "nowhere"):
        script(workplace, f"lib @ {url}#subdirectory={outside}")
        assert workplace.run("bundle", "solve.py").returncode == 1


SETTINGS = [
    'build-constraint-dependencies = ["tool<2"]',
    '[tool.uv.extra-build-dependencies]\nlib = ["extra<2"]',
    '[tool.uv.extra-build-variables]\nlib = { FLAVOUR = "sweet" }',
    'config-settings = { all = "1", both = "x" }\n[tool.uv.config-settings-package]\nlib = { own = ["2", "3"] }',
    'no-build-isolation-package = ["lib"]',
    "no-build-isolation = true",
    'resolution = "lowest"',
    'prerelease = "allow"',
    'constraint-dependencies = ["tool<2"]',
]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("where", ["the script", "a uv.toml"])
def test_settings_for_builds_count_as_for_uv_run(
    workplace: Workplace, setting: str, where: str
) -> None:
    for name in ("tool", "extra"):
        for version in ("1.0", "2.0", "3.0a1"):
            data = {f"{name}.py": f"version = {version!r}".encode()}
            workplace.index.add(make_wheel(name, version, files=data))
    needs_extra = "extra-build-dependencies" in setting or "isolation" in setting
    write_lib(
        workplace.folder / "lib", requires='["tool"]', needs="tool extra" if needs_extra else "tool"
    )
    own = setting if where == "the script" else ""
    if where == "a uv.toml":
        (workplace.folder / "uv.toml").write_text(re.sub(r"\[tool\.uv\.", "[", setting))
    script(workplace, "lib", "extra<3", "tool<2.5", uv=f"{own}\n{_SOURCES}")
    if where == "a uv.toml" and needs_extra and "isolation" not in setting:
        assert workplace.run("bundle", "solve.py").returncode == 1, (
            "as uv, which takes it from scripts only"
        )
        return
    if "isolation" in setting:
        # uv needs a second run, since the requirements of the build must be installed before.
        assert "'tool': '2.0'" in bundled(workplace)
        return
    assert bundled(workplace) == run(workplace)


def test_a_package_that_must_not_come_as_a_wheel_is_built(workplace: Workplace) -> None:
    lib = write_lib(workplace.folder / "lib")
    with tarfile.open(workplace.folder / "lib-1.0.tar.gz", "w:gz") as archive:
        (lib / "PKG-INFO").write_text("Metadata-Version: 2.2\nName: lib\nVersion: 1.0\n")
        archive.add(lib, "lib-1.0")
    workplace.index.add(("lib-1.0.tar.gz", (workplace.folder / "lib-1.0.tar.gz").read_bytes()))
    workplace.index.add(make_wheel("lib", "1.0", files={"lib_facts.py": b"FACTS = 'of a wheel'"}))
    script(workplace, "lib")
    assert "of a wheel" in bundled(workplace)
    script(workplace, "lib", uv='no-binary-package = ["lib"]')
    assert bundled(workplace) == run(workplace)
    script(workplace, "lib", uv='no-binary-package = ["lib"]\nno-build-package = ["lib"]')
    assert workplace.run("bundle", "solve.py").returncode == 1


def test_what_may_not_be_built_is_refused(workplace: Workplace) -> None:
    write_lib(workplace.folder / "lib")
    script(workplace, "lib", uv=f"no-build = true\n{_SOURCES}")
    done = workplace.run("bundle", "solve.py")
    assert (done.returncode, "lib" in done.stderr) == (1, True)


def test_a_source_that_builds_another_version_than_the_locked_one_is_refused(
    workplace: Workplace,
) -> None:
    lib = write_lib(workplace.folder / "lib")
    script(workplace, "lib", uv=_SOURCES)
    lock = [str(BIN / "uv"), "lock", "--script", "solve.py"]
    subprocess.run(
        lock, cwd=workplace.folder, env=workplace.environment, check=True, capture_output=True
    )
    text = (workplace.folder / "solve.py.lock").read_text()
    assert 'source = { directory = "lib" }' in text
    (workplace.folder / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "lib"\nversion = "1.0"\n'
        '[packages.directory]\npath = "lib"\n'
    )
    (lib / "version").write_text("1.1")
    done = workplace.run("bundle", "pylock.toml")
    assert done.returncode == 1
    assert "its source builds version 1.1, but the lock says 1.0" in done.stderr


def test_the_password_of_a_repository_does_not_reach_the_server_of_a_submodule(
    tmp_path: Path,
) -> None:

    url, variables = _without_secrets("https://me:s3cret@git.test/lib.git", Credentials())
    assert url == "https://git.test/lib.git"
    ask = ["git", "credential", "fill"]
    environment = {**os.environ, **variables, "GIT_TERMINAL_PROMPT": "0", "HOME": str(tmp_path)}
    for host, has_password in (("git.test", True), ("other.test", False)):
        words = f"protocol=https\nhost={host}\n\n"
        done = subprocess.run(
            ask, input=words, env=environment, capture_output=True, text=True, check=False
        )
        assert ("s3cret" in done.stdout) == has_password
