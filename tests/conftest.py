from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stand_ins.index import Index, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
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
        return subprocess.run(
            [str(program) if program.exists() else str(command[0]), *map(str, command[1:])],
            cwd=cwd or self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def script(
        self, name: str = "solve.py", *dependencies: str, body: str = "", requires: str = ">=3.9", uv: str = ""
    ) -> Path:
        """Write a script with a metadata block; `uv` are lines of [tool.uv]."""
        lines = [f'requires-python = "{requires}"', f"dependencies = {list(dependencies)!r}"]
        lines += ["[tool.uv]", *uv.splitlines()] if uv else []
        path = self.folder / name
        path.write_text(
            "# /// script\n" + "".join(f"# {line}\n" for line in lines) + "# ///\n" + body, encoding="utf-8"
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
    kept = {name: text for name, text in os.environ.items() if not name.upper().startswith(_SCRUBBED)}
    own = {
        "HOME": str(home),
        # uv must find the Python that runs the tests, also one that is on no PATH but by its virtual environment.
        "PATH": os.pathsep.join([str(BIN), str(Path(sys.base_prefix, "bin")), os.environ["PATH"]]),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_RETRIES": "2",
        "UV_HTTP_TIMEOUT": "1",
        "NO_PROXY": "127.0.0.1",
    }
    return {**kept, **own, **overlay}


@pytest.fixture
def index() -> Iterator[Index]:
    with serving(Index()) as served:
        yield served


@pytest.fixture
def workplace(tmp_path: Path, index: Index) -> Workplace:
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    environment = clean_environment(home, {"UV_DEFAULT_INDEX": f"{index.url}/simple"})
    return Workplace(folder=folder, index=index, environment=environment)


@pytest.fixture(scope="session")
def old_uv() -> Path:
    """The oldest uv that published scripts run with, which `make test` puts there."""
    path = REPOSITORY / "build" / "uv-0.6.14" / "bin" / "uv"
    if not path.exists():
        pytest.skip("uv 0.6.14 is not there; `make test` fetches it")
    return path
