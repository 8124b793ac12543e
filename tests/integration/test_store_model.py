"""Any sequence of changes to a store ends in the state that a model of a few lines predicts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bundler import api
from bundler.progress import silent
from bundler.publications.aliases import aliases, point
from bundler.publications.removal import plan, remove
from bundler.publications.restoring import restore
from bundler.publications.usage import find, published
from tests.integration.test_publication import HARMS, damage_of
from wheelhouse.store.store import Store, open_store
from wheelhouse.store.yank import unyank, yank

UMASKS = st.sampled_from([0o002, 0o022, 0o077])
NAMES = st.sampled_from(["first", "second", "other"])
_FILES = ("files/*/*/*", "records/*/*.json", "simple/*/*", "simple/*.*", "publications/*/wheels/*")


class Machine(RuleBasedStateMachine):
    """A store next to its model: the wheels of each publication, the yanked files and the aliases."""

    made: ClassVar[dict[str, Path]]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.folder.chmod(0o2775)
        self.wheels = {
            name: {path.name for path in (bundle / "wheels").iterdir()}
            for name, bundle in self.made.items()
        }
        self.model: dict[str, str] = {}  # The bundle of each publication.
        self.yanked: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.damaged = False
        os.umask(0o022)

    @property
    def place(self) -> Store:
        return open_store(self.folder)

    def files(self) -> set[str]:
        return set().union(*(self.wheels[name] for name in self.model.values()))

    @rule(name=NAMES, mask=UMASKS)
    def publish(self, name: str, mask: int) -> None:
        os.umask(mask)
        self.model[api.publish(self.made[name], self.folder).name] = name

    @precondition(lambda self: self.model)
    @rule(data=st.data(), mask=UMASKS)
    def remove(self, data: st.DataObject, mask: int) -> None:
        os.umask(mask)
        name = data.draw(st.sampled_from(sorted(self.model)))
        remove(self.place, plan(self.place, find(self.place, [name])), report=silent)
        del self.model[name]
        self.yanked &= self.files()
        self.aliases = {alias: target for alias, target in self.aliases.items() if target != name}

    @precondition(lambda self: self.model and not self.damaged)
    @rule(data=st.data())
    def yank(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files())))
        (unyank if name in self.yanked else yank)(
            self.place, name, *([] if name in self.yanked else ["broken"])
        )
        self.yanked ^= {name}

    @precondition(lambda self: self.model)
    @rule(data=st.data(), alias=st.sampled_from(["a", "b"]))
    def point(self, data: st.DataObject, alias: str) -> None:
        self.aliases[alias] = data.draw(st.sampled_from(sorted(self.model)))
        point(self.place, alias, self.aliases[alias])

    @precondition(lambda self: self.model)
    @rule(data=st.data(), harm=st.sampled_from(HARMS))
    def damage(self, data: st.DataObject, harm: object) -> None:
        paths = sorted(
            path for pattern in _FILES for path in self.folder.glob(pattern) if path.is_file()
        )
        harm(data.draw(st.sampled_from(paths)))  # type: ignore[operator]
        self.damaged = True

    @precondition(lambda self: self.damaged)
    @rule(with_repair=st.booleans())
    def repair(self, with_repair: bool) -> None:
        if with_repair:
            restore(self.place, damage_of(self.folder))
        for name in set(self.model.values()):
            api.publish(self.made[name], self.folder)
        self.damaged = False

    @invariant()
    def the_store_is_what_the_model_says(self) -> None:
        if self.damaged or not (self.folder / "store.json").exists():
            return
        assert damage_of(self.folder) == []
        assert {entry.name for entry in published(self.place)} == self.model.keys()
        assert {path.name for path in self.folder.glob("files/*/*/*.whl")} == self.files()
        pages = "".join(page.read_text() for page in self.folder.glob("simple/*/index.html"))
        assert all(f"/{name}#" in pages for name in self.files())
        assert pages.count("<a href") == len(self.files())
        assert pages.count("data-yanked") == len(self.yanked)
        assert aliases(self.place) == self.aliases
        assert not (self.folder / ".removed").exists()
        assert list((self.folder / ".partial").iterdir()) == []
        assert all(
            path.stat().st_mode & 0o7777 == 0o2775
            for path in self.folder.rglob("*")
            if path.is_dir()
        )

    def teardown(self) -> None:
        os.umask(0o022)
        shutil.rmtree(self.folder)


def test_any_sequence_of_changes_ends_as_the_model_predicts(bundles: dict[str, Path]) -> None:
    class OfTheseBundles(Machine):
        made = bundles

    run_state_machine_as_test(
        OfTheseBundles, settings=settings(max_examples=15, stateful_step_count=15, deadline=None)
    )
