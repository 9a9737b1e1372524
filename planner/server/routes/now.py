"""``GET /v1/now``: what is going on, for the console."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from planner.server.observing.rolling_metrics import WINDOWS
from planner.server.questions import now_of_all
from planner.server.refusal import Refusal
from planner.server.routes.routing import Admin, Here
from planner.version import __version__

__all__ = ["router"]

router = APIRouter()


@router.get("/v1/now")
async def now(
    service: Here,
    key: Admin,
    window: Annotated[
        int, Query(description="Seconds that are told of.", json_schema_extra={"enum": [*WINDOWS]})
    ] = WINDOWS[0],
) -> dict[str, Any]:
    """Requests, latencies, errors, spends, and expected against actual values of the last minutes."""
    if window not in WINDOWS:
        known = ", ".join(map(str, WINDOWS))
        raise Refusal(f"window must be one of {known}, got {window}", param="window")
    body = await now_of_all(service, window)
    drift = service.watch.report
    return {
        **body,
        "explore": service.rules.explore,
        "drift": None
        if drift is None
        else {
            "drifted": len(drift.drifted),
            "shifts": [
                {
                    "look": shift.look,
                    "feature": shift.feature,
                    "live": shift.live,
                    "outside": shift.outside,
                    "psi": shift.psi,
                    "drifted": shift.drifted,
                }
                for shift in drift.shifts[:10]
            ],
        },
        **({} if service.challenge is None else {"challenge": service.challenge.to_json()}),
        **({} if service.watch.drift is None else {"signals": service.watch.drift.to_json()}),
        "planner": service.current.served.fingerprint,
        "version": __version__,
    }
