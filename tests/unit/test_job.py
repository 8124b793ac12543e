from __future__ import annotations

from pathlib import Path

import pytest

from bundler.errors import SweepError
from bundler.jobs.job import split_rows
from bundler.jobs.sweep import read_table


def test_columns_that_describe_a_job_are_no_parameters(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("job,x,note,priority\ncoarse,1,a first try,2\nfine,2,,\n")
    rows, jobs = split_rows(read_table(table), (), (), tmp_path)
    assert [dict(row) for row in rows] == [{"x": "1"}, {"x": "2"}]
    assert [(job.name, job.note, job.priority) for job in jobs] == [
        ("coarse", "a first try", 2),
        ("fine", None, None),
    ]


def test_a_declared_parameter_is_one_even_if_it_is_called_like_such_a_column(
    tmp_path: Path,
) -> None:
    rows, jobs = split_rows([{"priority": 3, "note": "x"}], (), ("priority",), tmp_path)
    assert (rows, jobs[0].priority, jobs[0].note) == ([{"priority": 3}], None, "x")


def test_relative_paths_of_input_files_start_at_the_folder_of_the_table(tmp_path: Path) -> None:
    for name in ("a.msh", "b.msh"):
        (tmp_path / name).touch()
    rows = [{"mesh.msh": "a.msh"}, {"mesh.msh": str(tmp_path / "b.msh")}, {"mesh.msh": ""}]
    values, jobs = split_rows(rows, ("data/mesh.msh",), (), tmp_path)
    assert values == [{}, {}, {}]
    assert [dict(job.files) for job in jobs] == [
        {"data/mesh.msh": tmp_path / "a.msh"},
        {"data/mesh.msh": tmp_path / "b.msh"},
        {},
    ]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{"mesh.msh": "nowhere"}], "row 1: .*nowhere is not a readable file"),
        ([{"job": "a"}, {"job": "a"}], "two jobs are called a"),
        ([{"job": "a"}, {}], "some rows have no value for job"),
        ([{"job": "../a"}], "row 1: job must be at most 100 letters"),
        ([{"job": "a b"}], "row 1: job must be at most 100 letters"),
        ([{"priority": "-1"}], "priority must be an integer of at least 0"),
        ([{"priority": "9" * 5000}], "priority must be an integer of at least 0"),
        ([{"priority": "high"}], "row 1: priority must be an integer of at least 0"),
        ([{"priority": "x"}] * 30, "and 20 more"),
    ],
)
def test_everything_that_is_wrong_in_a_table_is_named_with_its_row(
    tmp_path: Path, rows: list[dict[str, object]], reason: str
) -> None:
    with pytest.raises(SweepError, match=reason):
        split_rows(rows, ("mesh.msh",), (), tmp_path)


def test_a_column_for_one_of_two_inputs_of_the_same_name_needs_their_path(tmp_path: Path) -> None:
    (tmp_path / "x.msh").touch()
    inputs = ("a/mesh.msh", "b/mesh.msh")
    with pytest.raises(SweepError, match="column mesh.msh: may be for a/mesh.msh, b/mesh.msh"):
        split_rows([{"mesh.msh": "x.msh"}], inputs, (), tmp_path)
    _, (job,) = split_rows([{"b/mesh.msh": "x.msh"}], inputs, (), tmp_path)
    assert dict(job.files) == {"b/mesh.msh": tmp_path / "x.msh"}


def test_many_named_jobs_are_checked_at_once(tmp_path: Path) -> None:
    rows = [{"job": f"job-{number}"} for number in range(100_000)]
    _, jobs = split_rows(rows, (), (), tmp_path)
    assert len(jobs) == len(rows)
