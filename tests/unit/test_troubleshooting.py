from __future__ import annotations

import re
from pathlib import Path

import pytest

from bundler.cli.guide import read_guide

SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for package in ("bundler", "wheelhouse")
    for path in sorted((Path(__file__).parents[2] / package).rglob("*.py"))
)
# Adjacent literals and values of f-strings and format() count as anything.
TEXT = re.sub(r'"\s*\n\s*f?"', "", SOURCES)
MESSAGES = [
    row.split(" | ")[0].strip("| `")
    for row in read_guide("troubleshooting").splitlines()
    if row.startswith("| `")
]


@pytest.mark.parametrize(
    "message", [message for message in MESSAGES if "certificate` errors" not in message]
)
def test_every_message_in_the_guide_is_one_of_ours(message: str) -> None:
    parts = [
        re.escape(part.strip()) for part in re.split(r"\.\.\.|\b\d+\b", message) if part.strip()
    ]
    assert re.search(r"[^\n]*".join(parts), TEXT), message
