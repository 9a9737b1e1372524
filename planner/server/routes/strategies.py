"""``GET /v1/strategies``: what plans may be made of, for people who read plans."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from planner.server.routes.routing import Here, Inferrer
from search.strategies.fields import grammar_of
from search.strategies.protocol import Strategy
from search.strategies.registry import STRATEGIES

__all__ = ["router"]

router = APIRouter()


@router.get("/v1/strategies")
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
