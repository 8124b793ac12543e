from __future__ import annotations

import pytest

from bundler.sources.fitness import Fitness, Term, parse_fitness

TERM = {"type": "limit_constraint", "expression": "map_limit_constraint(values['s'], 451.0, 50.0)"}
WEIGHTS = (("stress", 0.5), ("other", 1.0))


def test_a_fitness_has_terms_with_weights_and_a_value_for_jobs_that_fail() -> None:
    made = parse_fitness({"error": 10, "terms": {"stress": {**TERM, "weight": 0.5}, "other": TERM}})
    assert made == Fitness(
        error=10.0,
        terms={
            name: Term(type=TERM["type"], expression=TERM["expression"], weight=weight)
            for name, weight in WEIGHTS
        },
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (3, "must be a table with the number `error`"),
        ({"error": 1}, "must be a table with the number `error`"),
        ({"error": 1, "terms": {}}, "has no terms"),
        ({"error": True, "terms": {"x": TERM}}, "error must be a number"),
        ({"error": 1, "terms": {"x": {**TERM, "type": "best"}}}, "x has the unknown type 'best'"),
        (
            {"error": 1, "terms": {"x": {**TERM, "expression": ""}}},
            "x: expression must be a string",
        ),
        (
            {"error": 1, "terms": {"x": {**TERM, "weight": float("nan")}}},
            "x: weight must be a number",
        ),
        ({"error": 1, "terms": {"x": {**TERM, "wait": 1}}}, "x must be a table"),
    ],
)
def test_a_malformed_fitness_is_explained(value: object, reason: str) -> None:
    with pytest.raises((ValueError, TypeError), match=reason):
        parse_fitness(value)
