"""``GET /healthz``, ``/readyz`` and ``/metrics``: for whoever runs the server."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from planner.server.access.keys import Scope
from planner.server.questions import metrics_text
from planner.server.routes.routing import Here, key_of

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
    return Response(await metrics_text(service), media_type=CONTENT_TYPE_LATEST)
