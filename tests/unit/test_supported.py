from __future__ import annotations

import json

from bundler.bundles.supported_targets import platforms, pythons, supported, table


def test_the_table_explains_each_platform_and_lists_the_pythons() -> None:
    lines = table(supported()).splitlines()
    row = next(line for line in lines if line.startswith("x86_64-manylinux_2_28 "))
    assert " ".join(row.split()).endswith(
        "Linux with glibc 2.28 or newer, x86_64 linux, x86_64-unknown-linux-gnu"
    )
    assert any(line.startswith("CPython: ") and "3.12, " in line for line in lines)
    assert any(line.startswith("Free-threaded CPython: ") and "3.13t" in line for line in lines)
    assert any(line.startswith("PyPy: ") and "pypy3.10" in line for line in lines)


def test_the_document_for_programs_names_the_wheels_that_a_platform_can_use() -> None:
    document = json.loads(json.dumps(supported()))
    windows = next(
        entry for entry in document["platforms"] if entry["name"] == "x86_64-pc-windows-msvc"
    )
    assert (windows["nodes"], windows["best-wheels"], windows["aliases"]) == (
        "Windows, AMD64",
        "win_amd64",
        ["windows"],
    )
    assert document["pythons"] == list(pythons())


def test_every_platform_and_python_has_a_meaning() -> None:
    assert platforms()["aarch64-apple-darwin"] == "macOS 13 or newer, arm64"
    assert pythons()["3.13t"] == "free-threaded CPython 3.13"
