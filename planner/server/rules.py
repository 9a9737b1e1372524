"""What the operator of a server has decided: default budget, ceiling, prices, domain, exploration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from planner.server.access.limits import Sizes
from planner.server.request.budget import PRESETS
from planner.solving.forced import check_open_plan, check_structured_plan
from planner.traffic.sources import Sources
from search.budget import Budget, Prices
from search.errors import ServeError
from search.grading.registry import DOMAINS
from search.plan import Plan

__all__ = ["Rules", "ShadowRules"]


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """Shadow mode: the plain model answers.

    Parameters
    ----------
    share:
        Of requests for which the planner's plan is run beside the answer, in [0, 1].
    policy:
        The plain model; None: the policy that the planner begins with.
    """

    share: float = 0.0
    policy: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ServeError(f"a share of requests that are run beside is in [0, 1], got {self.share}")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a house.

    Parameters
    ----------
    default:
        What a request may spend that does not say.
    ceiling:
        What no request may spend more than; None: no ceiling.
    presets:
        Budgets of ``planner-low`` and its siblings.
    price:
        Accuracy (1.0 is 100 points) that a FLOP must add to be spent.
    prices:
        Money per million tokens, the same for all or by model; None: budgets in money are refused.
    domain:
        What reads answers where a request does not say; None: the planner says it, and a question
        that is foreign to it is open-ended.
    open_plan:
        What answers open-ended questions: one greedy answer, or ``aggregate(n=4)``, say.
    structured_plan:
        What answers requests for JSON, and those that may call a tool: ``majority(n=8)``, say; None: they are
        passed through.
    explore:
        Share of requests in which a decision may be another than the best, in [0, 1).
    explore_by:
        ``epsilon``: all options alike; ``thompson``: as often as each is the best under resampled values.
    sources:
        Who gives feedback, and how often they are mistaken.
    shadow:
        Answer as the plain model would, and only say what the planner would have done; None: plan.
    sizes:
        Most of everything a client decides about.
    grace:
        Seconds beyond its deadline after which a request is given up.
    grading_within:
        Seconds that comparing the answers of a request may take at a time, where it has no deadline. What has
        not been compared by then is compared by what is known.
    cancel_within:
        Seconds that a policy has to end what was cancelled. What has not ended by then is left alone and
        charged in full, and the request goes on to its end without it.
    """

    default: Budget = field(default_factory=lambda: Budget(samples=16))
    ceiling: Budget | None = None
    presets: Mapping[str, Budget] = field(default_factory=lambda: PRESETS)
    price: float = 0.0
    prices: Mapping[str, Prices] | Prices | None = None
    domain: str | None = None
    open_plan: Plan = field(default_factory=lambda: Plan.of("cot"))
    structured_plan: Plan | None = None
    explore: float = 0.0
    explore_by: Literal["epsilon", "thompson"] = "epsilon"
    sources: Sources = field(default_factory=Sources)
    shadow: ShadowRules | None = None
    sizes: Sizes = field(default_factory=Sizes)
    grace: float = 5.0
    cancel_within: float = 2.0
    grading_within: float = 30.0

    @property
    def plain_policy(self) -> str | None:
        """The plain model of shadow mode, where the operator names one."""
        return None if self.shadow is None else self.shadow.policy

    def __post_init__(self) -> None:
        if not (self.price >= 0.0 and math.isfinite(self.price)):
            raise ServeError(f"a price cannot be negative, got {self.price}")
        for name in ("grace", "cancel_within", "grading_within"):
            seconds = getattr(self, name)
            if not (seconds >= 0.0 and math.isfinite(seconds)):
                raise ServeError(f"{name} is a number of seconds of at least 0, got {seconds}")
        if not 0.0 <= self.explore < 1.0:
            raise ServeError(f"a share of requests that explore is in [0, 1), got {self.explore}")
        if self.domain is not None and self.domain not in DOMAINS:
            raise ServeError(f"domain must be one of {', '.join(DOMAINS)}, got {self.domain!r}")
        check_open_plan(self.open_plan)
        if self.structured_plan is not None:
            check_structured_plan(self.structured_plan)
        if self.prices is None:
            for budget in (self.default, self.ceiling, *self.presets.values()):
                if budget is not None and budget.usd is not None:
                    raise ServeError(f"a budget in money needs prices, got usd={budget.usd:g} without")
