"""Locks (PEP 751) and requirements files as other tools write them: groups, environments, encodings and hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.conftest import PYTHON, Workplace
from tests.stand_ins.sources import source_sdist
from tests.stand_ins.wheels import make_wheel


@pytest.fixture
def alpha(workplace: Workplace) -> Path:
    name, data = make_wheel("alpha")
    workplace.index.add((name, data))
    path = workplace.folder / name
    path.write_bytes(data)
    return path


def lock(
    workplace: Workplace, wheel: Path, *, top: str = "", marker: str = "", hashes: str = ""
) -> None:
    """Write a pylock.toml of one package."""
    stated = hashes or f'sha256 = "{hashlib.sha256(wheel.read_bytes()).hexdigest()}"'
    text = f'lock-version = "1.0"\ncreated-by = "somebody"\n{top}\n[[packages]]\nname = "alpha"\nversion = "1.0"\n'
    text += f"marker = {marker!r}\n" if marker else ""
    text += f'wheels = [{{ path = "{wheel.name}", hashes = {{ {stated} }} }}]\n'
    (workplace.folder / "pylock.toml").write_text(text)


def bundled(workplace: Workplace, source: str, *options: str) -> tuple[list[str], str]:
    """Return the wheels of a bundle of `source`, and the messages."""
    done = workplace.run(
        "bundle", source, "-o", "it.bundle", "--replace", *(options or ("--python", PYTHON))
    )
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.returncode == 1
        return [], done.stderr
    return sorted(
        path.name for path in (workplace.folder / "it.bundle" / "wheels").iterdir()
    ), done.stderr


GROUPS = 'dependency-groups = ["test"]\ndefault-groups = ["default"]'


@pytest.mark.parametrize(
    ("top", "marker", "is_installed"),
    [
        (GROUPS, '"default" in dependency_groups', True),
        (GROUPS, '"test" in dependency_groups', False),
        (GROUPS, '"test" in dependency_groups or sys_platform == "linux"', True),
        ('extras = ["fast"]', '"fast" in extras', False),
        ('extras = ["fast"]', '"fast" not in extras', True),
    ],
)
def test_the_default_groups_of_a_lock_are_installed(
    workplace: Workplace, alpha: Path, top: str, marker: str, is_installed: bool
) -> None:
    lock(workplace, alpha, top=top, marker=marker)
    assert bundled(workplace, "pylock.toml")[0] == [alpha.name] * is_installed


@pytest.mark.parametrize(
    ("top", "words"),
    [
        (
            "environments = [\"sys_platform == 'linux'\"]",
            "its environments do not include Python 3.12 on x86_64-pc-win",
        ),
        (
            "environments = [\"python_version < '3.12'\", \"os_name == 'posix'\"]",
            "its environments do not include",
        ),
        ('requires-python = ">=3.13"', "requires-python >=3.13 excludes Python 3.12"),
    ],
)
def test_a_lock_that_does_not_support_a_target_is_refused(
    workplace: Workplace, alpha: Path, top: str, words: str
) -> None:
    lock(workplace, alpha, top=top)
    wheels, messages = bundled(
        workplace, "pylock.toml", "--python", "3.12", "--platform", "windows"
    )
    assert (wheels, words in messages) == ([], True), messages


def digest(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm, data).hexdigest()


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224", "sha384", "sha512", "blake2b"])
def test_a_lock_may_state_digests_of_any_algorithm(
    workplace: Workplace, alpha: Path, algorithm: str
) -> None:
    data = alpha.read_bytes()
    lock(workplace, alpha, hashes=f'{algorithm} = "{digest(algorithm, data)}"')
    assert bundled(workplace, "pylock.toml")[0] == [alpha.name]
    lock(workplace, alpha, hashes=f'{algorithm} = "{digest(algorithm, b"other")}"')
    wheels, messages = bundled(workplace, "pylock.toml")
    assert (wheels, f"but the lock says {algorithm}:" in messages) == ([], True), messages


@pytest.mark.parametrize("hashes", ['sha3 = "00"', 'sha512 = "00"', 'sha384 = "zz"'])
def test_a_digest_in_a_lock_that_cannot_be_compared_is_refused(
    workplace: Workplace, alpha: Path, hashes: str
) -> None:
    right = hashlib.sha256(alpha.read_bytes()).hexdigest()
    for stated in (hashes, f'{hashes}, sha256 = "{right}"'):
        lock(workplace, alpha, hashes=stated)
        wheels, messages = bundled(workplace, "pylock.toml")
        assert (wheels, "the hash" in messages) == ([], True), messages


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le with mark", "utf-16-be with mark"]


def encoded(text: str, encoding: str) -> bytes:
    name, _, with_mark = encoding.partition(" with ")
    return (("\ufeff" if with_mark else "") + text).encode(name)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_hashes_in_requirements_are_compared_in_every_encoding(
    workplace: Workplace, alpha: Path, encoding: str, algorithm: str
) -> None:
    path = workplace.folder / "requirements.txt"
    right, wrong = (digest(algorithm, data) for data in (alpha.read_bytes(), b"other"))
    for hashes, is_right in (
        (right, True),
        (wrong, False),
        (f"{wrong} \\\r\n    --hash={algorithm}:{right}", True),
    ):
        path.write_bytes(
            encoded(
                f"# caf\u00e9\r\nalpha==1.0 \\\r\n    --hash={algorithm}:{hashes}\r\n", encoding
            )
        )
        wheels, messages = bundled(workplace, "requirements.txt")
        assert wheels == [alpha.name] * is_right, messages
        assert ("hash" in messages) != is_right


@pytest.mark.parametrize(
    "line",
    [
        "alpha==1.0 --hash=sha3:{right}",
        "alpha==1.0 --hash=sha256:{right}0",
        "alpha==1.0 --hash=sha256:{right} --hash=sha512:00",
        "alpha==1.0 --hash {right}",
        "alpha==1.0 --hash=md5:" + "0" * 32,
        "--hash=sha256:{right}",
    ],
)
def test_a_hash_that_cannot_be_read_is_never_ignored(
    workplace: Workplace, alpha: Path, line: str
) -> None:
    right = digest("sha256", alpha.read_bytes())
    (workplace.folder / "included.txt").write_text(line.format(right=right))
    (workplace.folder / "requirements.txt").write_text("-r included.txt\n")
    assert bundled(workplace, "requirements.txt")[0] == []


def test_the_hash_of_a_source_distribution_is_compared_in_any_algorithm(
    workplace: Workplace,
) -> None:
    name, data = source_sdist("source")
    workplace.index.add((name, data))
    path = workplace.folder / "requirements.txt"
    options = ("--python", PYTHON, "--build", "source")
    for text, is_right in ((data, True), (b"other", False)):
        path.write_text(f"source==1.0 --hash=sha512:{digest('sha512', text)}\n")
        assert bool(bundled(workplace, "requirements.txt", *options)[0]) == is_right


def test_a_secret_in_a_file_of_another_encoding_is_not_kept(
    workplace: Workplace, alpha: Path
) -> None:
    text = f"--extra-index-url http://me:s3cret@{workplace.index.url.removeprefix('http://')}/simple\nalpha\n"
    (workplace.folder / "requirements.txt").write_bytes(text.encode("utf-16"))
    assert bundled(workplace, "requirements.txt")[0] == [alpha.name]
    kept = [
        path.read_bytes() for path in (workplace.folder / "it.bundle").rglob("*") if path.is_file()
    ]
    assert not [data for data in kept if b"s3cret" in data.replace(b"\0", b"")]
