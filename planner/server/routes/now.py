"""``GET /v1/now``: what is going on, for the console."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from planner.server.routes.access import Admin, Here
from planner.version import __version__

__all__ = ["router"]

router = APIRouter()


@router.get("/v1/now")
async def now(service: Here, key: Admin) -> dict[str, Any]:
    """Requests, spends, and expected against actual values of the last minutes."""
    body = service.rolling.to_dict()
    body["requests"] |= {"running": service.admission.running, "waiting": service.admission.waiting}
    drift = service.watch.report
    return {
        **body,
        "share": service.admission.share,
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
        "log": dict(service.recorder.state()),
        "models": [
            {"name": name, "kind": model.kind, "up": service.models.is_up(name)}
            for name, model in service.models.known.items()
        ],
        "planner": service.current.served.fingerprint,
        "version": __version__,
    }
