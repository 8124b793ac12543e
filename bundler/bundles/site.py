"""What the site's settings mean for all that `bundle` starts: uv, builds, git, and our own downloads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wheelhouse.certificates import trust_variables
from wheelhouse.errors import redacted
from wheelhouse.pip_settings import index_variables, names_index, network_variables, read_pip_settings
from wheelhouse.uv_settings import system_settings, user_settings, working_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.sources.source import Source


def adopt(sources: Sequence[Source], cache: Path) -> list[str]:
    """Set the environment variables that let uv reach what pip reaches; return what is worth saying of it.

    What uv is configured to counts more: pip's indexes are taken only where uv has none, neither in general nor, as the
    default one, for one of `sources`. Files that this takes lie in `cache`.
    """
    pip = read_pip_settings()
    os.environ.update(network_variables(pip))
    os.environ.update(trust_variables(cache))
    general = [working_settings(), user_settings(), system_settings()]
    own = [source.uv_settings() for source in sources]
    chosen = any("index-url" in each or "no-index" in each for each in own)
    chosen = chosen or any(index.get("default") for each in own for index in each.get("index", []))
    if chosen or names_index(general):
        return []
    nowhere = cache / "nowhere"
    variables = index_variables(pip, nowhere)
    if not variables:
        return []
    nowhere.mkdir(parents=True, exist_ok=True)
    os.environ.update(variables)
    places = [variables[name] for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS") if name in variables]
    return [f"Using the indexes of pip's configuration, since uv has none: {redacted(' '.join(places))}"]
