"""The folder that keeps downloads between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the download cache: BUNDLER_CACHE_DIR, or the user's cache folder."""
    folder = os.environ.get("BUNDLER_CACHE_DIR")
    if folder:
        return Path(folder).absolute()
    try:
        from platformdirs import user_cache_path  # noqa: PLC0415 - may not be installed
    except ModuleNotFoundError:  # The far side, which only keeps how far `store verify` came.
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bundler"
    return user_cache_path("bundler", appauthor=False)
