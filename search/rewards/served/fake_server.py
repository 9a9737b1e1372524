"""A public fake: what ``vllm serve`` says of a PRM's folder, computed by torch in this process.

``/pooling`` for token-classification PRMs (STEP or ALL pooling) and ``/v1/completions`` of one token with
``logprob_token_ids`` for causal ones. An ``App`` for ``search.remote.fake_server``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from search.checkpoint import Checkpoint
from search.remote.fake_server import Asked, Json
from search.rewards.computed.causal import Chat, Tagged
from search.rewards.computed.classifier import SEPARATOR
from search.rewards.computed.embedded import open_backbone
from search.rewards.computed.heads import ChoiceHead, ClassifierHead, Head
from search.rewards.computed.pieces import Pieces
from search.rewards.families import family_of, read_prm

__all__ = ["FakePrmServer"]


class FakePrmServer:
    """Answers for one PRM.

    Parameters
    ----------
    folder:
        A PRM of the families ``classifier``, ``rlhflow`` or ``math_shepherd``.
    pooling:
        ``STEP`` or ``ALL``.
    """

    def __init__(self, folder: str, pooling: str = "STEP") -> None:
        checkpoint = read_prm(folder)
        self._card = checkpoint.card
        self._pooling = pooling
        self._backbone = open_backbone(checkpoint)
        self._choices: tuple[int, int] | None = None
        self._head, self._separator = self._read_head(checkpoint)
        #: prefixes that were scored
        self.scored: list[tuple[int, ...]] = []

    def _read_head(self, checkpoint: Checkpoint) -> tuple[Head, int]:
        family, pieces = family_of(checkpoint), Pieces(checkpoint)
        if family == "classifier":
            return ClassifierHead(checkpoint), pieces.token(SEPARATOR)
        convention = (Chat if family == "rlhflow" else Tagged)(pieces)
        self._choices = (convention.good, convention.bad)
        return ChoiceHead(checkpoint, *self._choices), -1

    async def __call__(self, asked: Asked) -> Json:
        body = asked.body or {}
        if asked.path == "/v1/models":
            entry = {"id": self._card.name, "owned_by": "vllm", "max_model_len": self._card.context}
            return Json({"data": [entry]})
        if body.get("model") != self._card.name:
            return _error(404, f"The model `{body.get('model')}` does not exist.")
        if asked.path == "/pooling" and self._choices is None:
            return await asyncio.to_thread(self._pool, body["input"])
        if asked.path == "/v1/completions" and self._choices is not None:
            return await asyncio.to_thread(self._complete, body)
        return _error(404, "Not Found")

    def _pool(self, inputs: Sequence[Sequence[int]]) -> Json:
        data = []
        for index, tokens in enumerate(inputs):
            logits = self._logits(tokens)
            rows = logits.softmax(-1)
            if self._pooling == "STEP":
                rows = rows[torch.tensor([token == self._separator for token in tokens])]
            data.append({"index": index, "object": "pooling", "data": rows.tolist()})
        return Json({"data": data, "usage": {"prompt_tokens": sum(map(len, inputs))}})

    def _complete(self, body: Mapping[str, Any]) -> Json:
        assert self._choices is not None
        # logprobs among the two: their difference is that of the whole vocabulary
        values = self._logits(body["prompt"])[-1].log_softmax(-1).tolist()
        told = {f"token_id:{token}": value for token, value in zip(self._choices, values, strict=True)}
        choice = {"index": 0, "text": "+", "finish_reason": "length", "logprobs": {"top_logprobs": [told]}}
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": 1}
        return Json({"choices": [choice], "usage": usage})

    @torch.inference_mode()
    def _logits(self, tokens: Sequence[int]) -> torch.Tensor:
        """[tokens, classes]."""
        self.scored.append(tuple(tokens))
        _, [states] = self._backbone.extend([None], [list(tokens)])
        return self._head.logits(self._backbone.final(states))


def _error(status: int, message: str) -> Json:
    return Json({"error": {"message": message, "code": status}}, status)
