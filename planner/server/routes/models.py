"""What there is to choose from: ``GET /v1/models`` and ``GET /v1/strategies``.

The models are the planner and its presets, the policies, and what else a request may name; the strategies are
what plans may be made of, for people who read plans.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from planner.deciding.budgeting import check_money
from planner.server import answers
from planner.server.openapi import answered
from planner.server.request.budget import to_wire
from planner.server.routes.routing import Here, Inferrer
from planner.server.service import Service
from search.budget import Budget
from search.errors import BudgetError
from search.strategies.fields import grammar_of
from search.strategies.protocol import Strategy
from search.strategies.registry import STRATEGIES

__all__ = [
    "router",
]

router = APIRouter()


@router.get("/v1/models", **answered("Answers", answers.Models))
async def models(service: Here, key: Inferrer) -> dict[str, Any]:
    """List the names that a request's ``model`` may have."""
    rules, served = service.rules, service.current.served.planner
    names = [("planner", "planner"), *((f"planner-{name}", "preset") for name in rules.presets)]
    names += [(name, "policy") for name in service.models.policies]
    plans = sorted({str(choice.plan) for choice in served.choices})
    return {
        "object": "list",
        "data": [_model(service, name, kind) for name, kind in names],
        "planner": {
            "policies": [_known(service, name) for name in service.models.policies],
            "prms": [_known(service, name) for name in service.models.prms],
            "domains": list(served.domains),
            "plans": plans,
            "budget": to_wire(rules.default),
            "ceiling": None if rules.ceiling is None else to_wire(rules.ceiling),
            "presets": {name: to_wire(budget) for name, budget in rules.presets.items()},
            "prices": _has_prices(service),
        },
    }


@router.get("/v1/models/{name:path}", **answered("Answers", answers.Model))
async def model(name: str, service: Here, key: Inferrer) -> dict[str, Any]:
    """One of them, ``planner/<plan>`` included. 404 for another."""
    granted = service.reading.grant(name)
    kind = (
        "policy"
        if granted["named"]
        else "plan"
        if granted["plan"]
        else "planner"
        if name == "planner"
        else "preset"
    )
    return _model(service, name, kind)


def _model(service: Service, name: str, kind: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": service.models.created,
        "owned_by": "planner",
        "kind": kind,
    }


def _has_prices(service: Service) -> bool:
    """Whether a budget in money can be kept: the price of every policy is known."""
    try:
        check_money(Budget(usd=1.0), service.rules.prices, service.current.served.planner.policies)
    except BudgetError:
        return False
    return True


def _known(service: Service, name: str) -> dict[str, Any]:
    card = service.models.known[name].card
    return {"name": name, "parameters": card.parameters, "up": service.models.is_up(name)}


@router.get("/v1/strategies", **answered("Plans", answers.Strategies))
async def strategies(service: Here, key: Inferrer) -> dict[str, Any]:
    """List the strategies with their captions, those of plug-ins too.

    ``vote`` and ``joins_probe`` are those of the strategy's usual numbers, null where it has none (a plan of
    several policies). A plan that names its own ``vote`` has that. ``templates``: the words in which it asks
    about its own answers, by name.
    """
    return {"object": "list", "data": [_described(name, kind) for name, kind in STRATEGIES.items()]}


def _described(name: str, kind: type[Strategy]) -> dict[str, Any]:
    fields = grammar_of(kind)
    usual = None if any(one.is_required for one in fields.values()) else kind()
    return {
        "name": name,
        "caption": kind.caption,
        "parameters": list(fields),
        "vote": None if usual is None else usual.vote,
        "joins_probe": None if usual is None else usual.joins_probe,
        **({"templates": dict(kind.templates)} if kind.templates else {}),
    }
