"""``/v1/chat/completions``: the last resort, for servers that offer nothing else.

A chat begins with a question and nothing else, so a solution cannot be gone on with: tree searches and
continuing after a broken connection need completions. The server's own template is used; the tokenizer
counts, and turns what was written into token ids.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from search.engines.openai.completions import asked
from search.engines.openai.dialect import Dialect, Piece, finish_of
from search.engines.protocol import Request
from search.errors import EngineError

__all__ = ["ChatCompletions"]

#: questions whose prompts are remembered
_KEPT = 65536


class ChatCompletions(Dialect):
    """Asks questions that ``remember`` has heard of."""

    path = "/v1/chat/completions"
    cuts_stops = True
    lag = 1

    def __init__(self, model: str) -> None:
        self._model = model
        self._questions: OrderedDict[tuple[int, ...], str] = OrderedDict()

    def remember(self, prompt: tuple[int, ...], question: str) -> None:
        """These token ids stand for this question."""
        self._questions[prompt] = question
        self._questions.move_to_end(prompt)
        while len(self._questions) > _KEPT:
            self._questions.popitem(last=False)

    def body(self, request: Request, max_tokens: int) -> dict[str, Any]:
        question = self._questions.get(request.prompt)
        if question is None:
            raise EngineError(
                f"a chat begins with a question and cannot go on with a solution, got a prompt of"
                f" {len(request.prompt)} tokens that is no question's (tree searches need completions)"
            )
        return {
            "model": self._model,
            "messages": [{"role": "user", "content": question}],
            **asked(request, max_tokens),
            "logprobs": request.logprobs,
        }

    def pieces(self, event: Mapping[str, Any]) -> Iterator[Piece]:
        for choice in event["choices"]:
            told = (choice.get("logprobs") or {}).get("content") or ()
            yield Piece(
                int(choice["index"]),
                str(choice["delta"].get("content") or ""),
                None,
                tuple(float(token["logprob"]) for token in told),
                finish_of(choice.get("finish_reason"), choice.get("stop_reason")),
            )
