"""``GET /v1/decisions``: past decisions, to search and to open."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from planner.server.recorder import DecisionQuery
from planner.server.refusal import Refusal
from planner.server.routes.access import Admin, Here
from planner.server.serialize import decision_to_dict, record_to_dict

__all__ = ["router"]

router = APIRouter()

_Text = Annotated[str | None, Query(max_length=1000)]
_Time = Annotated[float | None, Query(ge=0, le=1e12, allow_inf_nan=False)]


@router.get("/v1/decisions")
async def decisions(
    service: Here,
    key: Admin,
    text: _Text = None,
    plan: _Text = None,
    domain: _Text = None,
    outcome: _Text = None,
    since: _Time = None,
    until: _Time = None,
    feedback: Annotated[bool | None, Query(description="With feedback, or without.")] = None,
    before: Annotated[str | None, Query(max_length=128)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> dict[str, Any]:
    """Search decisions, newest first. ``next`` is the ``before`` of the next page."""
    wanted = DecisionQuery(
        text=text or None,
        plan=plan or None,
        domain=domain or None,
        outcome=outcome or None,
        since=since,
        until=until,
        with_feedback=feedback,
        before=before or None,
        limit=limit,
    )
    found = await service.recorder.search(wanted)
    return {
        "object": "list",
        "data": [record_to_dict(record) for record in found],
        "next": found[-1].decision.decision_id if len(found) == limit else None,
    }


@router.get("/v1/decisions/{decision_id}")
async def decision(decision_id: str, service: Here, key: Admin) -> dict[str, Any]:
    """Everything about one decision."""
    record = await service.recorder.find(decision_id)
    if record is None:
        raise Refusal(
            f"a decision must be known, got {decision_id[:128]!r}", 404, param="id", code="unknown_id"
        )
    return decision_to_dict(record)
