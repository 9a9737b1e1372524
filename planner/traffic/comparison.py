"""A planner beside the one that it would replace: on traffic that was left out, and on a campaign log.

On traffic by off-policy estimates, paired by decision. On the log by what their decisions meet at each price,
accuracy less its price, by domain; the log is changed as the left-out traffic says, not as the new planner
learned it, so that a new planner does not judge itself. The domains that are asked now and those of the
campaign both count: a planner that is only good at what is asked today fails tomorrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from planner.traffic.estimates import Estimate, clip_of, effective_size, mean, terms
from planner.traffic.gather import Gathered
from planner.traffic.missing import chances
from planner.traffic.ope import evaluate_offline, heard_outcomes, rows_of_cost, rows_of_value
from planner.traffic.sources import Sources

__all__ = ["Comparison", "OnLog", "compare_on_traffic"]

#: utility on the log, in accuracy, that the new planner may lack where traffic says nothing, and in one
#: domain
_SLACK, _DOMAIN = 0.002, 0.03
#: of the share right on traffic: what lower cost may make up for, and what must not be risked
_LITTLE, _RISK = 0.02, 0.05


@dataclass(frozen=True, slots=True)
class OnLog:
    """Mean utility on a campaign log, the new planner's less the old one's: ``apart`` by domain,
    ``campaign`` the shares of domains there, ``asked`` those of the traffic (none: as in the campaign)."""

    apart: Mapping[str, float]
    campaign: Mapping[str, float]
    asked: Mapping[str, float] = field(default_factory=dict)

    def weighted(self, asked: Mapping[str, float]) -> OnLog:
        """The same with the traffic's shares, of the domains that the log has."""
        total = sum(asked.get(domain, 0.0) for domain in self.apart)
        shares = {domain: asked.get(domain, 0.0) / total for domain in self.apart} if total > 0.0 else {}
        return replace(self, asked=shares)

    @property
    def least(self) -> float:
        """The lower one of the means over the campaign's domains and over those of the traffic."""
        means = [self._mean(shares) for shares in (self.campaign, self.asked) if shares]
        return min(means)

    @property
    def worst(self) -> tuple[str, float]:
        """The domain that loses most, and how much it gains."""
        return min(self.apart.items(), key=lambda one: one[1])

    def _mean(self, shares: Mapping[str, float]) -> float:
        return sum(shares[domain] * value for domain, value in self.apart.items())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "least": self.least,
            "campaign": self._mean(self.campaign),
            "asked": self._mean(self.asked) if self.asked else None,
            "domains": dict(self.apart),
        }


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
    log: OnLog | None

    @property
    def refusal(self) -> str:
        """Why the new planner must not replace the old one; empty where it may."""
        found = self._on_traffic() or self._on_log()
        return f"a planner must not replace a better one, got {found}" if found else ""

    def _on_traffic(self) -> str:
        """What traffic says against it: it is surely worse, or it may be much worse and the log does not
        speak for it."""
        if self.value is None or self.flops is None:
            return ""
        risky = self.value.low < -_RISK and not (self.log is not None and self.log.least > 0.0)
        surely = self.value.high < 0.0 and not self._makes_up
        return self._told if surely or risky else ""

    def _on_log(self) -> str:
        """What the log says against it."""
        if self.log is None:
            return ""
        domain, lost = self.log.worst
        if lost < -_DOMAIN:
            return f"{100 * lost:+.2f} points of utility on the log's problems of {domain}"
        if self.value is None or self.flops is None:
            if self.log.least < -_SLACK:
                return (
                    f"{100 * self.log.least:+.2f} points of utility on the log, "
                    f"and traffic says nothing ({self.why})"
                )
        elif self.value.value < 0.0 and self.log.least < 0.0 and not self._makes_up:
            return f"{self._told} and {100 * self.log.least:+.2f} points of utility on the log"
        return ""

    @property
    def _makes_up(self) -> bool:
        """Whether it is surely cheaper, and loses little."""
        assert self.value is not None
        assert self.flops is not None
        return self.flops.high < 0.0 and self.value.low > -_LITTLE

    @property
    def _told(self) -> str:
        assert self.value is not None
        assert self.flops is not None
        return (
            f"{100 * self.value.value:+.1f} points on traffic "
            f"({100 * self.value.low:+.1f} to {100 * self.value.high:+.1f}) for "
            f"{100 * self.flops.value:+.0f}% FLOPs"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "value": None if self.value is None else self.value.to_json(),
            "flops_share": None if self.flops is None else self.flops.to_json(),
            "why": self.why or None,
            "log_utility": None if self.log is None else self.log.to_json(),
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
