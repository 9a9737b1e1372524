"""``POST /admin/reload``: take the planner artefact and the API keys that lie in their places now."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from planner.server.refusal import Refusal
from planner.server.routes.routing import Admin, Here
from search.errors import PlannerError

__all__ = ["router"]

router = APIRouter()

#: seconds for other processes to load a planner
_WITHIN = 60.0


@router.post("/admin/reload")
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
