"""What the operator of a server has decided: budgets, prices, domain, exploration, sizes of requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from planner.server.refusal import Refusal
from planner.server.request.budget import PRESETS, Granted, grant
from planner.solving.forced import check_open_plan, check_structured_plan
from planner.traffic.sources import Sources
from search.budget import Budget, Prices
from search.errors import ServeError
from search.grading.registry import DOMAINS
from search.plan import Plan

__all__ = [
    "Reading",
    "Rules",
    "ShadowRules",
    "Sizes",
]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Most of everything a client decides about.

    Parameters
    ----------
    body, header:
        Bytes of the body, and of all header lines together.
    messages, question:
        Messages of a conversation; characters of all of them together.
    choices:
        ``n``.
    stops, stop:
        Stop strings, and characters of each.
    samples:
        ``n`` of a plan that a request forces.
    batch:
        Questions of one call of ``/v1/plan``, prompts of one completion.
    seconds:
        For the body to arrive, and for headers.
    """

    body: int = 1 << 20
    header: int = 16 << 10
    messages: int = 256
    question: int = 100_000
    choices: int = 16
    stops: int = 16
    stop: int = 256
    samples: int = 256
    batch: int = 256
    seconds: float = 30.0

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) > 0:
                raise ServeError(f"a limit must be above 0, got {one.name}={getattr(self, one.name)}")

    def check(
        self,
        *,
        messages: int = 0,
        characters: int = 0,
        choices: int = 1,
        stops: Sequence[str] = (),
        batch: int = 0,
    ) -> None:
        """Raise Refusal (400) for the first figure beyond its limit."""
        longest = max((len(text) for text in stops), default=0)
        for name, param, most, got in (
            ("messages", "messages", self.messages, messages),
            ("characters", "messages", self.question, characters),
            ("choices", "n", self.choices, choices),
            ("stop strings", "stop", self.stops, len(stops)),
            ("characters in a stop string", "stop", self.stop, longest),
            ("questions in a call", "questions", self.batch, batch),
        ):
            if got > most:
                raise Refusal(f"there are at most {most} {name}, got {got}", param=param, code="too_large")


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


@dataclass(frozen=True, slots=True)
class Reading:
    """What requests of a server are read by.

    Parameters
    ----------
    policies:
        Whose names a request may give for its model.
    names:
        Other names of them, which their own servers have (shadow mode).
    """

    rules: Rules
    policies: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def grant(
        self,
        model: str,
        *,
        header: str | None = None,
        body: object = None,
        effort: str | None = None,
        answers: int = 1,
    ) -> Granted:
        """As ``planner.server.request.budget.grant`` says, under the server's rules."""
        return grant(
            model if model in self.policies else self.names.get(model, model),
            header=header,
            body=body,
            default=self.rules.default,
            policies=self.policies,
            presets=self.rules.presets,
            effort=effort,
            answers=answers,
        )
