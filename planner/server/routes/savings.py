"""``GET /v1/savings``: what planning would have saved or gained, by the newest decisions of shadow mode."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from planner.server.decisions.savings import savings_of
from planner.server.questions import beside_of_all
from planner.server.routes.routing import Admin, Here

__all__ = ["router"]

router = APIRouter()

#: decisions that are looked at; ``planner savings`` reads all of a log
_NEWEST = 2_000


@router.get("/v1/savings")
async def savings(service: Here, key: Admin) -> dict[str, Any]:
    """Say what planning would have saved or gained, with intervals. Figures that say nothing are marked."""
    records = await service.recorder.compared(_NEWEST)
    found = await asyncio.to_thread(savings_of, records)
    shadow = service.rules.shadow
    return {
        "object": "savings",
        "shadow": shadow is not None,
        "share": 0.0 if shadow is None else shadow.share,
        **await beside_of_all(service),
        "newest": _NEWEST,
        **found.to_dict(),
    }
