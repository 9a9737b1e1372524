"""``/v1/chat/completions``: the last resort, for servers that offer nothing else.

A chat begins with a question. A step that ended at a stop string is gone on with, which tree searches need:
vLLM is asked to continue the last message, any other server by a further turn (``GO_ON``), after which a
model may begin anew all the same. After a broken connection nothing is gone on with. The server's own
template is used; the tokenizer counts, and turns what was written into token ids, where there is one.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from search.engines.openai.completions import asked
from search.engines.openai.dialect import Dialect, Piece, finish_of
from search.engines.openai.logprobs import logprobs_of
from search.engines.openai.tokenizer import Messages
from search.engines.protocol import ChildFinished, FinishReason, Request
from search.engines.thinking import REASONING
from search.errors import EngineError

__all__ = ["GO_ON", "ChatCompletions"]

#: what a server is told that does not continue a message by itself
GO_ON = "Go on with your answer exactly where it ends. Write only what comes next, and repeat nothing."
#: questions whose prompts are remembered
_KEPT = 65536
#: unfinished solutions that are remembered
_PARTS = 16384


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
        self._parts: OrderedDict[bytes, tuple[tuple[int, ...], str]] = OrderedDict()  # (question's ids, text)
        self._serial = 1
        self._extra = dict(extra)
        self.usage_per_child = usage_per_child
        self._talks: OrderedDict[tuple[int, ...], tuple[dict[str, str], ...]] = OrderedDict()

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

    def remember(self, prompt: tuple[int, ...], question: str) -> None:
        """These token ids stand for this question."""
        self.remember_all(prompt, [{"role": "user", "content": question}])

    def remember_all(self, prompt: tuple[int, ...], messages: Messages) -> None:
        """These token ids stand for this conversation."""
        self._talks[prompt] = tuple(dict(one) for one in messages)
        self._talks.move_to_end(prompt)
        while len(self._talks) > _KEPT:
            self._talks.popitem(last=False)

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
        key = _key((*request.prompt, *ids))
        self._parts[key] = question, before + child.text
        self._parts.move_to_end(key)
        while len(self._parts) > _PARTS:
            self._parts.popitem(last=False)
        return replace(child, token_ids=ids)

    def _part(self, prompt: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
        """(the ids of the question, what has been written since) of a prompt."""
        return (prompt, "") if prompt in self._talks else self._parts.get(_key(prompt), (prompt, ""))

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
        for choice in event["choices"]:
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
