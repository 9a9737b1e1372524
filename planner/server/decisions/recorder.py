"""The decision log as the server sees it: what was decided, what it cost, what came of it.

A decision is written after its answer has left; feedback may come days later. The server knows this
protocol only; ``planner.server.decisions`` keeps a log on disk, and ``MemoryRecorder`` here is the fake
for tests and for a server that keeps nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, Protocol

from planner.server.decisions.comparison import Comparison
from search.result import Candidate, Spend

__all__ = [
    "Assignment",
    "Decision",
    "DecisionQuery",
    "Feedback",
    "MemoryRecorder",
    "Record",
    "Recorder",
    "Step",
]

#: about what a row of a decision takes beside its texts and vectors, in bytes
_ROW = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stage of a decision: what was known, what was taken, and what taking it cost.

    Parameters
    ----------
    look:
        What had been seen (``str(Probe)``).
    next_look:
        What was looked at next; None where ``choice`` was run.
    policy, prm, plan:
        The choice that was followed or aimed at.
    accuracy, tokens, flops:
        Expected of following it, as ``Recommendation`` has it; accuracy is None where unknown.
    propensity:
        Probability with which the rule took this step, in (0, 1]; 1.0 without exploration.
    features:
        What the stage saw; empty where no planner was asked.
    spend:
        What it took until the next step.
    """

    look: str
    next_look: str | None
    policy: str
    prm: str | None
    plan: str
    accuracy: float | None
    tokens: float
    flops: float
    propensity: float = 1.0
    features: tuple[float, ...] = ()
    spend: Spend = field(default_factory=Spend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which of two planners a request was given to.

    ``champion`` and ``challenger`` are fingerprints, ``arm`` is one of these words, and ``chance`` is the
    probability with which it was drawn, in (0, 1].
    """

    champion: str
    challenger: str
    arm: Literal["champion", "challenger"]
    chance: float


@dataclass(frozen=True, slots=True)
class Decision:
    """One answered (or failed) request.

    Parameters
    ----------
    decision_id:
        The id of the response; feedback names it.
    created:
        Seconds since the epoch when the request came.
    endpoint:
        ``chat`` or ``completions``; ``beside`` of a plan that was run beside an answer (shadow mode).
    key:
        The name of the API key; never the key itself. None without keys.
    question:
        What was asked. A recorder may keep its hash instead.
    domain:
        What reads and compares answers.
    planner:
        Fingerprint of the artefact that decided; None for a forced plan.
    budget:
        As asked for, in the words of the API: ``{"tokens": 4000}``, ``{"target_accuracy": 0.9}``.
    budget_source:
        ``header``, ``body``, ``model`` or ``default``.
    reason:
        Why the planner did not choose (a forced plan, tools, images, open-ended chat); None where it did.
    policy, prm, plan:
        What answered.
    answer, outcome:
        As ``Solution`` has them. ``outcome`` is ``failed`` or ``cancelled`` where no answer left.
    accuracy, tokens, flops, seconds, usd:
        Expected by the last step; None where unknown.
    propensity:
        Product over the steps.
    steps:
        In order.
    candidates:
        In draw order; ``chosen`` indexes them.
    spend, spent_usd:
        What it took. ``spent_usd`` is None without prices.
    error:
        The class of the failure, of a policy that the answer did without too; None without one. Never a
        text of the client's.
    comparison:
        In shadow mode, what the planner would have done, and of a plan that was run beside an answer what it
        is compared with; None elsewhere.
    """

    decision_id: str
    created: float
    endpoint: str
    key: str | None
    question: str
    domain: str
    planner: str | None
    budget: Mapping[str, float]
    budget_source: str
    reason: str | None
    policy: str
    prm: str | None
    plan: str
    answer: str | None
    outcome: str
    accuracy: float | None
    tokens: float | None
    flops: float | None
    seconds: float | None
    usd: float | None
    propensity: float
    steps: tuple[Step, ...]
    candidates: tuple[Candidate, ...]
    chosen: int | None
    spend: Spend
    spent_usd: float | None
    error: str | None = None
    comparison: Comparison | None = None
    assignment: Assignment | None = None

    @property
    def size(self) -> int:
        """About how many bytes it takes, in memory and on disk."""
        texts = len(self.question) + len(self.answer or "")
        vectors = sum(8 * len(step.features) + _ROW for step in self.steps)
        candidates = sum(
            len(c.text) + 8 * (len(c.step_rewards) + len(c.step_tokens)) + _ROW for c in self.candidates
        )
        compared = 0 if self.comparison is None else 4 * _ROW
        return 2 * _ROW + texts + vectors + candidates + compared


@dataclass(frozen=True, slots=True)
class Feedback:
    """What came of a decision. At least one of ``correct``, ``score`` and ``candidate`` is given.

    ``score`` is in [0, 1]; ``candidate`` is the index of the candidate that was the right one.
    ``created`` in seconds since the epoch; ``key`` is the name of the API key that sent it.
    """

    decision_id: str
    created: float
    correct: bool | None = None
    score: float | None = None
    candidate: int | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if self.correct is None and self.score is None and self.candidate is None:
            raise ValueError("feedback says correct, score or candidate, got none of them")
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise ValueError(f"a score must be in [0, 1], got {self.score}")
        if self.candidate is not None and self.candidate < 0:
            raise ValueError(f"a candidate is counted from 0, got {self.candidate}")


@dataclass(frozen=True, slots=True)
class Record:
    """A decision with the feedback on it so far, oldest first."""

    decision: Decision
    feedback: tuple[Feedback, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionQuery:
    """What to look for, all of it together; a field left out asks nothing.

    Parameters
    ----------
    text:
        Part of the question or of the answer, case ignored.
    policy, domain, outcome:
        Equal to these.
    plan:
        Equal to this one, or a plan of this strategy where it is a name without numbers.
    since, until:
        ``created`` within [since, until).
    with_feedback:
        True: only decisions with feedback; False: only those without.
    before:
        A decision id: only older ones (the next page).
    limit:
        Most records, newest first.
    """

    text: str | None = None
    policy: str | None = None
    plan: str | None = None
    domain: str | None = None
    outcome: str | None = None
    since: float | None = None
    until: float | None = None
    with_feedback: bool | None = None
    before: str | None = None
    limit: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= 1000:
            raise ValueError(f"a limit must be in [1, 1000], got {self.limit}")

    @property
    def strategy(self) -> str | None:
        """What plans begin with, where only a strategy is asked for.

        >>> DecisionQuery(plan="majority").strategy, DecisionQuery(plan="majority(n=4)").strategy
        ('majority(', None)
        """
        return None if self.plan is None or "(" in self.plan else f"{self.plan}("


class Recorder(Protocol):
    """Who keeps decisions. Used on one event loop."""

    def record(self, decision: Decision) -> None:
        """Keep a decision. Returns at once and never raises: the request path is not its business.

        Durable within one second.
        """

    async def feedback(self, feedback: Feedback) -> bool:
        """Keep feedback; durable when this returns. False for a decision that is not known.

        A decision that was recorded but is not durable yet counts as known.
        """

    async def find(self, decision_id: str) -> Record | None:
        """One decision, those not durable yet included."""

    async def search(self, wish: DecisionQuery) -> Sequence[Record]:
        """Decisions that match, newest first."""

    async def compared(self, limit: int) -> Sequence[Record]:
        """The newest decisions with a comparison (shadow mode), newest first."""

    def state(self) -> Mapping[str, Any]:
        """JSON figures for health pages: what waits to be written, what was lost."""

    async def close(self) -> None:
        """Write what waits, then free everything. Safe to call twice."""


class MemoryRecorder:
    """Keeps the newest decisions in this process.

    Parameters
    ----------
    most, most_bytes:
        Bounds of memory: decisions, and their bytes. The oldest are forgotten with their feedback; the newest
        is kept, however large it is.
    most_feedback:
        Of one decision: the newest are kept.
    """

    def __init__(self, most: int = 10_000, most_bytes: int = 256 * 2**20, most_feedback: int = 100) -> None:
        for name, value in (("most", most), ("most_bytes", most_bytes), ("most_feedback", most_feedback)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self._most, self._most_bytes, self._most_feedback = most, most_bytes, most_feedback
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._bytes = self._forgotten = 0

    def record(self, decision: Decision) -> None:
        before = self._records.pop(decision.decision_id, None)
        if before is not None:
            self._bytes -= before.decision.size
        self._records[decision.decision_id] = Record(decision)
        self._bytes += decision.size
        while len(self._records) > self._most or (self._bytes > self._most_bytes and len(self._records) > 1):
            _, oldest = self._records.popitem(last=False)
            self._bytes -= oldest.decision.size
            self._forgotten += 1

    async def feedback(self, feedback: Feedback) -> bool:
        found = self._records.get(feedback.decision_id)
        if found is None:
            return False
        said = (*found.feedback, feedback)[-self._most_feedback :]
        self._records[feedback.decision_id] = Record(found.decision, said)
        return True

    async def find(self, decision_id: str) -> Record | None:
        return self._records.get(decision_id)

    async def search(self, wish: DecisionQuery) -> Sequence[Record]:
        newest = reversed(self._records.values())
        if wish.before is not None:
            for record in newest:
                if record.decision.decision_id == wish.before:
                    break
        found: list[Record] = []
        for record in newest:
            if len(found) == wish.limit:
                break
            if _matches(record, wish):
                found.append(record)
        return found

    async def compared(self, limit: int) -> Sequence[Record]:
        found = (one for one in reversed(self._records.values()) if one.decision.comparison is not None)
        return list(islice(found, limit))

    def state(self) -> Mapping[str, Any]:
        return {
            "kept": len(self._records),
            "kept_bytes": self._bytes,
            "waiting": 0,
            "lost": self._forgotten,
        }

    async def close(self) -> None:
        return None


def _matches(record: Record, wish: DecisionQuery) -> bool:
    decision = record.decision
    if wish.text is not None:
        text = wish.text.casefold()
        if text not in decision.question.casefold() and text not in (decision.answer or "").casefold():
            return False
    for wanted, got in (
        (wish.policy, decision.policy),
        (None if wish.strategy else wish.plan, decision.plan),
        (wish.domain, decision.domain),
        (wish.outcome, decision.outcome),
        (wish.with_feedback, bool(record.feedback)),
    ):
        if wanted is not None and wanted != got:
            return False
    if wish.strategy is not None and not decision.plan.startswith(wish.strategy):
        return False
    if wish.since is not None and decision.created < wish.since:
        return False
    return wish.until is None or decision.created < wish.until
