from __future__ import annotations

import json

from bundler.bundles.inspection import summary, table
from bundler.bundles.readme import readme
from tests.stand_ins.manifests import manifest


def test_the_table_names_versions_and_sizes_per_target() -> None:
    assert table(summary(manifest())).splitlines() == [
        "solve: 0.0 kB, solve.py",
        "",
        "3.12-x86_64-manylinux_2_28   1 wheels, 0.0 kB",
        "  alpha  1.0  0.0 kB  alpha-1.0-py3-none-any.whl",
    ]


def test_the_table_of_a_publication_names_its_strategy() -> None:
    assert table(summary(manifest(), "cache")).splitlines()[1] == "published by the strategy cache"


def test_the_summary_is_json_with_the_origin_of_each_wheel() -> None:
    found = json.loads(json.dumps(summary(manifest())))
    (wheel,) = found["targets"][0]["wheels"]
    assert (wheel["project"], wheel["version"], wheel["origin"]) == ("alpha", "1.0", "https://x.test/a.whl")
    assert wheel["scripts"] == ["solve.py"]


def test_the_readme_quotes_what_a_shell_would_take_apart() -> None:
    text = readme(manifest(script="it's $(me).py")).decode()
    assert """--script "$target"/'it'"'"'s $(me).py'""" in text
    assert "--python 3.12" in text
