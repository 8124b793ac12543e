"""The licence that a wheel declares."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.metadata import RawMetadata

# Characters; `License` may hold the whole text of one.
_SHOWN = 100
_CLASSIFIER = "License :: "


@dataclass(frozen=True, slots=True)
class Licence:
    """An SPDX `expression` (PEP 639), or what older metadata says instead, which no program can classify."""

    expression: str | None = None
    texts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.expression or "; ".join(self.texts) or "not declared"


def licence_of(metadata: RawMetadata) -> Licence:
    """Return the licence in `metadata`. An invalid expression counts as text, and so do classifiers."""
    expression = metadata.get("license_expression")
    if expression:
        try:
            return Licence(str(canonicalize_license_expression(expression)))
        except InvalidLicenseExpression:
            return Licence(texts=(_line(expression),))
    names = [
        text.rpartition(" :: ")[2]
        for text in metadata.get("classifiers", [])
        if text.startswith(_CLASSIFIER)
    ]
    lines = map(_line, [metadata.get("license", ""), *names])
    texts = dict.fromkeys(line for line in lines if line and line.upper() != "UNKNOWN")
    return Licence(texts=tuple(texts))


def _line(text: str) -> str:
    """Return the first line of `text` with a letter, printable and cut down to a length that a table can show."""
    for line in text.splitlines():
        if any(map(str.isalnum, line)):
            plain = "".join(filter(str.isprintable, line.strip()))
            if len(plain) <= _SHOWN:
                return plain
            return f"{plain[:_SHOWN]}..."
    return ""
