"""The held-out questions of ``head_to_head.py``: GSM8K questions that no campaign asked, in a fixed order.

The real campaign takes the questions of GSM8K's test file from its beginning, 1,000 at most. These are of
the rest, without any that a log holds or that looks like one of a log, shuffled, so that every prefix is a
fair sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import polars as pl
from real_campaign import problems

from search.errors import RecordError
from search.log.store import SearchLog
from search.problem import Problem

__all__ = ["COUNT", "FIRST", "held_out", "order"]

#: the place in the file of the first question that no part of the campaign may ask; questions that are asked
FIRST, COUNT = 1000, 200
_SEED = 13


def held_out(data: Path, logs: Sequence[Path], *, first: int = 0, count: int = COUNT) -> list[Problem]:
    """The questions, in the order in which they are asked. Raises RecordError where the file is not there.

    ``first``: how many of that order are left to other benchmarks.
    """
    every = problems("gsm8k", data)
    if not every:
        raise RecordError(f"gsm8k_test.jsonl must be in the folder of problem sets, got none in {data}")
    known: set[str] = set()
    for log in logs:
        rows = SearchLog.open(log).read("problems").select("problem_id", "family", pl.col("question"))
        known.update(*(rows[name].to_list() for name in rows.columns))
    return order(every, known, first=first, count=count)


def order(every: Sequence[Problem], known: set[str], *, first: int = 0, count: int = COUNT) -> list[Problem]:
    """Those of the rest of a file of which neither id, family nor question is known, shuffled.

    The families of the questions that a campaign may ask are known, so that the order stays when it goes on.

    >>> every = [Problem(f"p{n}", f"f{n}", "math", f"{n} + 1?", str(n + 1)) for n in range(FIRST + 4)]
    >>> len(order(every, {"p1001", "f1002"}))
    2
    """
    asked = known | {one.family for one in every[:FIRST]}
    rest = list(every[FIRST:])
    Random(_SEED).shuffle(rest)
    fresh = [one for one in rest if not {one.problem_id, one.family, one.question} & asked]
    return fresh[first : first + count]
