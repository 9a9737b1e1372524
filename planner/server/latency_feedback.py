"""Latency feedback: filters of a request's decisions, and what the latency model learns from the request."""

from __future__ import annotations

import math
import time
from random import Random

from planner.deadline_filter import DeadlineFilter
from planner.decision_filter import DecisionFilter
from planner.events import EndReason
from planner.executor import Solution
from planner.exploration import Exploration
from planner.latency import Work
from planner.server.arrival import Arrival
from planner.server.request_context import RequestContext
from planner.server.resolved_budget import ResolvedBudget
from planner.server.service import Service

__all__ = ["decision_filter", "expected_seconds", "learn", "load"]


def load(service: Service, context: RequestContext) -> int:
    """How much is worked on at a time: requests, and the other answers of this one."""
    return service.admission.running + context.ask.n - 1


def decision_filter(service: Service, context: RequestContext, resolved: ResolvedBudget) -> DecisionFilter:
    """Without what is excluded, within the deadline, and exploring where that is switched on."""
    filtered = DecisionFilter()
    if service.rules.explore:
        filtered = Exploration(service.rules.explore, len(context.planner.stages), Random())
    if resolved.budget.seconds is not None and math.isfinite(resolved.budget.seconds):
        ends = time.monotonic() + resolved.budget.seconds

        def left() -> float:
            return max(0.0, ends - time.monotonic())

        filtered = DeadlineFilter(service.latency, left, lambda: load(service, context), filtered)
    return context.availability.wrapping(filtered)


def expected_seconds(service: Service, context: RequestContext, solution: Solution) -> float | None:
    """What the first decision takes by what is known of latencies; None where that is nothing."""
    if not solution.stages:
        return None
    advice = solution.stages[0].advice
    found = service.latency.predict(Work.of(advice.choice), advice.tokens, load(service, context))
    return None if found is None else found.mean


def learn(service: Service, context: RequestContext, solution: Solution, resolved: ResolvedBudget) -> None:
    """Let the latency model see what each stage took."""
    if solution.ended == EndReason.POLICY_FAILED:
        return  # it was waited for, not worked with
    latency, beside = service.latency, load(service, context)
    for record in solution.stages:
        probe, drawn = record.advice.probe, record.probe.samples
        if probe is None:
            work = Work.of(record.advice.choice, drawn)
        else:
            work = Work(policy=probe.policy, prm=probe.prm, n=max(1, probe.samples - drawn), is_tree=False)
        # what was cut off tells too: so many tokens took so long
        latency.observe(work, record.spend.tokens, record.spend.seconds, beside)
    if resolved.budget.seconds is not None and solution.spend.seconds >= resolved.budget.seconds:
        arrival = Arrival.now()
        due = arrival.seconds - (solution.spend.seconds - resolved.budget.seconds)  # when to end
        arrival.then(lambda left: latency.overran(left - due))
