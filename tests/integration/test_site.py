"""Sites that have configured pip and nothing else: indexes, certificates, proxies."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import BIN, PYTHON, Workplace
from tests.stand_ins.certificates import Authority, make_authority
from tests.stand_ins.index import Index, serving
from tests.stand_ins.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def other() -> Iterator[Index]:
    with serving(Index()) as served:
        yield served


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("site") / "authority")


@pytest.fixture
def site(workplace: Workplace) -> Workplace:
    """A workplace where uv is told of no index and of no certificates."""
    workplace.environment.pop("UV_DEFAULT_INDEX")
    for name in _TRUST:
        workplace.environment.pop(name, None)
    return workplace


def configure(site: Workplace, **settings: str) -> None:
    path = Path(site.environment["HOME"], ".config", "pip", "pip.conf")
    path.parent.mkdir(parents=True)
    lines = [f"{key.replace('_', '-')} = {value}" for key, value in settings.items()]
    path.write_text("\n".join(["[global]", *lines, ""]))


def wheels(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "solve.bundle" / "wheels").iterdir())


def test_pips_index_serves_where_uv_has_none_and_its_password_stays_secret(site: Workplace) -> None:
    site.index.password = "s3cret"  # noqa: S105
    site.index.add(make_wheel("alpha"))
    url = f"{site.index.url}/simple"
    configure(site, index_url=url.replace("://", "://me:s3cret@"))
    site.script("solve.py", "alpha")
    done = site.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == 0, done.stderr
    assert f"Using the indexes from pip's configuration: {url}" in done.stderr
    assert "s3cret" not in done.stderr
    assert all(
        b"s3cret" not in path.read_bytes() for path in site.folder.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("way", ["variable", "user", "script"])
def test_what_uv_is_configured_to_counts_more_than_pip(
    site: Workplace, other: Index, way: str
) -> None:
    site.index.add(make_wheel("alpha", "1.0"))
    other.add(make_wheel("alpha", "2.0"))
    configure(site, index_url=f"{other.url}/simple")
    default = f'[[index]]\nurl = "{site.index.url}/simple"\ndefault = true\n'
    if way == "variable":
        site.environment["UV_DEFAULT_INDEX"] = f"{site.index.url}/simple"
    if way == "user":
        settings = Path(site.environment["HOME"], ".config", "uv", "uv.toml")
        settings.parent.mkdir(parents=True)
        settings.write_text(default)
    site.script(
        "solve.py", "alpha", uv=default.replace("[[", "[[tool.uv.") if way == "script" else ""
    )
    done = site.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == 0, done.stderr
    assert wheels(site.folder) == ["alpha-1.0-py3-none-any.whl"]
    assert "pip's configuration" not in done.stderr


def test_of_several_indexes_the_best_version_is_taken_as_pip_does(
    site: Workplace, other: Index
) -> None:
    site.index.add(make_wheel("alpha", "1.0"))
    other.add(make_wheel("alpha", "2.0"))
    site.index.add(make_wheel("beta", "2.0"))
    other.add(make_wheel("beta", "1.0"))
    site.script("solve.py", "alpha", "beta")
    site.environment |= {
        "PIP_INDEX_URL": f"{site.index.url}/simple",
        "PIP_EXTRA_INDEX_URL": f"{other.url}/simple",
    }
    done = site.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == 0, done.stderr
    assert wheels(site.folder) == ["alpha-2.0-py3-none-any.whl", "beta-2.0-py3-none-any.whl"]


def test_a_site_with_a_folder_of_wheels_and_no_index_is_served(site: Workplace) -> None:
    folder = site.folder / "all-wheels"
    folder.mkdir()
    filename, data = make_wheel("alpha")
    (folder / filename).write_bytes(data)
    configure(site, no_index="true", find_links=str(folder))
    site.script("solve.py", "alpha")
    done = site.run(
        "bundle",
        "solve.py",
        "--python",
        PYTHON,
        HTTP_PROXY="http://127.0.0.1:9",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    assert done.returncode == 0, done.stderr
    assert wheels(site.folder) == [filename]


@pytest.mark.parametrize("way", ["cert", "trusted-host", "client-cert", "environment"])
def test_an_index_by_https_is_trusted_as_pip_trusts_it(
    site: Workplace, authority: Authority, way: str
) -> None:
    with serving(Index(), authority.context(asks_client=way == "client-cert")) as index:
        index.add(make_wheel("alpha"))
        ways = {
            "cert": {"cert": str(authority.certificate)},
            "trusted-host": {"trusted_host": "127.0.0.1"},
            "client-cert": {
                "cert": str(authority.certificate),
                "client_cert": str(authority.client),
            },
            "environment": {},
        }
        configure(site, index_url=f"{index.url}/simple", **ways[way])
        if way == "environment":
            site.environment["REQUESTS_CA_BUNDLE"] = str(authority.certificate)
        site.script("solve.py", "alpha")
        done = site.run("bundle", "solve.py", "--python", PYTHON)
        assert done.returncode == 0, done.stderr


def test_an_index_whose_certificate_nobody_vouches_for_is_refused(
    site: Workplace, authority: Authority
) -> None:
    with serving(Index(), authority.context()) as index:
        index.add(make_wheel("alpha"))
        configure(site, index_url=f"{index.url}/simple", trusted_host="localhost 127.0.0.1:1")
        site.script("solve.py", "alpha")
        done = site.run("bundle", "solve.py", "--python", PYTHON, UV_HTTP_RETRIES="0")
        assert (done.returncode, "certificate" in done.stderr.lower()) == (1, True)


@pytest.mark.parametrize("system_certs", ["", "1"])
def test_certificates_of_the_system_are_trusted_by_uv_and_by_downloads(
    site: Workplace, authority: Authority, system_certs: str
) -> None:
    """The system's file is exchanged for one with the site's authority, for this process and its children alone."""
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    if not system.is_file() or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("needs Debian's file of certificates and a mount namespace (unshare -rm)")
    both = site.folder / "both.crt"
    both.write_bytes(system.read_bytes() + authority.certificate.read_bytes())
    with serving(Index(), authority.context()) as index:
        index.add(make_wheel("alpha"))
        configure(site, index_url=f"{index.url}/simple")
        site.script("solve.py", "alpha")
        command = 'mount --bind both.crt "$0" && exec "$@"'
        done = site.run(
            *(
                "unshare",
                "-rm",
                "sh",
                "-c",
                command,
                str(system),
                BIN / "bundle",
                "solve.py",
                "--python",
                PYTHON,
            ),
            UV_SYSTEM_CERTS=system_certs or "0",
        )
        assert done.returncode == 0, done.stderr
        assert wheels(site.folder) == ["alpha-1.0-py3-none-any.whl"]


def test_the_proxy_of_pip_is_used_for_everything(site: Workplace) -> None:
    site.index.add(make_wheel("alpha"))
    configure(site, proxy=site.index.url, index_url="http://nowhere.invalid/simple")
    site.environment["NO_PROXY"] = ""
    site.index.url = "http://nowhere.invalid"
    site.script("solve.py", "alpha")
    done = site.run("bundle", "solve.py", "--python", PYTHON)
    assert done.returncode == 0, done.stderr
    names = {Path(path).name for path in site.index.requests}
    assert names >= {"alpha", "alpha-1.0-py3-none-any.whl"}


def test_an_upload_trusts_what_bundle_trusts(site: Workplace, authority: Authority) -> None:
    site.index.add(make_wheel("alpha"))
    site.script("solve.py", "alpha")
    site.bundle("solve.py", UV_DEFAULT_INDEX=f"{site.index.url}/simple")
    site.environment |= {"UV_PUBLISH_USERNAME": "me", "UV_PUBLISH_PASSWORD": "word"}
    with serving(Index(), authority.context()) as served:
        served.add(make_wheel("alpha"))
        refused = site.run("publish-index", "solve.bundle", "--upload", served.url)
        assert refused.returncode == 1
        configure(site, cert=str(authority.certificate))
        # The index has the wheel, so that nothing remains to be uploaded.
        done = site.run("publish-index", "solve.bundle", "--upload", served.url)
    assert done.returncode == 0, done.stderr
