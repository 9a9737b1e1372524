"""``POST /v1/feedback``: what came of an answered request."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter

from planner.server.access.keys import ANYONE
from planner.server.decisions.recorder import Feedback, Record
from planner.server.refusal import Refusal
from planner.server.routes.routing import Direct, Feedbacker, Here
from planner.server.schema import FeedbackBody
from search.errors import DecisionLogError

__all__ = ["router"]

router = APIRouter(route_class=Direct)


@router.post("/v1/feedback")
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
