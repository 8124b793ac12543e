"""The pure parts of `bundler.hps`; what talks to a server is tested end to end."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import requests
from hypothesis import given, strategies as st

from bundler.hps.connection import Account, explained
from bundler.hps.errors import HpsError
from bundler.hps.outputs import latest, outputs_of, places_of
from bundler.hps.redaction import hide, without_secrets
from bundler.hps.registration import registration
from bundler.hps.resources import Resource, platforms_to_bundle_for
from bundler.hps.transfer import checksum
from bundler.jobs.table import table_of
from wheelhouse.files import safe_path

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl"  # noqa: S105 - of nobody


def test_secrets_leave_no_trace_in_texts() -> None:
    assert TOKEN not in without_secrets(f"Authorization: Bearer {TOKEN} was refused")
    assert without_secrets("token bearer abc123 is bad") == "token *** is bad"
    assert TOKEN not in str(HpsError("x", f"said {TOKEN}"))
    secret = "secret of anna"  # noqa: S105 - of nobody
    assert secret not in repr(
        Account(url="x", password=secret, access_token=secret, refresh_token=secret)
    )


@pytest.mark.parametrize(
    "fault",
    [
        AttributeError("'NoneType' object has no attribute 'get'"),
        IndexError("list index out of range"),
        OverflowError("int too large"),
        requests.exceptions.SSLError("bad"),
        requests.exceptions.ReadTimeout("slow"),
        requests.exceptions.ConnectionError("[Errno 111] Connection refused"),
        requests.exceptions.RequestException("odd"),
        RuntimeError("Failed to contact jms info endpoint"),
        ValueError("no JSON"),
        OSError("disk"),
    ],
)
def test_whatever_the_client_raises_becomes_a_sentence(fault: Exception) -> None:
    with pytest.raises(HpsError, match=r"^https://h/hps: "), explained("https://h/hps"):
        raise fault


def test_a_bug_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(AssertionError), explained("https://h/hps"):
        raise AssertionError


@given(
    st.lists(
        st.text(max_size=20)
        | st.sampled_from(["a", "A", "..", "results.csv", "../x", "job-number-1", "job-number-2"]),
        max_size=8,
    )
)
def test_every_job_has_a_safe_folder_of_its_own(names: list[str]) -> None:
    jobs = [{"id": str(number), "name": name} for number, name in enumerate(names)]
    places = places_of(jobs)
    assert all(
        safe_path(place) and "/" not in place and place != "results.csv"
        for place in places.values()
    )
    assert len({place.casefold() for place in places.values()}) == len(names)


@given(st.text(min_size=1))
def test_a_file_name_of_the_server_stays_inside_or_is_refused(name: str) -> None:
    tasks = [{"job_id": "1", "output_file_ids": ["f"]}]
    about: dict[str, dict[str, Any]] = {
        "f": {"id": "f", "evaluation_path": name, "hash": "x", "storage_id": "../../s"}
    }
    outputs, refused = outputs_of("project", {"1": "job-1"}, tasks, about, {})
    if refused:
        assert not outputs
    for output in outputs:
        assert safe_path(name)
        assert Path("/out", output.path).resolve().is_relative_to("/out/job-1")
        assert output.source == "project/s"


def test_the_last_task_of_each_step_counts_whatever_its_trial_number() -> None:
    def task(step: str, name: str, time: str, trial: int) -> dict[str, Any]:
        return {
            "job_id": "1",
            "task_definition_id": step,
            "output_file_ids": [name, "never"],
            "creation_time": time,
            "trial_number": trial,
        }

    tasks = [
        task("a", "retried", "2026-11-22T12:00:00Z", 0),
        task("a", "first", "2026-11-22T10:00:00Z", 0),
        task("a", "second", "2026-11-22T10:01:00Z", 1),
        task("b", "other", "2026-11-22T10:00:30Z", 0),
    ]
    about: dict[str, dict[str, Any]] = {
        name: {
            "id": name,
            "evaluation_path": f"{name}.txt",
            "hash": digest,
            "storage_id": f"bucket/{name}",
            "size": 1,
        }
        for name, digest in (
            ("first", "a"),
            ("second", "b"),
            ("retried", "BB"),
            ("other", "c"),
            ("never", None),
        )
    }
    found, _ = outputs_of("p", {"1": "job-1"}, latest(tasks), about, {"a": "a.py", "b": "b.py"})
    assert sorted((output.source, output.checksum) for output in found) == [
        ("p/other", "c"),
        ("p/retried", "bb"),
    ]


def test_each_step_has_its_own_console() -> None:
    tasks = [
        {"job_id": "1", "task_definition_id": step, "output_file_ids": [step], "creation_time": "x"}
        for step in "ab"
    ]
    about: dict[str, dict[str, Any]] = {
        name: {"id": name, "evaluation_path": "console_output.txt", "hash": "x", "storage_id": name}
        for name in "ab"
    }
    found, _ = outputs_of("p", {"1": "job-1"}, tasks, about, {"a": "mesh.py", "b": "solve.py"})
    assert [output.path for output in found] == [
        "job-1/mesh.py/console_output.txt",
        "job-1/solve.py/console_output.txt",
    ]


def test_what_a_server_says_steers_no_terminal_and_no_spreadsheet() -> None:
    assert "\x1b" not in str(HpsError("x", "no\x1b[31m\x1b]0;pwned\x07"))
    jobs = [
        {
            "id": "1",
            "name": "job-1",
            "eval_status": "=1",
            "values": {"job": "=HYPERLINK(1)", "x": -1.5, "n": "-1"},
        }
    ]
    lines = table_of(jobs, places_of(jobs), {"1": "=no"}, {}).decode().splitlines()
    assert lines == [
        "job,status,value of job,n,x,fitness,seconds,evaluators,note,reason",
        "job-1,'=1,'=HYPERLINK(1),'-1,-1.5,,,,,'=no",
    ]


@given(
    st.text(alphabet=" \t\r\n\u00a0\ufeff\u200b", max_size=3),
    st.sampled_from("=+-@\uff1d"),
    st.text(max_size=5),
)
def test_no_cell_is_a_formula_whatever_is_blank_before_it(blank: str, sign: str, rest: str) -> None:
    jobs = [
        {
            "id": "1",
            "name": "job-1",
            "eval_status": "evaluated",
            "values": {"x": blank + sign + rest, "y": -1},
        }
    ]
    text = table_of(jobs, places_of(jobs), {}, {}).decode()
    ((_, _, cell, number, *_),) = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert (cell[0], number) == ("'", "-1")
    assert "\r" not in text


@pytest.mark.parametrize(
    "secret",
    ["p+ss/w=rd", 'double  "blank"', "pässwörter", "<tag>&amp;'", "back\\slash", "12345678"],
)
@pytest.mark.parametrize("before", ["", "a", "ab", "anna:"])
def test_a_secret_is_hidden_in_every_form_that_a_server_may_send_back(
    secret: str, before: str
) -> None:
    hide(secret)
    longer = f"{before}{secret}:more".encode()
    forms = [
        secret,
        quote(secret, safe="").lower(),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        html.escape(secret),
    ]
    forms += [" ".join(secret.split()), base64.b64encode(secret.encode()).decode()]
    for form in (
        *forms,
        base64.b64encode(longer).decode(),
        base64.urlsafe_b64encode(longer).decode(),
    ):
        shown = without_secrets(f"<{before} {form}>")
        assert "***" in shown
        assert form not in shown


def test_a_short_secret_is_hidden_as_a_word_only() -> None:
    hide("zq")
    assert without_secrets("zq is not in zqueue") == "*** is not in zqueue"


def test_the_table_has_a_column_for_every_parameter() -> None:
    jobs: list[dict[str, Any]] = [
        {"id": "2", "name": "job-2", "eval_status": "failed", "values": {"x": 2}},
        {
            "id": "1",
            "name": "job-1",
            "eval_status": "evaluated",
            "values": {"x": 1, "maximum": 3.5},
        },
    ]
    jobs[1].update(elapsed_time=2.5, host_ids=["h1", "h2"], fitness=0.0, note="a first try")
    table = table_of(
        jobs,
        places_of(jobs),
        {"2": "uv is too old (node n1)"},
        {"h1": "node-1"},
        ["x", "unused", "maximum"],
    )
    assert table.decode().splitlines() == [
        "job,status,x,maximum,fitness,seconds,evaluators,note,reason",
        "job-1,evaluated,1,3.5,0.0,2.5,node-1 h2,a first try,",
        "job-2,failed,2,,,,,,uv is too old (node n1)",
    ]


def test_checksums_are_those_of_hps(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"Mock file")
    assert checksum(tmp_path / "x") == "ac2390bba2edaa01"


def test_platforms_are_those_that_hps_tells() -> None:
    def resource(platform: str | None) -> Resource:
        return Resource(
            identity="x", name="x", kind="evaluator", platform=platform, applications=()
        )

    found = platforms_to_bundle_for(
        [resource("linux"), resource("windows"), resource(None), resource("linux")]
    )
    assert found == ("x86_64-manylinux_2_28", "x86_64-pc-windows-msvc")
    with pytest.raises(HpsError, match="hint: give the platform with --platform"):
        platforms_to_bundle_for([resource(None)])


def test_a_registration_names_the_folder_above_bin() -> None:
    assert (
        registration("uv", "0.6.14", "/ansys_inc/uv/bin/uv", "/tmp/c")["install_path"]
        == "/ansys_inc/uv"
    )
