"""Upload the wheels of bundles to an existing index, such as devpi, pypiserver, Artifactory or Nexus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bundler.bundles.network import networked
from bundler.bundles.verify import verify
from bundler.cache import cache_folder
from bundler.errors import BundlerError
from bundler.progress import Progress, Report
from bundler.units import counted
from wheelhouse.resolve import uv

# Files for each run of uv: few enough to show progress, many enough to start uv rarely.
_BATCH = 20


def upload(
    bundles: Sequence[Path], url: str, check_url: str | None = None, *, report: Report
) -> int:
    """Upload the wheels of `bundles` to the index at `url`; return their number.

    Files that are there are skipped, according to the simple index at `check_url` (by default `url`/simple/), so an
    interrupted upload resumes. Raises `BundlerError`, the errors of `verify`, and `UvError`.
    """
    if not url.startswith(("http://", "https://")):
        raise BundlerError(
            f"{url} is not the URL of an index", hint="use a URL such as https://host/index/"
        )
    paths: dict[str, Path] = {}
    for bundle in bundles:
        report(Progress(text=f"Verifying {bundle.name}"))
        verified = verify(bundle)
        for file in verified.manifest.wheels:
            paths[file.sha256] = verified.path(file)
    every = sorted(paths.values(), key=lambda path: path.name)
    text = f"Uploading {counted(len(every), 'wheel')}"
    done, total = 0, sum(path.stat().st_size for path in every)
    for start in range(0, len(every), _BATCH):
        report(Progress(text=text, done=done, total=total))
        batch = every[start : start + _BATCH]
        with networked(cache_folder()):
            uv.publish(batch, url, check_url or f"{url.rstrip('/')}/simple/")
        done += sum(path.stat().st_size for path in batch)
    return len(every)
