from __future__ import annotations

from bundler.jobs.step import Step
from bundler.slurm import sbatch


def test_a_job_needs_the_most_of_each_resource_and_the_time_of_all_steps() -> None:
    steps = [
        Step(script="a.py", cores=1.5, memory=1025, timeout=90.0),
        Step(script="a.py", cores=1.0, memory=10, timeout=31.0, gpus_per_node=2),
    ]
    assert sbatch.options(steps, ["--time=5"]) == [
        "--cpus-per-task=2",
        "--mem=2K",
        "--gpus-per-node=2",
        "--time=4",
        "--time=5",
    ]


def test_a_step_without_a_time_limit_leaves_the_job_without_one() -> None:
    steps = [Step(script="a.py", timeout=90.0), Step(script="b.py")]
    assert sbatch.options(steps, []) == ["--cpus-per-task=1"]


def test_what_steps_say_about_scheduling_is_said_once() -> None:
    step = Step(script="a.py", queue="short", exclusive=True, native_submit_options="--nice=5 -v")
    words = ["--partition=short", "--exclusive", "--nice=5", "-v"]
    assert sbatch.options([step, step], []) == ["--cpus-per-task=1", *words]
