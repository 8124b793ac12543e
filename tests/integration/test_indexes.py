"""Indexes of every kind that scripts and sites name, over real HTTP, and the secrets that lead to them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PYTHON, Workplace
from tests.stand_ins import index as faults
from tests.stand_ins.index import Index, serving
from tests.stand_ins.nodes import evaluate
from tests.stand_ins.processes import processes_seen
from tests.stand_ins.sources import source_sdist
from tests.stand_ins.wheels import make_wheel

SECRET = "pa55word-of-nobody"  # noqa: S105 - of nobody


@pytest.fixture
def other() -> Iterator[Index]:
    with serving(Index()) as served:
        yield served


def wheels_of(bundle: Path) -> list[str]:
    return sorted(path.name for path in (bundle / "wheels").iterdir())


def test_an_explicit_index_serves_what_a_source_says_and_nothing_else(
    workplace: Workplace, other: Index
) -> None:
    """The way of PyTorch: an index of its own for one package, with local versions."""
    workplace.index.add(make_wheel("torch", "2.0"))
    workplace.index.add(make_wheel("alpha"))
    other.add(make_wheel("torch", "2.0+cpu", requires=["alpha"]))
    other.add(make_wheel("alpha", "9.0"))
    settings = 'sources = { torch = { index = "special" } }\n[[tool.uv.index]]\nname = "special"\nexplicit = true\n'
    workplace.script(
        "solve.py",
        "torch",
        "alpha",
        body="import torch, alpha\nprint('got', torch.version, alpha.version)\n",
        uv=f'{settings}url = "{other.url}/simple"',
    )
    bundle = workplace.bundle("solve.py")
    assert wheels_of(bundle) == ["alpha-1.0-py3-none-any.whl", "torch-2.0+cpu-py3-none-any.whl"]
    done, _ = evaluate(workplace, workplace.publish())
    assert "got 2.0+cpu 1.0" in done.stdout


def test_flat_folders_of_wheels_are_indexes_too(workplace: Workplace) -> None:
    flat = workplace.folder / "flat"
    flat.mkdir()
    name, data = make_wheel("alpha")
    (flat / name).write_bytes(data)
    for uv in (
        'find-links = ["flat"]',
        'index = [{ name = "mine", url = "flat", format = "flat" }]',
    ):
        workplace.script(
            "solve.py", "alpha", uv=uv, body="import alpha\nprint('got', alpha.version)\n"
        )
        bundle = workplace.bundle("solve.py", "--upgrade")
        assert wheels_of(bundle) == [name]
        manifest = (bundle / "manifest.json").read_text()
        assert str(workplace.folder) not in manifest
    done, _ = evaluate(workplace, workplace.publish())
    assert "got 1.0" in done.stdout


@pytest.mark.parametrize("way", ["url", "variables", "netrc", "keyring", "user's uv.toml"])
def test_a_secret_that_leads_to_an_index_is_written_nowhere(
    workplace: Workplace, other: Index, way: str
) -> None:
    other.password = SECRET
    other.add(make_wheel("alpha", requires=["source"]))
    other.add(source_sdist("source"))
    host = other.url.removeprefix("http://")
    home = Path(workplace.environment["HOME"])
    workplace.environment.pop("UV_DEFAULT_INDEX")
    if way == "url":
        workplace.environment["UV_INDEX"] = f"mine=http://me:{SECRET}@{host}/simple"
    else:
        workplace.environment["UV_INDEX"] = f"mine={other.url}/simple"
    if way == "variables":
        workplace.environment.update(UV_INDEX_MINE_USERNAME="me", UV_INDEX_MINE_PASSWORD=SECRET)
    if way == "keyring":
        program = home / "bin" / "keyring"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\ntest $1 = get -a $3 = me && echo {SECRET}\n")
        program.chmod(0o700)
        workplace.environment["PATH"] = (
            f"{program.parent}{os.pathsep}{workplace.environment['PATH']}"
        )
        workplace.environment["UV_INDEX"] = f"mine=http://me@{host}/simple"
        workplace.environment["UV_KEYRING_PROVIDER"] = "subprocess"
    if way == "user's uv.toml":
        workplace.environment.pop("UV_INDEX")
        settings = home / ".config" / "uv" / "uv.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(f'[[index]]\nurl = "http://me:{SECRET}@{host}/simple"\n')
    if way == "netrc":
        (home / ".netrc").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
        (home / ".netrc").chmod(0o600)
    workplace.script("solve.py", "alpha")
    with processes_seen() as seen:
        first = workplace.run("bundle", "solve.py", "--python", PYTHON, "--build", "source")
        workplace.script("bad.py", "alpha>9")
        second = workplace.run("bundle", "bad.py", "--python", PYTHON)
    assert first.returncode == 0, first.stderr
    assert second.returncode == 1
    workplace.publish("solve.bundle")
    written = [first.stdout, first.stderr, second.stdout, second.stderr]
    for folder in (workplace.folder, home / ".cache" / "bundler"):
        written += [
            path.read_bytes().decode(errors="replace")
            for path in folder.rglob("*")
            if path.is_file()
        ]
    assert not [text for text in written if SECRET in text]
    assert not [line for line in seen if SECRET.encode() in line]
    manifest = json.loads((workplace.folder / "solve.bundle" / "manifest.json").read_text())
    assert f"built from {other.url}/files/source-1.0.tar.gz" in [
        file["origin"] for file in manifest["files"]
    ]


def test_a_wrong_password_is_told_without_it(workplace: Workplace, other: Index) -> None:
    other.password = "right"  # noqa: S105 - of nobody
    other.add(make_wheel("alpha"))
    workplace.environment["UV_DEFAULT_INDEX"] = (
        f"http://me:{SECRET}@{other.url.removeprefix('http://')}/simple"
    )
    workplace.script("solve.py", "alpha")
    done = workplace.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == 1
    assert SECRET not in done.stderr
    assert "alpha" in done.stderr


def test_a_proxy_of_the_environment_is_used_for_everything(
    workplace: Workplace, other: Index
) -> None:
    """A proxy sees absolute URLs; the stand-in answers them as it would its own."""
    other.add(make_wheel("alpha"))
    environment = {
        "UV_DEFAULT_INDEX": "http://index.test/simple",
        "HTTP_PROXY": other.url,
        "http_proxy": other.url,
        "NO_PROXY": "",
        "no_proxy": "",
    }
    workplace.environment.update(environment)
    other.url = "http://index.test"
    workplace.script("solve.py", "alpha")
    bundle = workplace.bundle("solve.py")
    assert wheels_of(bundle) == ["alpha-1.0-py3-none-any.whl"]
    assert os.environ.get("HTTP_PROXY") != environment["HTTP_PROXY"]


def test_credentials_of_pips_configuration_lead_to_what_pip_tools_found(
    workplace: Workplace, other: Index
) -> None:
    other.password = SECRET
    other.add(make_wheel("alpha"))
    host = other.url.removeprefix("http://")
    settings = Path(workplace.environment["HOME"], ".config", "pip", "pip.conf")
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[global]\nindex-url = http://me:{SECRET}@{host}/simple\n")
    workplace.environment.pop("UV_DEFAULT_INDEX")
    workplace.script("solve.py", "alpha")
    bundle = workplace.bundle("solve.py", "--resolver", "pip-tools")
    assert wheels_of(bundle) == ["alpha-1.0-py3-none-any.whl"]
    assert SECRET not in (bundle / "manifest.json").read_text()


def test_a_lock_whose_urls_lead_nowhere_any_more_is_served_by_the_indexes_that_are_configured(
    workplace: Workplace, other: Index
) -> None:
    """A lock from another site, and a mirror here; what has an index of its own is asked for nowhere else."""
    for name in ("alpha", "private"):
        workplace.index.add(make_wheel(name))
        other.add(make_wheel(name))
    settings = f'index = [{{ name = "ours", url = "{other.url}/simple", explicit = true }}]\n'
    workplace.script(
        "solve.py",
        "alpha",
        "private",
        uv=f'{settings}sources = {{ private = {{ index = "ours" }} }}',
    )
    done = workplace.run("uv", "lock", "--script", "solve.py")
    assert done.returncode == 0, done.stderr
    workplace.index.faults["alpha-1.0-py3-none-any.whl"] = faults.missing
    done = workplace.run("bundle", "solve.py", "--python", PYTHON, UV_INDEX=f"{other.url}/simple")
    assert done.returncode == 0, done.stderr
    other.faults["private-1.0-py3-none-any.whl"] = faults.missing
    workplace.index.requests.clear()
    workplace.environment["BUNDLER_CACHE_DIR"] = str(workplace.folder / "empty")
    done = workplace.run(
        "bundle", "solve.py", "--python", PYTHON, "--upgrade", UV_INDEX=f"{other.url}/simple"
    )
    assert "private-1.0-py3-none-any.whl: the server answered 404" in done.stderr
    assert "/simple/private/" not in workplace.index.requests
