"""The conclusion of a run: candidates in, the plan's answer or a named reason why none out."""

from __future__ import annotations

from collections.abc import Sequence

from search.engines.protocol import FinishReason
from search.errors import EngineError
from search.grading.registry import domain
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.strategies.running.session import Session
from search.voting.grouping import GRACE, grouped
from search.voting.votes import group, pick

__all__ = ["conclude", "concluded", "outcome_of"]

#: how a candidate ends that a limit cut off: in a step, or (trees) between two
_CUT = (FinishReason.LENGTH, FinishReason.THOUGHT, FinishReason.STOP)


def conclude(
    problem: Problem,
    plan: Plan,
    candidates: Sequence[Candidate],
    *,
    ledger: Ledger,
    before: Spend,
    is_over: bool,
    failure: EngineError | None = None,
    groups: Sequence[int] | None = None,
) -> Result:
    """Vote over the candidates as the plan says.

    Parameters
    ----------
    candidates:
        In draw order. One without step rewards scores 0.0.
    before:
        The ledger's spend when the run began.
    is_over:
        Whether the deadline has passed; names the reason when nothing finished.
    failure:
        Of the policy, which ended the run. Raised where no answer can be read.
    groups:
        Of the candidates' answers, where they have been compared already.
    """
    if groups is None:
        groups = group(problem, domain(problem.domain), [candidate.answer for candidate in candidates])
    scores = [plan.described.weigh(each) for each in candidates]
    chosen = pick(plan.vote, groups, scores)
    if chosen is None and failure is not None:
        raise failure
    return Result(
        problem_id=problem.problem_id,
        plan=plan,
        candidates=tuple(candidates),
        answer=None if chosen is None else candidates[chosen].answer,
        chosen=chosen,
        outcome=outcome_of(candidates, chosen, is_over=is_over),
        spend=ledger.since(before),
    )


def outcome_of(candidates: Sequence[Candidate], chosen: int | None, *, is_over: bool) -> Outcome:
    """How a run ended. ``is_over``: whether the deadline has passed."""
    if chosen is not None:
        return Outcome.ANSWERED
    if not candidates:
        return Outcome.DEADLINE if is_over else Outcome.BUDGET
    if all(candidate.finish_reason in _CUT for candidate in candidates):
        return Outcome.STEP_LIMIT
    return Outcome.UNREADABLE


async def concluded(
    session: Session, candidates: Sequence[Candidate], failure: EngineError | None = None
) -> Result:
    """``conclude`` for a session's run, on an event loop: comparing answers waits for its deadline at most.

    ``failure``: of the policy, where another session of the run has met it.
    """
    groups = await grouped(
        session.problem,
        domain(session.problem.domain),
        [candidate.answer for candidate in candidates],
        seconds=max(session.ledger.seconds_left, GRACE),
    )
    return conclude(
        session.problem,
        session.plan,
        candidates,
        ledger=session.ledger,
        before=session.before,
        is_over=session.is_over,
        failure=session.failure or failure,
        groups=groups,
    )
