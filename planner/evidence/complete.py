"""Which problems of a search log are complete: every model and plan of the log has what it needs of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from search.choice import Choice
from search.errors import LogError, TooLittleDataError
from search.log.rows import placed
from search.plan import Plan

__all__ = ["Complete", "complete_problems", "parts"]

#: a PRM is learned about where it scored whole pools of this share of the problems
_SCORED = 0.5
#: a policy of greedy answers only is learned about where it gave them to this share of the problems
_ANSWERED = 0.8
#: problems whose rows are tables in memory at once
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Complete:
    """``problems`` for which nothing is missing, in order; ``draws`` of each policy's pool, 0 for a policy of
    which there are greedy answers only; ``runs`` of each tree search; how many problems were ``left_out``;
    (policy, PRM) of pools that are read as if they had not been scored, since too few of them were."""

    problems: pl.DataFrame
    draws: dict[str, int]
    runs: dict[Choice, int]
    left_out: int
    unscored: frozenset[tuple[str, str]] = frozenset()


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
        greedy = not samples.head(1).collect(engine="streaming").is_empty()
        got = "greedy answers only" if greedy else "a log without samples"
        raise TooLittleDataError(f"a planner learns from problems with pools of samples, got {got}")
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
    pooled_problems, unscored = complete, set[tuple[str, str]]()
    for (policy, prm), part in judged.group_by("policy", "prm"):
        enough = part.filter(pl.col("len") >= draws[str(policy)])
        if len(pooled_problems.join(enough, on="problem_id", how="semi")) < _SCORED * len(pooled_problems):
            unscored.add((str(policy), str(prm)))
        else:
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
        problems=complete.sort("problem_id"),
        draws=draws,
        runs=fewest,
        left_out=len(problems) - len(complete),
        unscored=frozenset(unscored),
    )


def parts(complete: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """A few thousand problems at a time: where they begin, and they, each with its place ``at``."""
    for begin in range(0, len(complete), CHUNK):
        yield begin, placed(complete.slice(begin, CHUNK))
