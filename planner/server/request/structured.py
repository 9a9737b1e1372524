"""Structured requests that are planned: several samples of JSON, or of a call of a tool, and a vote on them.

The policy's own server draws each sample by the client's own request, since only it knows schemas and tools.
To the planner it is an engine like any other, whose samples are whole: a text of JSON, or an assistant's
message, as JSON, where tools may be called.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from planner.server.direct.passthrough_cost import StreamUsage
from planner.server.direct.upstream import Upstream, says
from planner.server.protocols.blocks import Block, Blocks, Used, reason_of
from planner.server.refusal import Refusal
from planner.server.request.ask import TOOL_CALL
from planner.server.request.shaping import Meter, SampleObserver
from search.cards import ModelCard
from search.engines.protocol import (
    ChildFinished,
    Engine,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Usage,
)
from search.errors import BrokenError, UnreachableError

__all__ = ["StructuredEngine", "message_of"]

_PATH = "/chat/completions"
#: servers read a seed as a number of 32 bits, with a sign or without
_SEEDS = 1 << 31
#: reasons to end before the end
_CUT = {"length": FinishReason.LENGTH, "content_filter": FinishReason.FILTERED}


@dataclass(slots=True)
class _Sample:
    """One sample as it comes."""

    child: int
    blocks: Blocks = field(default_factory=Blocks)
    told: StreamUsage = field(default_factory=StreamUsage)
    usage: Any = None
    pieces: int = 0
    reason: str | None = None

    def hear(self, chunk: dict[str, Any]) -> None:
        """The next chunk. Raises Refusal for a call that is none."""
        self.told.hear(chunk)
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or ():
            if choice["index"] == 0:
                self.pieces += says(choice)
                for _ in self.blocks.hear(choice.get("delta") or {}):
                    pass
                self.reason = reason_of(choice) or self.reason

    @property
    def tokens(self) -> int:
        """Generated so far: as told, or a token for each piece where those are more."""
        told = self.told.tokens
        return max(self.pieces, 0 if told is None else told["completion_tokens"])


class StructuredEngine(Engine):
    """One request's view of a policy's own server.

    Parameters
    ----------
    body:
        The client's own request.
    prompt_tokens:
        How many tokens its prompt is taken to have, until the server tells.
    domain:
        What reads samples, and so what their texts hold.
    policy, observers:
        What the server's model is called here, and who hears of the samples.
    """

    def __init__(
        self,
        card: ModelCard,
        upstream: Upstream,
        body: dict[str, Any],
        *,
        policy: str,
        prompt_tokens: int,
        domain: str,
        meter: Meter,
        observers: Sequence[SampleObserver] = (),
    ) -> None:
        self.card = card
        self._policy = policy
        self._upstream = upstream
        self._body = {name: value for name, value in body.items() if name not in ("n", "stream_options")}
        self._prompt = (0,) * max(1, prompt_tokens)
        self._domain = domain
        self._meter = meter
        self._observers = tuple(observers)
        self._samples: dict[str, dict[int, asyncio.Task[_Sample]]] = {}

    def prompt(self, question: str) -> tuple[int, ...]:
        self._meter.prompts[self._policy] = len(self._prompt)
        return self._prompt

    def submit(self, request: Request) -> AsyncIterator[Event]:
        return self._events(request)

    def most_sent(self, prompt: int, n: int, max_tokens: int) -> int:
        return n * prompt

    async def cancel(self, request_id: str, child: int | None = None) -> None:
        tasks = self._samples.get(request_id, {})
        for number, task in tasks.items():
            if child in (None, number):
                task.cancel()

    async def close(self) -> None:
        """Nothing: the connections belong to the server."""

    async def _events(self, request: Request) -> AsyncGenerator[Event]:
        samples = {child: _Sample(child) for child in range(request.n)}
        tasks = {child: asyncio.ensure_future(self._draw(request, each)) for child, each in samples.items()}
        self._samples[request.request_id] = tasks
        self._meter.running += 1
        left, broken = set(tasks.values()), list[BaseException]()
        failure: BaseException | None = None
        for observer in self._observers:
            observer.on_asked(self._policy, request)
        try:
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                for child in [child for child, task in tasks.items() if task in done]:
                    error = None if tasks[child].cancelled() else tasks[child].exception()
                    if error is None:
                        finished = self._finished(samples[child], is_cancelled=tasks[child].cancelled())
                        for observer in self._observers:
                            observer.on_finished(self._policy, request, finished)
                        yield finished
                    else:
                        broken.append(error)
                        del tasks[child]
            if broken:
                lost = [each for child, each in samples.items() if child not in tasks]
                used = self._ended(list(samples.values())).usage
                raise _failure(broken[0], tuple(self._finished(each, is_lost=True) for each in lost), used)
            yield self._ended(list(samples.values()))
        except BaseException as caught:
            failure = caught
            raise
        finally:
            self._meter.leave(failure)
            for observer in self._observers:
                observer.on_ended(self._policy, request, failure)
            del self._samples[request.request_id]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _draw(self, request: Request, sample: _Sample) -> _Sample:
        sampling = request.sampling
        body = {
            **self._body,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            **({"top_k": sampling.top_k} if sampling.top_k else {}),
            "seed": (request.seed + sample.child) % _SEEDS,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        most = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        body[most] = request.max_tokens
        async with aclosing(self._upstream.stream(_PATH, body)) as chunks:
            async for chunk in chunks:
                sample.hear(chunk)
        for _ in sample.blocks.end():
            pass
        return sample

    def _finished(
        self, sample: _Sample, *, is_cancelled: bool = False, is_lost: bool = False
    ) -> ChildFinished:
        reason = _CUT.get(sample.reason or "", FinishReason.END)
        if is_cancelled or is_lost:
            reason = FinishReason.CANCELLED if is_cancelled else FinishReason.LOST
        blocks = sample.blocks.blocks
        text = "".join(block.text for block in blocks if block.kind == "text")
        if self._domain == TOOL_CALL:
            text = json.dumps(_message(blocks))
        if is_lost:  # it is drawn anew: nobody can go on with it
            return ChildFinished(sample.child, "", (), (), reason, lost_tokens=sample.tokens)
        # numbers that stand for tokens which the server counted and did not tell
        ids = (-1,) * sample.tokens
        return ChildFinished(sample.child, text, ids, (), reason, lost_tokens=int(is_cancelled))

    def _ended(self, samples: list[_Sample]) -> RequestFinished:
        """What all of them took: each sample is a request, so each has read the prompt."""
        used = [Used.of(each.usage) for each in samples]
        prompt = sum(one.prompt or len(self._prompt) for one in used)
        cached = min(prompt, sum(one.cached for one in used))
        generated = sum(each.tokens for each in samples)
        usage = Usage(prompt, cached, generated)
        self._meter.add(self._policy, usage)
        return RequestFinished(usage)


def message_of(text: str) -> dict[str, Any]:
    """The message that the text of a sample holds where tools may be called."""
    found: dict[str, Any] = json.loads(text)
    return found


def _message(blocks: list[Block]) -> dict[str, Any]:
    text = "".join(block.text for block in blocks if block.kind == "text")
    calls = [
        {"id": block.call_id, "type": "function", "function": {"name": block.name, "arguments": block.text}}
        for block in blocks
        if block.kind == "call"
    ]
    return {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}


def _failure(error: BaseException, lost: tuple[ChildFinished, ...], used: Usage) -> BaseException:
    """What broke a request: a server that fails is the policy's failure, a refusal is the client's own."""
    if not isinstance(error, Refusal) or error.status < 500:
        return error
    if error.status == 503 or isinstance(error.__cause__, UnreachableError):
        return UnreachableError(str(error))
    return BrokenError(str(error), partial=lost, usage=used)
