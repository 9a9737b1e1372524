"""Latency feedback: what a request is expected to take, and what the latency model learns from it."""

from __future__ import annotations

import math
from random import Random

from planner.deciding.decision_filter import DecisionFilter
from planner.server.request.arrival import Arrival
from planner.server.request.request_context import RequestContext
from planner.server.service import Service
from planner.solving.events import EndReason
from planner.solving.executor import Solution
from planner.solving.exploration import Exploration, Resampled
from planner.solving.latency import Work
from search.budget import Budget

__all__ = ["expected_seconds", "exploring", "learn", "load"]


def load(service: Service, context: RequestContext) -> int:
    """How much is worked on at a time: requests, and the other answers of this one."""
    return service.admission.running + context.ask.n - 1


def exploring(service: Service, context: RequestContext) -> DecisionFilter | None:
    """What explores, where that is switched on, and what leans on rules, where questions have drifted."""
    rules, found = service.rules, None
    if rules.explore:
        kind = Resampled if rules.explore_by == "thompson" else Exploration
        found = kind(rules.explore, context.planner.most_decisions, Random())
    return service.watch.leaning(context.served.fingerprint, found)


def expected_seconds(service: Service, context: RequestContext, solution: Solution) -> float | None:
    """What the first decision takes by what is known of latencies; None where that is nothing."""
    if not solution.stages:
        return None
    advice = solution.stages[0].advice
    if not math.isfinite(advice.tokens):
        return None
    found = service.latency.predict(Work.of(advice.choice), advice.tokens, load(service, context))
    return None if found is None else found.mean


def learn(service: Service, solution: Solution, budget: Budget) -> None:
    """Let the latency model see how long after its deadline an answer leaves."""
    latency = service.latency
    if solution.ended == EndReason.POLICY_FAILED:
        return  # it was waited for, not worked with
    if budget.seconds is not None and solution.spend.seconds >= budget.seconds:
        arrival = Arrival.now()
        due = arrival.seconds - (solution.spend.seconds - budget.seconds)  # when to end
        arrival.then(lambda left: latency.overran(left - due))
