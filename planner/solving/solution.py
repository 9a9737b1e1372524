"""What a solved question comes to: the answer, how it came about, and what was expected and spent."""

from __future__ import annotations

from dataclasses import dataclass

from planner.decider import PLAIN
from planner.deciding.recommendation import Recommendation
from planner.evidence.probe import Probe
from planner.solving.events import EndReason
from search.choice import Choice
from search.result import Call, Candidate, Outcome, Spend

__all__ = ["Solution", "StageRecord"]


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One decision: what was known, what was advised, and what following it cost until the next one."""

    probe: Probe
    advice: Recommendation
    spend: Spend


@dataclass(frozen=True, slots=True)
class Solution:
    """The answer to one question, how it came about, and what was expected and spent.

    ``accuracy``, ``tokens`` and ``flops`` are what the last decision expected, with everything spent
    before it counted in; ``spend`` is what it took, ``usd`` in money where there are prices. ``chosen``
    indexes ``candidates``. ``ended`` says why drawing ended early, ``lost`` which models failed on the way.
    ``domain`` is what read the answers; ``reason`` says why nothing was planned, "" where something was.
    ``calls``: what the plan asked about its own answers, and what it ran (``search.result.Call``).

    >>> import planner
    >>> lab = planner.load("lab")
    >>> found = lab.solve("What is (13+64)+80?", accuracy=0.8)
    >>> found.answer, found.spend.tokens <= 800
    ('157', True)
    >>> print(found)
    157 (lab-policy-l x - x cot(), 39 tokens)
    """

    answer: str | None
    outcome: Outcome
    choice: Choice
    candidates: tuple[Candidate, ...]
    stages: tuple[StageRecord, ...]
    accuracy: float
    tokens: float
    flops: float
    spend: Spend
    chosen: int | None = None
    usd: float | None = None
    ended: EndReason | None = None
    lost: tuple[str, ...] = ()
    domain: str = PLAIN
    reason: str = ""
    calls: tuple[Call, ...] = ()
    jail_seconds: float = 0.0

    def __str__(self) -> str:
        answer = self.answer if self.answer is not None else f"no answer ({self.outcome})"
        told = f"{answer} ({self.choice}, {self.spend.tokens:,} tokens)"
        return f"{told}; {self.reason}" if self.reason else told
