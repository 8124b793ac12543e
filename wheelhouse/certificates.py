"""Trusted certificate authorities: those in environment variables, or those that pip trusts."""

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
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    *("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"),
)


def ca_bundle() -> str | None:
    """Return the file or folder of certificates that the environment variables name, if any."""
    return next((path for name in _VARIABLES if (path := os.environ.get(name))), None)


def trust_variables(folder: Path) -> dict[str, str]:
    """Return environment variables with which uv and our downloads trust the same certificates as pip.

    pip trusts those of the system and of certifi. On Linux, a file in `folder` combines both; on other systems uv can
    read the system's certificates itself.
    """
    if ca_bundle():
        return {}
    if sys.platform in ("win32", "darwin"):
        return {"UV_SYSTEM_CERTS": "1"}
    certificates = list(
        dict.fromkeys(
            certificate for path in _system_files() for certificate in _CERTIFICATE.findall(path.read_bytes())
        )
    )
    data = b"\n".join([*certificates, b""])
    path = folder / f"certificates-{hashlib.sha256(data).hexdigest()[:16]}.pem"
    atomic.write(path, data)
    return {"SSL_CERT_FILE": str(path)}


def _system_files() -> Iterator[Path]:
    defaults = ssl.get_default_verify_paths()
    yield from (path for name in filter(None, [defaults.cafile, *_SYSTEM_FILES]) if (path := Path(name)).is_file())
    if os.environ.get("SSL_CERT_DIR"):
        for folder in os.environ["SSL_CERT_DIR"].split(os.pathsep):
            yield from (path for path in sorted(Path(folder).glob("*")) if path.is_file())
    import certifi  # noqa: PLC0415 - the far side has none

    yield Path(certifi.where())
