"""``GET /healthz``, ``/readyz`` and ``/metrics``: for whoever runs the server."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from planner.server.keys import Scope
from planner.server.routes.access import Here, key_of

__all__ = ["router"]

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, Any]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(service: Here) -> Response:
    """Requests can be answered: the planner is loaded and a policy answers (503 otherwise)."""
    up = any(service.models.is_up(name) for name in service.models.policies)
    ready = service.is_ready and up
    body = {"status": "ready" if ready else "not ready", "policies_up": up}
    return JSONResponse(body, 200 if ready else 503)


@router.get("/metrics")
async def metrics(service: Here, request: Request) -> Response:
    """Figures for Prometheus. Needs the scope admin where keys are set up."""
    await key_of(service, request, Scope.ADMIN)
    figures = service.metrics
    figures.set("wrong_keys", service.wrong_keys.count, "Requests with a key that nobody has.")
    figures.set("running_requests", service.admission.running, "Requests being worked on.")
    figures.set("waiting_requests", service.admission.waiting, "Requests that wait.")
    figures.set("budget_share", service.admission.share, "Share of a budget that a new request gets.")
    for name, model in service.models.known.items():
        safe = "".join(c if c.isalnum() else "_" for c in name)
        figures.set(
            f"up_{safe}", float(service.models.is_up(name)), f"Whether the {model.kind} {name} answers."
        )
    for name, value in service.recorder.state().items():
        if isinstance(value, int | float):
            figures.set(f"log_{name}", float(value), f"Decision log: {name}.")
    drift = service.watch.report
    if drift is not None:
        figures.set("drifted_features", len(drift.drifted), "Features and rewards that have drifted.")
        worst = max((s.psi for s in drift.shifts if s.psi is not None), default=0.0)
        figures.set("drift_worst_psi", worst, "The largest population stability index.")
    return Response(figures.text(), media_type=CONTENT_TYPE_LATEST)
