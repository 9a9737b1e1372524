"""Other protocols by the same work as chat completions: OpenAI's Responses and Anthropic's Messages."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from planner.server import answers
from planner.server.direct.passthrough_cost import prompt_tokens
from planner.server.openapi import answered, streamed
from planner.server.protocols import messages_request, responses_request
from planner.server.protocols.messages_writer import MESSAGES
from planner.server.protocols.responses_writer import ResponsesShape
from planner.server.refusal import Refusal, brief
from planner.server.request.ask import Ask, of_chat
from planner.server.request.budget import HEADER
from planner.server.request.choosing import answering_policy
from planner.server.routes.completions import answer
from planner.server.routes.routing import Direct, Here, Inferrer
from planner.server.service import Service

__all__ = [
    "router",
]

router = APIRouter(route_class=Direct)


@router.post("/v1/responses", **streamed(answers.Response))
async def responses(
    body: responses_request.ResponsesBody, request: Request, service: Here, key: Inferrer
) -> Response:
    """Answer the last thing that the user says in the input. Nothing is stored."""
    ask = of_chat(responses_request.chat_of(body), service.reading, header=request.headers.get(HEADER))
    return await answer(service, ResponsesShape(asked=body), ask, key, request)


#: versions of the API, of which the answers here are alike
_VERSIONS = ("2023-06-01", "2026-10-21")


@router.post("/v1/messages", **streamed(answers.AnthropicMessage))
async def messages(
    body: messages_request.MessagesBody, request: Request, service: Here, key: Inferrer
) -> Response:
    """Answer the last thing that the user says."""
    ask = _ask(service, body, request, header=request.headers.get(HEADER))
    return await answer(service, MESSAGES, ask, key, request)


@router.post("/v1/messages/count_tokens", **answered("Answers", answers.TokenCount))
async def count_tokens(
    body: messages_request.CountBody, request: Request, service: Here, key: Inferrer
) -> Any:
    """Count the tokens of a prompt: as the policy's tokenizer does, roughly with tools or images."""
    service.rates.enter(key)
    ask = _ask(service, body, request)
    policy = ask.named or answering_policy(service.current.served, service.models, ask.policy)
    if policy not in service.models.policies:
        there = ", ".join(service.models.policies)
        raise Refusal(f"policy must be one of {there}, got {brief(policy)}", param="policy")
    return JSONResponse({"input_tokens": prompt_tokens(ask, service.models, policy)})


def _ask(
    service: Service, body: messages_request.CountBody, request: Request, header: str | None = None
) -> Ask:
    version = request.headers.get("anthropic-version")
    if version is not None and version not in _VERSIONS:
        known = " or ".join(_VERSIONS)
        raise Refusal(f"anthropic-version must be {known}, got {brief(version)}", param="anthropic-version")
    effort = messages_request.effort_of(body)
    return of_chat(messages_request.chat_of(body), service.reading, header=header, effort=effort)
