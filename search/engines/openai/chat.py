"""``/v1/chat/completions``: the last resort, for servers that offer nothing else.

A chat begins with a question and nothing else, so a solution cannot be gone on with: tree searches and
continuing after a broken connection need completions. The server's own template is used; the tokenizer
counts, and turns what was written into token ids, where there is one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from search.engines.openai.completions import asked
from search.engines.openai.dialect import Dialect, Piece, finish_of
from search.engines.openai.logprobs import logprobs_of
from search.engines.openai.tokenizer import Messages
from search.engines.protocol import Request
from search.engines.thinking import REASONING
from search.errors import EngineError

__all__ = ["ChatCompletions"]

#: questions whose prompts are remembered
_KEPT = 65536


class ChatCompletions(Dialect):
    """Asks questions that ``remember`` has heard of.

    ``extra``: fields that switch thinking on or off. ``usage_per_child``: llama.cpp sends a usage after each
    child, for that child alone.
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
    ) -> None:
        self._model = model
        self._extra = dict(extra)
        self.usage_per_child = usage_per_child
        self._talks: OrderedDict[tuple[int, ...], tuple[dict[str, str], ...]] = OrderedDict()

    def worded(self, extra: Mapping[str, Any]) -> ChatCompletions:
        """The same with more fields; it knows the same conversations."""
        made = ChatCompletions(self._model, {**self._extra, **extra}, usage_per_child=self.usage_per_child)
        made._talks = self._talks
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

    def body(self, request: Request, n: int, max_tokens: int, seed: int) -> dict[str, Any]:
        talk = self._talks.get(request.prompt)
        if talk is None:
            raise EngineError(
                f"a chat begins with a question and cannot go on with a solution, got a prompt of"
                f" {len(request.prompt)} tokens that is no question's (tree searches need completions)"
            )
        wants = request.logprobs or request.top_logprobs > 0
        return {
            "model": self._model,
            "messages": [dict(one) for one in talk],
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
