"""A planner beside the one that it would replace: on traffic that was left out, and on a campaign log.

On traffic by off-policy estimates, paired by decision. On the log by what their decisions meet at each price,
accuracy less its price: the new planner's on problems that were left out, the old one's on the log as it is.
The old one may have been fitted on that log, which favours it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.traffic.estimates import Estimate, clip_of, effective_size, mean, terms
from planner.traffic.gather import Gathered
from planner.traffic.missing import chances
from planner.traffic.ope import evaluate_offline, heard_outcomes, rows_of_cost, rows_of_value
from planner.traffic.sources import Sources

__all__ = ["Comparison", "compare_on_traffic"]

#: utility on the log, in accuracy, that the new planner may lack where traffic says nothing
_SLACK = 0.002
#: of the share right on traffic: what lower cost may make up for, and what must not be risked
_LITTLE, _RISK = 0.02, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The new planner less the old one.

    Parameters
    ----------
    value, flops:
        Share right, and FLOPs as a share of the old planner's, on traffic; None where it says too little, and
        ``why`` then says so.
    log:
        Mean utility on the campaign log; None where the old planner cannot be followed there.
    """

    value: Estimate | None
    flops: Estimate | None
    why: str
    log: float | None

    @property
    def refusal(self) -> str:
        """Why the new planner must not replace the old one; empty where it may."""
        if self.value is not None and self.flops is not None:
            told = (
                f"{100 * self.value.value:+.1f} points on traffic "
                f"({100 * self.value.low:+.1f} to {100 * self.value.high:+.1f}) for "
                f"{100 * self.flops.value:+.0f}% FLOPs"
            )
            makes_up = self.flops.high < 0.0 and self.value.low > -_LITTLE
            if (self.value.high < 0.0 and not makes_up) or self.value.low < -_RISK:
                return f"a planner must not replace a better one, got {told}"
            if self.value.value < 0.0 and self.log is not None and self.log < 0.0 and not makes_up:
                return (
                    f"a planner must not replace a better one, got {told} "
                    f"and {100 * self.log:+.2f} points of utility on the log"
                )
            return ""
        if self.log is not None and self.log < -_SLACK:
            return (
                "a planner must not replace a better one, got "
                f"{100 * self.log:+.2f} points of utility on the log, and traffic says nothing ({self.why})"
            )
        return ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "value": None if self.value is None else self.value.to_json(),
            "flops_share": None if self.flops is None else self.flops.to_json(),
            "why": self.why or None,
            "log_utility": self.log,
            "refusal": self.refusal or None,
        }


def compare_on_traffic(
    new: Gathered, old: Gathered, sources: Sources
) -> tuple[Estimate | None, Estimate | None, str]:
    """The share right and the FLOPs (as a share) of one planner less those of another on the same decisions;
    or why they cannot be told."""
    if not new.words:
        return None, None, "no feedback on questions that were left out"
    for name, one in (("the new planner", new), ("the old planner", old)):
        report = evaluate_offline(one, sources)
        if report.value is None:
            return None, None, f"{name}: {report.refused}"
    heard = heard_outcomes(new, new.measured(sources)).outcomes
    inverse = np.where(heard.known, 1.0 / chances(new.covariates, heard.known, new.clusters), 0.0)
    clip = clip_of(len(new))
    rows = [rows_of_value(one, heard, inverse) for one in (new, old)]
    freedom = min(effective_size(one.final, one.clusters) for one in rows) - 1.0
    weights = rows[0].final + rows[1].final
    value = mean(terms(rows[0], clip) - terms(rows[1], clip), new.clusters, freedom, weights)
    costs = [terms(rows_of_cost(one, 1), clip) for one in (new, old)]
    scale = float(costs[1].mean())
    flops = mean((costs[0] - costs[1]) / scale, new.clusters, freedom, weights) if scale > 0.0 else None
    return value, flops, ""
