"""Voting again over the candidates of a logged run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from search.grading.registry import domain
from search.plan import Plan
from search.problem import Problem
from search.result import Outcome
from search.scores import score
from search.voting.votes import group, pick

__all__ = ["Row", "revoted"]

#: a row of a log's table
Row = dict[str, Any]


def revoted(
    row: Row,
    plan: Plan,
    problem: Problem,
    grade: Callable[[str | None], bool],
    picked: tuple[int | None] | None = None,
) -> Row:
    """A row of ``runs`` with the answer that ``plan`` picks among its candidates, graded by ``grade``.

    ``picked`` is the place of that answer where no vote tells it. The row's own plan stays as it is. Raises
    what comparing and grading raise.
    """
    candidates: list[Row] = row["candidates"] or []
    if picked is None:
        groups = group(problem, domain(problem.domain), [one["answer"] for one in candidates])
        scores = [0.0 if plan.score is None else score(one["step_rewards"], plan.score) for one in candidates]
        chosen = pick(plan.vote or "majority", groups, scores)
    else:
        (chosen,) = picked
    answer = None if chosen is None else candidates[chosen]["answer"]
    outcome = row["outcome"]
    if chosen is not None:
        outcome = str(Outcome.ANSWERED)
    elif outcome == str(Outcome.ANSWERED):
        outcome = str(Outcome.UNREADABLE)
    return {**row, "answer": answer, "correct": grade(answer), "outcome": outcome}
