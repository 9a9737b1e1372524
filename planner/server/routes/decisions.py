"""``GET /v1/decisions``: past decisions, to search, to open and to take away."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import StreamingResponse

from planner.server.decisions.recorder import DecisionQuery
from planner.server.refusal import Refusal
from planner.server.request.serialize import decision_to_dict, record_to_dict
from planner.server.routes.routing import Admin, Here
from planner.server.service import Service

__all__ = ["router"]

router = APIRouter()

_Text = Annotated[str | None, Query(max_length=1000)]
_Time = Annotated[float | None, Query(ge=0, le=1e12, allow_inf_nan=False)]

#: decisions of an export that are in memory at a time
_BLOCK = 200


def _wanted(
    text: _Text = None,
    policy: _Text = None,
    plan: Annotated[str | None, Query(max_length=1000, description="A plan, or a strategy's name.")] = None,
    domain: _Text = None,
    outcome: _Text = None,
    since: _Time = None,
    until: _Time = None,
    feedback: Annotated[bool | None, Query(description="With feedback, or without.")] = None,
    before: Annotated[str | None, Query(max_length=128)] = None,
) -> DecisionQuery:
    """What to look for."""
    return DecisionQuery(
        text=text or None,
        policy=policy or None,
        plan=plan or None,
        domain=domain or None,
        outcome=outcome or None,
        since=since,
        until=until,
        with_feedback=feedback,
        before=before or None,
    )


_Wanted = Annotated[DecisionQuery, Depends(_wanted)]


@router.get("/v1/decisions")
async def decisions(
    service: Here,
    key: Admin,
    wanted: _Wanted,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> dict[str, Any]:
    """Search decisions, newest first. ``next`` is the ``before`` of the next page."""
    found = await service.recorder.search(replace(wanted, limit=limit))
    return {
        "object": "list",
        "data": [record_to_dict(record) for record in found],
        "next": found[-1].decision.decision_id if len(found) == limit else None,
    }


@router.get("/v1/decisions.jsonl")
async def exported(
    service: Here,
    key: Admin,
    wanted: _Wanted,
    limit: Annotated[int, Query(ge=1, le=10_000_000)] = 100_000,
) -> StreamingResponse:
    """Take decisions away, whole, newest first: a JSON object on each line."""
    return StreamingResponse(
        _lines(service, wanted, limit),
        media_type="application/x-ndjson",
        headers={"content-disposition": 'attachment; filename="decisions.jsonl"'},
    )


@router.get("/v1/decisions/{decision_id}")
async def decision(decision_id: str, service: Here, key: Admin) -> dict[str, Any]:
    """Everything about one decision."""
    record = await service.recorder.find(decision_id)
    if record is None:
        raise Refusal(
            f"a decision must be known, got {decision_id[:128]!r}", 404, param="id", code="unknown_id"
        )
    return decision_to_dict(record)


async def _lines(service: Service, wanted: DecisionQuery, limit: int) -> AsyncIterator[bytes]:
    left = limit
    while left > 0:
        asked = min(_BLOCK, left)
        found = await service.recorder.search(replace(wanted, limit=asked))
        for record in found:
            yield json.dumps(decision_to_dict(record), allow_nan=False).encode() + b"\n"
        if len(found) < asked:
            return
        left -= asked
        wanted = replace(wanted, before=found[-1].decision.decision_id)
