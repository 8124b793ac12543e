"""Run build backends (PEP 517), which are foreign code and see as little as possible."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from wheelhouse import files, process
from wheelhouse.build.build_settings import BuildSettings, write_build_config
from wheelhouse.errors import UvError
from wheelhouse.process import CalledProcessError
from wheelhouse.resolve import uv
from wheelhouse.secrets import build_environment, hidden, secret_values
from wheelhouse.unpack import unpack

# Wheels are zip files, whose times start in 1980; backends use this time for every file.
_EPOCH = "315532800"
# Bytes of an unpacked source distribution; the largest ones have a few thousand million.
_LARGEST_SOURCE = 8 << 30


class BackendError(Exception):
    """A failed build; its message is the output of the build, without secrets."""


def build_wheel(
    source: Path,
    subdirectory: str,
    out: Path,
    python: str,
    settings: BuildSettings,
    secrets: set[str],
) -> Path:
    """Build a wheel of `source` into the folder `out`; return it.

    `source` is a folder, or a source distribution with the project in the folder `subdirectory`. `python` is an
    interpreter or a version. Build requirements are installed as wheels, as `settings` say, in an isolated environment.
    The backend sees no indexes and secrets, has its own HOME, and only the environment variables that builds need.
    Raises `BackendError`, without `secrets`, and `ArchiveError`.
    """
    with tempfile.TemporaryDirectory(prefix="build-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        home = scratch / "home"
        home.mkdir()
        environment = build_environment(os.environ, str(home))
        environment["SOURCE_DATE_EPOCH"] = _EPOCH
        environment.update(settings.variables)
        if source.is_file():
            source = _unpacked(source, subdirectory, scratch / "source")
        with _explained(secret_values(os.environ, secrets)):
            interpreter = _new_environment(scratch / "environment", python)
            return _built(source, out, interpreter, environment, settings)


def _unpacked(sdist: Path, subdirectory: str, folder: Path) -> Path:
    folder.mkdir()
    unpack(sdist, folder, limit=_LARGEST_SOURCE)
    tops = [path for path in folder.iterdir() if path.is_dir()]
    if len(tops) != 1:
        raise BackendError(f"{sdist.name} contains {len(tops)} top-level folders instead of one")
    project = files.real(tops[0] / subdirectory)
    if not project.is_relative_to(files.real(folder)) or not project.is_dir():
        raise BackendError(f"{sdist.name} has no folder {subdirectory}")
    return project


def _new_environment(folder: Path, python: str) -> Path:
    """Make an environment of `python` in `folder`; return its interpreter."""
    uv.make_environment(folder, python)
    if sys.platform == "win32":
        return folder / "Scripts/python.exe"
    return folder / "bin/python"


def _built(
    source: Path,
    out: Path,
    interpreter: Path,
    environment: Mapping[str, str],
    settings: BuildSettings,
) -> Path:
    from build import ProjectBuilder  # noqa: PLC0415 - takes a tenth of a second, and is rarely needed

    def runner(
        cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None
    ) -> None:
        process.checked(
            cmd,
            cwd=Path(cwd) if cwd else None,
            env=extra_environ,
            inherited=environment,
        )

    builder = ProjectBuilder(source, str(interpreter), runner)
    if settings.environment is not None:
        _install(interpreter, settings.environment, settings, with_dependencies=False)
    else:
        # Backends say what else they need only when these are there.
        _install(interpreter, {*builder.build_system_requires, *settings.requirements}, settings)
        more = builder.get_requires_for_build("wheel", settings.config_settings)
        _install(interpreter, more, settings)
    return Path(builder.build("wheel", out, settings.config_settings))


def _install(
    interpreter: Path,
    requirements: Collection[str],
    settings: BuildSettings,
    *,
    with_dependencies: bool = True,
) -> None:
    """Install `requirements` into the environment of `interpreter`."""
    if not requirements:
        return
    # In a folder that no build ever sees, since the configuration may contain the passwords of indexes.
    with tempfile.TemporaryDirectory(prefix="settings-") as folder:
        constraints = Path(folder, "constraints.txt")
        constraints.write_text("\n".join(settings.constraints), encoding="utf-8")
        uv.install_into(
            interpreter,
            sorted(requirements),
            constraints=constraints if settings.constraints else None,
            with_dependencies=with_dependencies,
            env=write_build_config(settings.config, Path(folder, "uv.toml")),
        )


@contextlib.contextmanager
def _explained(secrets: set[str]) -> Iterator[None]:
    """Turn errors of a backend in the block into a `BackendError`."""
    import build  # noqa: PLC0415 - as above

    try:
        yield
    except (build.BuildBackendException, build.BuildException, build.FailedProcessError) as error:
        words = str(error)
        inner = getattr(error, "exception", None)
        if isinstance(inner, CalledProcessError):
            words = f"{inner.output}\n{inner.stderr}"
        raise BackendError(hidden(words, secrets)) from None
    except UvError as error:
        raise BackendError(hidden(error.words, secrets)) from None
    except BackendError as error:
        raise BackendError(hidden(str(error), secrets)) from None
