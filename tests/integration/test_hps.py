"""The modules of `bundler.hps` with the real client against a stand-in, below the command line."""

from __future__ import annotations

import csv
import gc
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bundler
from bundler.errors import BundlerError
from bundler.hps import projects, transfer
from bundler.hps.capacity import require_somewhere
from bundler.hps.errors import HpsError
from bundler.hps.failures import read_failures
from bundler.hps.registration import differences, evaluators_for, register, registration
from bundler.hps.resources import platforms_to_bundle_for, survey
from bundler.hps.template import create_template
from bundler.hps.watch import watch
from bundler.jobs.job import Job
from bundler.jobs.step import Step
from bundler.jobs.submission import Submission
from bundler.node.errors import ERROR_FILE
from bundler.sources.parameters import Parameter
from tests.stand_ins import hps as stand_in
from tests.stand_ins.hps import Hps
from tests.stand_ins.hps_site import PASSWORD, failed_job, refuse

# The client leaves sockets, pipes and a temporary folder to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

STEP = Step(
    script="eval.py",
    environment={},
    software=(),
    inputs=(),
    outputs=("plot.png",),
    optional_outputs=(),
    cores=1,
    memory=None,
    disk=1 << 20,
    timeout=None,
    trials=1,
)
X = Parameter(name="x", type="float", default=0.0)
SUBMISSION = Submission(
    publication="eval-0123456789ab",
    exec_script=b"# an execution script\n",
    platforms=("linux",),
    application="uv",
    steps=(STEP,),
    files={},
    parameters=(X,),
    output_parameters=(),
    jobs=[Job(values={"x": 1.0}), Job(values={"x": 2.0})],
)


@pytest.fixture
def client(hps: Hps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with bundler.connected(
        bundler.Account(url=hps.url, username="anna", password=PASSWORD)
    ) as connection:
        yield connection
    # Within this test, whose filter ignores what the client leaves: its threads hold the pipes of the worker.
    del connection
    for thread in threading.enumerate():
        if thread.name.startswith("worker_"):
            thread.join(10)
    gc.collect()


def test_the_survey_lists_running_evaluators_with_their_applications(client: Any, hps: Hps) -> None:
    hps.register("node-2", application=None, platform="windows")
    hps.register("node-3", last_modified=stand_in.stale(3600))
    resources = {resource.name: resource for resource in survey(client)}
    assert sorted(resources) == ["node-1", "node-2"]
    assert resources["node-1"].applications == (("uv", "0.6.14"),)
    assert resources["node-2"].applications == ()
    assert sorted(platforms_to_bundle_for(list(resources.values()))) == [
        "x86_64-manylinux_2_28",
        "x86_64-pc-windows-msvc",
    ]


def test_jobs_that_no_evaluator_can_run_are_an_error_with_what_there_is(client: Any) -> None:
    require_somewhere(client, SUBMISSION, survey(client))
    with pytest.raises(BundlerError, match="so the jobs would stay pending forever") as error:
        require_somewhere(client, replace(SUBMISSION, application="Uv"), survey(client))
    assert error.value.facts == ["evaluator node-1 (linux): no Uv; applications: uv 0.6.14"]
    assert "--application uv" in error.value.hint


_HARDWARE = {"platform": "linux", "num_cores": 8, "memory": 16_000_000_000}


@pytest.fixture(params=["server and sets", "server", "no server"])
def server(request: pytest.FixtureRequest, hps: Hps) -> str:
    """A server with one evaluator of 4 cores and one compute resource set of 8, that can be asked, or cannot."""
    hps.has_analyze = request.param != "no server"
    hps.analyzes_scalers = request.param == "server and sets"
    uv = {"name": "uv", "version": "0.13.9", "environment": {}}
    cluster = {
        "id": "set-1",
        "name": "cluster",
        "available_resources": _HARDWARE,
        "available_applications": [uv],
    }
    hps.resource_sets.append(cluster)
    return str(request.param)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "changes",
    [
        {"cores": 4},
        {"cores": 8},
        {"memory": 16_000_000_000, "cores": 8},
        {"software": ("uv=0.6.14",)},
        {"software": ("uv=0.13.9",)},
        {"compute_resource_set": "set-1"},
    ],
)
def test_jobs_that_an_evaluator_or_a_set_can_run_are_accepted(
    client: Any, changes: dict[str, Any]
) -> None:
    submission = replace(SUBMISSION, application=None, steps=(replace(STEP, **changes),))
    require_somewhere(client, submission, survey(client))


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("changes", "evaluator", "cluster"),
    [
        ({"cores": 9}, "only 4 cores", "only 8 cores"),
        ({"memory": 17_000_000_000, "cores": 8}, "only 4 cores", "only 16000.0 MB of memory"),
        ({"software": ("uv=0.7",)}, "uv 0.6.14 instead of 0.7", "uv 0.13.9 instead of 0.7"),
        ({"software": ("ansys",)}, "no ansys", "no ansys"),
        ({"compute_resource_set": "x"}, "not in the compute resource set", "not in the compute"),
    ],
)
def test_jobs_that_nothing_can_run_are_refused_with_what_each_lacks(
    client: Any, changes: dict[str, Any], evaluator: str, cluster: str
) -> None:
    submission = replace(SUBMISSION, application=None, steps=(replace(STEP, **changes),))
    with pytest.raises(BundlerError, match="so the jobs would stay pending forever") as error:
        require_somewhere(client, submission, survey(client))
    about_cluster, about_evaluator = error.value.facts
    assert about_cluster.startswith(f"compute resource set cluster (linux): {cluster}")
    assert about_evaluator.startswith(f"evaluator node-1 (linux): {evaluator}")


def test_a_submission_becomes_an_active_project_with_its_jobs(client: Any, hps: Hps) -> None:
    notes: list[str] = []
    identity = bundler.submit(
        client, SUBMISSION, name="two jobs", report=lambda progress: notes.append(progress.text)
    )
    assert (hps.projects[identity]["name"], hps.projects[identity]["active"]) == ("two jobs", True)
    assert [job["values"] for job in hps.of(identity, "jobs").values()] == [{"x": 1.0}, {"x": 2.0}]
    (script,) = [
        file for file in hps.of(identity, "files").values() if file["name"] == "exec_script.py"
    ]
    assert (hps.storage / script["storage_id"].lstrip("/")).exists() or script["size"] == len(
        SUBMISSION.exec_script
    )
    assert notes[0] == "Uploading 1 file"
    assert notes[-1].startswith("Submitted 2 jobs as HPS project 'two jobs': ")
    with pytest.raises(HpsError, match="already exists"):
        bundler.submit(client, SUBMISSION, name="two jobs")
    assert list(hps.projects) == [identity]


def test_jobs_with_their_own_input_files_have_a_job_definition_for_each_set_of_files(
    client: Any, hps: Hps, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}.msh" for number in range(110)]
    for number, path in enumerate(paths):
        path.write_text(f"mesh {number}")
    jobs = [
        Job(values={"x": 1.0}, files={"mesh.msh": path}, name=path.stem, note="a note")
        for path in paths
    ]
    jobs.append(Job(values={"x": 2.0}, files={"mesh.msh": paths[0]}, name="again", priority=7))
    step = replace(STEP, inputs=("mesh.msh",))
    identity = bundler.submit(client, replace(SUBMISSION, steps=(step,), jobs=jobs))
    definitions = hps.of(identity, "job_definitions")
    assert len(definitions) == len(paths)
    for job in hps.of(identity, "jobs").values():
        (task,) = (
            hps.of(identity, "task_definitions")[task] for task in task_ids(definitions, job)
        )
        (mesh,) = (hps.of(identity, "files")[file] for file in task["input_file_ids"])
        assert mesh["evaluation_path"] == "mesh.msh"
        number = 0 if job["name"] == "again" else int(job["name"])
        assert (hps.storage / identity / mesh["id"]).read_text() == f"mesh {number}"
    *_, last = hps.of(identity, "jobs").values()
    assert (last["name"], last["priority"], last.get("note")) == ("again", 7, None)


def task_ids(definitions: dict[str, Any], job: dict[str, Any]) -> list[str]:
    """Return the IDs of the task definitions of `job`."""
    return list(definitions[job["job_definition_id"]]["task_definition_ids"])


def test_a_replacement_that_cannot_be_finished_names_the_project_that_is_complete(
    client: Any, hps: Hps
) -> None:
    old = bundler.submit(client, SUBMISSION, name="mine")
    hps.faults["DELETE", ".*/projects/.*"] = refuse(403)
    with pytest.raises(HpsError, match="is complete but inactive") as error:
        bundler.submit(client, SUBMISSION, name="mine", replace=True)
    (new,) = set(hps.projects) - {old}
    assert (
        error.value.hint
        == f"in the web interface, delete {old}, then rename {new} to 'mine' and activate it"
    )


def test_watching_yields_the_states_until_all_jobs_have_ended(client: Any, hps: Hps) -> None:
    identity = bundler.submit(client, SUBMISSION)
    first, second = hps.of(identity, "jobs").values()
    statuses = watch(client, identity, 0.01)
    assert next(statuses).counts == {"pending": 2}
    first.update(eval_status="evaluated", modification_time=stand_in.now())
    second.update(eval_status="failed", modification_time=stand_in.now())
    *_, last = statuses
    assert last.counts == {"evaluated": 1, "failed": 1}
    assert last.done
    assert projects.retry(client, identity) == 1
    assert second["eval_status"] == "pending"


def test_results_are_a_table_even_of_jobs_without_files(
    client: Any, hps: Hps, tmp_path: Path
) -> None:
    identity = bundler.submit(client, SUBMISSION)
    for job in hps.of(identity, "jobs").values():
        job["eval_status"] = "evaluated"
    count, table = bundler.fetch(client, identity, tmp_path / "results")
    assert count == 0
    with table.open(newline="", encoding="utf-8") as source:
        assert [(row["job"], row["status"], row["x"]) for row in csv.DictReader(source)] == [
            ("job-1", "evaluated", "1.0"),
            ("job-2", "evaluated", "2.0"),
        ]


def test_a_file_arrives_with_the_checksum_that_hps_computes(client: Any, tmp_path: Path) -> None:
    path, copy = tmp_path / "input.dat", tmp_path / "copy.dat"
    path.write_bytes(b"Mock file")
    arrived = transfer.upload(client, {"folder/input.dat": path})
    assert arrived["folder/input.dat"] == ("ac2390bba2edaa01", 9)
    transfer.download(client, {"folder/input.dat": copy})
    assert copy.read_bytes() == b"Mock file"
    assert transfer.checksum(copy) == "ac2390bba2edaa01"


def test_registering_keeps_the_other_applications(client: Any, hps: Hps) -> None:
    configuration = next(iter(hps.configurations.values()))
    other = {
        "name": "Ansys Mechanical",
        "version": "2026 R1",
        "install_path": "/a",
        "executable": "/a/m",
    }
    configuration["applications"].append(other)
    values = registration("uv", "0.13.9", "/ansys_inc/uv/bin/uv", "/tmp/cache")
    ((identity, (name, lines, applications)),) = differences(
        client, values, evaluators_for(client, values, ())
    ).items()
    assert name == "node-1"
    assert "+ version: 0.13.9" in lines
    assert lines[-1] == "version 0.6.14 stays"
    register(client, identity, applications)
    versions = [application["version"] for application in configuration["applications"]]
    assert versions == ["0.6.14", "2026 R1", "0.13.9"]
    del other["install_path"]
    with pytest.raises(HpsError, match="Ansys Mechanical has no valid install_path"):
        register(client, identity, [*applications, other])
    assert differences(client, values, evaluators_for(client, values, ())) == {}


def test_a_template_has_the_execution_script_and_the_outputs(client: Any, hps: Hps) -> None:
    template = hps.templates[create_template(client, SUBMISSION, "Plot", for_anyone=False)]
    path = (
        hps.storage
        / template["execution_script_storage_bucket"]
        / template["execution_script_storage_id"]
    )
    assert path.read_bytes() == SUBMISSION.exec_script
    assert [file["evaluation_path"] for file in template["output_files"]] == [
        "plot.png",
        ERROR_FILE,
    ]
    hps.version = "1.1.20"
    with pytest.raises(HpsError, match="too old.*\n?.*use HPS 1.3.45 or newer"):
        create_template(client, SUBMISSION, "Plot", for_anyone=False)


def test_jobs_that_fail_for_the_same_reason_are_one_failure_and_few_requests(
    client: Any, hps: Hps
) -> None:
    count = 150
    identity = bundler.submit(
        client,
        replace(SUBMISSION, jobs=[Job(values={"x": float(number)}) for number in range(count)]),
    )
    names = [job["name"] for job in hps.of(identity, "jobs").values()]
    jobs = [
        failed_job(
            hps, identity, name, f"node n{number % 3}: uv finds no Python 3.14\nhint: install one\n"
        )
        for number, name in enumerate(names[1:])
    ]
    jobs.append(
        failed_job(
            hps,
            identity,
            names[0],
            "node n1: the script failed with exit code 1",
            "line 1\nboom\x1b[31m",
        )
    )
    before = hps.requests.total()
    failures = read_failures(client, identity, jobs)
    assert hps.requests.total() - before < 20
    assert [(len(failure.jobs), failure.reason, failure.nodes) for failure in failures] == [
        (count - 1, "uv finds no Python 3.14", ("n0", "n1", "n2")),
        (1, "the script failed with exit code 1", ("n1",)),
    ]
    assert (
        str(failures[0])
        == "149 jobs failed: uv finds no Python 3.14 (3 nodes)\n  hint: install one"
    )
    assert str(failures[1]).splitlines() == [
        f"{names[0]} failed: the script failed with exit code 1 (node n1)",
        f"  last lines of the console output of {names[0]}:",
        "    line 1",
        "    boom?[31m",
    ]


def test_a_job_that_ended_well_and_failed_is_told_by_what_it_did_not_leave(
    client: Any, hps: Hps
) -> None:
    outputs = (Parameter(name="maximum", type="float"), Parameter(name="done", type="bool"))
    first = replace(STEP, script="mesh.py", outputs=("mesh.msh",))
    second = replace(STEP, outputs=("*.png",), level=1)
    described = replace(SUBMISSION, steps=(first, second), output_parameters=outputs)
    identity = bundler.submit(client, described)
    definitions = {each["name"]: each for each in hps.of(identity, "task_definitions").values()}
    failed = []
    for name, values, states in (
        ("job-1", {"maximum": "high", "done": True}, {"mesh.py": "evaluated", "eval.py": "failed"}),
        ("job-2", {}, {"mesh.py": "failed", "eval.py": "pending"}),
    ):
        failed.append(failed_job(hps, identity, name, ""))
        hps.of(identity, "tasks").pop(f"task of {name}")
        job = hps.of(identity, "jobs")[failed[-1][0]]
        job["values"] = values
        for script, state in states.items():
            (output,) = definitions[script]["success_criteria"]["required_output_file_ids"]
            path = hps.of(identity, "files")[output]["evaluation_path"].replace("*", "plot")
            written = {"id": f"{name} {path}", "evaluation_path": path, "hash": "0" * 16}
            hps.of(identity, "files")[written["id"]] = written
            hps.of(identity, "tasks")[f"{script} of {name}"] = {
                "id": f"{script} of {name}",
                "job_id": job["id"],
                "task_definition_id": definitions[script]["id"],
                "eval_status": state,
                "output_file_ids": [written["id"]] if name == "job-1" else [],
            }
    reasons = {failure.jobs: failure.reason for failure in read_failures(client, identity, failed)}
    assert reasons == {
        ("job-1",): "eval.py: the output parameter maximum is not of type float (high)",
        ("job-2",): "mesh.py: no output file mesh.msh",
    }


def test_the_table_of_results_has_the_reason_of_each_failure(
    client: Any, hps: Hps, tmp_path: Path
) -> None:
    identity = bundler.submit(client, SUBMISSION)
    failed_job(hps, identity, "job-2", "node n1: uv is too old\nhint: update it\n")
    next(iter(hps.of(identity, "jobs").values()))["eval_status"] = "evaluated"
    _, table = bundler.fetch(client, identity, tmp_path / "results")
    with table.open(newline="", encoding="utf-8") as source:
        rows = [(row["job"], row["status"], row["reason"]) for row in csv.DictReader(source)]
    assert rows == [("job-1", "evaluated", ""), ("job-2", "failed", "uv is too old (node n1)")]
    count, _ = bundler.fetch(client, identity, tmp_path / "some", jobs=["job-1"])
    assert count == 0
    count, _ = bundler.fetch(client, identity, tmp_path / "some", failed=True)
    assert count == 1
    with pytest.raises(HpsError, match="has no job job-9"):
        bundler.fetch(client, identity, tmp_path / "some", jobs=["job-9"])
    assert (tmp_path / "results" / "job-2" / ERROR_FILE).read_text().startswith("node n1: ")


def test_projects_are_listed_and_their_jobs_aborted_retried_and_deleted(
    client: Any, hps: Hps
) -> None:
    identity = bundler.submit(client, SUBMISSION, name="two jobs")
    (entry,) = projects.list_projects(client)
    assert (entry.identity, entry.name, entry.active) == (identity, "two jobs", True)
    with pytest.raises(HpsError, match="has no job job-7"):
        projects.abort(client, identity, ["job-7", "job-1"])
    assert projects.count_states(client, identity) == ({"pending": 2}, [])
    assert projects.abort(client, identity, ["job-1"]) == 1
    counts, ((_, name, state),) = projects.count_states(client, identity)
    assert (counts, name, state) == ({"aborted": 1, "pending": 1}, "job-1", "aborted")
    assert projects.abort(client, identity) == 1
    assert projects.retry(client, identity, ["job-2"]) == 1
    assert projects.count_states(client, identity)[0] == {"aborted": 1, "pending": 1}
    projects.delete(client, identity)
    assert not hps.projects


def test_sets_whose_evaluators_start_on_demand_have_warnings_about_slow_settings(
    client: Any, hps: Hps
) -> None:
    application = {"name": "uv", "version": "0.13.9", "use_local_scratch": False, "environment": {}}
    fast = {
        **application,
        "use_local_scratch": True,
        "environment": {"UV_CACHE_DIR": "/scratch/uv"},
    }
    for name, uv in (("slow", application), ("fast", fast)):
        resources = {"platform": "linux"}
        hps.resource_sets.append(
            {
                "id": name,
                "name": name,
                "available_resources": resources,
                "available_applications": [uv],
            }
        )
    warnings = {resource.name: resource.warnings for resource in survey(client)}
    assert (warnings["node-1"], warnings["fast"]) == ((), ())
    assert [text.partition(" ")[0] for text in warnings["slow"]] == [
        "UV_CACHE_DIR",
        "use_local_scratch",
    ]
