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
    names = [text.rpartition(" :: ")[2] for text in metadata.get("classifiers", []) if text.startswith(_CLASSIFIER)]
    texts = [_line(metadata.get("license", "")), *map(_line, names)]
    return Licence(texts=tuple(dict.fromkeys(text for text in texts if text and text.upper() != "UNKNOWN")))


def _line(text: str) -> str:
    """Return the first line of `text` with a letter, printable and cut down to a length that a table can show."""
    line = next((line.strip() for line in text.splitlines() if any(map(str.isalnum, line))), "")
    plain = "".join(character for character in line if character.isprintable())
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}..."
