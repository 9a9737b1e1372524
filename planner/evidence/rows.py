"""Rows of a search log on their way to arrays: which problems are complete, a few thousand at a time.

Only columns that are asked for are read, so that what a log keeps for other uses (texts above all) costs no
memory. It knows nothing of policies, values or decisions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.features.probe import SUMMARY, summarise_padded
from search.choice import Choice
from search.errors import LogError, TooLittleDataError
from search.grading.registry import domain
from search.log.credits import credit_rows
from search.plan import Plan
from search.problem import Problem
from search.voting.votes import group

__all__ = [
    "Complete",
    "complete_problems",
    "credit",
    "first_draws",
    "numbered",
    "parts",
    "rows_of",
    "summaries",
    "unread_codes",
    "with_credits",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: a policy of greedy answers only is learned about where it gave them to this share of the problems
_ANSWERED = 0.8
#: problems whose rows are tables in memory at once
CHUNK = 4096

#: steps of credit that the code of an unreadable answer can say
_CREDITS = 1000


@dataclass(frozen=True, slots=True)
class Complete:
    """``problems`` for which nothing is missing, in order; ``draws`` of each policy's pool, 0 for a policy of
    which there are greedy answers only; ``runs`` of each tree search; how many problems were ``left_out``."""

    problems: pl.DataFrame
    draws: dict[str, int]
    runs: dict[Choice, int]
    left_out: int


def complete_problems(
    problems: pl.DataFrame, samples: pl.LazyFrame, scores: pl.LazyFrame, runs: pl.LazyFrame
) -> Complete:
    """Count what the log holds of each problem.

    Raises LogError (two samplings of one policy, rows without a grade) and TooLittleDataError (no problem
    is complete).
    """
    pooled = pl.col("draw") >= 0
    kinds = samples.filter(pooled).select("policy", "sampling").unique().collect(engine="streaming")
    for (name,), samplings in kinds.group_by("policy"):
        if len(samplings) > 1:
            raise LogError(
                f"a policy's pool has one sampling, got {sorted(samplings['sampling'])} for {name!r}"
            )
    if kinds.is_empty():
        raise TooLittleDataError(
            "a planner learns from problems with pools of samples, got a log without samples"
        )
    ungraded = pl.col("correct").null_count().alias("ungraded")
    sizes = samples.group_by("policy", "problem_id").agg(pooled.sum().alias("len"), ungraded)
    ran = runs.group_by("policy", "prm", "plan", "problem_id").agg(pl.len(), ungraded)
    scored = scores.filter(pooled).group_by("policy", "prm", "problem_id").len()
    sized, running, judged = (frame.collect(engine="streaming") for frame in (sizes, ran, scored))
    missing = int(sized["ungraded"].sum()) + int(running["ungraded"].sum())
    if missing:
        raise LogError(f"samples and runs must be graded, got {missing} without a grade")
    complete = problems.sort("problem_id")
    draws: dict[str, int] = {}
    for (name,), part in sized.filter(pl.col("len") > 0).group_by("policy"):
        size = int(part["len"].value_counts().sort("count", "len", descending=True)["len"][0])
        draws[str(name)] = size
        complete = complete.join(part.filter(pl.col("len") >= size), on="problem_id", how="semi")
    for (policy, _), part in judged.group_by("policy", "prm"):
        enough = part.filter(pl.col("len") >= draws[str(policy)])
        complete = complete.join(enough, on="problem_id", how="semi")
    for (name,), part in sized.filter(~pl.col("policy").is_in(list(draws))).group_by("policy"):
        answered = complete.join(part, on="problem_id", how="semi")
        if len(answered) >= _ANSWERED * len(complete):
            draws[str(name)] = 0
            complete = answered
    fewest: dict[Choice, int] = {}
    for (policy, prm, plan), part in running.group_by("policy", "prm", "plan"):
        choice = Choice(str(policy), str(prm) or None, Plan.parse(str(plan)))
        fewest[choice] = int(part["len"].to_numpy().min())
        complete = complete.join(part, on="problem_id", how="semi")
    if complete.is_empty():
        raise TooLittleDataError(
            "a planner learns from problems with complete pools, got none that is complete"
        )
    return Complete(
        problems=complete.sort("problem_id"), draws=draws, runs=fewest, left_out=len(problems) - len(complete)
    )


def parts(complete: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """A few thousand problems at a time: where they begin, and they, each with its place ``at``."""
    for begin in range(0, len(complete), CHUNK):
        yield begin, complete.slice(begin, CHUNK).with_columns(at=pl.int_range(pl.len()))


def rows_of(part: pl.DataFrame, table: pl.LazyFrame, *columns: str | pl.Expr) -> pl.DataFrame:
    """These columns of a table's rows of some problems, with ``at``."""
    # units of work lie in their problems' order: most files and row groups are passed over
    first, last = part["problem_id"].min(), part["problem_id"].max()
    near = table.filter(pl.col("problem_id").is_between(pl.lit(first), pl.lit(last)))
    place = part.lazy().select("problem_id", "at")
    return near.select("problem_id", *columns).join(place, on="problem_id").drop("problem_id").collect()


def first_draws(frame: pl.DataFrame, draws: int) -> Ints:
    """The places of the first ``draws`` pool rows of every problem, by problem and draw."""
    at, draw = frame["at"].to_numpy(), frame["draw"].to_numpy()
    places = np.flatnonzero(draw >= 0)
    places = places[np.lexsort((draw[places], at[places]))]
    problem = at[places]
    begins = np.flatnonzero(np.r_[True, problem[1:] != problem[:-1]])
    rank = np.arange(len(problem)) - np.repeat(begins, np.diff(np.r_[begins, len(problem)]))
    return places[rank < draws]


def with_credits(problems: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """``samples`` with a column ``credit``: the fraction that its record gave a sample, null where none."""
    found = credit_rows(problems).join(problems.select("problem_id", "at"), on="problem_id")
    return samples.join(found.drop("problem_id"), on=["at", "policy", "draw"], how="left")


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


def numbered(
    problems: pl.DataFrame, samples: pl.DataFrame, runs: pl.DataFrame
) -> tuple[pl.DataFrame, Bools | Floats]:
    """A number for every answer of every problem, and (P, numbers) which of them are right.

    Answers that the domain finds equal share a number, in the order in which they appear. It is right if
    most of its graded answers are (closeness within a tolerance is not transitive). Where records gave
    partial credit the values are means instead.
    """
    runs = runs.sort("policy", "plan", "prm", "run")
    inside = runs.select(
        "at", pl.col("candidates").list.eval(pl.element().struct.field("answer")).alias("answer")
    )
    graded = pl.concat([samples.sort("policy", "draw"), runs], how="diagonal")
    credit = pl.coalesce("credit", pl.col("correct").cast(pl.Float32)).alias("credit")
    every = pl.concat(
        [
            graded.select("at", "answer", "correct", credit),
            inside.explode("answer").select(
                "at", "answer", pl.lit(None, pl.Boolean).alias("correct"), pl.lit(None).alias("credit")
            ),
        ]
    )
    answers = (
        every.drop_nulls("answer")
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
            meta = json.loads(row["meta"] or "{}")
            problem = Problem(
                problem_id=row["problem_id"],
                family=row["family"],
                domain=row["domain"],
                question=row["question"],
                answer=row["answer"],
                meta=meta,
            )
            start, stop = begins[at], begins[at + 1]
            codes[start:stop] = group(problem, domain(row["domain"]), texts[start:stop])
    width = 1 + int(codes.max(initial=0))
    flat = where * width + codes
    yes = np.bincount(flat, answers["yes"].to_numpy(), minlength=len(problems) * width)
    known = np.bincount(flat, answers["graded"].to_numpy(), minlength=len(problems) * width)
    # an answer that only tree searches hold and none of them gave cannot win a vote that a probe joins
    right: Bools | Floats = (2.0 * yes > known).reshape(len(problems), width)
    if samples["credit"].is_not_null().any():
        given = np.bincount(flat, answers["credit"].to_numpy(), minlength=len(problems) * width)
        right = (given / np.maximum(known, 1.0)).reshape(len(problems), width)
    return answers.select("at", "answer", pl.Series("code", codes)), right


def summaries(step_rewards: pl.Series) -> NDArray[np.float32]:
    """(rows, 8) what ``planner.features.probe`` keeps of each list of rewards."""
    lengths = step_rewards.list.len().fill_null(0).to_numpy().astype(np.int64)
    most = max(1, int(lengths.max(initial=0)))
    flat = step_rewards.explode(empty_as_null=False, keep_nulls=False).fill_null(0.0).to_numpy()
    ends = np.cumsum(lengths)
    out = np.empty((len(lengths), len(SUMMARY)), np.float32)
    step = max(1, 2_000_000 // most)
    for begin in range(0, len(lengths), step):
        size = lengths[begin : begin + step]
        padded = np.zeros((len(size), most), np.float32)
        inside = slice(ends[begin] - lengths[begin], ends[begin + len(size) - 1])
        padded[np.arange(most) < size[:, None]] = flat[inside]
        out[begin : begin + step] = summarise_padded(padded, size)
    return out
