"""A public fake: an OpenAI-compatible server over any engine, the scripted one first.

It speaks as ``vllm serve`` does: ``/v1/models``, ``/v1/completions`` (token ids or text, streamed or not),
``/v1/chat/completions``, ``/tokenize``, ``/detokenize`` and, given a function, ``/pooling``. Faults and the
socket are ``search.remote.fake_server``'s:

    with FakeServer(FakeOpenAI(ScriptedEngine(script))) as server:
        engine = OpenAIEngine.connect(server.url)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.engines.protocol import ChildFinished, Engine, FinishReason, Request, Sampling, Tokens
from search.errors import ContextError, EngineError
from search.remote.fake_server import Asked, Json, Stream

__all__ = ["FakeOpenAI"]

#: token ids -> one row of class probabilities per step
Pool = Callable[[list[int]], list[list[float]]]


@dataclass(frozen=True, slots=True)
class _Written:
    """A child as the engine wrote it, piece by piece."""

    end: ChildFinished
    pieces: list[Tokens]


class FakeOpenAI:
    """Answers for one model.

    Parameters
    ----------
    engine:
        Who writes.
    pace:
        Seconds between the events of a stream.
    takes:
        What ``/v1`` offers, of ``tokens``, ``text`` and ``chat``. With ``tokens`` it says it is vLLM.
    api_key:
        The key that every request must bring; None asks for none.
    encode, decode:
        Text to token ids and back; characters by default, as the scripted engine has it.
    pool:
        What a PRM behind ``/pooling`` says.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        pace: float = 0.0,
        takes: Sequence[str] = ("tokens", "text", "chat"),
        api_key: str | None = None,
        encode: Callable[[str], tuple[int, ...]] = lambda text: tuple(map(ord, text)),
        decode: Callable[[Sequence[int]], str] = lambda tokens: "".join(map(chr, tokens)),
        pool: Pool | None = None,
    ) -> None:
        self._engine, self._pace, self._takes, self._api_key = engine, pace, tuple(takes), api_key
        self._encode, self._decode, self._pool = encode, decode, pool
        #: tokens that were sent in streams
        self.streamed = 0

    async def __call__(self, asked: Asked) -> Json | Stream:
        if self._api_key is not None and asked.headers.get("authorization") != f"Bearer {self._api_key}":
            return _error(401, "Unauthorized")
        body = asked.body or {}
        if asked.path == "/v1/models":
            card = self._engine.card
            owner = "vllm" if "tokens" in self._takes else "fake"
            return Json({"data": [{"id": card.name, "owned_by": owner, "max_model_len": card.context}]})
        if body.get("model") != self._engine.card.name:
            return _error(404, f"The model `{body.get('model')}` does not exist.")
        try:
            return await self._serve(asked.path, body)
        except ContextError:
            most = self._engine.card.context
            return _error(400, f"This model's maximum context length is {most} tokens.")
        except EngineError as error:
            return _error(500, str(error))

    async def _serve(self, path: str, body: Mapping[str, Any]) -> Json | Stream:
        chats = path == "/v1/chat/completions"
        if chats and "chat" not in self._takes:
            return _error(404, "Not Found")
        if path == "/v1/completions" or chats:
            if not chats:
                wanted = "tokens" if isinstance(body["prompt"], list) else "text"
                if wanted not in self._takes:
                    return _error(400, f"a prompt of {wanted} is not taken here")
            return await self._complete(body, chats)
        if path == "/tokenize":
            found = self._prompt_of(body) if "messages" in body else self._encode(body["prompt"])
            return Json({"tokens": list(found), "count": len(found)})
        if path == "/detokenize":
            return Json({"prompt": self._decode(body["tokens"])})
        if path == "/pooling" and self._pool is not None:
            rows = [self._pool(ids) for ids in body["input"]]
            total = sum(map(len, body["input"]))
            data = [{"index": i, "object": "pooling", "data": row} for i, row in enumerate(rows)]
            return Json({"object": "list", "data": data, "usage": {"prompt_tokens": total}})
        return _error(404, "Not Found")

    def _prompt_of(self, body: Mapping[str, Any]) -> tuple[int, ...]:
        return self._engine.prompt(body["messages"][-1]["content"])

    async def _complete(self, body: Mapping[str, Any], chats: bool) -> Json | Stream:
        if chats:
            prompt = self._prompt_of(body)
        else:
            given = body["prompt"]
            prompt = self._encode(given) if isinstance(given, str) else tuple(given)
        request = Request(
            prompt,
            body.get("n") or 1,
            body["max_tokens"],
            Sampling(body.get("temperature", 1.0), body.get("top_p", 1.0), body.get("top_k", 0)),
            body.get("seed") or 0,
            tuple(body.get("stop") or ()),
            logprobs=body.get("logprobs") is not None and body["logprobs"] is not False,  # 0 is a yes
            stream=True,
        )
        written = await self._write(request)
        usage = {
            "prompt_tokens": len(prompt),
            "completion_tokens": sum(len(child.end.token_ids) for child in written.values()),
        }
        if body.get("stream"):
            usage_wanted = (body.get("stream_options") or {}).get("include_usage")
            return Stream(self._stream(written, body, chats, usage if usage_wanted else None))
        choices = [
            self._choice(child, 0, len(child.pieces), body, chats) for _, child in sorted(written.items())
        ]
        return Json({"choices": choices, "usage": usage})

    async def _write(self, request: Request) -> dict[int, _Written]:
        """All children, written to the end before the first event: what is streamed is known then."""
        written: dict[int, _Written] = {}
        pieces: dict[int, list[Tokens]] = {child: [] for child in range(request.n)}
        async for event in self._engine.submit(request):
            if isinstance(event, Tokens):
                pieces[event.child].append(event)
            elif isinstance(event, ChildFinished):
                written[event.child] = _Written(event, pieces[event.child])
        return written

    async def _stream(
        self,
        written: Mapping[int, _Written],
        body: Mapping[str, Any],
        chats: bool,
        usage: Mapping[str, int] | None,
    ) -> AsyncGenerator[Any, None]:
        """Children side by side; the first piece at once, then so many together as asked for."""
        interval = max(1, body.get("stream_interval") or 1)
        places = dict.fromkeys(written, 0)
        while places:
            for number, place in list(places.items()):
                child = written[number]
                places[number] = upto = place + (1 if place == 0 else interval)
                self.streamed += sum(len(piece.token_ids) for piece in child.pieces[place:upto])
                yield {"choices": [self._choice(child, place, upto, body, chats)]}
                if upto >= len(child.pieces):
                    del places[number]
            await asyncio.sleep(self._pace)
        if usage is not None:
            yield {"choices": [], "usage": usage}

    def _choice(
        self, child: _Written, place: int, upto: int, body: Mapping[str, Any], chats: bool
    ) -> dict[str, Any]:
        part = child.pieces[place:upto]
        text = "".join(piece.text for piece in part)
        first = sum(len(piece.token_ids) for piece in child.pieces[:place])
        ids = [token for piece in part for token in piece.token_ids]
        values = list(child.end.logprobs[first : first + len(ids)])
        choice: dict[str, Any] = {"index": child.end.child, "finish_reason": None, "logprobs": None}
        if upto >= len(child.pieces):
            reason = child.end.finish_reason
            choice["finish_reason"] = "length" if reason == FinishReason.LENGTH else "stop"
            if reason == FinishReason.STOP:
                stops = [stop for stop in body["stop"] if child.end.text.endswith(stop)]
                choice["stop_reason"] = stops[0] if stops else body["stop"][0]
        if body.get("return_token_ids"):
            choice["token_ids"] = ids
        if chats:
            if values:
                told = zip(ids, values, strict=True)
                choice["logprobs"] = {"content": [{"token": str(id), "logprob": value} for id, value in told]}
            return {**choice, "delta": {"content": text}}
        if values:
            choice["logprobs"] = {"token_logprobs": values, "tokens": [str(token) for token in ids]}
        return {**choice, "text": text}


def _error(status: int, message: str) -> Json:
    return Json({"error": {"message": message, "code": status}}, status)
