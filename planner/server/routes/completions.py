"""Who asks for an answer: OpenAI's chat completions, completions and Responses, Anthropic's Messages.

All of them are read into an ``Ask`` and answered by the same work; a ``Shape`` writes it their way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from planner.server import answers
from planner.server.access.keys import Key
from planner.server.direct.passthrough import Passthrough, passthrough_reason
from planner.server.direct.passthrough_cost import prompt_tokens
from planner.server.openapi import answered, streamed
from planner.server.protocols import messages_request, responses_request
from planner.server.protocols.messages_writer import MESSAGES
from planner.server.protocols.responses_writer import ResponsesShape
from planner.server.refusal import Refusal, brief
from planner.server.request.ask import Ask, of_chat, of_completion
from planner.server.request.budget import HEADER
from planner.server.request.choosing import SHADOW, answering_policy
from planner.server.request.request_context import assigned_to, open_ended
from planner.server.request.serialize import Reason
from planner.server.request.shapes import CHAT, COMPLETION, Shape, whole
from planner.server.request.stream import EventStream, News, Sender, gone, sent
from planner.server.request.work import Work
from planner.server.routes.routing import Direct, Here, Inferrer
from planner.server.schema import ChatBody, CompletionBody
from planner.server.service import Service
from search.scoring import together

__all__ = ["router"]

router = APIRouter(route_class=Direct)

_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")

T = TypeVar("T")


@router.post("/v1/chat/completions", **streamed(answers.ChatCompletion))
async def chat(body: ChatBody, request: Request, service: Here, key: Inferrer) -> Response:
    """Answer the last message of a conversation."""
    ask = of_chat(body, service.reading, header=request.headers.get(HEADER))
    return await _answer(service, CHAT, ask, key, request)


@router.post("/v1/completions", **streamed(answers.Completion))
async def completions(body: CompletionBody, request: Request, service: Here, key: Inferrer) -> Response:
    """Answer a prompt, which is taken for a question; several prompts give a choice each."""
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if len(prompts) == 1:
        ask = of_completion(body, prompts[0], service.reading, request.headers.get(HEADER))
        return await _answer(service, COMPLETION, ask, key, request)
    return await _several(service, body, prompts, key, request)


@router.post("/v1/responses", **streamed(answers.Response))
async def responses(
    body: responses_request.ResponsesBody, request: Request, service: Here, key: Inferrer
) -> Response:
    """Answer the last thing that the user says in the input. Nothing is stored."""
    ask = of_chat(responses_request.chat_of(body), service.reading, header=request.headers.get(HEADER))
    return await _answer(service, ResponsesShape(asked=body), ask, key, request)


#: versions of the API, of which the answers here are alike
_VERSIONS = ("2023-06-01", "2026-10-21")


@router.post("/v1/messages", **streamed(answers.AnthropicMessage))
async def messages(
    body: messages_request.MessagesBody, request: Request, service: Here, key: Inferrer
) -> Response:
    """Answer the last thing that the user says."""
    ask = _message_ask(service, body, request, header=request.headers.get(HEADER))
    return await _answer(service, MESSAGES, ask, key, request)


@router.post("/v1/messages/count_tokens", **answered("Answers", answers.TokenCount))
async def count_tokens(
    body: messages_request.CountBody, request: Request, service: Here, key: Inferrer
) -> Any:
    """Count the tokens of a prompt: as the policy's tokenizer does, roughly with tools or images."""
    service.rates.enter(key)
    ask = _message_ask(service, body, request)
    policy = ask.named or answering_policy(service.current.served, service.models, ask.policy)
    if policy not in service.models.policies:
        there = ", ".join(service.models.policies)
        raise Refusal(f"policy must be one of {there}, got {brief(policy)}", param="policy")
    return JSONResponse({"input_tokens": prompt_tokens(ask, service.models, policy)})


def _message_ask(
    service: Service, body: messages_request.CountBody, request: Request, header: str | None = None
) -> Ask:
    version = request.headers.get("anthropic-version")
    if version is not None and version not in _VERSIONS:
        known = " or ".join(_VERSIONS)
        raise Refusal(f"anthropic-version must be {known}, got {brief(version)}", param="anthropic-version")
    effort = messages_request.effort_of(body)
    return of_chat(messages_request.chat_of(body), service.reading, header=header, effort=effort)


async def _answer(service: Service, shape: Shape, ask: Ask, key: Key, request: Request) -> Response:
    """The response to a request that has been read: planned, or passed on. Raises Refusal."""
    service.rates.enter(key)
    if _is_voted_on(service, ask):
        ask = ask.as_structured()
    reason = _reason(service, ask)
    if reason is None:
        return await _planned(service, shape, ask, key, request)
    passing = Passthrough(service, shape, ask, key, shape.new_id(), reason)
    if ask.stream:
        return await _begun(passing.lines(), request, service.rules.sizes.seconds)
    return whole(await _while_connected(passing.run(), request))


async def _planned(service: Service, shape: Shape, ask: Ask, key: Key, request: Request) -> Response:
    """The response to a request that has been read and let in. Raises Refusal."""
    response_id, created = shape.new_id(), int(time.time())
    writer = shape.writer(response_id, created, ask.model)
    if ask.stream:
        lines: asyncio.Queue[News] = asyncio.Queue()
        sender = Sender(shape, writer, ask, response_id, created, lines.put_nowait)
        work = Work(
            service,
            ask,
            key,
            shape.endpoint,
            response_id,
            listener=sender.hear,
            on_text=sender.text,
            on_queue=sender.queued,
        )
        patience = service.rules.sizes.seconds
        held = None if "progress" in ask.include else patience
        return await _begun(sent(work.run, lines, sender, held), request, patience)
    work = Work(service, ask, key, shape.endpoint, response_id)
    found = await _while_connected(work.run(), request)
    return whole(writer.body(shape.body(response_id, created, ask.model, found)))


async def _begun(source: AsyncGenerator[bytes], request: Request, patience: float) -> EventStream:
    """A stream that has something to say. Until then an error raises, as for an answer that comes whole."""
    try:
        first = await _while_connected(anext(source), request)
    except BaseException:
        await source.aclose()
        raise
    return EventStream(source, first=first, patience=patience)


async def _while_connected(work: Awaitable[T], request: Request) -> T:
    """What the work returns. It is cancelled, and Refusal (499) raised, when the client leaves."""
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        await gone(request.receive)
        has_left = True
        task.cancel()

    watching = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if has_left and task.uncancel() == 0:
            raise Refusal(
                "a client waits for its answer, got one that left", 499, code="client_left"
            ) from None
        raise
    finally:
        watching.cancel()


async def _several(
    service: Service, body: CompletionBody, prompts: list[str], key: Key, request: Request
) -> Response:
    """One response over several prompts: a choice for each, in order. Not as a stream.

    Each is answered as it would be alone: planned, or passed on as the plain model answers.
    """
    response_id, created = COMPLETION.new_id(), int(time.time())
    service.rules.sizes.check(batch=len(prompts))
    if not prompts:
        raise Refusal("a prompt is a text or several, got none", param="prompt")
    if body.stream or (body.n or 1) > 1:
        raise Refusal("several prompts come whole and with n=1, got stream or n", param="prompt")
    service.rates.enter(key)
    header = request.headers.get(HEADER)
    asks = [_one_of(body, prompt, service, header) for prompt in prompts]
    # each goes where it would go alone
    runs = [_alone(service, ask, key, f"{response_id}-{place}") for place, ask in enumerate(asks)]
    bodies = await _while_connected(_in_turns(service, runs), request)
    return whole(_joined(response_id, created, body.model, bodies))


def _one_of(body: CompletionBody, prompt: str, service: Service, header: str | None) -> Ask:
    """One of several prompts, as if it had come alone. Raises Refusal."""
    ask = of_completion(body, prompt, service.reading, header)
    return replace(ask, raw={**ask.raw, "prompt": prompt})


def _alone(
    service: Service, ask: Ask, key: Key, response_id: str
) -> Callable[[], Coroutine[Any, Any, dict[str, Any]]]:
    """What answers one of several prompts: the policy's own server, or work. Raises Refusal."""
    reason = _reason(service, ask)
    if reason is not None:
        return Passthrough(service, COMPLETION, ask, key, response_id, reason).run
    work = Work(service, ask, key, "completions", response_id)

    async def run() -> dict[str, Any]:
        return COMPLETION.body(response_id, 0, ask.model, await work.run())

    return run


async def _in_turns(service: Service, works: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """What works return. They take turns: all at once they would fill the queue, before others and before
    each other."""
    turns = asyncio.Semaphore(service.admission.turns)

    async def in_turn(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with turns:
            return await work()

    return await together([in_turn(work) for work in works])


def _joined(response_id: str, created: int, model: str, bodies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One body of those that answer single prompts."""
    usages = [each.get("usage") or {} for each in bodies]
    tokens = {name: sum(usage.get(name) or 0 for usage in usages) for name in _USAGE[:2]}
    return {
        "id": response_id,
        "object": COMPLETION.whole,
        "created": created,
        "model": model,
        "choices": [{**each["choices"][0], "index": place} for place, each in enumerate(bodies)],
        "usage": {**tokens, _USAGE[2]: sum(tokens.values())},
        "system_fingerprint": None,
        "planner": {"id": response_id, "choices": [each["planner"] for each in bodies]},
    }


def _is_voted_on(service: Service, ask: Ask) -> bool:
    """Whether several samples of a structured answer are drawn: the operator has a plan for it, the request
    forces no other, and a server of the policy's own writes it. In shadow mode none are: it is passed on."""
    rules = service.rules
    has_plan = rules.structured_plan is not None and rules.shadow is None and ask.plan is None
    return has_plan and ask.structured is not None and service.passing(ask.policy) is not None


def _reason(service: Service, ask: Ask) -> Reason | None:
    """Why a request is passed on; None where it is planned."""
    reason = None if ask.passthrough is None else passthrough_reason(ask.passthrough)
    is_shadow = service.rules.shadow is not None
    if service.upstreams and (is_shadow or (reason is None and not ask.is_structured)):
        return _passed_on(service, ask) or reason
    return reason


def _passed_on(service: Service, ask: Ask) -> Reason | None:
    """Why the policy's own server answers as it would without us; None where it does not."""
    if service.rules.shadow is not None:
        asked = ask.named or ask.policy or service.rules.plain_policy
        return SHADOW if service.passing(asked) is not None else None
    if ask.named is not None:
        is_upstream = ask.named in service.upstreams
        return (
            Reason("open_ended", "the policy was asked for by name: it answers once") if is_upstream else None
        )
    plan = service.rules.open_plan
    if ask.plan is not None or not plan.is_greedy or service.passing(ask.policy) is None:
        return None
    assigned = assigned_to(service.current.served, ask.question, ask.domain or service.rules.domain)
    return None if assigned.planned else open_ended(assigned, plan)
