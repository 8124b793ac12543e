"""The extras of this package, and which of them a missing module belongs to."""

from __future__ import annotations

import json
import shlex
import sys
import traceback
from importlib import import_module, metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bundler.errors import BundlerError
from wheelhouse.errors import redacted


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
        name = "the HPS client" if root == "ansys" else root
        return _not_installed(
            "hps",
            f"{name} is not installed",
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
        f"{fact}, which this command needs", hint=f"{_how_to_install(extra, _origin())}{more}"
    )


def _how_to_install(extra: str, origin: str | None) -> str:
    """Return how to install `extra` of this tool, which was installed from `origin` (a folder or URL, or unknown).

    A name alone would let an index decide what that is, and anybody may register it there.
    """
    if origin is None:
        return f"install the extra {extra} of this tool from where you have the tool"
    source = f"{origin}[{extra}]" if origin.startswith("/") else f"hps-bundler[{extra}] @ {origin}"
    command = "pip install"
    if Path(sys.prefix, "uv-receipt.toml").is_file():
        command = "uv tool install --force"
    return f"run `{command} {shlex.quote(source)}`"


def _origin() -> str | None:
    """Return the folder or URL from which this tool was installed (PEP 610), or None if nothing tells."""
    try:
        text = metadata.distribution("hps-bundler").read_text("direct_url.json")
        url = str(json.loads(text or "")["url"])
    except (metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        return None
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else redacted(url)
