"""The pure parts of `bundler.hps`; what talks to a server is tested end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bundler.hps.connection import Account, explained
from bundler.hps.errors import HpsFault, without_secrets
from bundler.hps.resources import Resource, platforms_to_bundle_for, registration
from bundler.hps.results import _outputs, _places, _table
from bundler.hps.transfer import checksum
from wheelhouse.files import safe_path

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl"  # noqa: S105 - of nobody


def test_secrets_leave_no_trace_in_texts() -> None:
    assert TOKEN not in without_secrets(f"Authorization: Bearer {TOKEN} was refused")
    assert without_secrets("token bearer abc123 is bad") == "token *** is bad"
    assert TOKEN not in str(HpsFault("x", f"said {TOKEN}"))
    secret = "secret of anna"  # noqa: S105 - of nobody
    assert secret not in repr(Account(url="x", password=secret, access_token=secret, refresh_token=secret))


@pytest.mark.parametrize(
    "fault",
    [
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
    with pytest.raises(HpsFault, match=r"^https://h/hps: "), explained("https://h/hps"):
        raise fault


def test_a_bug_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(AssertionError), explained("https://h/hps"):
        raise AssertionError


@given(st.lists(st.text(max_size=20) | st.sampled_from(["a", "A", "..", "results.csv", "../x"]), max_size=8))
def test_every_job_has_a_safe_folder_of_its_own(names: list[str]) -> None:
    jobs = [{"id": str(number), "name": name} for number, name in enumerate(names)]
    places = _places(jobs)
    assert all(safe_path(place) and "/" not in place and place != "results.csv" for place in places.values())
    assert len({place.casefold() for place in places.values()}) == len(names)


@given(st.text(min_size=1))
def test_a_file_name_of_the_server_stays_inside_or_is_refused(name: str) -> None:
    tasks = [{"job_id": "1", "output_file_ids": ["f"]}]
    about: dict[str, dict[str, Any]] = {"f": {"id": "f", "evaluation_path": name, "hash": "x", "storage_id": "../../s"}}
    try:
        (output,) = _outputs("project", {"1": "job-1"}, tasks, about)
    except HpsFault:
        assert not safe_path(name)
    else:
        assert Path("/out", output.path).resolve().is_relative_to("/out/job-1")
        assert output.source == "project/s"


def test_the_last_trial_of_a_task_counts_and_what_was_never_made_does_not() -> None:
    tasks = [
        {"job_id": "1", "output_file_ids": ["second"], "trial_number": 1},
        {"job_id": "1", "output_file_ids": ["first", "never"], "trial_number": 0},
    ]
    about: dict[str, dict[str, Any]] = {
        name: {"id": name, "evaluation_path": "plot", "hash": digest, "storage_id": f"bucket/{name}", "size": 1}
        for name, digest in (("first", "aa"), ("second", "BB"), ("never", None))
    }
    (output,) = _outputs("p", {"1": "job-1"}, tasks, about)
    assert (output.source, output.checksum) == ("p/second", "bb")


def test_the_table_has_a_column_for_every_parameter() -> None:
    jobs = [
        {"id": "2", "name": "job-2", "eval_status": "failed", "values": {"x": 2}},
        {"id": "1", "name": "job-1", "eval_status": "evaluated", "values": {"x": 1, "maximum": 3.5}},
    ]
    assert _table(jobs, _places(jobs)).decode() == "job,status,maximum,x\njob-1,evaluated,3.5,1\njob-2,failed,,2\n"


def test_checksums_are_those_of_hps(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"Mock file")
    assert checksum(tmp_path / "x") == "ac2390bba2edaa01"


def test_platforms_are_those_that_hps_tells() -> None:
    def resource(platform: str | None) -> Resource:
        return Resource(identity="x", name="x", kind="evaluator", platform=platform, applications=())

    found = platforms_to_bundle_for([resource("linux"), resource("windows"), resource(None), resource("linux")])
    assert found == ("x86_64-manylinux_2_28", "x86_64-pc-windows-msvc")
    with pytest.raises(HpsFault, match="Give --platform"):
        platforms_to_bundle_for([resource(None)])


def test_a_registration_names_the_folder_above_bin() -> None:
    assert registration("uv", "0.6.14", "/ansys_inc/uv/bin/uv", "/tmp/c")["install_path"] == "/ansys_inc/uv"
