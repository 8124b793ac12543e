"""Settings count for a bundle exactly if they count for `uv run --script`: asked of uv itself, one by one."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BIN, PYTHON, Workplace, workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.sources import write_source
from tests.stand_ins.wheels import make_wheel
from wheelhouse.resolve.uv_settings import COUNTING_VARIABLES

BODY = "import importlib.metadata as m\nprint('got', *sorted(f'{d.name}-{d.version}' for d in m.distributions()))\n"
# Settings that change what a script installs, if they count. {other} is another index, {folder} that of the script.
SETTINGS = [
    'prerelease = "allow"',
    'resolution = "lowest"',
    'exclude-newer = "2020-01-01T00:00:00Z"',
    'exclude-newer-package = {{ alpha = "2020-01-01T00:00:00Z" }}',
    "no-index = true",
    'index-url = "{other}"',
    'extra-index-url = ["{other}"]',
    'find-links = ["wheels"]',
    'index-strategy = "unsafe-best-match"\nextra-index-url = ["{other}"]',
    'index = [{{ url = "{other}" }}]',
    'index = [{{ url = "{other}", default = true }}]',
    'dependency-metadata = [{{ name = "alpha", requires-dist = [] }}]',
    'constraint-dependencies = ["alpha<2"]',
    'override-dependencies = ["alpha==1.0"]',
    'exclude-dependencies = ["beta"]',
    'sources = {{ alpha = {{ path = "alphasrc" }} }}',
    "no-sources = true",
    "no-build = true",
    'no-binary-package = ["other"]',
    "environments = [\"sys_platform == 'win32'\"]",
    "required-environments = [\"sys_platform == 'win32'\"]",
    'default-groups = ["test"]',
    "managed = false",
    "package = true",
    'dev-dependencies = ["gamma"]',
    'pip = {{ prerelease = "allow" }}',
]
PLACES = [
    "script",
    "project",
    "project of a workspace",
    "uv.toml",
    "uv.toml in a project",
    "user",
    "system",
]


@pytest.fixture(scope="module")
def other() -> Iterator[Index]:
    with serving(Index()) as index:
        index.add(make_wheel("alpha", "9.0"))
        yield index


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with serving(Index()) as index:
        for version in ("1.0", "2.0", "3.0a1"):
            index.add(make_wheel("alpha", version, requires=["beta"]))
        index.add(make_wheel("beta"))
        index.add(make_wheel("gamma"))
        yield workplace_in(tmp_path_factory.mktemp("settings"), index)


def installed(workplace: Workplace, script: Path, **environment: str) -> str:
    """Return what `uv run --script` installs, or that it fails."""
    done = subprocess.run(
        [BIN / "uv", "run", "--script", script],
        cwd=workplace.folder,
        env={**workplace.environment, "UV_PYTHON_DOWNLOADS": "never", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join(sorted(done.stdout.split()[1:])) if done.returncode == 0 else "a failure"


def bundled(workplace: Workplace, script: Path, **environment: str) -> str:
    """Return what a bundle installs, or that it cannot be made."""
    output = script.with_suffix(".bundle")
    done = workplace.run(
        "bundle", script, "--python", PYTHON, "-o", output, cwd=None, **environment
    )
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.returncode == 1, done.stderr
        return "a failure"
    return " ".join(
        sorted("-".join(wheel.name.split("-")[:2]) for wheel in (output / "wheels").iterdir())
    )


def configured(workplace: Workplace, where: str, setting: str, name: str) -> Path:
    """Write a script in a new folder `name` with `setting` in the place `where`; return its path."""
    root = workplace.folder / name
    here = root / "scripts"
    here.mkdir(parents=True)
    home = Path(workplace.environment["HOME"]) / ".config" / "uv" / "uv.toml"
    home.unlink(missing_ok=True)
    for folder in (root, here, home.parent, root / "system" / "uv"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "wheels").mkdir(exist_ok=True)
        filename, data = make_wheel("alpha", "7.0")
        (folder / "wheels" / filename).write_bytes(data)
        write_source(folder / "alphasrc", "alpha", "8.0")
    table = f"[tool.uv]\n{setting}\n"
    project = '[project]\nname = "around"\nversion = "1"\n[dependency-groups]\ntest = ["gamma"]\n'
    if where == "project":
        (root / "pyproject.toml").write_text(project + table)
    elif where == "project of a workspace":
        (root / "pyproject.toml").write_text(
            f'{project}{table}[tool.uv.workspace]\nmembers = ["scripts"]\n'
        )
        (here / "pyproject.toml").write_text(
            '[project]\nname = "member"\nversion = "1"\n[tool.uv]\nresolution = "lowest"\n'
        )
    elif where == "uv.toml":
        (root / "uv.toml").write_text(setting)
    elif where == "uv.toml in a project":
        (root / "pyproject.toml").write_text(project)
        (here / "uv.toml").write_text(setting)
    elif where == "user":
        home.write_text(setting)
    elif where == "system":
        (root / "system" / "uv" / "uv.toml").write_text(setting)
    return workplace.script(
        f"{name}/scripts/solve.py", "alpha", body=BODY, uv=setting if where == "script" else ""
    )


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_counts_for_a_bundle_as_for_uv_run(
    place: Workplace, other: Index, setting: str, where: str, request: pytest.FixtureRequest
) -> None:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    script = configured(place, where, setting.format(other=f"{other.url}/simple", folder="."), name)
    system = str(place.folder / name / "system")
    run = installed(place, script, XDG_CONFIG_DIRS=system)
    assert bundled(place, script, XDG_CONFIG_DIRS=system) == run


VARIABLES = {
    "UV_CONSTRAINT": "{folder}/old.txt",
    "UV_OVERRIDE": "{folder}/old.txt",
    "UV_EXCLUDE": "{folder}/old.txt",
    "UV_PRERELEASE": "allow",
    "UV_RESOLUTION": "lowest",
    "UV_INDEX": "{other}",
    "UV_EXTRA_INDEX_URL": "{other}",
    "UV_DEFAULT_INDEX": "{other}",
    "UV_INDEX_URL": "{other}",
    "UV_FIND_LINKS": "{folder}/wheels",
    "UV_EXCLUDE_NEWER": "2020-01-01",
    "UV_NO_BINARY": "1",
    "UV_NO_BINARY_PACKAGE": "alpha",
    "UV_NO_BUILD": "1",
    "UV_NO_SOURCES": "1",
    "UV_FROZEN": "1",
    "UV_LOCKED": "1",
    "UV_NO_SYNC": "1",
    "UV_ISOLATED": "1",
    "UV_PROJECT": "{folder}/project",
    "UV_REQUIRE_HASHES": "1",
    "UV_NO_VERIFY_HASHES": "1",
    "UV_NO_GROUP": "x",
    "UV_NO_DEV": "1",
    "UV_DEV": "1",
    "UV_VENV_SEED": "1",
    "UV_SYSTEM_PYTHON": "1",
    "UV_TORCH_BACKEND": "cpu",
    "UV_NO_CONFIG": "1",
    "UV_CONFIG_FILE": "{folder}/other.toml",
    "UV_PROJECT_ENVIRONMENT": "{folder}/venv",
    "UV_CUSTOM_COMPILE_COMMAND": "x",
    "UV_INDEX_STRATEGY": "unsafe-best-match",
    "UV_NO_SYSTEM_CONFIG": "1",
    "UV_ENV_FILE": "{folder}/old.txt",
    "UV_COMPILE_BYTECODE": "1",
    "UV_LINK_MODE": "copy",
    "UV_NO_EDITABLE": "1",
    "UV_WORKING_DIR": "{folder}/project",
}


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_an_environment_variable_counts_for_a_bundle_as_for_uv_run(
    place: Workplace, other: Index, name: str
) -> None:
    script = configured(place, "project", 'find-links = ["nowhere"]', f"variable-{name}")
    folder = script.parent
    (folder / "old.txt").write_text("alpha<2\n")
    (folder / "other.toml").write_text('prerelease = "allow"\n')
    (folder / "project").mkdir()
    (folder / "project" / "pyproject.toml").write_text(
        '[project]\nname = "elsewhere"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["gamma"]\n'
    )
    (folder / "nowhere").mkdir()
    (script.parents[1] / "nowhere").mkdir()
    environment = {name: VARIABLES[name].format(other=f"{other.url}/simple", folder=folder)}
    if name == "UV_INDEX_STRATEGY":
        environment["UV_INDEX"] = f"{other.url}/simple"
    if name == "UV_INDEX_URL":
        environment["UV_DEFAULT_INDEX"] = ""
    assert bundled(place, script, **environment) == installed(place, script, **environment)


def test_every_environment_variable_of_uv_run_is_known_here() -> None:
    """A variable of a newer uv must be looked at: it counts, or it is tried above, or it is about running."""
    # UV_PYTHON chooses the Python, see tests/integration/test_default_python.py.
    of_running = {
        "UV_PYTHON",
        "UV_NO_ENV_FILE",
        "UV_NO_DEFAULT_GROUPS",
        "UV_NO_PROGRESS",
        "UV_NO_PROJECT",
    }
    words = subprocess.run(
        [BIN / "uv", "run", "--help"], capture_output=True, text=True, check=True
    ).stdout
    named = set(re.findall(r"\[env: (UV_\w+)", words))
    assert named - COUNTING_VARIABLES - set(VARIABLES) - of_running == set()


def test_a_script_in_the_middle_of_a_workspace_is_bundled_as_it_runs(place: Workplace) -> None:
    root = place.folder / "mono"
    (root / "packages" / "p").mkdir(parents=True)
    (root / "packages" / "p" / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1"\n'
    )
    settings = (
        'default-groups = ["test"]\nconstraint-dependencies = ["alpha<2"]\noverride-dependencies = ["beta==9"]\n'
        'conflicts = [[{ group = "test" }, { group = "docs" }]]\n'
        '[tool.uv.workspace]\nmembers = ["packages/*"]\n[tool.uv.sources]\np = { workspace = true }\n'
    )
    project = '[project]\nname = "root"\nversion = "1"\nrequires-python = ">=3.9"\n'
    groups = "[dependency-groups]\ntest = []\ndocs = []\n"
    (root / "pyproject.toml").write_text(f"{project}{groups}[tool.uv]\n{settings}")
    script = place.script("mono/packages/p/solve.py", "alpha", body=BODY)
    assert bundled(place, script) == installed(place, script) == "alpha-2.0 beta-1.0"
