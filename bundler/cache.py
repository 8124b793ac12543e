"""Where downloads are kept between bundles."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of downloads: BUNDLER_CACHE_DIR, or the user's cache folder of this system."""
    given = os.environ.get("BUNDLER_CACHE_DIR")
    if given:
        return Path(given).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("bundler", appauthor=False)
