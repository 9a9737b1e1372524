"""What a planner answers: the choice, what to expect of it, the runner-up, and why (on demand)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from planner.evidence.probe import Probe
from planner.predicting.targets import Target
from search.budget import Budget
from search.choice import Choice

__all__ = ["Explored", "Reason", "Recommendation", "RunnerUp"]


@dataclass(frozen=True, slots=True)
class Reason:
    """What one feature adds to the accuracy of the choice over the runner-up's (1.0 is 100 points)."""

    feature: str
    value: float
    effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """The next best choice under the same budget."""

    choice: Choice
    accuracy: float
    tokens: float
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """The price of a decision that was taken to learn from: ``accuracy`` that is expected to be lost against
    the best one, ``tokens`` and ``flops`` that are expected to be spent beyond it; any may be below 0."""

    accuracy: float
    tokens: float
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A decision before or after a probe.

    Parameters
    ----------
    choice:
        The best choice by what is known now. With ``probe`` it is where the probe most likely leads.
    probe:
        What to look at before deciding again; None: commit to ``choice``.
    accuracy, interval:
        Expected accuracy of following this advice, calibrated, and a 95% interval of that mean.
    tokens, flops:
        Expected cost beyond what has been spent already, probing included, and p90 of it. They and the
        accuracy are NaN where nothing is known of them.
    warnings:
        Why the advice may be less sure than it says.
    abstain:
        Whether no affordable plan is expected to be right often enough to be worth running.
    propensity:
        Probability with which this was advised, in (0, 1]; below 1.0 only where something explores.
    features:
        (F,) what the stage saw; None where it did not look.
    by_rule:
        Whether a rule decided, the choice that is best on average at this price, because what was learned of
        the question was not surely better on left-out problems.
    neighbours:
        Over how many training problems, those most like the question, the rule's averages go; 0: over all.
    target:
        What is promised of a stream of requests where the budget names an accuracy; None where it does not.
    explored:
        The price of exploration, where another decision than the best was taken; None elsewhere.

    >>> import planner
    >>> print(planner.load("lab").recommend("What is (13+64)+80?", accuracy=0.8))
    lab-policy-l x - x cot(): right 0.99, 43 tokens
    """

    choice: Choice
    probe: Probe | None
    accuracy: float
    interval: tuple[float, float]
    tokens: float
    flops: float
    tokens_p90: float
    flops_p90: float
    runner_up: RunnerUp | None
    warnings: tuple[str, ...] = ()
    abstain: bool = False
    explain: Callable[[], tuple[Reason, ...]] = field(default=tuple, repr=False, compare=False)
    propensity: float = 1.0
    features: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    by_rule: bool = False
    neighbours: int = 0
    target: Target | None = None
    explored: Explored | None = None

    def __str__(self) -> str:
        accuracy = "accuracy unknown" if math.isnan(self.accuracy) else f"right {self.accuracy:.2f}"
        tokens = "unknown" if math.isnan(self.tokens) else f"{self.tokens:.0f}"
        told = f"{self.choice}: {accuracy}, {tokens} tokens"
        if self.abstain:
            told = f"abstain; the best is {told}"
        if self.probe is not None:
            told += f"; first {self.probe}"
        return "; ".join([told, *self.warnings])

    def checked_against(self, budget: Budget) -> Recommendation:
        """The same, with a warning for each cap in tokens or FLOPs that it is expected to pass.

        What fits into a budget is chosen so; a question that nothing is planned for, or a plan that is
        given, may cost more than the budget allows.
        """
        over = [
            f"{expected:,.0f} {unit} are expected, the budget allows {cap:,.0f}"
            for unit, expected, cap in (
                ("tokens", self.tokens, budget.tokens),
                ("FLOPs", self.flops, budget.flops),
            )
            if cap is not None and expected > cap
        ]
        return replace(self, warnings=(*self.warnings, *over)) if over else self

    @property
    def why(self) -> tuple[Reason, ...]:
        """The main factors, computed when asked for."""
        return self.explain()
