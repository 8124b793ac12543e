from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.stand_ins import hps as stand_in, warm
from tests.stand_ins.hps import Hps
from tests.stand_ins.index import Index, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# How long an example takes says nothing on a machine that is busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# Seconds for a command.
_PATIENCE = 120
# Whatever the machine is set up with must not decide a test.
_SCRUBBED = (
    "UV_",
    "PIP_",
    "BUNDLER_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "VIRTUAL_ENV",
    "PYTHON",
)
# Lets a Python look for packages where all but Debian's do.
_AS_OTHERS = """
import os, site, sys
place = os.path.join("lib", "python%d.%d" % sys.version_info[:2], "site-packages")
site.getsitepackages = lambda prefixes=(sys.prefix,): [os.path.join(prefix, place) for prefix in prefixes]
if sys.prefix == sys.base_prefix:
    site.addsitedir(os.path.join(sys.prefix, place))
"""


# Files of tests that share something expensive, so one worker runs all of them. The marker of xdist for this has no
# effect with pytest 9.2, which does not let it rename tests.
_TOGETHER = (
    "tests/end_to_end/test_carry.py",
    "tests/end_to_end/test_install.py",
    "tests/end_to_end/test_runnable.py",
    "tests/end_to_end/test_tampering.py",
)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # It has no types.
    def _split_scope(self, nodeid: str) -> str:
        return next((file for file in _TOGETHER if nodeid.startswith(file)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    return _Scheduling(config, log)


@dataclass
class Workplace:
    """An empty folder, an empty HOME and an index: where a person would type the commands."""

    folder: Path
    index: Index
    environment: dict[str, str] = field(default_factory=dict)

    def run(
        self, *command: str | Path, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of ours, or any other, as the person would."""
        program = BIN / str(command[0])
        words = [str(program) if program.exists() else str(command[0]), *map(str, command[1:])]
        folder, variables = cwd or self.folder, {**self.environment, **environment}
        if command[0] in warm.COMMANDS:
            done = warm.run(words, folder, variables, _PATIENCE)
            if done is not None:
                return done
        return subprocess.run(
            words,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )

    def started(
        self, *command: str | Path
    ) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        """Start a command of ours that the block interrupts or kills."""
        return started([BIN / str(command[0]), *command[1:]], cwd=self.folder, env=self.environment)

    def script(
        self,
        name: str = "solve.py",
        *dependencies: str,
        body: str = "",
        requires: str = ">=3.9",
        uv: str = "",
    ) -> Path:
        """Write a script with a metadata block; `uv` are lines of [tool.uv]."""
        lines = [f'requires-python = "{requires}"', f"dependencies = {list(dependencies)!r}"]
        lines += ["[tool.uv]", *uv.splitlines()] if uv else []
        path = self.folder / name
        path.write_text(
            "# /// script\n" + "".join(f"# {line}\n" for line in lines) + "# ///\n" + body,
            encoding="utf-8",
        )
        return path

    def bundle(self, *arguments: str | Path, cwd: Path | None = None, **environment: str) -> Path:
        """Bundle for this Python, which must work; return the bundle."""
        done = self.run("bundle", "--python", PYTHON, *arguments, cwd=cwd, **environment)
        assert done.returncode == 0, done.stderr
        return self.folder / done.stdout.strip()

    def publish(self, *bundles: str | Path) -> Path:
        """Publish into the store `share`, which must work; return the publication."""
        done = self.run("publish-index", "share", *bundles)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())


def clean_environment(home: Path, overlay: Mapping[str, str]) -> dict[str, str]:
    """Return this environment with an empty `home` and without settings of this machine's uv, pip and proxies."""
    kept = {
        name: text for name, text in os.environ.items() if not name.upper().startswith(_SCRUBBED)
    }
    own = {
        "HOME": str(home),
        # uv must find the Python that runs the tests, also one that is on no PATH but by its virtual environment.
        # Shims are shell programs that take long to say which Python they stand for, and uv asks each of them.
        "PATH": os.pathsep.join(
            [str(BIN), str(Path(sys.base_prefix, "bin")), *_without_shims(os.environ["PATH"])]
        ),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_RETRIES": "2",
        "UV_HTTP_TIMEOUT": "1",
        "NO_PROXY": "127.0.0.1",
    }
    return {**kept, **own, **overlay}


def _without_shims(path: str) -> list[str]:
    return [folder for folder in path.split(os.pathsep) if Path(folder).name != "shims"]


@contextlib.contextmanager
def started(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Yield `command` as it runs in a session of its own; if it still runs when the block ends, it is killed."""
    with _signals_by_default():
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _signals_by_default() -> Iterator[None]:
    """Undo for the programs that the block starts what a shell does to its background jobs: they ignore Ctrl-C."""
    ignored = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) == signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that every user can enter and read, as pytest's own and somebody's home are not."""
    for place in (tempfile.gettempdir(), "/var/tmp", "/tmp"):
        if all(
            above.stat().st_mode & 0o001 for above in (Path(place), *Path(place).resolve().parents)
        ):
            break
    else:
        pytest.skip("there is no folder for temporary files here that every user can enter")
    before = os.umask(0o022)  # what is written there must be readable, too
    folder = Path(tempfile.mkdtemp(prefix="bundler-tests-", dir=place))
    folder.chmod(0o755)
    yield folder
    os.umask(before)
    shutil.rmtree(folder)


@pytest.fixture
def index() -> Iterator[Index]:
    with serving(Index()) as served:
        yield served


@pytest.fixture
def hps(tmp_path: Path) -> Iterator[Hps]:
    with stand_in.serving(Hps(storage=tmp_path / "storage")) as served:
        served.register("node-1")
        yield served


@pytest.fixture
def workplace(tmp_path: Path, index: Index) -> Workplace:
    return workplace_in(tmp_path, index)


def workplace_in(place: Path, index: Index) -> Workplace:
    """Return a workplace whose folder and home are made in `place`."""
    home, folder = place / "home", place / "work"
    home.mkdir()
    folder.mkdir()
    environment = clean_environment(home, {"UV_DEFAULT_INDEX": f"{index.url}/simple"})
    return Workplace(folder=folder, index=index, environment=environment)


@pytest.fixture(scope="session")
def packable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python that runs the tests; of Debian's, which cannot be packed, a copy without what Debian changed."""
    if "deb_system" not in sysconfig.get_scheme_names():
        return Path(sys.executable)
    prefix = tmp_path_factory.mktemp("python")
    shutil.copytree(
        sysconfig.get_path("stdlib"),
        prefix / "lib" / f"python{PYTHON}",
        ignore=shutil.ignore_patterns("__pycache__", "sitecustomize.py", "config-*"),
    )
    # What Debian changed is compiled into the interpreter.
    (prefix / "lib" / f"python{PYTHON}" / "sitecustomize.py").write_text(_AS_OTHERS)
    (prefix / "bin").mkdir()
    shutil.copy(Path(sys.base_prefix, "bin", f"python{PYTHON}"), prefix / "bin")
    (prefix / "bin" / "python3").symlink_to(f"python{PYTHON}")
    return prefix / "bin" / "python3"


@pytest.fixture(scope="session")
def old_uv() -> Path:
    """The oldest uv that published scripts run with, which `make test` puts there."""
    path = REPOSITORY / "build" / "uv-0.6.14" / "bin" / "uv"
    if not path.exists():
        pytest.skip("uv 0.6.14 is not there; `make test` fetches it")
    return path
