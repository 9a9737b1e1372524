"""``GET /v1/models``: the planner and its presets, the policies, and what else there is to choose from."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from planner.deciding.budgeting import check_money
from planner.server.request.budget import grant, to_wire
from planner.server.routes.routing import Here, Inferrer
from planner.server.service import Service
from search.budget import Budget
from search.errors import BudgetError

__all__ = ["router"]

router = APIRouter()


@router.get("/v1/models")
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


@router.get("/v1/models/{name:path}")
async def model(name: str, service: Here, key: Inferrer) -> dict[str, Any]:
    """One of them, ``planner/<plan>`` included. 404 for another."""
    granted = grant(
        name,
        header=None,
        body=None,
        default=service.rules.default,
        policies=service.models.policies,
        presets=service.rules.presets,
    )
    kind = (
        "policy"
        if granted.policy
        else "plan"
        if granted.plan
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
