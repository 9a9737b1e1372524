"""Numbers for answers: equal answers of a problem share one, and each is right or not.

Answers that can be read have numbers from 0 in the order in which they appear. Those that cannot have -1, or
less where a record judged the sample.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from search.grading.registry import domain
from search.log.rows import worth
from search.problem import Problem
from search.voting.votes import group

__all__ = ["codes_of", "credit", "numbered", "problem_of", "right_of", "unread_codes"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: steps of credit that the code of an unreadable answer can say
_CREDITS = 1000


def problem_of(row: dict[str, Any]) -> Problem:
    """The problem of a row of ``problems``."""
    told = {name: row[name] for name in ("problem_id", "family", "domain", "question", "answer")}
    return Problem(**told, meta=json.loads(row["meta"] or "{}"))


def numbered(
    problems: pl.DataFrame, samples: Iterable[pl.DataFrame], runs: Iterable[pl.DataFrame] = ()
) -> pl.DataFrame:
    """A number ``code`` for every ``answer`` of every problem ``at``, in the order in which they appear in
    samples, then in runs, then among the runs' candidates.

    Answers that the domain finds equal share a number. ``graded``: in how many rows it stands with a grade;
    ``yes``: in how many of them it is right; ``credit``: what these are worth together.
    """
    runs = list(runs)
    credit = pl.col("correct").cast(pl.Float32).alias("credit")
    given = [
        *(rows.select("at", "answer", "correct", pl.coalesce("credit", credit)) for rows in samples),
        *(rows.select("at", "answer", "correct", credit) for rows in runs),
    ]
    for rows in runs:
        inside = pl.col("candidates").list.eval(pl.element().struct.field("answer")).alias("answer")
        ungraded = pl.lit(None, pl.Boolean).alias("correct"), pl.lit(None, pl.Float32).alias("credit")
        given.append(rows.select("at", inside).explode("answer").select("at", "answer", *ungraded))
    answers = (
        pl.concat(given)
        .drop_nulls("answer")
        .group_by("at", "answer", maintain_order=True)
        .agg(
            pl.col("correct").sum().alias("yes"),
            pl.col("correct").is_not_null().sum().alias("graded"),
            pl.col("credit").cast(pl.Float64).sum().alias("credit"),
        )
        .sort("at", maintain_order=True)
    )
    where = answers["at"].to_numpy()
    begins = np.searchsorted(where, np.arange(len(problems) + 1))
    # where equal answers are equal texts each is a number of its own
    codes = np.arange(len(answers)) - begins[where]
    asked = [at for at, name in enumerate(problems["domain"]) if not domain(name).exact]
    if asked:
        texts = answers["answer"].to_list()
        for at, row in zip(asked, problems[asked].iter_rows(named=True), strict=True):
            start, stop = begins[at], begins[at + 1]
            codes[start:stop] = group(problem_of(row), domain(row["domain"]), texts[start:stop])
    return answers.with_columns(pl.Series("code", codes))


def right_of(numbers: pl.DataFrame, problems: int, *, credited: bool) -> Bools | Floats:
    """(P, codes) which answers are right: most of their graded rows are (closeness within a tolerance is not
    transitive). ``credited``: records gave partial credit, and the values are means of it."""
    codes = numbers["code"].to_numpy()
    width = 1 + int(codes.max(initial=0))
    flat = numbers["at"].to_numpy() * width + codes

    def total(column: str) -> Floats:
        found = np.bincount(flat, numbers[column].to_numpy(), minlength=problems * width)
        return np.asarray(found.reshape(problems, width), np.float64)

    # an answer that only tree searches hold and none of them gave cannot win a vote that a probe joins
    known = total("graded")
    return total("credit") / np.maximum(known, 1.0) if credited else 2.0 * total("yes") > known


def codes_of(rows: pl.DataFrame, numbers: pl.DataFrame) -> Ints:
    """The code of each row's answer; that of an unreadable one holds what the row is worth, where known."""
    named = numbers.select("at", "answer", "code")
    found = rows.select("at", "answer").join(named, on=["at", "answer"], how="left", maintain_order="left")
    codes = found["code"].fill_null(-1).to_numpy().astype(np.int64)
    unread = codes < 0
    if "correct" in rows.columns and unread.any():
        codes[unread] = unread_codes(worth(rows).to_numpy()[unread])
    return codes


def unread_codes(credits: Floats) -> Ints:
    """Codes for answers that cannot be read: -1, and less by what a record's own verdict credits them with.

    Such an answer has no vote. Where nothing of a set can be read the first sample is the answer, and counts
    for what its record gave it. Credits are kept in steps of a thousandth.

    >>> unread_codes(np.array([0.0, 1.0])).tolist(), credit(np.array([-1, -1001, 3])).tolist()
    ([-1, -1001], [0.0, 1.0, 0.0])
    """
    return -1 - np.rint(credits * _CREDITS).astype(np.int64)


def credit(codes: NDArray[np.signedinteger[Any]]) -> Floats:
    """What ``unread_codes`` says; 0 for answers that can be read."""
    return np.asarray(np.where(codes < 0, -1 - codes.astype(np.int64), 0) / _CREDITS)
