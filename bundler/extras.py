"""The extras of this package, and which of them a missing module belongs to."""

from __future__ import annotations

import traceback
from importlib import import_module

from bundler.errors import BundlerError


def missing_extra(error: ModuleNotFoundError) -> BundlerError | None:
    """Return the error for a module that an extra installs, judged by the code that imports it; None for a bug."""
    root = (error.name or "").partition(".")[0]
    if root in ("bundler", "wheelhouse", ""):
        return None
    files = [
        frame.filename.replace("\\", "/") for frame in traceback.extract_tb(error.__traceback__)
    ]
    if any("/bundler/assessment/sbom.py" in file for file in files):
        return _not_installed("sbom", f"{root} is not installed")
    if any("/bundler/assessment/attestation_check.py" in file for file in files):
        return _not_installed("attestations", f"{root} is not installed")
    if root == "yaml":
        return _not_installed("yaml", "PyYAML is not installed")
    if any("/bundler/hps/" in file for file in files):
        return _not_installed(
            "hps",
            f"{root} is not installed",
            ", or install the tool with `bundler carry --with-hps`",
        )
    return _not_installed("bundle", f"{root} is not installed")


def require_pip_tools() -> None:
    """Raise `BundlerError` unless the extra pip-tools is installed."""
    try:
        import_module("piptools")
    except ModuleNotFoundError:
        raise _not_installed("pip-tools", "pip-tools is not installed") from None


def _not_installed(extra: str, fact: str, more: str = "") -> BundlerError:
    return BundlerError(
        f"{fact}, which this command needs", hint=f"run `pip install 'hps-bundler[{extra}]'`{more}"
    )
