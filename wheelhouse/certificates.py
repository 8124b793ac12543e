"""Which certificate authorities a site trusts, as its environment says."""

from __future__ import annotations

import os

# uv heeds the first, requests the other two; a site that set one of them means all its tools.
_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def ca_bundle() -> str | None:
    """Return the path of the file or folder of certificates that the environment names, if it names one."""
    return next((path for name in _VARIABLES if (path := os.environ.get(name))), None)
