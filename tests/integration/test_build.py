"""What has no wheel: built here, by real uv and real git, and then bundled like anything else."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PYTHON, Workplace
from tests.stand_ins.nodes import evaluate, tree
from tests.stand_ins.processes import processes_seen
from tests.stand_ins.sources import serving_git, source_sdist, write_source
from tests.stand_ins.wheels import make_wheel
from wheelhouse.build.builder import misfit
from wheelhouse.target import Target, parse_platform

HAS_COMPILER = shutil.which("cc") is not None


def manifest(workplace: Workplace, name: str = "solve.bundle") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workplace.folder / name / "manifest.json").read_text())
    return found


def origins(workplace: Workplace) -> dict[str, str | None]:
    files = manifest(workplace)["files"]
    # Wheels that were built here have a build tag made of their digest.
    return {
        re.sub(r"-1[0-9a-f]{12}(?=-)", "", Path(file["path"]).name): file["origin"]
        for file in files
        if file["path"].startswith("wheels/")
    }


def test_a_source_distribution_is_built_when_asked_for_and_serves_every_target(
    workplace: Workplace,
) -> None:
    workplace.index.add(source_sdist("source", requires=("alpha",)))
    workplace.index.add(make_wheel("alpha"))
    workplace.script(
        "solve.py",
        "source",
        body="import source, alpha\nprint('got', source.version, alpha.version)\n",
    )
    everywhere = [
        "--python",
        "3.12",
        "--platform",
        "windows",
        "--platform",
        "x86_64-manylinux_2_28",
    ]
    done = workplace.run("bundle", "solve.py", *everywhere)
    assert done.returncode == 1
    assert "source 1.0   only a source distribution is published\n" in done.stderr
    assert "hint: build from source: --build source" in done.stderr
    for option in (["--build", "Source"], ["--build-all"]):
        done = workplace.run(
            "bundle", "solve.py", "--python", PYTHON, *everywhere, *option, "--upgrade"
        )
        assert done.returncode == 0, done.stderr
    url = f"{workplace.index.url}/files/source-1.0.tar.gz"
    assert origins(workplace)["source-1.0-py3-none-any.whl"] == f"built from {url}"
    workplace.bundle("solve.py", "--build", "source", "-o", "here.bundle")
    done, _ = evaluate(workplace, workplace.publish("here.bundle"))
    assert "got 1.0 1.0" in done.stdout


def test_the_same_source_is_built_once_and_gives_the_same_bundle(workplace: Workplace) -> None:
    workplace.index.add(source_sdist("source"))
    workplace.script("solve.py", "source")
    first = tree(workplace.bundle("solve.py", "--build", "source"))
    assert tree(workplace.bundle("solve.py", "--build", "source", "--upgrade")) == first
    assert tree(workplace.bundle("solve.py", "--build", "source", "-o", "other.bundle")) == first


@pytest.mark.skipif(not HAS_COMPILER, reason="there is no compiler here")
def test_what_is_compiled_here_serves_this_machine_and_no_other(workplace: Workplace) -> None:
    workplace.index.add(source_sdist("fast", compiled=True))
    workplace.script("solve.py", "fast", body="import fast\nprint('answer', fast.answer())\n")
    done = workplace.run(
        "bundle", "solve.py", "--python", PYTHON, "--platform", "windows", "--build", "fast"
    )
    assert done.returncode == 1
    assert "fast: it can only be built for this machine" in done.stderr
    assert not (workplace.folder / "solve.bundle").exists()
    workplace.bundle("solve.py", "--build", "fast")
    done, _ = evaluate(workplace, workplace.publish())
    assert "answer 42" in done.stdout


def commit_all(repository: Path) -> str:
    """Make a git repository of a folder; return the commit."""
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@x.test"]
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "-m", "first"],
        ["rev-parse", "HEAD"],
    ):
        done = subprocess.run([*git, *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_folders_and_git_commits_that_a_script_names_are_built_without_asking(
    workplace: Workplace,
) -> None:
    write_source(workplace.folder / "libs" / "mine", "mine", "0.3")
    repository = write_source(workplace.folder / "repository" / "sub", "ours", "0.4").parent
    commit = commit_all(repository)
    ours = f'{{ git = "file://{repository}", subdirectory = "sub" }}'
    uv = f'sources = {{ mine = {{ path = "libs/mine" }}, ours = {ours} }}'
    body = "import mine, ours\nprint('got', mine.version, ours.version)\n"
    workplace.script("solve.py", "mine", "ours", body=body, uv=uv)
    workplace.bundle("solve.py")
    found = origins(workplace)
    assert found["mine-0.3-py3-none-any.whl"] == "built from the folder mine"
    assert found["ours-0.4-py3-none-any.whl"] == f"built from git+file://{repository}@{commit}"
    done, _ = evaluate(workplace, workplace.publish())
    assert "got 0.3 0.4" in done.stdout
    assert not list((workplace.folder / "libs").rglob("*.egg-info")), "the source is left as it was"
    first = workplace.publish()
    (workplace.folder / "libs" / "mine" / "more.txt").touch()
    backend = workplace.folder / "libs" / "mine" / "backend.py"
    backend.write_text(backend.read_text().replace("version = %r", "more = 1; version = %r"))
    workplace.bundle("solve.py")
    second = workplace.publish()
    assert first != second, (
        "a folder that changed under the same version is no conflict in the store"
    )


def test_a_build_that_fails_is_told_in_its_own_words(workplace: Workplace) -> None:
    folder = write_source(workplace.folder / "mine", "mine")
    (folder / "backend.py").write_text("raise SystemExit('this backend is broken')\n")
    workplace.script("solve.py", "mine", uv='sources = { mine = { path = "mine" } }')
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == 1
    assert "this backend is broken" in done.stderr
    assert 'Traceback (most recent call last):\n  File "/work' not in done.stderr
    assert not (workplace.folder / "solve.bundle").exists()


def test_a_source_distribution_that_changed_is_not_built(workplace: Workplace) -> None:
    name = workplace.index.add(source_sdist("source"))
    script = workplace.script("solve.py", "source")
    assert workplace.run("uv", "lock", "--script", script).returncode == 0
    workplace.index.files[name] += b"more"
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--build", "source")
    assert done.returncode == 1
    assert "the lock says" in done.stderr


def test_requirements_files_locks_and_projects_are_environments_for_whatever_a_job_names(
    workplace: Workplace,
) -> None:
    for version in ("1.0", "2.0"):
        workplace.index.add(make_wheel("alpha", version))
    (workplace.folder / "bounds.txt").write_text("alpha<2  # not yet\n")
    (workplace.folder / "requirements.txt").write_text("# ours\nalpha\n-c bounds.txt\n")
    project = workplace.folder / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "my-study"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["alpha"]\n'
    )
    done = workplace.run("bundle", "project", "--python", PYTHON)
    assert "has no uv.lock next to it" in done.stderr
    assert workplace.run("uv", "lock", cwd=project).returncode == 0
    lock = ["uv", "export", "--format", "pylock.toml", "-o", "../pylock.study.toml", "--quiet"]
    assert workplace.run(*lock, cwd=project).returncode == 0
    (workplace.folder / "job.py").write_text(
        "import sys, alpha\nprint('ran', sys.argv, alpha.version)\n"
    )
    for given, script, version in (
        ("requirements.txt", "requirements.py", "1.0"),
        ("pylock.study.toml", "pylock-study.py", "2.0"),
        ("project", "my-study.py", "2.0"),
    ):
        done = workplace.run("bundle", given, "--python", PYTHON, "-o", "x.bundle", "--replace")
        assert done.returncode == 0, done.stderr
        assert manifest(workplace, "x.bundle")["scripts"][0]["name"] == script
        again = workplace.run("bundle", given, "--python", PYTHON, "-o", "x.bundle")
        assert ("is up to date" in again.stderr) == (given != "requirements.txt"), (
            "its -c file may have changed"
        )
        publication = workplace.publish("x.bundle")
        environment = {
            "UV_CACHE_DIR": str(workplace.folder / "node-cache"),
            "BUNDLER_ARGUMENTS": "job.py --fast",
        }
        job, _ = evaluate(
            workplace,
            publication,
            files={"job.py": (workplace.folder / "job.py").read_text()},
            environment=environment,
        )
        assert f"ran ['job.py', '--fast'] {version}" in job.stdout, job.stdout
        job, _ = evaluate(workplace, publication)
        assert "BUNDLER_ARGUMENTS is not set" in job.stdout


def test_the_locks_that_were_followed_travel_as_evidence_and_not_beside_the_script(
    workplace: Workplace,
) -> None:
    workplace.index.add(make_wheel("alpha"))
    script = workplace.script("solve.py", "alpha")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, "--locked")
    assert "has no lock file" in done.stderr
    assert workplace.run("uv", "lock", "--script", script).returncode == 0
    bundle = workplace.bundle("solve.py", "--locked")
    assert (bundle / "locks" / "solve.py.lock").read_bytes() == (
        workplace.folder / "solve.py.lock"
    ).read_bytes()
    assert workplace.run("bundler", "verify", bundle).returncode == 0
    publication = workplace.publish()
    assert evaluate(workplace, publication)[0].returncode == 0


def test_requirements_constraints_and_overrides_may_be_added(workplace: Workplace) -> None:
    for version in ("1.0", "2.0", "3.0"):
        workplace.index.add(make_wheel("alpha", version))
    workplace.index.add(make_wheel("beta", requires=["alpha<3"]))
    workplace.script("solve.py", "beta")
    (workplace.folder / "bounds.txt").write_text("alpha<2\n")
    (workplace.folder / "overrides.txt").write_text("alpha==3.0\n")
    workplace.bundle("solve.py", "--with", "alpha", "--constraint", "bounds.txt")
    assert "alpha-1.0-py3-none-any.whl" in origins(workplace)
    assert manifest(workplace)["scripts"][0]["resolved-with"] == [
        "--with alpha",
        "--constraint alpha<2",
    ]
    workplace.bundle("solve.py", "--override", "overrides.txt")
    assert "alpha-3.0-py3-none-any.whl" in origins(workplace)
    (workplace.folder / "bounds.txt").write_text("-r other.txt\n")
    done = workplace.run("bundle", "solve.py", "--constraint", "bounds.txt")
    assert "'-r other.txt' is not a requirement" in done.stderr


def test_a_script_may_come_on_standard_input(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    text = workplace.script("solve.py", "alpha", body="import alpha\n").read_bytes()
    command = [sys.executable, "-m", "bundler", "bundle", "-", "--python", PYTHON, "-o", "x.bundle"]
    done = subprocess.run(
        command,
        input=text,
        cwd=workplace.folder,
        env=workplace.environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert manifest(workplace, "x.bundle")["scripts"][0]["name"] == "stdin.py"


def test_pip_tools_resolves_as_pip_is_configured_for_this_machine(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha", requires=["beta>=1"]))
    workplace.index.add(make_wheel("beta"))
    workplace.environment.pop("UV_DEFAULT_INDEX")
    workplace.environment["PIP_INDEX_URL"] = f"{workplace.index.url}/simple"
    workplace.script("solve.py", "alpha", body="import alpha, beta\nprint('got', beta.version)\n")
    workplace.bundle("solve.py", "--resolver", "pip-tools")
    assert sorted(origins(workplace)) == ["alpha-1.0-py3-none-any.whl", "beta-1.0-py3-none-any.whl"]
    done, _ = evaluate(workplace, workplace.publish())
    assert "got 1.0" in done.stdout
    done = workplace.run(
        "bundle", "solve.py", "--python", "3.8", "--resolver", "pip-tools", "-o", "x.bundle"
    )
    assert done.returncode == 1
    assert (
        f"pip-tools can only resolve for Python {PYTHON} on this machine, not for Python 3.8"
        in done.stderr
    )
    done = workplace.run(
        "bundle", "solve.py", "--platform", "windows", "--resolver", "pip-tools", "-o", "x.bundle"
    )
    assert "pip-tools can only resolve for Python" in done.stderr
    workplace.script("own.py", "alpha", uv='sources = { alpha = { path = "alpha" } }')
    done = workplace.run("bundle", "own.py", "--resolver", "pip-tools", "-o", "x.bundle")
    assert "has [tool.uv] with sources, which pip-tools would ignore" in done.stderr
    workplace.script("bad.py", "nowhere-to-be-found")
    done = workplace.run("bundle", "bad.py", "--python", PYTHON, "--resolver", "pip-tools")
    assert done.returncode == 1
    assert "piptools could not resolve its dependencies" in done.stderr


def test_hashes_in_a_requirements_file_are_kept_to(workplace: Workplace) -> None:
    name = workplace.index.add(make_wheel("alpha"))
    good = hashlib.sha256(workplace.index.files[name]).hexdigest()
    path = workplace.folder / "base.txt"
    (workplace.folder / "requirements.txt").write_text("-r base.txt\n")
    path.write_text(f"alpha==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{good}\n")
    workplace.bundle("requirements.txt")
    path.write_text(f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    done = workplace.run("bundle", "requirements.txt", "--python", PYTHON)
    assert done.returncode == 1
    assert "alpha 1.0: none of its files has a hash that requirements.txt allows" in done.stderr


def test_outputs_are_named_after_what_was_given(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    project = workplace.folder / "my project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.9"\n'
    )
    assert workplace.run("uv", "lock", cwd=project).returncode == 0
    done = workplace.run("bundle", ".", "--python", PYTHON, cwd=project)
    assert done.stdout == "my project.bundle\n", done.stderr
    for given, words in (
        ("empty", "has no pyproject.toml"),
        ("my project/uv.lock", "give the folder"),
    ):
        (workplace.folder / "empty").mkdir(exist_ok=True)
        assert words in workplace.run("bundle", given, "--python", PYTHON).stderr


@pytest.mark.parametrize("way", ["url", "netrc"])
def test_a_private_repository_is_read_and_its_password_is_on_no_command_line(
    workplace: Workplace, way: str
) -> None:
    secret = f"of-nobody-by-{way}"
    repository = write_source(workplace.folder / "served" / "ours", "ours", "0.4")
    commit_all(repository)
    with serving_git(repository.parent, secret) as host, processes_seen() as seen:
        if way == "netrc":
            netrc = Path(workplace.environment["HOME"], ".netrc")
            netrc.write_text(f"machine 127.0.0.1 login me password {secret}\n")
            netrc.chmod(0o600)
        url = f"http://{'me:' + secret + '@' if way == 'url' else ''}{host}/ours/.git"
        workplace.script("solve.py", "ours", uv=f'sources = {{ ours = {{ git = "{url}" }} }}')
        bundle = workplace.bundle("solve.py")
    assert [path.name.split("-1")[0] for path in (bundle / "wheels").iterdir()] == ["ours-0.4"]
    told = (bundle / "manifest.json").read_text()
    assert f"git+http://{host}/ours/.git@" in told
    assert secret not in told
    # uv gives git a password that stands in the script's own URL as it stands there; of ours none does.
    assert not [
        line for line in seen if secret.encode() in line and (way == "netrc" or b"--depth" in line)
    ]


def test_the_account_in_the_url_of_a_repository_counts_and_those_that_git_remembers_stay(
    workplace: Workplace,
) -> None:
    repository = write_source(workplace.folder / "served" / "ours", "ours")
    commit_all(repository)
    home = Path(workplace.environment["HOME"])
    with serving_git(repository.parent, "of-nobody") as host:
        (home / ".gitconfig").write_text("[credential]\n    helper = store\n")
        (home / ".git-credentials").write_text(f"http://other:wrong@{host}\n")
        url = f"http://me:of-nobody@{host}/ours/.git"
        workplace.script("solve.py", "ours", uv=f'sources = {{ ours = {{ git = "{url}" }} }}')
        workplace.bundle(
            "solve.py", GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="user.name", GIT_CONFIG_VALUE_0="x"
        )
        assert f"http://other:wrong@{host}\n" in (home / ".git-credentials").read_text()


def test_a_git_hook_may_bundle_and_its_repository_stays_as_it_is(workplace: Workplace) -> None:
    mine, ours = (write_source(workplace.folder / name, name) for name in ("mine", "ours"))
    before, _ = commit_all(mine), commit_all(ours)
    workplace.script("solve.py", "ours", uv=f'sources = {{ ours = {{ git = "file://{ours}" }} }}')
    workplace.bundle(
        "solve.py", GIT_DIR=str(mine / ".git"), GIT_INDEX_FILE=str(mine / ".git" / "index")
    )
    git = ["git", "-C", str(mine)]
    done = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == before
    assert not subprocess.run([*git, "status", "--short"], capture_output=True, check=True).stdout


def test_constraints_hold_for_pip_tools_and_overrides_are_refused(workplace: Workplace) -> None:
    workplace.environment["PIP_INDEX_URL"] = f"{workplace.index.url}/simple"
    for version in ("1.0", "2.0"):
        workplace.index.add(make_wheel("alpha", version))
    (workplace.folder / "bounds.txt").write_text("alpha<2\n")
    workplace.script("solve.py", "alpha")
    bundle = workplace.bundle("solve.py", "--resolver", "pip-tools", "--constraint", "bounds.txt")
    assert [path.name for path in (bundle / "wheels").iterdir()] == ["alpha-1.0-py3-none-any.whl"]
    done = workplace.run(
        "bundle", "solve.py", "--resolver", "pip-tools", "--override", "bounds.txt"
    )
    assert (done.returncode, "pip-tools does not support overrides" in done.stderr) == (1, True)


def test_an_environment_runs_packages_that_are_called_like_it(workplace: Workplace) -> None:
    """The file that runs what a job names must not be taken for one of them."""
    workplace.index.add(make_wheel("alpha"))
    (workplace.folder / "alpha.txt").write_text("alpha\n")
    workplace.bundle("alpha.txt")
    environment = {
        "BUNDLER_ARGUMENTS": "use.py",
        "UV_CACHE_DIR": str(workplace.folder / "node-cache"),
    }
    files = {"use.py": "import alpha\nprint('got', alpha.version)\n"}
    done, _ = evaluate(workplace, workplace.publish(), files=files, environment=environment)
    assert "got 1.0" in done.stdout, done.stderr


def test_loose_requirements_are_no_lock(workplace: Workplace) -> None:
    (workplace.folder / "requirements.txt").write_text("alpha\n")
    done = workplace.run("bundle", "requirements.txt", "--locked")
    assert (done.returncode, "requirements.txt: is not a lock file" in done.stderr) == (1, True)


def test_what_was_built_here_for_a_newer_c_library_is_refused_for_a_target_with_an_older_one(
    tmp_path: Path,
) -> None:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-abi3-linux_x86_64"
    needs = b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.14\0"
    name, data = make_wheel("alpha", tag=tag, files={"alpha.so": needs})
    (tmp_path / name).write_bytes(data)
    old, new = (
        Target(python=PYTHON, platform=parse_platform(f"x86_64-manylinux_2_{minor}"))
        for minor in (28, 34)
    )
    assert "needs glibc 2.34" in str(misfit(tmp_path / name, old))
    assert misfit(tmp_path / name, new) is None


def test_a_requirements_file_is_resolved_by_pip_tools_too(workplace: Workplace) -> None:
    workplace.environment["PIP_INDEX_URL"] = f"{workplace.index.url}/simple"
    for version in ("1.0", "2.0"):
        workplace.index.add(make_wheel("alpha", version))
    folder = workplace.folder / "with space"
    folder.mkdir()
    (folder / "all of it.txt").write_text("-r more.txt\n")
    (folder / "more.txt").write_text("alpha<2\n")
    bundle = workplace.bundle(folder / "all of it.txt", "--resolver", "pip-tools")
    assert [path.name for path in (bundle / "wheels").iterdir()] == ["alpha-1.0-py3-none-any.whl"]


_SPY = """
import os, pathlib, sys
{backend}
_build_wheel = build_wheel
def build_wheel(folder, settings=None, metadata=None):
    found = dict(os.environ)
    home = pathlib.Path(os.path.expanduser("~"))
    found["netrc"] = (home / ".netrc").read_text() if (home / ".netrc").exists() else "none"
    print(found, file=sys.stderr)
    {end}
"""


def spy(folder: Path, end: str) -> Path:
    """Write a source whose backend looks at all that it is told."""
    source = write_source(folder / "mine", "mine")
    backend = (source / "backend.py").read_text()
    (source / "backend.py").write_text(_SPY.replace("{backend}", backend).replace("{end}", end))
    return source


SECRETS = {
    "HPS_PASSWORD": "hps-secret-1",
    "UV_INDEX_SITE_PASSWORD": "index-secret-2",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-3",
    "GITHUB_TOKEN": "token-secret-4",
    "HTTP_PROXY": "http://me:proxy-secret-5@127.0.0.1:9",
}


@pytest.mark.parametrize(
    "end",
    [
        "sys.exit(1)",
        "(pathlib.Path('mine.py')).write_text(repr(found)); return _build_wheel(folder)",
    ],
)
def test_a_build_learns_no_secret_and_none_ends_up_in_a_message_or_a_bundle(
    workplace: Workplace, end: str
) -> None:
    spy(workplace.folder, end)
    netrc = Path(workplace.environment["HOME"], ".netrc")
    netrc.write_text("machine 127.0.0.1 login me password netrc-secret-6\n")
    workplace.script("solve.py", "mine", uv='sources = { mine = { path = "mine" } }')
    workplace.environment |= SECRETS
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == (1 if "exit" in end else 0), done.stderr
    told = done.stderr + "".join(
        path.read_text(errors="replace") for path in workplace.folder.rglob("*.whl")
    )
    for wheel in workplace.folder.rglob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            told += "".join(archive.read(name).decode() for name in archive.namelist())
    assert "-secret-" not in told
    assert "'PATH'" in told or "exit" not in end


def test_what_a_backend_says_of_a_secret_that_is_known_is_hidden_while_resolving(
    workplace: Workplace,
) -> None:
    """A source distribution without static metadata is asked for it by uv, which needs its own secrets."""
    folder = write_source(workplace.folder / "mine", "mine")
    (folder / "backend.py").write_text(
        "import os, sys\nprint(os.environ, file=sys.stderr)\nraise SystemExit('broken')\n"
    )
    pyproject = (
        (folder / "pyproject.toml").read_text().replace('version = "1.0"', 'dynamic = ["version"]')
    )
    (folder / "pyproject.toml").write_text(pyproject)
    workplace.script("solve.py", "mine", uv='sources = { mine = { path = "mine" } }')
    workplace.environment |= SECRETS
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert (done.returncode, "broken" in done.stderr, "-secret-" in done.stderr) == (1, True, False)


def test_a_daemon_that_a_build_leaves_behind_is_ended_and_not_waited_for(
    workplace: Workplace,
) -> None:
    end = "import subprocess; daemon = subprocess.Popen(['sleep', '61.5']); return _build_wheel(folder)"
    spy(workplace.folder, end)
    workplace.script("solve.py", "mine", uv='sources = { mine = { path = "mine" } }')
    started = time.monotonic()
    workplace.bundle("solve.py")
    assert time.monotonic() - started < 45
    assert (
        "sleep 61.5"
        not in subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True, check=True
        ).stdout
    )


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (
            "name = _build_wheel(folder); pathlib.Path(folder, name).write_bytes(b'no zip'); return name",
            "no readable wheel",
        ),
        (
            "pathlib.Path(folder, 'x-1-py3-none-any.whl').symlink_to('/etc/passwd'); return 'x-1-py3-none-any.whl'",
            "not a regular file",
        ),
        (
            "os.mkfifo(pathlib.Path(folder, 'x-1-py3-none-any.whl')); return 'x-1-py3-none-any.whl'",
            "not a regular file",
        ),
        ("return '../../../../etc/passwd'", "no readable wheel"),
        ("return 'nothing-1-py3-none-any.whl'", "no readable wheel"),
        ("sys.stderr.write('x' * 100_000_000); sys.exit(1)", "its build failed"),
    ],
)
def test_what_a_backend_leaves_is_checked_before_anything_is_kept(
    workplace: Workplace, end: str, words: str
) -> None:
    spy(workplace.folder, end)
    workplace.script("solve.py", "mine", uv='sources = { mine = { path = "mine" } }')
    workplace.environment["BUNDLER_CACHE_DIR"] = str(workplace.folder / "cache")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (
        1,
        True,
        False,
    ), done.stderr[-2000:]
    assert len(done.stderr) < 200_000
    assert [
        path
        for path in (workplace.folder / "cache").rglob("*")
        if "built" in path.parts and path.is_file()
    ] == []


def test_what_a_build_requires_is_installed_with_the_credentials_of_the_index(
    workplace: Workplace,
) -> None:
    workplace.index.password = "s3cret-of-the-index"  # noqa: S105
    workplace.environment["UV_DEFAULT_INDEX"] = workplace.environment["UV_DEFAULT_INDEX"].replace(
        "://", "://me:s3cret-of-the-index@"
    )
    workplace.index.add(make_wheel("helper"))
    source = spy(workplace.folder, "import helper; return _build_wheel(folder)")
    (source / "pyproject.toml").write_text(
        (source / "pyproject.toml").read_text().replace("[]", '["helper"]', 1)
    )
    workplace.script("solve.py", "mine", uv='sources = { mine = { path = "mine" } }')
    workplace.bundle("solve.py")
