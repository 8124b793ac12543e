"""Licence expressions."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from packaging.licenses import canonicalize_license_expression

from bundler.assessment.spdx import satisfies

ALLOWED = {"MIT", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT AND Apache-2.0", True),
        ("GPL-3.0-only AND MIT OR Apache-2.0", True),
        ("GPL-3.0-only AND (MIT OR Apache-2.0)", False),
        ("MIT AND (GPL-3.0-only OR Apache-2.0)", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("GPL-2.0-only WITH Bison-exception-2.2", False),
        ("GPL-2.0-only", False),
        ("((MIT))", True),
    ],
)
def test_or_needs_one_side_and_and_both(expression: str, expected: bool) -> None:
    assert satisfies(expression, ALLOWED.__contains__) is expected


@pytest.mark.parametrize(
    "expression",
    ["", "MIT OR", "OR MIT", "(MIT", "MIT)", "MIT MIT", "()", "AND", "(" * 200 + "MIT" + ")" * 200],
)
def test_a_malformed_expression_is_an_error(expression: str) -> None:
    with pytest.raises(ValueError, match="licence|parenthesis"):
        satisfies(expression, ALLOWED.__contains__)


EXPRESSIONS = st.recursive(
    st.sampled_from(["MIT", "ISC", "Zlib", "GPL-3.0-only"]),
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.sets(st.sampled_from(["MIT", "ISC", "Zlib", "GPL-3.0-only"])))
def test_python_agrees(expression: str, allowed: set[str]) -> None:
    canonical = str(canonicalize_license_expression(expression))
    as_python = canonical.replace("AND", "and").replace("OR", "or")
    for name in ("MIT", "ISC", "Zlib", "GPL-3.0-only"):
        as_python = as_python.replace(name, str(name in allowed))
    assert satisfies(canonical, allowed.__contains__) == eval(as_python)  # noqa: S307 - of True, False, and, or
