"""The verdict of a cross-validation: how far the planner is above the rules anybody could write.

The primary endpoint was fixed before any run: points above the rule that the training folds chose, averaged
over the budgets that can be spent, paired by problem, with a 95% interval that draws whole families. The rule
that was best on these very problems stands beside it: a bound, since nobody knows it beforehand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.folds.cross_validation import CHOSEN, PLANNER, BudgetMet, CrossValidation
from planner.evaluation.intervals import Interval, Resampler
from planner.evaluation.rivals import BOUNDS

__all__ = ["BEST_RULE", "Cell", "Verdict", "VerdictRow", "best_rule", "sentence_of", "verdict_of"]

Floats = NDArray[np.float64]

#: the name of the bound in tables: at each budget the rule that was best on these problems
BEST_RULE = "best_rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A method at one budget: its accuracy, how far the planner is above it, and its mean FLOPs.

    Shares of 1: 0.01 is a point.
    """

    accuracy: Interval
    above: Interval
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """One budget.

    Parameters
    ----------
    budget:
        In mean samples of the cross-validation's unit.
    counted:
        Whether the primary endpoint holds it.
    cells:
        Method -> its figures; None where it cannot keep to the budget.
    chosen:
        Rule -> the folds that chose it, most first.
    best_rule:
        The rule that was best on these problems.
    """

    budget: float
    counted: bool
    cells: Mapping[str, Cell | None]
    chosen: Mapping[str, int]
    best_rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a cross-validation comes to.

    Parameters
    ----------
    above_rule:
        The primary endpoint, in shares of 1; None where no budget can be spent.
    above:
        Method -> the same above that method; ``best_rule`` is the bound. Methods that cannot keep to a budget
        that counts are left out.
    rule:
        The rule that folds chose most often.
    sentence:
        For people.
    rows:
        Per budget.
    deployable:
        Method -> whether it could be deployed.
    """

    problems: int
    families: int
    unit: float
    unit_policy: str
    above_rule: Interval | None
    above: Mapping[str, Interval]
    rule: str
    sentence: str
    rows: tuple[VerdictRow, ...]
    deployable: Mapping[str, bool]
    missing: Mapping[str, str]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For programs; accuracies are shares of 1, costs FLOPs. The sentence is ``verdict``."""
        figures = asdict(self)
        return {"verdict": figures.pop("sentence"), **figures}


def verdict_of(found: CrossValidation, *, bootstrap: int = 2000) -> Verdict:
    """Read the verdict off a cross-validation; equal arguments give equal figures."""
    resampler = Resampler(len(found.problems), clusters=found.families, resamples=bootstrap, seed=found.seed)
    best = [best_rule(met, found.rules) for met in found.budgets]
    counted = [at for at, met in enumerate(found.budgets) if met.spendable]
    every = counted or range(len(found.budgets))
    chosen = Counter(name for at in every for name in found.budgets[at].chosen)
    rule = chosen.most_common(1)[0][0]
    above = {
        name: resampler.interval(_gain([(found.budgets[at], name) for at in counted]))
        for name in found.methods
        if counted and name not in (PLANNER, CHOSEN) and all(found.budgets[at].within(name) for at in counted)
    }
    if counted:
        # these two stand for a rule whatever it spends: where it spends more, that favours the rule
        above[CHOSEN] = resampler.interval(_gain([(found.budgets[at], CHOSEN) for at in counted]))
        above[BEST_RULE] = resampler.interval(_gain([(found.budgets[at], best[at]) for at in counted]))
    best_named = Counter(best[at] for at in every).most_common(1)[0][0]
    return Verdict(
        problems=len(found.problems),
        families=len(set(found.families)),
        unit=found.unit,
        unit_policy=found.unit_policy,
        above_rule=above.get(CHOSEN),
        above=above,
        rule=rule,
        sentence=sentence_of(above.get(CHOSEN), rule, above.get(BEST_RULE), best_named),
        rows=tuple(_row(met, name, found, resampler) for met, name in zip(found.budgets, best, strict=True)),
        deployable={name: name not in BOUNDS for name in found.methods} | {BEST_RULE: False},
        missing=dict(found.missing),
        notes=found.notes,
    )


def sentence_of(
    above: Interval | None, rule: str, bound: Interval | None = None, best_known: str = ""
) -> str:
    """The verdict in words.

    Parameters
    ----------
    above, rule:
        The planner above the rule that training folds chose, in shares of 1, and that rule.
    bound, best_known:
        The planner above the rule that was best on the test, and that rule.

    >>> sentence_of(Interval(0.021, 0.014, 0.027), "knn")
    'better than any rule by 2.1 points (1.4 to 2.7)'
    >>> sentence_of(Interval(0.002, -0.004, 0.009), "mixture")
    'no better than mixture: 0.2 points above the rule that training folds chose (-0.4 to 0.9)'
    >>> sentence_of(Interval(-0.012, -0.02, -0.004), "mixture")
    'worse than mixture, the rule that training folds chose, by 1.2 points (0.4 to 2.0)'
    """
    if above is None:
        return f"nothing to tell it from {rule}: no budget can be spent"
    ends = f"({_points(above.low)} to {_points(above.high)})"
    turned = f"({_points(-above.high)} to {_points(-above.low)})"
    if above.low > 0.0:
        gain = f"by {_points(above.value)} points {ends}"
        if bound is None or bound.value >= 0.0:
            return f"better than any rule {gain}"
        return (
            f"better than the rule that training folds chose {gain}; {best_known}, the best rule on these "
            f"problems themselves, is {_points(-bound.value)} points above it"
        )
    if above.high < 0.0:
        loss = f"by {_points(-above.value)} points {turned}"
        return f"worse than {rule}, the rule that training folds chose, {loss}"
    against = "the rule that training folds chose"
    if above.value >= 0.0:
        return f"no better than {rule}: {_points(above.value)} points above {against} {ends}"
    return f"no better than {rule}: {_points(-above.value)} points below {against} {turned}"


def _points(share: float) -> str:
    """A share of 1 as points; nothing has no sign."""
    return f"{100.0 * share:z.1f}"


def _gain(rivals: Sequence[tuple[BudgetMet, str]]) -> Floats:
    """(P,) how far the planner is above a method, which may be another at each budget, averaged over them."""
    return np.asarray(np.mean([met.accuracy[PLANNER] - met.accuracy[name] for met, name in rivals], axis=0))


def best_rule(met: BudgetMet, rules: Sequence[str]) -> str:
    """The rule that was most accurate on these problems among those that kept to the budget."""
    fitting = [name for name in rules if met.within(name)]
    if not fitting:
        return min(rules, key=lambda name: float(met.flops[name].mean()))
    return max(fitting, key=lambda name: float(met.accuracy[name].mean()))


def _row(met: BudgetMet, best: str, found: CrossValidation, resampler: Resampler) -> VerdictRow:
    ours = met.accuracy[PLANNER]
    order = dict.fromkeys((PLANNER, CHOSEN, BEST_RULE, *met.accuracy))
    cells: dict[str, Cell | None] = {}
    for name in order:
        shown = best if name == BEST_RULE else name
        cells[name] = None
        if met.within(shown):
            cells[name] = Cell(
                accuracy=resampler.interval(met.accuracy[shown]),
                above=resampler.interval(ours - met.accuracy[shown]),
                flops=float(met.flops[shown].mean()),
            )
    return VerdictRow(
        budget=met.budget / found.unit,
        counted=met.spendable,
        cells=cells,
        chosen=dict(Counter(met.chosen).most_common()),
        best_rule=best,
    )
