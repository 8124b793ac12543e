"""What the site's settings mean for all that `bundle` starts: uv, builds, git, and our own downloads."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from wheelhouse.certificates import trust_variables
from wheelhouse.errors import redacted
from wheelhouse.pip_settings import index_variables, names_index, network_variables, read_pip_settings
from wheelhouse.uv_settings import system_settings, user_settings, working_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bundler.sources.source import Source


@contextlib.contextmanager
def adopted(sources: Sequence[Source], cache: Path) -> Iterator[list[str]]:
    """Set the environment variables that let uv reach what pip reaches, for a block; yield what is worth saying of it.

    What uv is configured to counts more: pip's indexes are taken only where uv has none, neither in general nor, as the
    default one, for one of `sources`. Files that this takes lie in `cache`.
    """
    before = dict(os.environ)
    pip = read_pip_settings()
    # The network first: where the certificates are may be among what pip is configured to.
    os.environ.update(network_variables(pip))
    os.environ.update(trust_variables(cache))
    variables = {} if _has_indexes(sources) else index_variables(pip, cache / "nowhere")
    os.environ.update(variables)
    notes = []
    if variables:
        (cache / "nowhere").mkdir(parents=True, exist_ok=True)
        places = [variables[name] for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS") if name in variables]
        notes = [f"Using the indexes of pip's configuration, since uv has none: {redacted(' '.join(places))}"]
    try:
        yield notes
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _has_indexes(sources: Sequence[Source]) -> bool:
    """Return whether uv is told of an index in general, or of a default one by one of `sources`."""
    own = [source.uv_settings() for source in sources]
    if any("index-url" in each or "no-index" in each for each in own):
        return True
    if any(index.get("default") for each in own for index in each.get("index", [])):
        return True
    return names_index([working_settings(), user_settings(), system_settings()])
