"""For whoever runs the server: what goes on now, its health, its figures, and reloading."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from planner.server import answers
from planner.server.access.keys import Scope
from planner.server.observing.rolling_metrics import WINDOWS
from planner.server.openapi import answered
from planner.server.refusal import Refusal
from planner.server.routes.routing import Admin, Here, key_of
from planner.server.workers.questions import metrics_text, now_of_all
from planner.version import __version__
from search.errors import PlannerError

__all__ = [
    "router",
]

router = APIRouter()


@router.get("/v1/now", **answered("The server", answers.Now))
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


@router.get("/healthz", **answered("The server", answers.Health))
async def healthz() -> dict[str, Any]:
    """The process lives."""
    return {"status": "ok"}


_READY = answered("The server", answers.Ready)
_READY["responses"][503] = {"model": answers.NotReady, "description": "No policy answers."}


@router.get("/readyz", **_READY)
async def readyz(service: Here) -> Response:
    """Requests can be answered: the planner is loaded and a policy answers (503 otherwise)."""
    up = any(service.models.is_up(name) for name in service.models.policies)
    ready = service.is_ready and up
    body = {"status": "ready" if ready else "not ready", "policies_up": up}
    return JSONResponse(body, 200 if ready else 503)


@router.get("/metrics", **answered("The server", kind="text/plain"))
async def metrics(service: Here, request: Request) -> Response:
    """Figures for Prometheus. Needs the scope admin where keys are set up."""
    await key_of(service, request, Scope.ADMIN)
    return Response(await metrics_text(service), media_type=CONTENT_TYPE_LATEST)


#: seconds for other processes to load a planner
_WITHIN = 60.0


@router.post("/admin/reload", **answered("The server", answers.Reloaded))
async def reload(service: Here, key: Admin) -> dict[str, Any]:
    """Take a new planner and the key file as it is now, without dropping a request.

    What is broken is refused (409) and the old one stays. ``workers``: processes that have taken it.
    """
    before = service.current.served.fingerprint
    try:
        found = await service.peers.ask("reload", within=_WITHIN)
    except (PlannerError, OSError) as error:
        raise Refusal(
            f"what is reloaded must be whole and fit the models, got {error}", 409, code="artefact"
        ) from error
    own = found[service.peers.number]
    return {"object": "planner", **own, "changed": own["planner"] != before, "workers": len(found)}
