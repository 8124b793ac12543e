"""pip-tools as the resolver: the hashes that the user gives are kept to, and what goes wrong is explained."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PYTHON, Workplace
from tests.stand_ins.wheels import make_wheel

if TYPE_CHECKING:
    import subprocess

WRONG = "0" * 64


def bundled(
    workplace: Workplace, text: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    (workplace.folder / "requirements.txt").write_text(text)
    workplace.environment |= {"PIP_INDEX_URL": f"{workplace.index.url}/simple", **environment}
    command = ["bundle", "requirements.txt", "--python", PYTHON, "--resolver", "pip-tools"]
    return workplace.run(*command)


@pytest.mark.parametrize("way", ["own", "included", "constraint", "other algorithm"])
def test_a_hash_that_no_file_has_is_refused(workplace: Workplace, way: str) -> None:
    filename, data = make_wheel("alpha")
    workplace.index.add((filename, data))
    line = f"alpha==1.0 --hash=sha256:{WRONG}\n"
    if way == "other algorithm":
        line = f"alpha==1.0 --hash=sha512:{WRONG * 2}\n"
    (workplace.folder / "more.txt").write_text(line)
    text = {"included": "-r more.txt\n", "constraint": "alpha\n-c more.txt\n"}.get(way, line)
    done = bundled(workplace, text)
    assert (done.returncode, "hash" in done.stderr, "Traceback" in done.stderr) == (
        1,
        True,
        False,
    ), done.stderr
    assert not (workplace.folder / "requirements.bundle").exists()


def test_a_hash_that_a_file_has_is_kept_to(workplace: Workplace) -> None:
    filename, data = make_wheel("alpha")
    workplace.index.add((filename, data))
    done = bundled(
        workplace, f"alpha==1.0 \\\n  --hash=sha256:{hashlib.sha256(data).hexdigest()}\n"
    )
    assert done.returncode == 0, done.stderr


def test_a_file_that_is_none_of_requirements_is_not_quoted(workplace: Workplace) -> None:
    (workplace.folder / "passwd").write_text("root:x:0:0:the secret line:/root:/bin/bash\n")
    for text in ("-r passwd\n", "-c passwd\n"):
        done = bundled(workplace, text)
        assert (
            done.returncode,
            "passwd: " in done.stderr,
            "line 1 is not a requirement" in done.stderr,
        ) == (
            1,
            True,
            True,
        )
        assert "secret line" not in done.stderr


def test_a_variable_in_a_requirement_is_not_shown(workplace: Workplace) -> None:
    done = bundled(
        workplace,
        "alpha @ http://127.0.0.1:9/${PLACE}/alpha-1.0-py3-none-any.whl\n",
        PLACE="hidden-place",
    )
    assert (done.returncode, "hidden-place" in done.stderr, "Traceback" in done.stderr) == (
        1,
        False,
        False,
    )


def test_an_index_that_asks_who_is_there_is_told_and_nobody_is_asked(workplace: Workplace) -> None:
    workplace.index.add(make_wheel("alpha"))
    workplace.index.password = "s3cret"  # noqa: S105
    done = bundled(workplace, "alpha\n")
    assert done.returncode == 1
    assert (
        "hint: set the user and password of the index in pip.conf, netrc or a keyring"
        in done.stderr
    )
    assert "401" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Aborted" not in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "nosuchthing\n",
        "alpha==1\nalpha==2\n",
        "alpha==9\n",
        "alpha @ http://127.0.0.1:9/alpha-1.0-py3-none-any.whl\n",
        "alpha @ file:///nowhere/alpha-1.0-py3-none-any.whl\n",
        "./nowhere\n",
        "-e .\n",
        "git+https://127.0.0.1:9/x\n",
        "--index-url http://127.0.0.1:9/simple\nalpha\n",
        "-r nowhere.txt\n",
        "--no-such-option\n",
        "alpha; python_version\n",
        "alpha[\n",
    ],
)
def test_what_pip_tools_cannot_do_is_explained_without_a_traceback(
    workplace: Workplace, text: str
) -> None:
    workplace.index.add(make_wheel("alpha"))
    done = bundled(workplace, text, PIP_RETRIES="0", PIP_TIMEOUT="2")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Aborted" not in done.stderr
    assert len(done.stderr.splitlines()) > 2
