from __future__ import annotations

import pytest

from wheelhouse.fetch.certificates import ca_bundle

_NAMES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def test_what_a_site_set_for_one_tool_counts_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    assert ca_bundle() is None
    for name in reversed(_NAMES):
        monkeypatch.setenv(name, f"/etc/{name}")
        assert ca_bundle() == f"/etc/{name}"
