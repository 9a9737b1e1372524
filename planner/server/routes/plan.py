"""``POST /v1/plan``: the recommendation only; no token is spent."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request

from planner.deciding.budgeting import rule
from planner.deciding.decision_filter import DecisionFilter
from planner.deciding.recommendation import Recommendation
from planner.options import Option, appraised, options
from planner.server import answers
from planner.server.openapi import answered
from planner.server.refusal import Refusal, refusal_of
from planner.server.request.ask import Ask, of_plan
from planner.server.request.budget import HEADER, to_wire
from planner.server.request.choosing import availability_filter, first_policy, forced
from planner.server.request.request_context import assigned_to, open_ended, resolved
from planner.server.request.serialize import advice_to_dict, known
from planner.server.routes.routing import Direct, Here, Inferrer
from planner.server.schema import PlanBody
from planner.server.service import Service
from planner.solving.availability_filter import AvailabilityFilter
from planner.solving.latency import Work
from search.budget import Budget
from search.choice import Choice
from search.errors import PlannerError

__all__ = ["router"]

router = APIRouter(route_class=Direct)


@router.post("/v1/plan", **answered("Plans", answers.Plan, answers.Plans))
async def plan(body: PlanBody, request: Request, service: Here, key: Inferrer) -> dict[str, Any]:
    """Say which plan would be run, what it is expected to be worth and to cost. No token is spent."""
    service.rates.enter(key)
    if (body.question is None) == (body.questions is None):
        raise Refusal("a plan is for a question or for questions, got both or neither", param="question")
    ask = of_plan(body, service.reading, header=request.headers.get(HEADER))
    if body.question is not None:
        _check(service, [body.question])
        return _plan(service, replace(ask, question=body.question.strip()))
    questions = body.questions or []
    _check(service, questions)
    out: list[dict[str, Any]] = []
    for question in questions:
        try:
            out.append(_plan(service, replace(ask, question=question.strip())))
        except PlannerError as error:
            out.append(refusal_of(error).body)
        await asyncio.sleep(0)  # others are served meanwhile
    return {"object": "list", "data": out}


def _check(service: Service, questions: list[str]) -> None:
    sizes = service.rules.sizes
    sizes.check(batch=len(questions), characters=max(map(len, questions), default=0))
    if not questions or not all(question.strip() for question in questions):
        raise Refusal("a question has some text, got none", param="question")


def _plan(service: Service, ask: Ask) -> dict[str, Any]:
    rules, question = service.rules, ask.question
    served, models = service.current.served, service.models
    assigned = assigned_to(served, question, ask.domain or rules.domain)
    domain = assigned.domain if assigned.planned else None
    planner, availability = served.planner, availability_filter(served, models, ask)
    within = ask.budget.within(rules.ceiling)
    budget = resolved(service, planner, question, within)
    first = first_policy(served, models, ask.policy)
    choice, reason = forced(ask, models, rules, served, first)
    if choice is None and domain is None:
        advice, reason = planner.plain_advice(question), open_ended(assigned, rules.open_plan)
        open_choice = Choice(first, None, rules.open_plan)
        if rules.open_plan.is_greedy:
            advice = replace(advice, choice=open_choice)
        else:
            advice = appraised(planner, question, open_choice)
    elif choice is not None:
        advice = appraised(planner, question, choice)
    else:
        advice = planner.decide(
            question,
            budget=budget,
            prices=rules.prices,
            domain=domain,
            abstain_below=ask.abstain_below,
            decision_filter=availability.wrapping(
                service.watch.leaning(served.fingerprint, None) or DecisionFilter()
            ),
        )
    advice = advice.checked_against(within)
    wanted = ask.include
    out: dict[str, Any] = {
        "object": "plan",
        "domain": domain,
        "reason": None if reason is None else reason.code,
        "detail": None if reason is None else reason.detail,
        "budget": {
            "asked": to_wire(ask.budget),
            "source": str(ask.source),
            "granted": to_wire(within),
            "share": 1.0,
        },
        "advice": advice_to_dict(advice, _seconds(service, advice)),
    }
    if "alternatives" in wanted:
        alternatives = _alternatives(service, question, budget, availability)
        out["alternatives"] = (
            [] if domain is None else alternatives
        )  # accuracy means nothing without a domain
    if "why" in wanted:
        out["why"] = [
            {"feature": why.feature, "value": known(why.value), "effect": known(why.effect)}
            for why in advice.why
        ]
    return out


def _alternatives(
    service: Service, question: str, budget: Budget, availability: AvailabilityFilter
) -> list[dict[str, Any]]:
    planner = service.current.served.planner.fitted
    if planner is None:
        return []
    limits = rule(planner, budget, question, prices=service.rules.prices)
    return [
        {
            "policy": option.choice.policy,
            "prm": option.choice.prm,
            "plan": str(option.choice.plan),
            "accuracy": known(option.accuracy),
            "tokens": known(option.tokens),
            "flops": known(option.flops),
            "tokens_p90": known(option.tokens_p90),
            "flops_p90": known(option.flops_p90),
            "seconds": _seconds(service, option),
            "fits": option.tokens_p90 <= limits.tokens_left
            and option.flops_p90 <= limits.flops_left
            and (option.usd_p90 is None or not option.usd_p90 > limits.usd_left),
            "over": option.tokens > limits.tokens_left or option.flops > limits.flops_left,
        }
        for option in options(planner, question, service.rules.prices)
        if not availability.excludes(option.choice)
    ]


def _seconds(service: Service, option: Option | Recommendation) -> float | None:
    """What it takes by what is known of latencies; None where that is nothing."""
    if not math.isfinite(option.tokens):
        return None
    found = service.latency.predict(Work.of(option.choice), option.tokens, max(1, service.admission.running))
    return None if found is None else found.mean
