"""Runs the planner's plan beside plain answers that have left, for the sample of shadow mode.

It is charged to a key of its own, ``shadow``, whose limits the key file may name. It takes no place of a
request, and is written down as a decision of the endpoint ``beside``: its id is the plain answer's with
``-beside``.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from planner.server.access.keys import Key
from planner.server.decisions.comparison import BESIDE, Comparison, beside_id
from planner.server.request.request_context import assigned_to
from planner.server.request.shadow import Shadowed
from planner.server.request.work import Work
from planner.server.service import Service
from search.budget import UNLIMITED
from search.grading.registry import domain
from search.problem import Problem
from search.voting.grouping import read_answer

__all__ = ["run_beside"]

#: who is charged
_KEY = Key("shadow", "0" * 64)


async def run_beside(service: Service, shadowed: Shadowed, comparison: Comparison, text: str) -> None:
    """Read the plain answer ``text``, then answer the question as the planner would."""
    ask, rules = shadowed.ask, service.rules
    assigned = assigned_to(service.current.served, ask.question, ask.domain or rules.domain)
    problem = Problem("request", "", assigned.domain, ask.question)
    said = await read_answer(problem, domain(assigned.domain), text, seconds=rules.grading_within)
    budget = rules.default if ask.budget == UNLIMITED else ask.budget
    seed, nothing = secrets.randbits(63), frozenset[str]()
    await Work(
        service,
        replace(ask, plan=None, named=None, budget=budget, stream=False, seed=seed, include=nothing),
        service.keys.named(_KEY.name) or _KEY,
        BESIDE,
        beside_id(shadowed.response_id),
        beside=replace(comparison, plain_answer=said),
    ).run()
