"""The site's network settings for everything that `bundle` starts: uv, builds, git, and downloads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.sources.source import Source
from wheelhouse.errors import redacted
from wheelhouse.fetch.certificates import trust_variables
from wheelhouse.resolve.pip_settings import (
    index_variables,
    names_index,
    network_variables,
    read_pip_settings,
)
from wheelhouse.resolve.uv_settings import outer_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What was adopted from the configuration of pip.

    `notes` are sentences for the user. `pooled` says whether there are several indexes, of which pip takes each file
    from the one that has it.
    """

    notes: tuple[str, ...] = ()
    pooled: bool = False


@contextlib.contextmanager
def adopted(sources: Sequence[Source], cache: Path) -> Iterator[Site]:
    """Set environment variables so that uv can reach what pip can reach. They are restored at the end.

    uv's configuration has precedence: pip's indexes are used only if uv has none, neither in general nor as the default
    index of one of `sources`. Files that this needs are written to `cache`.
    """
    with networked(cache) as pip:
        variables = {} if _has_indexes(sources) else index_variables(pip, cache / "nowhere")
        os.environ.update(variables)
        site = Site()
        if variables:
            (cache / "nowhere").mkdir(parents=True, exist_ok=True)
            names = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS")
            places = [variables[name] for name in names if name in variables]
            note = f"Using the indexes from pip's configuration: {redacted(' '.join(places))}"
            # Without UV_DEFAULT_INDEX, there is uv's own.
            site = Site(
                notes=(note,), pooled="UV_INDEX" in variables or "UV_FIND_LINKS" in variables
            )
        yield site


@contextlib.contextmanager
def networked(cache: Path) -> Iterator[dict[str, str]]:
    """Set environment variables for certificates and proxies like pip's, and yield pip's settings.

    The variables are restored at the end. Files that this needs are written to `cache`.
    """
    before = dict(os.environ)
    pip = read_pip_settings()
    # The network first, since pip's configuration may also name certificates.
    os.environ.update(network_variables(pip))
    os.environ.update(trust_variables(cache))
    try:
        yield pip
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _has_indexes(sources: Sequence[Source]) -> bool:
    """Return whether uv has an index in general, or a default index from one of `sources`."""
    own = [source.uv_settings() for source in sources]
    if any("index-url" in table or "no-index" in table for table in own):
        return True
    if any(index.get("default") for table in own for index in table.get("index", [])):
        return True
    return names_index([table for source in sources for table in outer_settings(source.folder())])
