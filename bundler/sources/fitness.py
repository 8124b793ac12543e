"""The fitness of a job, by which optimizations compare jobs, as scripts declare it in `[tool.bundler]`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The types of terms that HPS documents.
TYPES = ("design_objective", "target_constraint", "limit_constraint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A term of a fitness: an expression of HPS over `values`, of one of the `TYPES`, and its weight."""

    type: str
    expression: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """The terms of a fitness by name, and the fitness of jobs that fail."""

    error: float
    terms: Mapping[str, Term] = field(default_factory=dict)


def parse_fitness(value: object) -> Fitness:
    """Return the fitness in the table `value`. Raises `TypeError`, `ValueError`."""
    if (
        not isinstance(value, dict)
        or set(value) != {"error", "terms"}
        or not isinstance(value["terms"], dict)
    ):
        raise TypeError("must be a table with the number `error` and the table `terms`")
    terms = {name: _term(name, about) for name, about in value["terms"].items()}
    if not terms:
        raise ValueError("has no terms")
    return Fitness(error=_finite("error", value["error"]), terms=terms)


def _term(name: str, about: object) -> Term:
    if not isinstance(about, dict) or not {"type", "expression"} <= set(about) <= {
        "type",
        "expression",
        "weight",
    }:
        raise TypeError(
            f"{name} must be a table with the keys type, expression and, if needed, weight"
        )
    kind = about["type"]
    if kind not in TYPES:
        raise ValueError(f"{name} has the unknown type {kind!r}; the types are {', '.join(TYPES)}")
    expression = about["expression"]
    if not isinstance(expression, str) or not expression:
        raise ValueError(f"{name}: expression must be a string")
    weight = _finite(f"{name}: weight", about.get("weight", 1.0))
    return Term(type=kind, expression=expression, weight=weight)


def _finite(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number (got {value!r})")
    return float(value)
