from __future__ import annotations

import json
from dataclasses import replace

from bundler.bundles.inspection import summary, table
from bundler.bundles.readme import readme
from bundler.sources.parameters import Parameter
from bundler.sources.tool_table import Settings
from tests.stand_ins.manifests import manifest

NO_JOB = Settings()
JOB = Settings(
    inputs=("mesh.msh",),
    outputs=("plot.png",),
    optional_outputs=("log.txt",),
    software=("Ansys Mechanical=2025 R1",),
    parameters=(
        Parameter(name="frequency", type="float", default=1.0, lower=0, upper=10),
        Parameter(name="label", type="string"),
    ),
    output_parameters=(Parameter(name="maximum", type="float"),),
    cores=2,
    memory=512_000_000,
    timeout=5400.0,
    trials=1,
)


def test_the_table_shows_versions_and_sizes_for_each_target() -> None:
    assert table(summary(manifest(), [NO_JOB])).splitlines() == [
        "solve: 1 wheel for 1 target (0.0 kB)",
        "",
        "solve.py",
        "  requires-python   >=3.9",
        "  dependencies      alpha",
        "",
        "3.12-x86_64-manylinux_2_28: 1 wheel (0.0 kB)",
        "  alpha  1.0  0.0 kB",
    ]


def test_the_table_shows_what_a_job_takes_and_produces() -> None:
    lines = table(summary(manifest(), [JOB])).splitlines()
    assert lines[5:12] == [
        "  parameters        frequency (float) = 1.0 [0..10], label (string)",
        "  inputs            mesh.msh",
        "  outputs           plot.png, log.txt (optional)",
        "  output-parameters maximum (float)",
        "  software          Ansys Mechanical=2025 R1",
        "  resources         2 cores, 512.0 MB memory, at most 5400 s, 1 trial",
        "",
    ]


def test_the_table_fits_into_80_columns_whatever_the_script_needs() -> None:
    job = replace(JOB, inputs=tuple(f"input-{number}.dat" for number in range(40)))
    assert max(map(len, table(summary(manifest(), [job])).splitlines())) <= 80


def test_the_table_of_a_publication_names_its_strategy() -> None:
    assert (
        table(summary(manifest(), [NO_JOB], "cache")).splitlines()[1]
        == "Published with the strategy cache"
    )


def test_wheels_that_were_built_are_marked() -> None:
    contents = manifest()
    files = [
        replace(file, origin="built from https://x.test/a.tar.gz") if file.origin else file
        for file in contents.files
    ]
    built = summary(replace(contents, files=tuple(files)), [NO_JOB])
    assert table(built).splitlines()[-1] == "  alpha  1.0  0.0 kB  built from source"
    assert built["targets"][0]["wheels"][0]["built"] is True


def test_the_summary_is_json_with_the_origin_of_each_wheel_and_the_keys_of_the_script() -> None:
    document = json.loads(json.dumps(summary(manifest(), [JOB])))
    (wheel,) = document["targets"][0]["wheels"]
    assert (wheel["project"], wheel["version"], wheel["origin"]) == (
        "alpha",
        "1.0",
        "https://x.test/a.whl",
    )
    assert (wheel["scripts"], wheel["built"]) == (["solve.py"], False)
    job = document["scripts"][0]["job"]
    assert (job["optional-outputs"], job["timeout"]) == (["log.txt"], 5400.0)
    expected = {"name": "frequency", "type": "float", "default": 1.0, "lower": 0, "upper": 10}
    assert expected.items() <= job["parameters"][0].items()


def test_the_readme_quotes_what_a_shell_would_take_apart() -> None:
    text = readme(manifest(script="it's $(me).py")).decode()
    assert """--script "$target"/'it'"'"'s $(me)/it'"'"'s $(me).py'""" in text
    assert "--python 3.12" in text
