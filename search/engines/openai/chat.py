"""``/v1/chat/completions``: the last resort, for servers that offer nothing else.

A chat begins with a question. A step that ended at a stop string is gone on with, which tree searches need:
vLLM is asked to continue the last message, any other server by a further turn (``GO_ON``), after which a
model may begin anew all the same. After a broken connection nothing is gone on with. The server's own
template is used; the tokenizer counts, and turns what was written into token ids, where there is one.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from search.bounded import Bounded
from search.engines.openai.completions import asked
from search.engines.openai.dialect import Dialect, Piece, finish_of
from search.engines.openai.logprobs import logprobs_of
from search.engines.openai.tokenizer import Messages
from search.engines.protocol import ChildFinished, FinishReason, Request
from search.engines.thinking import REASONING
from search.errors import EngineError

__all__ = ["GO_ON", "ChatCompletions", "Kept"]

#: what a server is told that does not continue a message by itself
GO_ON = "Go on with your answer exactly where it ends. Write only what comes next, and repeat nothing."
#: conversations and unfinished solutions that are remembered
_KEPT, _PARTS = 65536, 16384
#: most characters of either; the newest are remembered whatever their size, for requests in flight
_CHARACTERS, _LEAST = 1 << 24, 1024

_Talk = tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """How much a chat remembers: conversations, unfinished solutions, and characters of both."""

    conversations: int
    steps: int
    characters: int


class ChatCompletions(Dialect):
    """Asks questions that ``remember`` has heard of.

    ``extra``: fields that switch thinking on or off. ``usage_per_child``: llama.cpp sends a usage after each
    child, for that child alone. ``continues``: whether the server continues the last message, as vLLM does.
    """

    path = "/v1/chat/completions"
    cuts_stops = True
    lag = 1
    goes_on = False

    def __init__(
        self,
        model: str,
        extra: Mapping[str, Any] = MappingProxyType({}),
        *,
        usage_per_child: bool = False,
        continues: bool = False,
    ) -> None:
        self._model = model
        self._continues = continues
        #: by the prompt's key: (the question's key, what has been written since)
        self._parts = Bounded[bytes, tuple[bytes, str]](
            entries=_PARTS, size=_CHARACTERS, weigh=lambda _, part: len(part[1]), least=_LEAST
        )
        self._serial = 1
        self._extra = dict(extra)
        self.usage_per_child = usage_per_child
        self._talks = Bounded[bytes, _Talk](
            entries=_KEPT, size=_CHARACTERS, weigh=lambda _, talk: _characters(talk), least=_LEAST
        )

    def worded(self, extra: Mapping[str, Any]) -> ChatCompletions:
        """The same with more fields; it knows the same conversations."""
        made = ChatCompletions(
            self._model,
            {**self._extra, **extra},
            usage_per_child=self.usage_per_child,
            continues=self._continues,
        )
        made._talks, made._parts = self._talks, self._parts
        return made

    @property
    def remembered(self) -> Kept:
        """How much that is now."""
        return Kept(len(self._talks), len(self._parts), self._talks.size + self._parts.size)

    def remember(self, prompt: tuple[int, ...], question: str) -> None:
        """These token ids stand for this question."""
        self.remember_all(prompt, [{"role": "user", "content": question}])

    def remember_all(self, prompt: tuple[int, ...], messages: Messages) -> None:
        """These token ids stand for this conversation."""
        self._talks.put(_key(prompt), tuple(dict(one) for one in messages))

    def kept(self, request: Request, child: ChildFinished) -> ChildFinished:
        """A step that may be gone on with is remembered by its ids, which are made its own where the server
        tells none."""
        question, before = self._part(request.prompt)
        if child.finish_reason != FinishReason.STOP or not child.token_ids or question not in self._talks:
            return child
        ids = child.token_ids
        if ids[0] < 0:
            self._serial += 1
            ids = (-self._serial, *ids[1:])
        self._parts.put(_key((*request.prompt, *ids)), (question, before + child.text))
        return replace(child, token_ids=ids)

    def _part(self, prompt: tuple[int, ...]) -> tuple[bytes, str]:
        """(the key of the question, what has been written since) of a prompt."""
        key = _key(prompt)
        return (key, "") if key in self._talks else self._parts.get(key) or (key, "")

    def body(self, request: Request, n: int, max_tokens: int, seed: int) -> dict[str, Any]:
        question, written = self._part(request.prompt)
        talk = self._talks.get(question)
        if talk is None:
            raise EngineError(
                f"a chat begins with a question and cannot go on with a solution that it did not write, got"
                f" a prompt of {len(request.prompt)} tokens that is no question's"
            )
        messages, more = [dict(one) for one in talk], {}
        if written:
            messages.append({"role": "assistant", "content": written})
            if self._continues:
                more = {"add_generation_prompt": False, "continue_final_message": True}
            else:
                messages.append({"role": "user", "content": GO_ON})
        wants = request.logprobs or request.top_logprobs > 0
        return {
            "model": self._model,
            "messages": messages,
            **more,
            **asked(request, n, max_tokens, seed),
            **({"logprobs": True} if wants else {}),
            **({"top_logprobs": request.top_logprobs} if request.top_logprobs else {}),
            **self._extra,
        }

    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        for choice in event.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or {}
            text, thought = _content(said.get("content"))
            thought += next((str(said[name]) for name in REASONING if said.get(name)), "")
            yield Piece(
                int(choice.get("index") or 0),
                text,
                None,
                finish_of(choice.get("finish_reason"), choice.get("stop_reason")),
                logprobs_of(choice),
                thought,
            )


def _key(prompt: tuple[int, ...]) -> bytes:
    """What stands for a long prompt."""
    return hashlib.blake2b(array("q", prompt).tobytes(), digest_size=16).digest()


def _characters(talk: _Talk) -> int:
    """Of all messages."""
    return sum(len(str(value)) for message in talk for value in message.values())


def _content(content: Any) -> tuple[str, str]:
    """(text, thought) of a message's content: a text, or (Mistral) a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", ""
    text = thought = ""
    for one in content:
        if one["type"] == "thinking":
            thought += "".join(inner.get("text", "") for inner in one["thinking"])
        else:
            text += one.get("text") or ""
    return text, thought
