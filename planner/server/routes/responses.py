"""``POST /v1/responses``: OpenAI's Responses, by the same work as chat completions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from planner.server.protocols.responses_body import ResponsesBody
from planner.server.protocols.responses_request import chat_of
from planner.server.protocols.responses_writer import ResponsesShape
from planner.server.request.ask import of_chat
from planner.server.routes.completions import answer
from planner.server.routes.routing import Direct, Here, Inferrer

__all__ = ["router"]

router = APIRouter(route_class=Direct)


@router.post("/v1/responses")
async def responses(body: ResponsesBody, request: Request, service: Here, key: Inferrer) -> Response:
    """Answer the last thing that the user says in the input. Nothing is stored."""
    with service.rolling.refusing():
        ask = of_chat(chat_of(body), service.rules.sizes)
    return await answer(service, ResponsesShape(asked=body), ask, key, request)
