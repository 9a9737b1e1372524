"""``POST /admin/reload``: take the planner artefact that lies in its folder now."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from planner.server.refusal import Refusal
from planner.server.routes.access import Admin, Here
from search.errors import PlannerError

__all__ = ["router"]

router = APIRouter()


@router.post("/admin/reload")
async def reload(service: Here, key: Admin) -> dict[str, Any]:
    """Take a new planner without dropping a request. A broken one is refused (409) and the old one stays."""
    before = service.current.served.fingerprint
    try:
        served = await service.reload()
    except (PlannerError, OSError) as error:
        raise Refusal(
            f"an artefact must be whole and fit the models, got {error}", 409, code="artefact"
        ) from error
    return {"object": "planner", "planner": served.fingerprint, "changed": served.fingerprint != before}
