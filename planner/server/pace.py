"""How a request's decisions are bent while it is served, and what the latency model learns from it."""

from __future__ import annotations

import math
import time
from random import Random

from planner.events import Why
from planner.executor import Solution
from planner.exploration import Exploration
from planner.hurry import Hurry
from planner.latency import Work
from planner.server.arrival import Arrival
from planner.server.brief import Brief
from planner.server.service import Service
from planner.server.terms import Terms
from planner.steering import Steering

__all__ = ["expected_seconds", "learn", "load", "steering"]


def load(service: Service, brief: Brief) -> int:
    """How much is worked on at a time: requests, and the other answers of this one."""
    return service.admission.running + brief.ask.n - 1


def steering(service: Service, brief: Brief, terms: Terms) -> Steering:
    """Without what is barred, within the deadline, and exploring where that is switched on."""
    bent = Steering()
    if service.rules.explore:
        bent = Exploration(service.rules.explore, len(brief.planner.stages), Random())
    if terms.budget.seconds is not None and math.isfinite(terms.budget.seconds):
        ends = time.monotonic() + terms.budget.seconds

        def left() -> float:
            return max(0.0, ends - time.monotonic())

        bent = Hurry(service.latency, left, lambda: load(service, brief), bent)
    return brief.bars.wrapping(bent)


def expected_seconds(service: Service, brief: Brief, solution: Solution) -> float | None:
    """What the first decision takes by what is known of latencies; None where that is nothing."""
    if not solution.stages:
        return None
    advice = solution.stages[0].advice
    found = service.latency.predict(Work.of(advice.choice), advice.tokens, load(service, brief))
    return None if found is None else found.mean


def learn(service: Service, brief: Brief, solution: Solution, terms: Terms) -> None:
    """Let the latency model see what each stage took."""
    if solution.ended == Why.POLICY_FAILED:
        return  # it was waited for, not worked with
    latency, beside = service.latency, load(service, brief)
    for record in solution.stages:
        look, drawn = record.advice.look, record.look.samples
        if look is None:
            ran = Work.of(record.advice.choice, drawn)
        else:
            ran = Work(look.policy, look.prm, max(1, look.samples - drawn), False)
        # what was cut off tells too: so many tokens took so long
        latency.observe(ran, record.spend.tokens, record.spend.seconds, beside)
    if terms.budget.seconds is not None and solution.spend.seconds >= terms.budget.seconds:
        arrival = Arrival.now()
        told = arrival.seconds - (solution.spend.seconds - terms.budget.seconds)  # when to end
        arrival.then(lambda left: latency.overran(left - told))
