"""What the scripts of a bundle or publication declare about their jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from bundler.bundle_folder import Bundle
from bundler.errors import CombinedError, ScriptError, attempt_all
from bundler.sources.metadata import read_metadata
from bundler.sources.tool_table import Settings, settings_of
from wheelhouse import files


def read_job_settings(bundle: Bundle, names: Sequence[str]) -> list[Settings]:
    """Return the `[tool.bundler]` tables of the scripts `names` of `bundle`.

    Raises `CombinedError` with a `ScriptError` for each script that is not the bundled one or has an invalid table.
    """
    digests = {script.name: script.sha256 for script in bundle.manifest.scripts}

    def read(name: str) -> Settings:
        path = bundle.script(name)
        with files.explained(path):
            data, metadata = read_metadata(path, files.read_plain(path, files.LARGEST_INPUT))
        if hashlib.sha256(data).hexdigest() != digests[name]:
            raise ScriptError(
                path, "differs from its digest in the manifest", "copy or publish the bundle again"
            )
        return settings_of(path, metadata.get("tool", {}))

    settings, errors = attempt_all(read, names)
    if errors:
        raise CombinedError(errors)
    return settings
