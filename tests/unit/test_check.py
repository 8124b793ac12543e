from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bundler.errors import BundlerError
from bundler.publications.check import needs_uv, obstacles, read_facts, would_not_run
from bundler.publications.program import PROBE, join
from tests.stand_ins.manifests import manifest

NODE: dict[str, Any] = {
    "system": "Linux",
    "machine": "x86_64",
    "libc": ["glibc", 2, 36],
    "pythons": {"3.12.1": "/usr/bin/python3.12"},
    "uv": "0.13.9",
}
TARGET = "3.12-x86_64-manylinux_2_28"


def facts(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    path = tmp_path / "node.json"
    path.write_text(json.dumps({**NODE, **changes}))
    return read_facts(path)


def test_a_node_that_has_all_is_fit(tmp_path: Path) -> None:
    assert obstacles(manifest(), facts(tmp_path)) == {TARGET: []}
    assert obstacles(manifest(), facts(tmp_path, machine="AMD64")) == {TARGET: []}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"libc": ["glibc", 2, 17]}, "needs glibc 2.28"),
        ({"machine": "aarch64"}, "is for Linux on x86_64"),
        ({"system": "Windows", "libc": None}, "is for Linux on x86_64"),
        ({"pythons": {"3.11.2": "/x"}}, "no Python 3.12 on PATH"),
        ({"pythons": {"3.1.2": "/x"}}, "no Python 3.12 on PATH"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    assert words in obstacles(manifest(), facts(tmp_path, **changes))[TARGET][0]


def test_what_the_bundle_carries_is_not_missed(tmp_path: Path) -> None:
    found = manifest()
    equipped = replace(
        found,
        targets=(replace(found.targets[0], uv="wheels/uv.whl", interpreter="pythons/p.tar.gz"),),
    )
    assert obstacles(equipped, facts(tmp_path, uv=None, pythons={})) == {TARGET: []}
    assert not needs_uv(equipped, facts(tmp_path, uv=None))


def test_a_patch_release_is_compared_where_the_target_names_one(tmp_path: Path) -> None:
    exact = replace(manifest().targets[0], python="3.12.9")
    found = replace(manifest(), targets=(exact,))
    assert "no Python 3.12.9" in obstacles(found, facts(tmp_path))[TARGET][0]
    assert obstacles(found, facts(tmp_path, pythons={"3.12.9": "/x"}))[TARGET] == []


def test_a_uv_that_only_a_registration_can_provide_is_told_apart(tmp_path: Path) -> None:
    assert needs_uv(manifest(), facts(tmp_path, uv=None))
    assert not needs_uv(manifest(), facts(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "[" * 100_000),
        *(
            json.dumps({**NODE, "libc": libc})
            for libc in (["glibc"], ["glibc", math.inf, 28], ["glibc", math.nan, 28])
        ),
        json.dumps({**NODE, "machine": 3}),
    ],
)
def test_what_are_no_facts_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.json"
    path.write_text(text)
    with pytest.raises(BundlerError, match="does not contain facts about a node"):
        read_facts(path)


def test_the_probe_tells_what_check_reads(tmp_path: Path) -> None:
    program = tmp_path / "probe.py"
    program.write_text(join(PROBE))
    done = subprocess.run([sys.executable, "-I", program], capture_output=True, check=True)
    path = tmp_path / "node.json"
    path.write_bytes(done.stdout)
    found = read_facts(path)
    assert found["system"] == "Linux"
    assert found["temporary"]["free"] > 0


def test_nodes_that_would_fail_are_listed_with_all_reasons() -> None:
    text = str(
        would_not_run(
            Path("/share/publications/eval-1"),
            {"b.json": {"t": ["x", "y"]}, "a.json": {"t": ["z"]}},
        )
    )
    assert text.splitlines() == [
        "eval-1 would not run on 2 nodes",
        "  a.json",
        "    t: z",
        "  b.json",
        "    t: x; y",
    ]


@pytest.mark.parametrize(
    ("wanted", "here", "fits"),
    [
        ("3.13t", "3.13.2t", True),
        ("3.13t", "3.13.2", False),
        ("3.13", "3.13.2t", False),
        ("pypy3.10", "pypy3.10.16", True),
        ("pypy3.10", "3.10.16", False),
        ("3.1", "3.10.16", False),
        ("3.10", "graalpy3.10.1", False),
    ],
)
def test_a_python_of_another_kind_is_another_python(
    tmp_path: Path, wanted: str, here: str, fits: bool
) -> None:
    found = replace(manifest(), targets=(replace(manifest().targets[0], python=wanted),))
    assert (obstacles(found, facts(tmp_path, pythons={here: "/x"}))[TARGET] == []) is fits
