"""Run build backends (PEP 517), which are foreign code and see as little as possible."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wheelhouse import process, uv
from wheelhouse.errors import UvError
from wheelhouse.process import CalledProcessError
from wheelhouse.secrets import build_environment, hidden, secret_values
from wheelhouse.unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

# Wheels are zip files, whose times start in 1980; backends use this time for every file.
_EPOCH = "315532800"
# Bytes of an unpacked source distribution; the largest ones have a few thousand million.
_LARGEST_SOURCE = 8 << 30


class BackendError(Exception):
    """A failed build; its message is the output of the build, without secrets."""


def build_wheel(source: Path, out: Path, python: str, indexes: Mapping[str, str], secrets: set[str]) -> Path:
    """Build a wheel of `source`, a folder or source distribution, into the folder `out`; return it.

    `python` is an interpreter or a version. Build requirements come from `indexes` (environment variables for uv), as
    wheels, in an isolated environment. The backend sees neither, has its own HOME, and only the environment variables
    that builds need. Raises `BackendError`, without `secrets`, and `ArchiveError`.
    """
    with tempfile.TemporaryDirectory(prefix="build-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        (scratch / "home").mkdir()
        environment = {**build_environment(os.environ, str(scratch / "home")), "SOURCE_DATE_EPOCH": _EPOCH}
        hide = secret_values({**os.environ, **indexes}, secrets)
        if source.is_file():
            source = _unpacked(source, scratch / "source")
        with _explained(hide):
            interpreter = _made(scratch / "environment", python)
            return _built(source, out, interpreter, environment, indexes)


def _unpacked(sdist: Path, folder: Path) -> Path:
    folder.mkdir()
    unpack(sdist, folder, limit=_LARGEST_SOURCE)
    tops = [path for path in folder.iterdir() if path.is_dir()]
    if len(tops) != 1:
        raise BackendError(f"{sdist.name} contains {len(tops)} top-level folders instead of one")
    return tops[0]


def _made(folder: Path, python: str) -> Path:
    """Return the interpreter of a new environment."""
    uv.make_environment(folder, python)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _built(
    source: Path, out: Path, interpreter: Path, environment: Mapping[str, str], indexes: Mapping[str, str]
) -> Path:
    from build import ProjectBuilder  # Takes a tenth of a second to import, and is rarely needed.

    def runner(cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
        process.checked(cmd, cwd=Path(cwd) if cwd else None, env=extra_environ, inherited=environment)

    builder = ProjectBuilder(source, str(interpreter), runner)
    _install(interpreter, builder.build_system_requires, indexes)
    _install(interpreter, builder.get_requires_for_build("wheel"), indexes)
    return Path(builder.build("wheel", out))


def _install(interpreter: Path, requirements: Collection[str], indexes: Mapping[str, str]) -> None:
    if requirements:
        uv.install_into(interpreter, sorted(requirements), interpreter.parent, indexes)


@contextlib.contextmanager
def _explained(secrets: set[str]) -> Iterator[None]:
    """Turn errors of a backend in the block into a `BackendError`."""
    import build

    try:
        yield
    except (build.BuildBackendException, build.BuildException, build.FailedProcessError) as error:
        inner = getattr(error, "exception", None)
        printed = f"{inner.output}\n{inner.stderr}" if isinstance(inner, CalledProcessError) else str(error)
        raise BackendError(hidden(printed, secrets)) from None
    except UvError as error:
        raise BackendError(hidden(error.words, secrets)) from None
    except BackendError as error:
        raise BackendError(hidden(str(error), secrets)) from None
