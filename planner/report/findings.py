"""What a report shows, as plain values: one dataclass per picture, and all of them together.

Costs are mean logical FLOPs in sample-equivalents of the planner's log, accuracies and shares lie in
[0, 1]. It knows nothing of how they were found (``planner.report.collect``) or are drawn
(``planner.report.charts``).
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.evaluation.intervals import says_something

__all__ = [
    "Cell",
    "CostBin",
    "Effect",
    "Expectation",
    "Findings",
    "Fixed",
    "Header",
    "Line",
    "MeanKept",
    "Measure",
    "Panel",
    "Row",
    "Share",
    "Step",
    "Story",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What was compared on what.

    ``unit``: the policy whose samples are the unit of cost; ``sample_flops``: one of them.
    ``headline``: the result in one sentence. ``charged``: what costs hold.
    """

    log: str
    planner: str
    training: str | None
    problems: int
    families: int
    domains: tuple[str, ...]
    policies: tuple[str, ...]
    prms: tuple[str, ...]
    learned_from: str
    unit: str
    sample_flops: float
    headline: str
    charged: str


@dataclass(frozen=True, slots=True)
class Row:
    """A method in the table: per budget its accuracy and the planner's points above it with the ends of
    the 95% interval; None where it has no result. ``above`` of the planner itself is None."""

    method: str
    accuracy: tuple[float | None, ...]
    above: tuple[tuple[float, float, float] | None, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure with the ends of its 95% interval (None where it has none). ``unit``: ``times``, ``%``,
    ``points``, ``ms`` or "". ``value`` None: never reached. ``at_least``: the figure is a lower bound.
    ``is_told``: whether the interval says anything; where not, the figure is withheld."""

    what: str
    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    at_least: bool = False

    @property
    def is_told(self) -> bool:
        return says_something(self.low, self.high, self.unit)


@dataclass(frozen=True, slots=True)
class Line:
    """A method's mean accuracy at all its settings, the cheapest first, with the ends of its 95% interval.

    ``steps``: it takes one setting for all requests. Others split requests between two settings, so that
    accuracy is straight in cost between them.
    """

    method: str
    cost: tuple[float, ...]
    accuracy: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """One choice taken on every problem."""

    choice: str
    cost: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The most accurate plan of one policy and PRM ("" for none) on the problems of one difficulty bin."""

    policy: str
    prm: str
    bin: str
    plan: tuple[str, str]
    accuracy: float
    error: float
    problems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Decisions whose expected accuracy fell into one tenth: what was expected, what was met with the ends
    of its 95% interval (resampled by problem), and the share of all decisions."""

    expected: float
    met: float
    low: float
    high: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBin:
    """Requests expected about this cost before their first token: mean expected and mean met, the band that
    holds the middle 80% of what single requests met, and the share of all requests."""

    expected: float
    met: float
    low: float
    high: float
    share: float


@dataclass(frozen=True, slots=True)
class MeanKept:
    """A mean budget that was asked for, and the mean that was spent."""

    asked: float
    met: float


@dataclass(frozen=True, slots=True)
class Share:
    """The share of requests that ended in ``outcome`` under a mean budget. ``order``: 0 is the cheapest
    outcome; the last one may stand for all rare ones."""

    budget: float
    outcome: str
    order: int
    share: float


@dataclass(frozen=True, slots=True)
class Effect:
    """What one feature did to decisions: per decision the points it added to the option taken over the next
    best one (1.0 is a hundred points), beside the rank of its value among the decisions, in [0, 1]."""

    feature: str
    effects: tuple[float, ...]
    ranks: tuple[float, ...]
    size: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Features that moved decisions at one probe, the strongest first."""

    probe: str
    decisions: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One decision of a story: what had been seen, what was decided, the accuracy and the further cost that
    were expected. ``answers`` are those seen with how often (None is unreadable)."""

    seen: str
    answers: tuple[tuple[str | None, int], ...]
    decided: str
    expected: float
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One problem from the question to the outcome, beside the fixed choice that is best on average.

    ``met``, ``rival_met``: the chance that the final answer is right, over continuations. ``gain``: points
    ahead of the rival once compute is paid at the price of the budget (1.0 is a hundred points).
    """

    question: str
    domain: str
    family: str
    reference: str | None
    steps: tuple[Step, ...]
    ended: str
    met: float
    cost: float
    tokens: float
    rival: str
    rival_met: float
    rival_cost: float
    gain: float
    reasons: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All of a report. ``middle``: the mean budget in sample-equivalents whose price the stories and the
    features are shown at. ``definitions``: of measures."""

    header: Header
    budgets: tuple[str, ...]
    table: tuple[Row, ...]
    measures: tuple[Measure, ...]
    definitions: tuple[str, ...]
    lines: tuple[Line, ...]
    fixed: tuple[Fixed, ...]
    cells: tuple[Cell, ...]
    promises: tuple[Expectation, ...]
    costs: tuple[CostBin, ...]
    kept: tuple[MeanKept, ...]
    shares: tuple[Share, ...]
    panels: tuple[Panel, ...]
    stories: tuple[Story, ...]
    middle: float
    notes: tuple[str, ...]
