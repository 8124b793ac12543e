"""HPS that is hostile, broken, or not HPS at all: the real client against a stand-in that misbehaves over HTTP."""

from __future__ import annotations

import base64
import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote_plus

import pytest

from tests.conftest import Workplace
from tests.stand_ins import hps as stand_in
from tests.stand_ins.hps import Handler, Hps
from tests.stand_ins.hps_evaluator import working
from tests.stand_ins.hps_site import PASSWORD, evaluator, jobs_of, once, refuse, submitted

Fault = Callable[[Handler], bool]
WATCH = ["bundler", "hps", "watch", "any"]


def redirect(status: int, target: str) -> Fault:
    def fault(handler: Handler) -> bool:
        handler.send(status, {}, Location=target)
        return True

    return fault


@pytest.mark.parametrize(
    ("status", "method", "pattern"),
    [
        (307, "POST", ".*/token"),
        (308, "POST", ".*/token"),
        (301, "GET", ".*/openid-configuration"),
        (302, "GET", "/jms/api/v1"),
        (303, "GET", ".*/jobs"),
    ],
)
def test_nothing_is_sent_to_where_a_server_redirects(
    site: Workplace, hps: Hps, tmp_path: Path, status: int, method: str, pattern: str
) -> None:
    with stand_in.serving(Hps(storage=tmp_path / "elsewhere")) as elsewhere:
        host = elsewhere.url.removeprefix("http://")
        hps.faults[method, pattern] = redirect(
            status, f"http://anna:hidden@{host}/jms/api/v1/projects/P/jobs?hidden=1"
        )
        done = site.run(*WATCH)
        assert not elsewhere.requests
    assert done.returncode == 1
    here, there = (each.url.removesuffix("/hps") for each in (hps, elsewhere))
    assert (
        f"error: {here}: the server redirects to another one ({there}), to which nothing was sent\nhint: "
        in done.stderr
    )
    assert "hidden" not in done.stderr


def test_a_redirect_within_the_server_is_followed(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    hps.faults["GET", "/jms/api/v1"] = once(redirect(307, "/hps/jms/api/v1/"))
    hps.faults["GET", "/dt/api/v1"] = once(redirect(307, f"{hps.url}/dt/api/v1"))
    hps.faults["POST", ".*/token"] = once(redirect(308, f"{hps.url}/auth/realms/rep/token"))
    assert submitted(site, publication) in hps.projects


def busy(handler: Handler) -> bool:
    handler.send(
        503, {"title": "busy", "description": "later"}, data=None, **{"Retry-After": "99999"}
    )
    return True


@pytest.mark.parametrize("pattern", ["/jms/api/v1", ".*/openid-configuration", ".*/jobs"])
def test_a_server_that_is_busy_for_a_day_is_not_waited_for(
    site: Workplace, hps: Hps, pattern: str
) -> None:
    site.environment["HPS_TIMEOUT"] = "1"
    hps.faults["GET", pattern] = busy
    started = time.monotonic()
    done = site.run(*WATCH)
    assert time.monotonic() - started < 30
    assert done.returncode == 1
    assert "is busy or unavailable (503" in done.stderr
    assert "\nhint: try again later\n" in done.stderr


def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    site.environment["HPS_TIMEOUT"] = "3"
    hps.faults["GET", "/rms/api/v1/evaluators"] = once(busy)
    assert submitted(site, publication) in hps.projects


def test_files_with_impossible_names_are_named_and_all_others_fetched(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    with working(evaluator(site, hps)):
        project = submitted(site, publication, "--sweep", "frequency=1:7:1", "--wait")
    names = [
        "x/" * 2000 + "x",
        "n" * 300,
        "é" * 150,
        "../../evil.txt",
        "plot.txt/within",
        "/".join(["y" * 200] * 6),
    ]
    outputs = [file for file in hps.of(project, "files").values() if file.get("reference_id")]
    for name, file in zip(names, outputs, strict=False):
        file["evaluation_path"] = name
    # In the folder of the last job a file is in the way of a folder.
    jobs_of(hps, project)[0]["values"]["maximum"] = "\n =1+1"
    (site.folder / "results" / "job-5").mkdir(parents=True)
    (site.folder / "results" / "job-5" / "plot.txt").write_text("of the user")
    done = site.run("bundler", "hps", "fetch", project, "-o", "results")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: 6 of 14 files could not be fetched\n" in done.stderr
    for reason in (
        "the name has 2001 levels (at most 32)",
        "a component of the name is longer than 255 bytes",
        "the name is not a plain path inside the job's folder",
        "the name is longer than 900 bytes",
        "job-5/plot.txt/within: ",
    ):
        assert reason in done.stderr
    assert (
        "\nhint: fetch again for these files; all other files and the table are complete"
        in done.stderr
    )
    results = site.folder / "results"
    assert not list(site.folder.rglob("evil*"))
    assert (results / "job-7" / "plot.txt").read_text() == "x" * 70
    assert len(list(results.rglob("console_output.txt"))) == 7
    with (results / "results.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["maximum"] for row in rows][:2] == ["'\n =1+1", "4.0"]


def test_a_password_that_a_server_sends_back_is_not_shown(site: Workplace, hps: Hps) -> None:
    def echo(handler: Handler) -> bool:
        password = parse_qs(handler.body.decode())["password"][0]
        forms = [
            password,
            quote_plus(password),
            base64.b64encode(f"anna:{password}".encode()).decode(),
        ]
        handler.send(401, {"error": "x", "error_description": " | ".join(["wrong", *forms])})
        return True

    hps.faults["POST", ".*/token"] = echo
    done = site.run(*WATCH)
    assert "rejected the login (wrong | *** | *** | " in done.stderr
    assert PASSWORD not in done.stderr
    assert quote_plus(PASSWORD) not in done.stderr
    assert base64.b64encode(PASSWORD.encode()).decode()[:-3] not in done.stderr
    assert base64.b64encode(f"anna:{PASSWORD}".encode()).decode()[8:-4] not in done.stderr


def test_a_server_that_calls_things_after_secrets_does_not_get_them_shown(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    refresh = "refresh of anna"
    hps.faults["GET", ".*/jobs"] = refuse(500, f"of {refresh} and {PASSWORD}")
    done = site.run(*WATCH)
    assert "failed (500 of *** and ***)" in done.stderr
    hps.register(f"node of {PASSWORD}", application=refresh)
    done = site.run("bundler", "hps", "check", publication)
    assert "node of ***" in done.stdout
    for text in (done.stdout, done.stderr):
        assert PASSWORD not in text
        assert refresh not in text


def test_jobs_in_a_state_that_nobody_documents_are_not_watched_for_ever(
    site: Workplace, hps: Hps, publication: Path
) -> None:
    project = submitted(site, publication, "-j", "3")
    first, second, third = jobs_of(hps, project)
    first["eval_status"], second["eval_status"], third["eval_status"] = (
        "evaluated",
        "exploded",
        "exploded",
    )
    script = f"""
import sys
import bundler.hps.watch as watch
watch._STRANGE = 1.0
sys.argv = ["bundler", "hps", "watch", {project!r}, "--interval", "0.2"]
from bundler.cli import main
main()
"""
    done = site.run(sys.executable, "-c", script)
    assert done.returncode == 1
    assert "1 evaluated, 2 exploded" in done.stderr
    assert (
        "2 jobs are in the state 'exploded', which HPS does not document, and nothing changed for"
        in done.stderr
    )


@pytest.mark.parametrize("pattern", ["/jms/api/v1", ".*/openid-configuration", ".*/jobs"])
def test_a_web_page_in_place_of_the_interface_is_called_one(
    site: Workplace, hps: Hps, pattern: str
) -> None:
    def page(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.send_header("Content-Length", "25")
        handler.end_headers()
        handler.wfile.write(b"<!doctype html>Log in!!!!")
        return True

    hps.faults["GET", pattern] = page
    done = site.run(*WATCH)
    assert done.returncode == 1
    assert "answers with a web page instead of HPS's API\nhint: check the URL" in done.stderr


def test_text_in_place_of_json_is_no_answer_of_hps(site: Workplace, hps: Hps) -> None:
    def text(handler: Handler) -> bool:
        handler.send(200, None, data=b"pong")
        return True

    hps.faults["GET", "/jms/api/v1"] = text
    assert (
        "does not answer like HPS (an answer is not JSON)\nhint: check the URL"
        in site.run(*WATCH).stderr
    )


@pytest.mark.parametrize("tells_shutdown", [True, False])
def test_an_evaluator_that_did_not_shut_down_is_alive(
    site: Workplace, hps: Hps, publication: Path, tells_shutdown: bool
) -> None:
    hps.tells_shutdown = tells_shutdown
    done = site.run("bundler", "hps", "check", publication)
    assert (done.returncode, done.stdout) == (0, "evaluator\tnode-1\tlinux\tuv 0.6.14\n"), (
        done.stderr
    )


@pytest.mark.parametrize(
    ("status", "alive"),
    [
        ("normal", False),
        ("aborted", False),
        ("crash", False),
        ("failed", False),
        (None, True),
        ("draining", True),
    ],
)
def test_only_a_documented_shutdown_makes_an_evaluator_gone(
    site: Workplace, hps: Hps, publication: Path, status: str | None, alive: bool
) -> None:
    for each in hps.evaluators.values():
        each["shutdown_status"] = status
    done = site.run("bundler", "hps", "check", publication)
    assert (done.returncode == 0) == alive, done.stderr


def test_registering_without_an_evaluator_alive_fails(site: Workplace, hps: Hps) -> None:
    arguments = [
        "--executable",
        "/ansys_inc/uv/bin/uv",
        "--cache",
        "/tmp/scratch/uv_cache",
        "--uv-version",
        "0.13.9",
    ]
    done = site.run(
        "bundler", "hps", "register", *arguments, "--apply", "--yes", "--evaluator", "node-7"
    )
    assert done.returncode == 1
    assert (
        "no running evaluator is called node-7\nhint: running evaluators: node-1\n" in done.stderr
    )
    for each in hps.evaluators.values():
        each["shutdown_status"] = "normal"
    done = site.run("bundler", "hps", "register", *arguments)
    assert done.returncode == 0, "there are the values for the web interface"
    assert "No running evaluator has a platform" in done.stderr
    done = site.run("bundler", "hps", "register", *arguments, "--apply", "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no running evaluator has a platform" in done.stderr
