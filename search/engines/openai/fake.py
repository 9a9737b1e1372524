"""A public fake: an OpenAI-compatible server over any engine, the scripted one first.

It speaks as ``vllm serve`` does: ``/v1/models``, ``/v1/completions`` (token ids or text, streamed or not),
``/v1/chat/completions``, ``/tokenize``, ``/detokenize`` and, given a function, ``/pooling``. It can play
llama.cpp's server and a hosted one that knows chats and no more (``plays``), refuse what it is asked for
(``refuses``) and part thoughts by itself (``reasoning``). Faults and the socket are
``search.remote.fake_server``'s:

    with FakeServer(FakeOpenAI(ScriptedEngine(script))) as server:
        engine = OpenAIEngine.connect(server.url)
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.engines.openai.chat import GO_ON
from search.engines.protocol import ChildFinished, Engine, FinishReason, Request, Sampling, Tokens
from search.engines.scripted import END
from search.engines.thinking import part
from search.errors import ContextError, EngineError
from search.remote.fake_server import Asked, Json, Stream

__all__ = ["FakeOpenAI"]

_PLAYS = ("vllm", "llamacpp", "hosted")
#: what servers call the reasons to end before the end
_REASONS = dict.fromkeys(FinishReason.TRUNCATED, "length") | {FinishReason.FILTERED: "content_filter"}

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
    plays:
        ``vllm``, ``llamacpp`` or ``hosted``. A hosted one tells no context and has no tokenizer.
    refuses:
        Fields that are answered by 400, and ``logprobs=5``: more of them than that.
    ignores:
        Fields that are passed over.
    reasoning:
        The field in which a chat sends thoughts; by default they stand in the content, in their tags.
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
        plays: str = "vllm",
        refuses: Sequence[str] = (),
        ignores: Sequence[str] = (),
        reasoning: str | None = None,
    ) -> None:
        if plays not in _PLAYS:
            raise ValueError(f"plays must be one of {', '.join(_PLAYS)}, got {plays!r}")
        self._plays = plays
        self._refuses, self._ignores, self._reasoning = tuple(refuses), tuple(ignores), reasoning
        self.engine, self.pace, self._takes, self.api_key = engine, pace, tuple(takes), api_key
        self._encode, self._decode, self._pool = encode, decode, pool
        #: tokens that were sent in streams
        self.streamed = 0
        #: tokens of the prompts of all requests that were taken, and of what was written for them
        self.prompted, self.generated = 0, 0

    async def __call__(self, asked: Asked) -> Json | Stream:
        if self.api_key is not None and asked.headers.get("authorization") != f"Bearer {self.api_key}":
            return _error(401, "Unauthorized")
        body = asked.body or {}
        if asked.path == "/v1/models":
            return Json({"object": "list", "data": [self._entry()]})
        if self._plays == "llamacpp":
            told = self._llama(asked.path, body)
            if told is not None:
                return told
        if body.get("model") != self.engine.card.name:
            return _error(404, f"The model `{body.get('model')}` does not exist.")
        try:
            return await self._serve(asked.path, body)
        except ContextError:
            most = self.engine.card.context
            return _error(400, f"This model's maximum context length is {most} tokens.")
        except EngineError as error:
            return _error(500, str(error))

    def _entry(self) -> dict[str, Any]:
        """The model, as ``/v1/models`` tells it."""
        card = self.engine.card
        if self._plays == "llamacpp":
            meta = {"n_params": card.parameters, "n_ctx_train": 2 * card.context}
            return {"id": card.name, "owned_by": "llamacpp", "meta": meta}
        if self._plays == "hosted":
            return {"id": card.name, "owned_by": "system", "object": "model"}
        owner = "vllm" if "tokens" in self._takes else "fake"
        return {"id": card.name, "owned_by": owner, "max_model_len": card.context}

    def _llama(self, path: str, body: Mapping[str, Any]) -> Json | None:
        """The paths that only llama.cpp has."""
        if path == "/props":
            return Json(
                {"default_generation_settings": {"n_ctx": self.engine.card.context}, "total_slots": 4}
            )
        if path == "/apply-template":
            return Json({"prompt": self._decode(self._prompt_of(body))})
        if path == "/tokenize":
            return Json({"tokens": list(self._encode(body["content"]))})
        if path == "/detokenize":
            return Json({"content": self._decode(body["tokens"])})
        return None

    def _refusal(self, body: Mapping[str, Any]) -> str | None:
        for field in self._refuses:
            name, _, most = field.partition("=")
            value = body.get(name)
            if value is None or value is False or (name == "n" and value == 1):
                continue
            if not most:
                return f"Unsupported parameter: '{name}' is not supported with this model."
            if int(value) > int(most):
                return f"Invalid value for '{name}': must be less than or equal to {most}, got {value}."
        return None

    async def _serve(self, path: str, body: Mapping[str, Any]) -> Json | Stream:
        chats = path == "/v1/chat/completions"
        if path == "/v1/completions" or chats:
            refusal = self._refusal(body)
            if refusal is not None:
                return _error(400, refusal)
            body = {key: value for key, value in body.items() if key not in self._ignores}
        if chats and "chat" not in self._takes:
            return _error(404, "Not Found")
        if path == "/v1/completions" or chats:
            if not chats:
                wanted = "tokens" if isinstance(body["prompt"], list) else "text"
                if wanted not in self._takes:
                    return _error(400, f"a prompt of {wanted} is not taken here")
            if body.get("echo") and not chats:
                return await self._echo(body)
            return await self._complete(body, chats)
        if path == "/tokenize" and self._plays == "vllm":
            found = self._prompt_of(body) if "messages" in body else self._encode(body["prompt"])
            return Json({"tokens": list(found), "count": len(found)})
        if path == "/detokenize" and self._plays == "vllm":
            return Json({"prompt": self._decode(body["tokens"])})
        if path == "/pooling" and self._pool is not None:
            rows = [self._pool(ids) for ids in body["input"]]
            total = sum(map(len, body["input"]))
            data = [{"index": i, "object": "pooling", "data": row} for i, row in enumerate(rows)]
            return Json({"object": "list", "data": data, "usage": {"prompt_tokens": total}})
        return _error(404, "Not Found")

    def _prompt_of(self, body: Mapping[str, Any]) -> tuple[int, ...]:
        messages = [*body["messages"]]
        if len(messages) > 2 and messages[-1]["content"] == GO_ON:
            messages.pop()
        written = ""
        if len(messages) > 1 and messages[-1]["role"] == "assistant":
            written = messages.pop()["content"]
        return (*self.engine.prompt(messages[-1]["content"]), *self._encode(written))

    async def _complete(self, body: Mapping[str, Any], chats: bool) -> Json | Stream:
        if chats:
            prompt = self._prompt_of(body)
        else:
            given = body["prompt"]
            prompt = self._encode(given) if isinstance(given, str) else tuple(given)
        request = Request(
            prompt,
            body.get("n") or 1,
            body.get("max_tokens")
            or body.get("max_completion_tokens")
            or max(1, self.engine.card.context - len(prompt)),
            Sampling(body.get("temperature", 1.0), body.get("top_p", 1.0), body.get("top_k", 0)),
            body.get("seed") or 0,
            tuple(body.get("stop") or ()),
            logprobs=body.get("logprobs") is not None and body["logprobs"] is not False,  # 0 is a yes
            stream=True,
        )
        written = await self._write(request)
        usage: dict[str, Any] = {
            "prompt_tokens": len(prompt),
            "completion_tokens": sum(len(child.end.token_ids) for child in written.values()),
        }
        self.prompted += usage["prompt_tokens"]
        self.generated += usage["completion_tokens"]
        if self._reasoning is not None:
            thought = sum(child.end.thought_tokens for child in written.values())
            usage["completion_tokens_details"] = {"reasoning_tokens": thought}
        if body.get("stream"):
            usage_wanted = (body.get("stream_options") or {}).get("include_usage")
            return Stream(self._stream(written, body, chats, usage if usage_wanted else None))
        choices = [
            self._choice(child, 0, len(child.pieces), body, chats) for _, child in sorted(written.items())
        ]
        if chats:
            choices = [{"message": choice.pop("delta"), **choice} for choice in choices]
        return Json({"choices": choices, "usage": usage})

    async def _echo(self, body: Mapping[str, Any]) -> Json:
        """The prompt with its logprobs, and a token more of which nothing is known."""
        given = body["prompt"]
        prompt = self._encode(given) if isinstance(given, str) else tuple(given)
        told = await self.engine.prompt_logprobs(prompt, 1)
        logprobs = {
            "token_logprobs": [None, *told.values, 0.0],
            "tokens": [*(self._decode([token]) for token in prompt), "?"],
        }
        choice = {
            "index": 0,
            "text": self._decode(prompt) + "?",
            "finish_reason": "length",
            "logprobs": logprobs,
        }
        return Json({"choices": [choice], "usage": {"prompt_tokens": len(prompt), "completion_tokens": 1}})

    async def _write(self, request: Request) -> dict[int, _Written]:
        """All children, written to the end before the first event: what is streamed is known then."""
        written: dict[int, _Written] = {}
        pieces: dict[int, list[Tokens]] = {child: [] for child in range(request.n)}
        async for event in self.engine.submit(request):
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
        usage: Mapping[str, Any] | None,
    ) -> AsyncGenerator[Any, None]:
        """Children side by side; the first piece at once, then so many together as asked for."""
        interval = max(1, body.get("stream_interval") or 1)
        places = dict.fromkeys(written, 0)
        while places:
            for number, place in list(places.items()):
                child = written[number]
                places[number] = upto = place + (1 if place == 0 else interval)
                self.streamed += sum(len(piece.token_ids) for piece in child.pieces[place:upto])
                event: dict[str, Any] = {"choices": [self._choice(child, place, upto, body, chats)]}
                if upto >= len(child.pieces):
                    del places[number]
                    own = (
                        {**usage, "completion_tokens": len(child.end.token_ids)}
                        if usage is not None
                        else None
                    )
                    if own is not None and self._plays == "llamacpp":
                        if chats:
                            yield event
                            event = {"choices": []}
                        event["usage"] = own
                yield event
            await asyncio.sleep(self.pace)
        if usage is not None and self._plays != "llamacpp":
            yield {"choices": [], "usage": usage}

    def _choice(
        self, child: _Written, place: int, upto: int, body: Mapping[str, Any], chats: bool
    ) -> dict[str, Any]:
        pieces = child.pieces[place:upto]
        first = sum(len(piece.token_ids) for piece in child.pieces[:place])
        ids = [token for piece in pieces for token in piece.token_ids]
        values = list(child.end.logprobs[first : first + len(ids)])
        choice: dict[str, Any] = {"index": child.end.child, "finish_reason": None, "logprobs": None}
        if upto >= len(child.pieces):
            reason = child.end.finish_reason
            choice["finish_reason"] = _REASONS.get(reason, "stop")
            if reason == FinishReason.STOP:
                stops = [stop for stop in body["stop"] if child.end.text.endswith(stop)]
                choice["stop_reason"] = stops[0] if stops else body["stop"][0]
        if body.get("return_token_ids") and self._plays == "vllm":
            choice["token_ids"] = ids
        if values:
            listed = chats or self._plays == "llamacpp"
            choice["logprobs"] = self._logprobs(ids, values, _most(body), listed=listed)
        if not chats:
            return {**choice, "text": self._text(child, pieces)}
        if self._reasoning is None or not child.end.thought:
            return {**choice, "delta": {"content": self._text(child, pieces)}}
        written = [token for piece in child.pieces[:upto] for token in piece.token_ids]
        before, after = (part(self._spelled(all_)).thought for all_ in (written[:first], written))
        content = self._spelled(written[max(first, child.end.thought_tokens) :])
        delta = {self._reasoning: after[len(before) :], "content": content}
        return {**choice, "delta": {name: text for name, text in delta.items() if text}}

    def _logprobs(
        self, ids: Sequence[int], values: Sequence[float], most: int, *, listed: bool
    ) -> dict[str, Any]:
        """In the form of chats, or in that of completions."""
        words = [self._spelled([token]) for token in ids]
        candidates = [_candidates(value)[:most] for value in values]
        if not listed:
            rows = [
                {f"{word}#{i}": v for i, v in enumerate(row)}
                for word, row in zip(words, candidates, strict=True)
            ]
            return {
                "token_logprobs": list(values),
                "tokens": words,
                **({"top_logprobs": rows} if most else {}),
            }
        content = []
        for token, word, value, row in zip(ids, words, values, candidates, strict=True):
            told: dict[str, Any] = {"token": word, "logprob": value}
            if self._plays == "llamacpp":
                told["id"] = token
            content.append({**told, "top_logprobs": [{"token": "?", "logprob": v} for v in row]})
        return {"content": content}

    def _text(self, child: _Written, pieces: Sequence[Tokens]) -> str:
        """What a piece says as the model wrote it, thought and all."""
        if not (child.end.thought or child.end.thought_tokens):
            return "".join(piece.text for piece in pieces)
        return self._spelled([token for piece in pieces for token in piece.token_ids])

    def _spelled(self, ids: Sequence[int]) -> str:
        return self._decode(ids).replace(END, "")


def _most(body: Mapping[str, Any]) -> int:
    """Candidates per token that are asked for."""
    asked = body.get("top_logprobs", body.get("logprobs"))
    return asked if isinstance(asked, int) and not isinstance(asked, bool) else 0


def _candidates(value: float) -> list[float]:
    """The drawn token's logprob, and all that is left as one other token's."""
    rest = -math.expm1(min(0.0, value))
    return sorted([value, math.log(rest)] if rest > 1e-9 else [value], reverse=True)


def _error(status: int, message: str) -> Json:
    return Json({"error": {"message": message, "code": status}}, status)
