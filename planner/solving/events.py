"""What happens while a question is solved, as it happens: for progress bars, servers and pages.

``planner.solving.solver.solve`` tells a listener. Each event carries what has been spent so far. A listener
is called on the event loop's thread, returns at once and never raises. Printed, an event is one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from planner.deciding.recommendation import Recommendation
from planner.evidence.probe import Probe
from search.choice import Choice
from search.result import Candidate, Spend

__all__ = [
    "Decided",
    "Drawn",
    "EndReason",
    "Ended",
    "Event",
    "Grown",
    "Left",
    "Listener",
    "Lost",
    "Probed",
    "Pruned",
    "Started",
    "Vote",
]


class EndReason(StrEnum):
    """Why drawing ended before all was drawn."""

    SETTLED = "settled"  # what is missing cannot change the vote any more
    PRICE = "price"  # it could, but so unlikely that the rest is not worth its price
    DEADLINE = "deadline"  # time was up
    POLICY_FAILED = "policy_failed"  # the policy was gone; what there was by then answers


@dataclass(frozen=True, slots=True)
class Decided:
    """A stage decided: ``advice`` follows from what ``probe`` showed. ``stage`` counts from 0."""

    stage: int
    probe: Probe
    advice: Recommendation
    spend: Spend

    def __str__(self) -> str:
        return f"decided: {self.advice} ({self.spend.tokens} tokens so far)"


@dataclass(frozen=True, slots=True)
class Started:
    """A plan begins to run: a probe (``probe`` is set) or the choice that answers."""

    choice: Choice
    probe: Probe | None
    spend: Spend

    def __str__(self) -> str:
        return (
            f"started {self.choice if self.probe is None else self.probe} ({self.spend.tokens} tokens so far)"
        )


@dataclass(frozen=True, slots=True)
class Vote:
    """An answer's votes: candidates that gave it, and the sum of their scores under the plan (0 without)."""

    answer: str
    count: int
    weight: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A whole solution is there, scored where the plan asks a PRM; ``votes`` so far, most first.

    ``draw`` is its place among the candidates. ``missing``: how many more are waited for.
    """

    draw: int
    candidate: Candidate
    votes: tuple[Vote, ...]
    missing: int
    spend: Spend

    def __str__(self) -> str:
        return f"drawn: {self.candidate.answer}, {self.missing} missing ({self.spend.tokens} tokens so far)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A tree has a new beam: ``text`` was added after the beam ``parent`` (a root where that is unknown).

    ``reward`` is its last step's, None where nothing was scored. ``finish_reason`` is "" while it can go
    on; ``answer`` is read from a finished one. ``votes`` count finished beams and earlier candidates.
    """

    node: str
    parent: str
    steps: int
    text: str
    reward: float | None
    tokens: int
    finish_reason: str
    answer: str | None
    votes: tuple[Vote, ...]
    spend: Spend

    def __str__(self) -> str:
        return f"grown: {self.node} to step {self.steps} ({self.spend.tokens} tokens so far)"


@dataclass(frozen=True, slots=True)
class Pruned:
    """Of a tree's unfinished beams ``kept`` go on and ``dropped`` do not."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    spend: Spend

    def __str__(self) -> str:
        beams = len(self.kept) + len(self.dropped)
        return f"pruned: {len(self.dropped)} of {beams} beams ({self.spend.tokens} tokens so far)"


@dataclass(frozen=True, slots=True)
class Ended:
    """Drawing ended early; ``missing`` samples, 1 at least, were cancelled or never sent."""

    why: EndReason
    missing: int
    spend: Spend

    def __str__(self) -> str:
        return f"ended early, {self.why}: {self.missing} missing ({self.spend.tokens} tokens so far)"


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe showed is complete: so many candidates."""

    probe: Probe
    candidates: int
    spend: Spend

    def __str__(self) -> str:
        return f"probed: {self.candidates} samples ({self.spend.tokens} tokens so far)"


@dataclass(frozen=True, slots=True)
class Lost:
    """A PRM failed while it was needed; what follows is planned without it."""

    prm: str
    spend: Spend

    def __str__(self) -> str:
        return f"lost: {self.prm} ({self.spend.tokens} tokens so far)"


@dataclass(frozen=True, slots=True)
class Left:
    """The work was cancelled or failed: there will be no solution. This is what had been spent, and
    the money, None where a price is not known."""

    spend: Spend
    usd: float | None = None

    def __str__(self) -> str:
        return f"left ({self.spend.tokens} tokens so far)"


Event = Decided | Started | Drawn | Grown | Pruned | Ended | Probed | Lost | Left

Listener = Callable[[Event], None]
