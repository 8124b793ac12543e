from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bundler.jobs.job import Job
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.jobs.summary import summary, table
from bundler.sources.parameters import Parameter

STEP = Step(
    script="eval.py",
    environment={},
    software=("Ansys Mechanical",),
    inputs=("mesh.msh",),
    outputs=("plot.png",),
    optional_outputs=(),
    cores=2,
    memory=512_000_000,
    disk=1_000_000,
    timeout=90.0,
    trials=1,
)
SUBMISSION = Submission(
    publication="eval-0123456789ab",
    exec_script=b"secret of nobody",
    platforms=("linux",),
    application="uv",
    steps=(STEP,),
    files={"mesh.msh": Path("data/mesh.msh")},
    parameters=(Parameter(name="x", type="float"),),
    output_parameters=(),
    jobs=[Job(values={"x": float(number)}) for number in range(5)],
)


def test_the_text_shows_what_jobs_need_and_the_first_of_them() -> None:
    assert table(summary(SUBMISSION)).splitlines() == [
        "5 jobs of eval-0123456789ab on linux",
        "  eval.py: 2 cores, 1.0 MB disk, 512.0 MB memory, at most 90 s, uv, Ansys Mechanical",
        "    inputs: mesh.msh",
        "    outputs: plot.png",
        "  x=0.0",
        "  x=1.0",
        "  x=2.0",
        "  and 2 more",
    ]


def test_the_document_is_json_with_every_job() -> None:
    document = json.loads(json.dumps(summary(SUBMISSION)))
    assert [job["values"]["x"] for job in document["jobs"]] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert document["files"] == {"mesh.msh": "data/mesh.msh"}
    assert document["steps"][0]["memory"] == 512_000_000


def test_the_entries_of_a_step_are_those_that_programs_read() -> None:
    step = replace(STEP, queue="fast", priority=3)
    (document,) = summary(replace(SUBMISSION, steps=(step,)))["steps"]
    names = "name script environment software inputs outputs optional_outputs cores memory disk timeout trials level "
    names += "monitor success_expressions execution_context debug working_directory scheduling"
    # What belongs to the whole publication or to a job is not repeated.
    assert " ".join(document) == names
    assert document["scheduling"] == {
        "compute_resource_set": None,
        "distributed": None,
        "queue": "fast",
        "exclusive": None,
        "cores_per_node": None,
        "gpus_per_node": None,
        "use_local_scratch": None,
        "native_submit_options": None,
    }


def test_one_job_without_parameters_needs_no_application() -> None:
    bare = replace(
        SUBMISSION, application=None, jobs=[Job(values={})], platforms=("linux", "windows")
    )
    lines = table(summary(bare)).splitlines()
    assert lines[0] == "1 job of eval-0123456789ab on any platform"
    assert lines[-1] == "  no parameters"


def test_a_job_shows_its_name_and_its_own_files() -> None:
    job = Job(values={"x": 1.0}, name="coarse", files={"mesh.msh": Path("a.msh")}, priority=3)
    document = summary(replace(SUBMISSION, jobs=[job]))
    assert document["jobs"] == [
        {"name": "coarse", "priority": 3, "values": {"x": 1.0}, "files": {"mesh.msh": "a.msh"}}
    ]
    assert table(document).splitlines()[-1] == "  coarse: x=1.0, mesh.msh=a.msh"
