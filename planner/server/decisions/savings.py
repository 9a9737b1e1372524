"""What planning would have saved or gained, by the decisions of a server in shadow mode.

Two kinds of figures, never mixed: *expected* ones are what the planner's model, calibrated on its log, says
of every request; *measured* ones come from requests whose plan was run beside the plain answer, and from
feedback. Intervals are of 95%, by a bootstrap over questions: a question that came again is drawn with all
its requests. They do not know whether the model is right about this traffic: checks hold it against what
came.

A figure is withheld where its interval says nothing (``Figure.is_known``).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planner.server.decisions.comparison import BESIDE, Comparison, Expected, beside_id
from planner.server.decisions.log import HASHED
from planner.server.decisions.recorder import Decision, Record
from search.errors import GradingError
from search.grading.registry import domain
from search.problem import Problem

__all__ = ["RULE", "Figure", "Savings", "savings_of", "verdict"]

Floats = NDArray[np.float64]

#: fewer different questions than this make a bootstrap too sure (as ``planner.evaluation.intervals`` has it)
ENOUGH = 30
#: what an interval may be wide on either side where it holds zero: of accuracies and shares, and of costs
_ACCURACY, _SHARE, _COST = 0.05, 0.10, 0.25
RULE = (
    f"A figure needs {ENOUGH} different questions, and an interval that leaves out zero or is at most "
    f"{100 * _ACCURACY:.0f} points (accuracy) or {100 * _COST:.0f}% (cost) wide on either side; a share at "
    f"most {100 * _SHARE:.0f} points."
)

_RESAMPLES = 1000
_NORMAL = 1.959964
#: outcomes without an answer to compare
_LOST = ("failed", "cancelled", "refused")
#: cost units, the best first
_UNITS = ("usd", "flops", "tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with its 95% interval.

    Parameters
    ----------
    value:
        None where only its interval is known.
    low, high:
        None without requests.
    requests, questions:
        What it is over, and how many of their questions differ.
    is_known:
        Whether the interval says anything; where not, the figure must not be shown.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    requests: int = 0
    questions: int = 0
    is_known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """All figures of a log.

    Differences are the planner's plan less the plain answer. Costs are relative: -0.4 is 40% less.

    Parameters
    ----------
    requests, planned, reasons:
        Plain answers, those that the planner would have planned, and why it would not have planned others.
    unit:
        Of costs: ``usd`` where every price is known, else ``flops`` or ``tokens``.
    plain_cost, planned_cost:
        Expected sums over the planned requests.
    accuracy, cost, vote_cost:
        Expected: accuracy gained; cost beside the plain answer; cost beside the cheapest plain vote that is
        expected to be as accurate.
    pairs, agreement, measured_accuracy, measured_cost:
        Measured on the requests whose plan was run beside the answer.
    beside:
        What running them cost: requests, tokens, FLOPs, money.
    cost_check, planned_cost_check, accuracy_check:
        How far the model is off: actual beside expected cost of plain answers and of plans, and how often
        plain answers with feedback were right less how often they were expected to be.
    """

    requests: int
    planned: int
    reasons: Mapping[str, int]
    unit: str
    plain_cost: float | None
    planned_cost: float | None
    accuracy: Figure
    cost: Figure
    vote_cost: Figure
    pairs: int
    agreement: Figure
    measured_accuracy: Figure
    measured_cost: Figure
    beside: Mapping[str, float | None]
    cost_check: Figure
    planned_cost_check: Figure
    accuracy_check: Figure

    def to_dict(self) -> dict[str, Any]:
        """JSON."""
        return {**asdict(self), "rule": RULE}


class _Cost(NamedTuple):
    """What a decision took, in each of ``_UNITS``; None where it is not known."""

    usd: float | None
    flops: float | None
    tokens: float | None

    @classmethod
    def of(cls, decision: Decision) -> _Cost:
        spend = decision.spend
        flops = spend.flops if math.isfinite(spend.flops) else None
        return cls(decision.spent_usd, flops, float(spend.tokens))


@dataclass(slots=True)
class _Plain:
    """What is kept of a plain answer. ``question``: its number, equal for equal ones."""

    question: int
    comparison: Comparison
    cost: _Cost
    verdict: bool | None


@dataclass(slots=True)
class _Beside:
    """What is kept of a plan that was run beside one."""

    comparison: Comparison
    cost: _Cost
    verdict: bool | None
    agrees: bool
    is_lost: bool


@dataclass(slots=True)
class _Log:
    """A log may hold millions of decisions: of a question only its digest is kept, once."""

    plain: dict[str, _Plain] = field(default_factory=dict)
    beside: dict[str, _Beside] = field(default_factory=dict)
    questions: dict[bytes, int] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        decision = record.decision
        comparison = decision.comparison
        if comparison is None:
            return
        if decision.endpoint == BESIDE:
            self.beside[decision.decision_id] = _Beside(
                comparison, _Cost.of(decision), verdict(record), _agrees(decision), decision.outcome in _LOST
            )
        elif decision.outcome not in _LOST:
            digest = hashlib.blake2b(decision.question.encode("utf-8", "replace"), digest_size=16).digest()
            number = self.questions.setdefault(digest, len(self.questions))
            self.plain[decision.decision_id] = _Plain(number, comparison, _Cost.of(decision), verdict(record))


def savings_of(records: Iterable[Record]) -> Savings:
    """The figures of decisions; those without a comparison are left out."""
    log = _Log()
    for record in records:
        log.take(record)
    plain = list(log.plain.values())
    planned = [(one, one.comparison.planned) for one in plain if one.comparison.planned is not None]
    reasons: dict[str, int] = {}
    for one in plain:
        if one.comparison.reason is not None:
            reasons[one.comparison.reason] = reasons.get(one.comparison.reason, 0) + 1
    pairs = [
        (one, log.beside[beside_id(name)]) for name, one in log.plain.items() if beside_id(name) in log.beside
    ]
    whole = [(one, other) for one, other in pairs if not other.is_lost]
    unit = _unit(planned, whole)
    priced = [
        (one, _known(one.comparison.plain, unit), _known(plan, unit))
        for one, plan in planned
        if getattr(one.comparison.plain, unit) is not None and getattr(plan, unit) is not None
    ]
    run = [other.cost for other in log.beside.values()]
    return Savings(
        requests=len(plain),
        planned=len(planned),
        reasons=reasons,
        unit=unit,
        plain_cost=sum(before for _, before, _ in priced) if priced else None,
        planned_cost=sum(after for _, _, after in priced) if priced else None,
        accuracy=_gained(planned),
        cost=_changed([(one.question, after, before) for one, before, after in priced]),
        vote_cost=_changed(
            [
                (one.question, _known(plan, unit), _known(one.comparison.vote, unit))
                for one, plan in planned
                if one.comparison.vote is not None
                and getattr(plan, unit) is not None
                and getattr(one.comparison.vote, unit) is not None
            ]
        ),
        pairs=len(whole),
        agreement=_agreement(whole),
        measured_accuracy=_measured(whole),
        measured_cost=_changed(
            [
                (one.question, *_both(getattr(other.cost, unit), getattr(one.cost, unit)))
                for one, other in whole
            ]
        ),
        beside={"requests": len(run), **{name: _sum(getattr(cost, name) for cost in run) for name in _UNITS}},
        cost_check=_changed(
            [
                (one.question, *_both(getattr(one.cost, unit), getattr(one.comparison.plain, unit)))
                for one, _ in planned
            ]
        ),
        planned_cost_check=_changed(
            [
                (one.question, *_both(getattr(other.cost, unit), getattr(other.comparison.planned, unit)))
                for one, other in whole
                if other.comparison.planned is not None
            ]
        ),
        accuracy_check=_mean(
            [
                (one.question, float(one.verdict) - one.comparison.plain.accuracy)
                for one in plain
                if one.verdict is not None and one.comparison.plain.accuracy is not None
            ],
            _ACCURACY,
        ),
    )


def verdict(record: Record) -> bool | None:
    """Whether an answer was right, by the latest feedback that settles it; None where none does."""
    decision = record.decision
    for said in sorted(record.feedback, key=lambda one: one.created, reverse=True):
        if said.correct is not None:
            return said.correct
        if said.score in (0.0, 1.0):
            return said.score == 1.0
        if said.candidate is not None and said.candidate < len(decision.candidates):
            return decision.candidates[said.candidate].answer == decision.answer
    return None


# ---- figures


def _gained(planned: Sequence[tuple[_Plain, Expected]]) -> Figure:
    values = [
        (one.question, plan.accuracy - one.comparison.plain.accuracy)
        for one, plan in planned
        if plan.accuracy is not None and one.comparison.plain.accuracy is not None
    ]
    return _mean(values, _ACCURACY)


def _mean(values: Sequence[tuple[int, float]], width: float) -> Figure:
    """The mean of values, each of a question."""
    return _figure([(question, value, 1.0) for question, value in values], 0.0, width)


def _changed(costs: Sequence[tuple[int, float, float]]) -> Figure:
    """Sum of the first cost over that of the second, less 1; pairs with an unknown one are left out."""
    known = [(q, top, bottom) for q, top, bottom in costs if math.isfinite(top) and math.isfinite(bottom)]
    return _figure(known, 1.0, _COST)


def _figure(rows: Sequence[tuple[int, float, float]], less: float, width: float) -> Figure:
    """Ratio of sums, less a number, with its interval."""
    labels = [question for question, _, _ in rows]
    table = np.array([[top, bottom] for _, top, bottom in rows]).reshape(-1, 2)
    if not len(table) or table[:, 1].sum() <= 0.0:
        return Figure(requests=len(rows), questions=len(set(labels)))
    drawn = _resampled(labels, table)
    drawn = drawn[drawn[:, 1] > 0.0]
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1] - less, [0.025, 0.975])
    top, bottom = table.sum(axis=0)
    return _judged(top / bottom - less, low, high, labels, width)


def _measured(pairs: Sequence[tuple[_Plain, _Beside]]) -> Figure:
    """Accuracy that the plans gained, as far as feedback tells.

    Where the answers agree the difference is 0 whatever is right. Where they do not, at most one is right;
    what feedback does not settle counts at its lowest and at its highest, so only the interval is known.
    """
    labels = [one.question for one, _ in pairs]
    if not pairs:
        return Figure()
    table = np.array([[*_difference(one, other), 1.0] for one, other in pairs])
    if all(other.agrees for _, other in pairs):
        most = 1.0 - _wilson(len(set(labels)), len(set(labels)))[0]
        return _judged(0.0, -most, most, labels, _ACCURACY)
    drawn = _resampled(labels, table)
    low = np.quantile(drawn[:, 0] / drawn[:, 2], 0.025)
    high = np.quantile(drawn[:, 1] / drawn[:, 2], 0.975)
    least, most, count = table.sum(axis=0)
    return _judged(least / count if least == most else None, low, high, labels, _ACCURACY)


def _difference(one: _Plain, other: _Beside) -> tuple[float, float]:
    """The least and the most that the plan was right beyond the plain answer."""
    if other.agrees:
        return 0.0, 0.0
    if other.verdict is True:
        return 1.0, 1.0
    if one.verdict is True:
        return -1.0, -1.0
    return (0.0 if one.verdict is False else -1.0), (0.0 if other.verdict is False else 1.0)


def _agreement(pairs: Sequence[tuple[_Plain, _Beside]]) -> Figure:
    """The share of equal answers (Wilson's interval, over as many as there are different questions)."""
    labels = [one.question for one, _ in pairs]
    if not pairs:
        return Figure()
    share = sum(other.agrees for _, other in pairs) / len(pairs)
    questions = len(set(labels))
    low, high = _wilson(share * questions, questions)
    return Figure(
        value=share,
        low=low,
        high=high,
        requests=len(pairs),
        questions=questions,
        is_known=questions >= ENOUGH and (high - low) / 2 <= _SHARE,
    )


def _judged(value: Any, low: Any, high: Any, labels: Sequence[int], width: float) -> Figure:
    questions = len(set(labels))
    says = bool(low > 0.0 or high < 0.0 or (high - low) / 2 <= width)
    return Figure(
        value=None if value is None else float(value),
        low=float(low),
        high=float(high),
        requests=len(labels),
        questions=questions,
        is_known=says and questions >= ENOUGH,
    )


def _resampled(labels: Sequence[int], table: Floats) -> Floats:
    """(resamples, K) sums of a table (N, K) over questions that are drawn with replacement."""
    at = np.unique(np.asarray(labels, np.int64), return_inverse=True)[1]
    count = int(at.max()) + 1
    sums = np.zeros((count, table.shape[1]))
    np.add.at(sums, at, table)
    rng = np.random.default_rng(0)
    drawn = np.empty((_RESAMPLES, table.shape[1]))
    for row in range(_RESAMPLES):
        drawn[row] = np.bincount(rng.integers(0, count, count), minlength=count) @ sums
    return drawn


def _wilson(successes: float, n: int) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927).

    >>> tuple(round(end, 3) for end in _wilson(30, 30))
    (0.886, 1.0)
    """
    share, square = successes / n, _NORMAL**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = _NORMAL / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


# ---- what was recorded


def _unit(planned: Sequence[tuple[_Plain, Expected]], pairs: Sequence[tuple[_Plain, _Beside]]) -> str:
    """The best unit that is known of everything that is compared."""
    for unit in _UNITS[:-1]:
        told = [getattr(one, unit) for each, plan in planned for one in (each.comparison.plain, plan)]
        told += [
            cost for one, other in pairs for cost in (getattr(one.cost, unit), getattr(other.cost, unit))
        ]
        if told and all(cost is not None for cost in told):
            return unit
    return _UNITS[-1]


def _known(one: Expected | None, unit: str) -> float:
    return float(getattr(one, unit))


def _both(top: float | None, bottom: float | None) -> tuple[float, float]:
    return (math.nan if top is None else top), (math.nan if bottom is None else bottom)


def _sum(values: Iterable[float | None]) -> float | None:
    """None where none is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _agrees(decision: Decision) -> bool:
    """Whether a plan and the plain answer beside which it was run say the same; two unreadable ones do."""
    comparison = decision.comparison
    said, plain = decision.answer, None if comparison is None else comparison.plain_answer
    if said is None or plain is None or said == plain:
        return said == plain
    if decision.question.startswith(HASHED):
        return False
    try:
        grader = domain(decision.domain)
    except GradingError:
        return False
    return grader.equal_so_far(Problem("request", "", decision.domain, decision.question), said, plain)
