"""Carries Python scripts with inline metadata over an air gap and runs them as offline HPS jobs.

>>> import bundler
>>> made = bundler.bundle(["eval.py"], pythons=["3.12"], platforms=["x86_64-manylinux_2_28"])
>>> publication = bundler.publish(made, "/shared/store")
>>> submission = bundler.compose(publication, [{"frequency": 0.5}, {"frequency": 1.0}])
>>> with bundler.connected(bundler.Account(url="https://host:8443/hps", username="me", password="...")) as client:
...     project = bundler.submit(client, submission)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bundler.version import __version__

__all__ = [
    "Account",
    "BundlerError",
    "Manifest",
    "Options",
    "Progress",
    "Submission",
    "WheelhouseError",
    "__version__",
    "approvals",
    "audit",
    "bundle",
    "compose",
    "connected",
    "fetch",
    "inspect",
    "pack",
    "publish",
    "publish_wheels",
    "rebuild",
    "report",
    "sbom",
    "sign",
    "submit",
    "unpack",
    "verify",
]

if TYPE_CHECKING:
    from bundler.api import (
        bundle,
        fetch,
        inspect,
        pack,
        publish,
        publish_wheels,
        submit,
        unpack,
        verify,
    )
    from bundler.assurance import approvals, audit, rebuild, report, sbom, sign
    from bundler.errors import BundlerError
    from bundler.hps.connection import Account, connected
    from bundler.jobs.options import Options
    from bundler.jobs.submission import Submission, compose
    from bundler.manifest import Manifest
    from bundler.progress import Progress
    from wheelhouse.errors import WheelhouseError

_MODULES = {
    **dict.fromkeys(
        (
            "bundle",
            "fetch",
            "inspect",
            "pack",
            "publish",
            "publish_wheels",
            "submit",
            "unpack",
            "verify",
        ),
        "bundler.api",
    ),
    **dict.fromkeys(
        ("approvals", "audit", "rebuild", "report", "sbom", "sign"), "bundler.assurance"
    ),
    "BundlerError": "bundler.errors",
    **dict.fromkeys(("Account", "connected"), "bundler.hps.connection"),
    "Options": "bundler.jobs.options",
    **dict.fromkeys(("Submission", "compose"), "bundler.jobs.submission"),
    "Manifest": "bundler.manifest",
    "Progress": "bundler.progress",
    "WheelhouseError": "wheelhouse.errors",
}


if not TYPE_CHECKING:  # to which every name would be known

    def __getattr__(name: str) -> object:
        """Import what is asked for (PEP 562): a command that needs little starts quickly."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
