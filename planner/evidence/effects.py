"""What traffic shows of choices beyond what a campaign log does: shifts of their accuracy, by domain.

A campaign knows every choice's outcome on every problem, traffic only that of the choice that ran. So traffic
moves the campaign's values as wholes: by policy, PRM, strategy, choice and domain. A policy that was
replaced, a PRM that went bad or a domain that became harder shows in a few numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.choice import Choice
from search.errors import PlanError
from search.plan import Plan

__all__ = ["Effects", "labels_of"]

Floats = NDArray[np.float64]


def labels_of(policy: str, prm: str | None, plan: str, domain: str) -> tuple[str, ...]:
    """The groups that an outcome belongs to.

    >>> labels_of("m", None, "majority(n=4)", "math")[:3]
    ('domain math', 'policy m', 'policy m on math')
    """
    try:
        strategy = str(Plan.parse(plan).strategy)
    except PlanError:
        strategy = plan
    return (
        f"domain {domain}",
        f"policy {policy}",
        f"policy {policy} on {domain}",
        f"PRM {prm or '-'}",
        f"PRM {prm or '-'} on {domain}",
        f"{strategy} of {policy} with {prm or '-'}",
        f"{policy} x {prm or '-'} x {plan}",
    )


@dataclass(frozen=True, slots=True)
class Effects:
    """``shifts``: group -> what is added to the mean accuracy of its choices, in [-1, 1]. ``lost``: model
    -> the share of a PRM's scores that say nothing, and of a policy's answers that are none, in [0, 1]
    (``planner.evidence.noise``)."""

    shifts: Mapping[str, float] = field(default_factory=dict)
    lost: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything to learn."""
        return bool(self.shifts or self.lost)

    def of(self, choice: Choice, domain: str) -> float:
        """What is added to a choice's mean accuracy in a domain."""
        labels = labels_of(choice.policy, choice.prm, str(choice.plan), domain)
        return sum(self.shifts.get(label, 0.0) for label in labels)

    def apply(self, values: Floats, choices: Sequence[Choice], domains: Sequence[str]) -> Floats:
        """Values (P, ..., C) of problems of these domains with their means moved, all in [0, 1].

        Where a mean falls, an equal part of every problem's right answers is lost; where it rises, an equal
        part of the wrong ones is mended. So the mean moves by the shift, as far as [0, 1] allows.
        """
        out, homes = values.astype(np.float64, copy=True), np.asarray(domains)
        for domain in dict.fromkeys(domains):
            mine = homes == domain
            for place, choice in enumerate(choices):
                shift = self.of(choice, domain)
                if shift:
                    out[mine, ..., place] = _moved(out[mine, ..., place], shift)
        return out

    def to_json(self, most: int = 12) -> dict[str, Any]:
        """The largest shifts."""
        largest = sorted(self.shifts.items(), key=lambda one: -abs(one[1]))[:most]
        return {name: value for name, value in largest if abs(value) >= 0.001}


def _moved(values: Floats, shift: float) -> Floats:
    mean = float(values.mean())
    goal = min(1.0, max(0.0, mean + shift))
    if goal <= mean:
        return values * (goal / mean) if mean > 0.0 else values
    return 1.0 - (1.0 - values) * ((1.0 - goal) / (1.0 - mean)) if mean < 1.0 else values
