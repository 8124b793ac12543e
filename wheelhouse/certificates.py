"""Which certificate authorities are trusted: what the site's variables name, else what pip trusts."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from wheelhouse import files

if TYPE_CHECKING:
    from collections.abc import Iterator

# uv heeds the first, requests the other two; a site that set one of them means all its tools.
_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# Where Linux distributions keep the system's certificates; an OpenSSL that came with a Python may look elsewhere.
_SYSTEM_FILES = (
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    *("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"),
)


def ca_bundle() -> str | None:
    """Return the path of the file or folder of certificates that the environment names, if it names one."""
    return next((path for name in _VARIABLES if (path := os.environ.get(name))), None)


def trust_variables(folder: Path) -> dict[str, str]:
    """Return the variables with which uv and our downloads trust the same, and no less than pip does.

    pip trusts the system's certificates and those of certifi. On Linux one file in `folder` holds both; elsewhere
    the system keeps its certificates to itself, and uv asks it.
    """
    if ca_bundle():
        return {}
    if sys.platform in ("win32", "darwin"):
        return {"UV_SYSTEM_CERTS": "1"}
    found = list(dict.fromkeys(each for path in _system_files() for each in _CERTIFICATE.findall(path.read_bytes())))
    data = b"\n".join([*found, b""])
    path = folder / f"certificates-{hashlib.sha256(data).hexdigest()[:16]}.pem"
    files.write(path, data)
    return {"SSL_CERT_FILE": str(path)}


def _system_files() -> Iterator[Path]:
    defaults = ssl.get_default_verify_paths()
    yield from (path for each in filter(None, [defaults.cafile, *_SYSTEM_FILES]) if (path := Path(each)).is_file())
    if os.environ.get("SSL_CERT_DIR"):
        for folder in os.environ["SSL_CERT_DIR"].split(os.pathsep):
            yield from (path for path in sorted(Path(folder).glob("*")) if path.is_file())
    yield Path(certifi.where())
