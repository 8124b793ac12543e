from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler import api
from tests.conftest import Workplace, workplace_in
from tests.stand_ins.index import Index, serving
from tests.stand_ins.wheels import make_wheel


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Bundles that nobody writes to: two months of `solve`, and `other`; all share beta."""
    place = tmp_path_factory.mktemp("bundles")
    with serving(Index()) as index:
        site = workplace_in(place, index)
        index.add(make_wheel("beta"))
        made: dict[str, Path] = {}
        for month, name, dependencies in (
            ("first", "solve", ("alpha", "beta")),
            ("second", "solve", ("alpha", "beta")),
            ("other", "other", ("beta",)),
        ):
            if name == "solve":
                index.add(make_wheel("alpha", "1.0" if month == "first" else "2.0"))
            site.script(f"{name}.py", *dependencies)
            bundle = site.bundle(f"{name}.py", "-o", f"{month}/{name}.bundle", "--upgrade")
            made[month] = bundle
        yield made


@pytest.fixture
def share(tmp_path: Path, bundles: dict[str, Path]) -> Path:
    """A store with all of `bundles`, the oldest first."""
    for bundle in bundles.values():
        api.publish(bundle, tmp_path / "share")
    return tmp_path / "share"


@pytest.fixture
def site(workplace: Workplace, share: Path) -> Workplace:
    """A workplace next to the store."""
    del share
    return workplace
