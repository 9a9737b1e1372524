"""Prior candidates: drawn and paid for before this run, by a probe. A plan with a PRM scores them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from search.ledger import Reservation
from search.result import Candidate
from search.strategies.running.session import Session
from search.strategies.running.steps import split

__all__ = ["score_prior"]


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
