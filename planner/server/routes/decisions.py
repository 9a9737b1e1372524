"""Past decisions, what came of them, and what planning would have saved.

``GET /v1/decisions`` searches, opens and takes away, ``POST /v1/feedback`` tells what came of an answered
request, and ``GET /v1/savings`` says what planning would have saved or gained, by the newest decisions of
shadow mode.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import StreamingResponse

from planner.server import answers
from planner.server.access.keys import ANYONE
from planner.server.decisions.recorder import DecisionQuery, Feedback, Record
from planner.server.decisions.savings import savings_of
from planner.server.openapi import answered
from planner.server.refusal import Refusal
from planner.server.request.serialize import decision_to_dict, record_to_dict
from planner.server.routes.routing import Admin, Direct, Feedbacker, Here
from planner.server.schema import FeedbackBody
from planner.server.service import Service
from planner.server.workers.questions import beside_of_all
from search.errors import DecisionLogError

__all__ = [
    "feedback_router",
    "router",
]

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


@router.get("/v1/decisions", **answered("Feedback and decisions", answers.Decisions))
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


@router.get("/v1/decisions.jsonl", **answered("Feedback and decisions", kind="application/x-ndjson"))
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


@router.get("/v1/decisions/{decision_id}", **answered("Feedback and decisions", answers.Decision))
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


feedback_router = APIRouter(route_class=Direct)


@feedback_router.post("/v1/feedback", **answered("Feedback and decisions", answers.Recorded))
async def feedback(body: FeedbackBody, service: Here, key: Feedbacker) -> dict[str, Any]:
    """Tell whether an answer was right, how good it was, or which candidate was right.

    It is durable when this answers.
    """
    if body.correct is None and body.score is None and body.candidate is None:
        raise Refusal("feedback says correct, score or candidate, got none of them", param="correct")
    said = Feedback(
        decision_id=body.id,
        created=time.time(),
        correct=body.correct,
        score=body.score,
        candidate=body.candidate,
        key=None if key is ANYONE else key.name,
    )
    record = await service.recorder.find(body.id)
    if (
        record is not None
        and body.candidate is not None
        and body.candidate >= len(record.decision.candidates)
    ):
        count = len(record.decision.candidates)
        raise Refusal(f"there are {count} candidates, got number {body.candidate}", param="candidate")
    try:
        is_known = record is not None and await service.recorder.feedback(said)
    except DecisionLogError as error:
        raise Refusal(str(error), 503, code="log", retry_after=1.0) from error
    if not is_known or record is None:
        raise Refusal(f"a decision must be known, got {body.id!r}", 404, param="id", code="unknown_id")
    kept = _kept(record, said)
    if kept is not None:
        service.metrics.hear(kept)
        if record.decision.accuracy is not None:
            service.rolling.hear(record.decision.accuracy, kept)
    return {"object": "feedback", "id": body.id, "recorded": True}


def _kept(record: Record, said: Feedback) -> float | None:
    """How right the answer was, by what was said of it."""
    if said.correct is not None:
        return float(said.correct)
    if said.score is not None:
        return said.score
    candidates = record.decision.candidates
    if said.candidate is not None and said.candidate < len(candidates):
        return float(candidates[said.candidate].answer == record.decision.answer)
    return None


#: decisions that are looked at; ``planner savings`` reads all of a log
_NEWEST = 2_000


@router.get("/v1/savings", **answered("Feedback and decisions", answers.Savings))
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
