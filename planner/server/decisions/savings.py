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
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.server.decisions.comparison import BESIDE, Comparison, beside_id
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


#: what is kept of a decision, as numbers; NaN where it is not known
_EXPECTED = ("accuracy", *_UNITS)
_CHOICES = ("plain", "planned", "vote")
_COLUMNS = (
    *(f"{choice} {name}" for choice in _CHOICES for name in _EXPECTED),
    *(f"paid {unit}" for unit in _UNITS),
    *("verdict", "is planned", "has vote", "agrees", "is lost"),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """N decisions: ``keys`` (N,) join a plan to the plain answer that it was run beside, ``questions`` (N,)
    are equal for equal ones, ``rows`` (N, columns)."""

    keys: NDArray[np.uint64]
    questions: NDArray[np.uint64]
    rows: Floats

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, column: str) -> Floats:
        """(N,)."""
        return np.asarray(self.rows[:, _COLUMNS.index(column)])

    def at(self, places: NDArray[Any]) -> _Table:
        """Some of them, by place or by mark."""
        return _Table(self.keys[places], self.questions[places], self.rows[places])


@dataclass(slots=True)
class _Growing:
    """Decisions as they are read: 200 bytes each, since a log may hold millions."""

    keys: array[int] = field(default_factory=lambda: array("Q"))
    questions: array[int] = field(default_factory=lambda: array("Q"))
    rows: array[float] = field(default_factory=lambda: array("d"))

    def add(self, key: str, record: Record, comparison: Comparison, *, agrees: bool, is_lost: bool) -> None:
        decision = record.decision
        self.keys.append(_number(key))
        self.questions.append(_number(decision.question))
        for choice in (comparison.plain, comparison.planned, comparison.vote):
            self.rows.extend(_or_nan(None if choice is None else getattr(choice, one)) for one in _EXPECTED)
        spend = decision.spend
        flops = spend.flops if math.isfinite(spend.flops) else None
        self.rows.extend(map(_or_nan, (decision.spent_usd, flops, float(spend.tokens), verdict(record))))
        told = (comparison.planned is not None, comparison.vote is not None, agrees, is_lost)
        self.rows.extend(map(float, told))

    def table(self) -> _Table:
        rows = np.frombuffer(self.rows, np.float64).reshape(-1, len(_COLUMNS))
        return _Table(np.frombuffer(self.keys, np.uint64), np.frombuffer(self.questions, np.uint64), rows)


def savings_of(records: Iterable[Record]) -> Savings:
    """The figures of decisions; those without a comparison are left out."""
    answers, runs = _Growing(), _Growing()
    reasons: Counter[str] = Counter()
    for record in records:
        decision, comparison = record.decision, record.decision.comparison
        if comparison is None:
            continue
        is_lost = decision.outcome in _LOST
        if decision.endpoint == BESIDE:
            runs.add(decision.decision_id, record, comparison, agrees=_agrees(decision), is_lost=is_lost)
        elif not is_lost:
            answers.add(beside_id(decision.decision_id), record, comparison, agrees=False, is_lost=False)
            if comparison.reason is not None:
                reasons[comparison.reason] += 1
    plain, run = answers.table(), runs.table()
    planned = plain.at(plain["is planned"] > 0.0)
    one, other = _pairs(plain, run)
    unit = _unit(planned, one, other)
    before, after, vote = (planned[f"{choice} {unit}"] for choice in _CHOICES)
    priced = ~np.isnan(before) & ~np.isnan(after)
    return Savings(
        requests=len(plain),
        planned=len(planned),
        reasons=dict(reasons),
        unit=unit,
        plain_cost=float(before[priced].sum()) if priced.any() else None,
        planned_cost=float(after[priced].sum()) if priced.any() else None,
        accuracy=_mean(planned.questions, planned["planned accuracy"] - planned["plain accuracy"], _ACCURACY),
        cost=_changed(planned.questions, after, before),
        vote_cost=_changed(planned.questions, after, vote),
        pairs=len(one),
        agreement=_agreement(one, other),
        measured_accuracy=_measured(one, other),
        measured_cost=_changed(one.questions, other[f"paid {unit}"], one[f"paid {unit}"]),
        beside={"requests": len(run), **{name: _sum(run[f"paid {name}"]) for name in _UNITS}},
        cost_check=_changed(planned.questions, planned[f"paid {unit}"], before),
        planned_cost_check=_changed(one.questions, other[f"paid {unit}"], other[f"planned {unit}"]),
        accuracy_check=_mean(plain.questions, plain["verdict"] - plain["plain accuracy"], _ACCURACY),
    )


def _pairs(plain: _Table, run: _Table) -> tuple[_Table, _Table]:
    """Plain answers, and the plans that were run beside them and came to an end, in the answers' order."""
    ended = run.at(run["is lost"] == 0.0)
    _, answers, runs = np.intersect1d(plain.keys, ended.keys, return_indices=True)
    order = np.argsort(answers)
    return plain.at(answers[order]), ended.at(runs[order])


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


def _mean(questions: NDArray[np.uint64], values: Floats, width: float) -> Figure:
    """The mean of values (N,), each of a question; those that are not known are left out."""
    known = ~np.isnan(values)
    return _figure(questions[known], np.column_stack([values[known], np.ones(known.sum())]), 0.0, width)


def _changed(questions: NDArray[np.uint64], top: Floats, bottom: Floats) -> Figure:
    """Sum of the first cost (N,) over that of the second, less 1; pairs with an unknown one are left out."""
    known = np.isfinite(top) & np.isfinite(bottom)
    return _figure(questions[known], np.column_stack([top[known], bottom[known]]), 1.0, _COST)


def _figure(questions: NDArray[np.uint64], table: Floats, less: float, width: float) -> Figure:
    """Ratio of the sums of two columns (N, 2), less a number, with its interval."""
    if not len(table) or table[:, 1].sum() <= 0.0:
        return Figure(requests=len(table), questions=len(np.unique(questions)))
    drawn = _resampled(questions, table)
    drawn = drawn[drawn[:, 1] > 0.0]
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1] - less, [0.025, 0.975])
    top, bottom = table.sum(axis=0)
    return _judged(top / bottom - less, low, high, questions, width)


def _measured(one: _Table, other: _Table) -> Figure:
    """Accuracy that the plans gained, as far as feedback tells.

    Where the answers agree the difference is 0 whatever is right. Where they do not, at most one is right;
    what feedback does not settle counts at its lowest and at its highest, so only the interval is known.
    """
    if not len(one):
        return Figure()
    agrees = other["agrees"] > 0.0
    if agrees.all():
        count = len(np.unique(one.questions))
        most = 1.0 - _wilson(count, count)[0]
        return _judged(0.0, -most, most, one.questions, _ACCURACY)
    settled = [agrees, other["verdict"] == 1.0, one["verdict"] == 1.0]
    low = np.select(settled, [0.0, 1.0, -1.0], np.where(one["verdict"] == 0.0, 0.0, -1.0))
    high = np.select(settled, [0.0, 1.0, -1.0], np.where(other["verdict"] == 0.0, 0.0, 1.0))
    table = np.column_stack([low, high, np.ones(len(one))])
    drawn = _resampled(one.questions, table)
    least, most, count = table.sum(axis=0)
    return _judged(
        least / count if least == most else None,
        np.quantile(drawn[:, 0] / drawn[:, 2], 0.025),
        np.quantile(drawn[:, 1] / drawn[:, 2], 0.975),
        one.questions,
        _ACCURACY,
    )


def _agreement(one: _Table, other: _Table) -> Figure:
    """The share of equal answers (Wilson's interval, over as many as there are different questions)."""
    if not len(one):
        return Figure()
    share = float(other["agrees"].mean())
    questions = len(np.unique(one.questions))
    low, high = _wilson(share * questions, questions)
    return Figure(
        value=share,
        low=low,
        high=high,
        requests=len(one),
        questions=questions,
        is_known=questions >= ENOUGH and (high - low) / 2 <= _SHARE,
    )


def _judged(value: Any, low: Any, high: Any, labels: NDArray[np.uint64], width: float) -> Figure:
    questions = len(np.unique(labels))
    says = bool(low > 0.0 or high < 0.0 or (high - low) / 2 <= width)
    return Figure(
        value=None if value is None else float(value),
        low=float(low),
        high=float(high),
        requests=len(labels),
        questions=questions,
        is_known=says and questions >= ENOUGH,
    )


def _resampled(questions: NDArray[np.uint64], table: Floats) -> Floats:
    """(resamples, K) sums of a table (N, K) over questions that are drawn with replacement."""
    # numbered as they first came
    _, first, at = np.unique(questions, return_index=True, return_inverse=True)
    at = np.argsort(np.argsort(first))[at]
    count = len(first)
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


def _unit(planned: _Table, one: _Table, other: _Table) -> str:
    """The best unit that is known of everything that is compared."""
    for unit in _UNITS[:-1]:
        told = [
            planned[f"plain {unit}"], planned[f"planned {unit}"], one[f"paid {unit}"], other[f"paid {unit}"]
        ]  # fmt: skip
        costs = np.concatenate(told)
        if len(costs) and not np.isnan(costs).any():
            return unit
    return _UNITS[-1]


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _number(text: str) -> int:
    """Texts as numbers of 64 bits: two of a million are alike with a chance of 3e-8."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _sum(costs: Floats) -> float | None:
    """None where none is known."""
    known = costs[~np.isnan(costs)]
    return float(known.sum()) if len(known) else None


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
