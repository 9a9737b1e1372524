"""The conclusion of a run: candidates in, the plan's answer or a named reason why none out."""

from __future__ import annotations

from collections.abc import Sequence

from search.budget import Ledger
from search.engines.protocol import FinishReason
from search.errors import EngineError
from search.grading.aside import aside
from search.grading.registry import domain
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.scores import score
from search.votes import group, pick

__all__ = ["conclude", "concluded"]

#: how a candidate ends that a limit cut off: in a step, or (trees) between two
_CUT = (FinishReason.LENGTH, FinishReason.THOUGHT, FinishReason.STOP)


def conclude(
    problem: Problem,
    plan: Plan,
    vote: str,
    candidates: Sequence[Candidate],
    ledger: Ledger,
    before: Spend,
    *,
    is_over: bool,
    failure: EngineError | None = None,
) -> Result:
    """Vote over the candidates under the plan's score.

    Parameters
    ----------
    vote:
        One of ``search.plan.VOTES``.
    candidates:
        In draw order. One without step rewards scores 0.0.
    before:
        The ledger's spend when the run began.
    is_over:
        Whether the deadline has passed; names the reason when nothing finished.
    failure:
        Of the policy, which ended the run. Raised where no answer can be read.
    """
    groups = group(problem, domain(problem.domain), [candidate.answer for candidate in candidates])
    scores = [0.0 if plan.score is None else score(each.step_rewards, plan.score) for each in candidates]
    chosen = pick(vote, groups, scores)
    if chosen is not None:
        outcome = Outcome.ANSWERED
    elif not candidates:
        outcome = Outcome.DEADLINE if is_over else Outcome.BUDGET
    elif all(candidate.finish_reason in _CUT for candidate in candidates):
        outcome = Outcome.STEP_LIMIT
    else:
        outcome = Outcome.UNREADABLE
    if chosen is None and failure is not None:
        raise failure
    return Result(
        problem_id=problem.problem_id,
        plan=plan,
        candidates=tuple(candidates),
        answer=None if chosen is None else candidates[chosen].answer,
        chosen=chosen,
        outcome=outcome,
        spend=ledger.since(before),
    )


async def concluded(
    problem: Problem,
    plan: Plan,
    vote: str,
    candidates: Sequence[Candidate],
    ledger: Ledger,
    before: Spend,
    *,
    is_over: bool,
    failure: EngineError | None = None,
) -> Result:
    """``conclude`` for an event loop: on a thread where comparing answers waits for other processes."""
    return await aside(
        domain(problem.domain),
        conclude,
        problem,
        plan,
        vote,
        candidates,
        ledger,
        before,
        is_over=is_over,
        failure=failure,
    )
