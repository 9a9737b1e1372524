"""Candidates: what becomes of a solution that was written now or before this run (a probe's) by the end, and
what the run concludes from all of them: an answer, or a named reason why there is none.

A few numbers stand for the logprobs of a solution. The mean over a sliding window finds a short uncertain
stretch that the mean over the whole solution hides; its lowest value is the "lowest group confidence" of Fu
et al. (DeepConf, arXiv 2508.15260, section 3.1), there taken over the top logprobs of each token
(``search.engines.confidence``).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from search.engines.confidence import WINDOW
from search.engines.protocol import ChildFinished, FinishReason
from search.errors import EngineError
from search.grading.registry import domain
from search.ledger import Reservation
from search.problem import Problem
from search.result import Candidate, Outcome, Result
from search.rewards.protocol import Scored
from search.scores import apportion, split
from search.strategies.running.session import Session
from search.voting.grouping import GRACE, grouped, read_answer
from search.voting.votes import pick

__all__ = [
    "LogprobSummary",
    "candidate_of",
    "conclude",
    "finish",
    "outcome_of",
    "score_prior",
    "summarize",
]

#: how a candidate ends that a limit cut off: in a step, or (trees) between two
_CUT = (FinishReason.LENGTH, FinishReason.THOUGHT, FinishReason.STOP)


def candidate_of(
    problem: Problem, child: ChildFinished, delimiter: str, *, read: Sequence[str | None] = ()
) -> Candidate:
    """A finished child that wrote a whole solution, as an unscored candidate.

    ``read``: its answer, where that has been read already.
    """
    step_tokens = apportion(split(child.text, delimiter), len(child.token_ids))
    logprobs = summarize(child.logprobs, step_tokens)
    return Candidate(
        text=child.text,
        answer=read[0] if read else domain(problem.domain).read(problem, child.text),
        step_rewards=(),
        step_tokens=step_tokens,
        finish_reason=child.finish_reason,
        mean_logprob=logprobs.mean,
        min_logprob=logprobs.minimum,
        lowest_window_logprob=logprobs.lowest_window,
        step_logprobs=logprobs.steps,
        mean_entropy=child.mean_entropy,
        mean_confidence=child.mean_confidence,
        lowest_confidence=child.lowest_confidence,
        token_ids=child.token_ids,
        thought=child.thought,
        thought_tokens=child.thought_tokens,
        thought_cut=child.thought_cut or child.finish_reason == FinishReason.THOUGHT,
    )


async def finish(
    session: Session,
    child: ChildFinished,
    held: Reservation,
    scoring: dict[tuple[str, ...], asyncio.Task[Scored]],
) -> Candidate:
    """A finished child as a candidate, scored where the run asks a PRM; equal solutions are sent once."""
    problem = session.problem
    seconds = max(session.ledger.seconds_left, GRACE)
    answer = await read_answer(problem, domain(problem.domain), child.text, seconds=seconds)
    candidate = candidate_of(problem, child, session.setting.delimiter, read=(answer,))
    steps = split(child.text, session.setting.delimiter)
    if not steps or not session.is_scorable(steps):
        held.release()
        return candidate
    if steps not in scoring:
        scoring[steps] = session.spawn(session.score(session.open(), steps, held))
        return replace(candidate, step_rewards=(await scoring[steps]).rewards)
    shared = await session.share_scoring(steps, held, scoring[steps])
    return replace(candidate, step_rewards=shared.rewards)


def score_prior(session: Session, prior: Sequence[Candidate]) -> list[asyncio.Task[Candidate]]:
    """One task per prior candidate, in order; those without step rewards are scored if the plan asks.

    What that takes is held before this function returns, so it goes before new draws.
    """
    return [session.spawn(_scored(session, candidate, *_hold(session, candidate))) for candidate in prior]


def _hold(session: Session, candidate: Candidate) -> tuple[tuple[str, ...], Reservation | None]:
    steps = split(candidate.text, session.setting.delimiter)
    if not session.scores or candidate.step_rewards or not steps or not session.is_scorable(steps):
        return steps, None
    return steps, session.hold_scoring(steps)


async def _scored(
    session: Session, candidate: Candidate, steps: tuple[str, ...], held: Reservation | None
) -> Candidate:
    if held is None:
        return candidate
    scored = await session.score(session.open(), steps, held)
    return replace(candidate, step_rewards=scored.rewards)


async def conclude(
    session: Session, candidates: Sequence[Candidate], failure: EngineError | None = None
) -> Result:
    """The run's result: a vote over the candidates, in draw order, as the plan says.

    A candidate without step rewards scores 0.0. Comparing answers waits for the session's deadline at most.
    ``failure``: of the policy, where another session of the run has met it; that or the session's own is
    raised where no answer can be read.
    """
    plan = session.plan
    groups = await grouped(
        session.problem,
        domain(session.problem.domain),
        [candidate.answer for candidate in candidates],
        seconds=max(session.ledger.seconds_left, GRACE),
    )
    chosen = pick(plan.vote, groups, [plan.described.weigh(each) for each in candidates])
    failure = session.failure or failure
    if chosen is None and failure is not None:
        raise failure
    return Result(
        problem_id=session.problem.problem_id,
        plan=plan,
        candidates=tuple(candidates),
        answer=None if chosen is None else candidates[chosen].answer,
        chosen=chosen,
        outcome=outcome_of(candidates, chosen, is_over=session.is_over),
        spend=session.ledger.since(session.before),
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


@dataclass(frozen=True, slots=True)
class LogprobSummary:
    """Natural logarithms, per token. None (and no steps) where no logprobs were given.

    ``steps`` holds one mean per step, and nothing where the steps do not add up to the tokens.
    """

    mean: float | None = None
    minimum: float | None = None
    lowest_window: float | None = None
    steps: tuple[float, ...] = ()


def summarize(
    logprobs: Sequence[float], step_tokens: Sequence[int] = (), *, window: int = WINDOW
) -> LogprobSummary:
    """Summarize the logprobs of one solution.

    Parameters
    ----------
    logprobs:
        One per generated token; may be empty.
    step_tokens:
        Tokens per step. A step of no tokens gets the value of the token at its place.
    window:
        Tokens per window, at least 1; a shorter solution is one window.

    >>> summarize([-1.0, -3.0, -2.0, 0.0], [2, 2], window=2)
    LogprobSummary(mean=-1.5, minimum=-3.0, lowest_window=-2.5, steps=(-2.0, -1.0))
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    if not logprobs:
        return LogprobSummary()
    count = len(logprobs)
    width = min(window, count)
    lowest = min(math.fsum(logprobs[at : at + width]) for at in range(count - width + 1)) / width
    return LogprobSummary(
        math.fsum(logprobs) / count, min(logprobs), lowest, _step_means(logprobs, step_tokens)
    )


def _step_means(logprobs: Sequence[float], step_tokens: Sequence[int]) -> tuple[float, ...]:
    if sum(step_tokens) != len(logprobs):
        return ()
    means = []
    for end, tokens in zip(accumulate(step_tokens), step_tokens, strict=True):
        first = min(end - tokens, len(logprobs) - 1)
        means.append(math.fsum(logprobs[first : first + max(1, tokens)]) / max(1, tokens))
    return tuple(means)
