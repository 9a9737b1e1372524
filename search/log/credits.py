"""Partial credit: scores between 0 and 1 that a record by others gave to samples.

``samples.correct`` is true or false. Where a grader gave a fraction (the F1 of an answer, say), the
problem's ``meta`` keeps it under ``credits`` as ``[policy, draw, credit]``, and whoever reads a log
counts the sample with that fraction. Logs of our own campaigns have none.

>>> credited([("m", 0, 0.25)])
{'credits': [['m', 0, 0.25]]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import polars as pl

__all__ = ["CREDITS", "HALF", "credit_rows", "credited"]

#: the key in ``meta``
CREDITS = "credits"
#: ``correct`` is true from this credit on, for readers that know right and wrong only
HALF = 0.5

_SCHEMA = {"problem_id": pl.String, "policy": pl.String, "draw": pl.Int32, "credit": pl.Float32}


def credited(credits: Iterable[tuple[str, int, float]]) -> dict[str, Any]:
    """The entry of ``meta`` for (policy, draw, credit) of one problem."""
    return {CREDITS: [[policy, draw, credit] for policy, draw, credit in credits]}


def credit_rows(problems: pl.DataFrame) -> pl.DataFrame:
    """(problem_id, policy, draw, credit) of the samples that have a credit of their own.

    ``problems`` has ``problem_id`` and ``meta`` (JSON). The greedy sample is draw -1.
    """
    some = problems.filter(pl.col("meta").str.contains(f'"{CREDITS}"', literal=True))
    rows = [
        (name, str(policy), int(draw), float(credit))
        for name, meta in some.select("problem_id", "meta").iter_rows()
        for policy, draw, credit in json.loads(meta).get(CREDITS, ())
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")
