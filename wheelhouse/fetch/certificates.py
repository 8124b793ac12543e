"""Trusted certificate authorities: from environment variables, or from the configuration of pip."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

from wheelhouse import atomic

# uv reads the first variable, requests the other two; a site that sets one of them means all of its tools.
_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# Where Linux distributions keep certificates; the OpenSSL of a Python build may look elsewhere.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


def ca_bundle() -> str | None:
    """Return the file or folder of certificates that the environment variables name, if any."""
    for name in _VARIABLES:
        path = os.environ.get(name)
        if path:
            return path
    return None


def trust_variables(folder: Path) -> dict[str, str]:
    """Return environment variables with which uv and our downloads trust the same certificates as pip.

    pip trusts those of the system and of certifi. On Linux, a file in `folder` combines both; on other systems uv can
    read the system's certificates itself.
    """
    if ca_bundle():
        return {}
    if sys.platform in ("win32", "darwin"):
        return {"UV_SYSTEM_CERTS": "1"}
    certificates: list[bytes] = []
    for source in _system_files():
        certificates += _CERTIFICATE.findall(source.read_bytes())
    distinct = dict.fromkeys(certificates)
    data = b"\n".join([*distinct, b""])
    key = hashlib.sha256(data).hexdigest()[:16]
    path = folder / f"certificates-{key}.pem"
    atomic.write(path, data)
    return {"SSL_CERT_FILE": str(path)}


def _system_files() -> Iterator[Path]:
    names = list(_SYSTEM_FILES)
    own = ssl.get_default_verify_paths().cafile
    if own:
        names.insert(0, own)
    paths = [Path(name) for name in names]
    folders = os.environ.get("SSL_CERT_DIR")
    if folders:
        for folder in folders.split(os.pathsep):
            paths += sorted(Path(folder).glob("*"))
    for path in paths:
        if path.is_file():
            yield path
    import certifi  # noqa: PLC0415 - the far side has none

    yield Path(certifi.where())
