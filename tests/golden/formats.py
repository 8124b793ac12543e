"""The files that this tool writes and reads, each made from fixed data, to be compared with what lies beside this one.

A change of a format shows in a diff. If it is wanted: `python -m tests.golden.formats` writes the files anew.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from bundler.bundles.readme import readme
from bundler.layout import sums
from bundler.manifest import Manifest
from bundler.publications.execution import describe, to_json
from tests.stand_ins.manifests import manifest
from tests.stand_ins.wheels import make_wheel
from wheelhouse.select.node_lock import target_pylock
from wheelhouse.select.selection import Pin
from wheelhouse.store import adding, creation
from wheelhouse.wheel import Wheel

FOLDER = Path(__file__).parent
# Of the file server.
_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_PATH = "/shared/store/publications/solve-0123456789ab"


def formats() -> dict[str, bytes]:
    """Return what each file holds, by its name."""
    found = manifest()
    made = {
        "manifest.json": found.to_json(),
        "README.txt": readme(found, published=False),
        "SHA256SUMS": sums({"wheels/b.whl": "b" * 64, "manifest.json": "a" * 64}),
        "pylock.solve.toml": _pylock(),
        **{
            f"publication.{name}.json": _publication(found, name)
            for name in ("index", "cache", "environment")
        },
    }
    return made | _store()


def _pylock() -> bytes:
    wheels = [
        Wheel(
            filename="alpha-1.0-py3-none-any.whl",
            url="https://x.test/alpha.whl",
            sha256="a" * 64,
            size=1234,
        ),
        Wheel(
            filename="beta-2.0-cp312-cp312-manylinux_2_28_x86_64.whl",
            url="https://x.test/b.whl",
            sha256="b" * 64,
        ),
    ]
    markers = [None, 'python_full_version < "3.12.4"']
    return target_pylock(
        [Pin(wheel=wheel, marker=marker) for wheel, marker in zip(wheels, markers, strict=True)],
        "../../../wheels",
    )


def _publication(found: Manifest, strategy: str) -> bytes:
    archive = "archives/3.12-x86_64-manylinux_2_28/solve.py.tar.gz"
    archives = {} if strategy == "index" else {archive: "c" * 64}
    base = _PATH.replace("solve-", "solve-base-") if strategy == "cache" else _PATH
    return to_json({**describe(found, _PATH, strategy, archives, base), "gc": "d" * 64})


def _store() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        name, data = make_wheel("alpha", requires_python=">=3.9")
        wheel = Path(folder, name)
        wheel.write_bytes(data)
        place = creation.create_store(Path(folder, "store"))
        list(adding.add(place, [(wheel, hashlib.sha256(data).hexdigest())]))
        written = {
            "store.json": place.path / "store.json",
            "store-record.json": place.path / "records" / "alpha" / f"{name}.json",
            "store-page.html": place.path / "simple" / "alpha" / "index.html",
            "store-page.json": place.path / "simple" / "alpha" / "index.json",
            "store-root.html": place.path / "simple" / "index.html",
            "store-root.json": place.path / "simple" / "index.json",
        }
        return {
            name: _TIME.sub(b"2026-01-31T12:00:00.000000Z", path.read_bytes())
            for name, path in written.items()
        }


if __name__ == "__main__":
    for path, data in formats().items():
        (FOLDER / path).write_bytes(data)
