"""The tokenizer of a checkpoint folder: prompts in, text out, and which tokens can end a child."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from search.bounded import Remembered
from search.checkpoint import Checkpoint
from search.errors import CheckpointError

__all__ = ["CHECK", "END", "GO_ON", "STOP", "CheckpointTokenizer"]

#: what a token means for the child that wrote it: nothing, the end of the sequence, a whole stop
#: string, or the possible last piece of one, so that the text must be looked at
GO_ON, END, STOP, CHECK = range(4)


class CheckpointTokenizer:
    """Wraps a ``PreTrainedTokenizerFast``. Knows nothing of models. Raises CheckpointError."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._folder = str(checkpoint.path)
        try:
            self._fast = PreTrainedTokenizerFast.from_pretrained(self._folder)
        except Exception as error:  # whatever the libraries raise on a damaged file
            raise CheckpointError(f"the tokenizer must load, got {self._folder!r}: {error}") from error
        if not self._fast.chat_template:
            raise CheckpointError(f"the tokenizer needs a chat template, got none in {self._folder!r}")
        self._bare = self._fast.backend_tokenizer
        # the same questions and steps are asked for again and again, by budgets first of all
        self._prompt = Remembered(self._make_prompt)
        self._encode = Remembered(self._make_ids, entries=16384)
        self._vocabulary = int(checkpoint.config["vocab_size"])
        if len(self._fast) > self._vocabulary:
            raise CheckpointError(
                f"the tokenizer must fit the model's vocabulary of {self._vocabulary},"
                f" got {len(self._fast)} tokens"
            )
        self.ends = self._read_ends(checkpoint)

    def prompt(self, question: str) -> tuple[int, ...]:
        """The question as the user's turn, with the opening of the model's turn after it."""
        return self._prompt(question)

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of bare text, nothing added."""
        return self._encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        return str(self._bare.decode(tokens, skip_special_tokens=True))

    def token(self, text: str) -> int:
        """The id of one token. Raises CheckpointError when there is none."""
        found = self._fast.get_vocab().get(text)
        if found is None:
            raise CheckpointError(f"the tokenizer must hold {text!r}, got none in {self._folder!r}")
        return int(found)

    def meaning(self, stop: Sequence[str]) -> NDArray[np.uint8]:
        """For every token of the vocabulary: GO_ON, END, STOP or CHECK under these stop strings."""
        table = np.full(self._vocabulary, GO_ON, dtype=np.uint8)
        # the last bytes of a character end no stop string that ends in a character of one byte
        halves = any(not text[-1].isascii() for text in stop)
        for token, piece in enumerate(self._pieces):
            if any(text in piece for text in stop):
                table[token] = STOP
            elif any(text[-1] in piece for text in stop) or (halves and "\N{REPLACEMENT CHARACTER}" in piece):
                table[token] = CHECK
        table[list(self.ends)] = END
        return table

    def _make_prompt(self, question: str) -> tuple[int, ...]:
        text = self._fast.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False
        )
        return self._make_ids(str(text))

    def _make_ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._bare.encode(text, add_special_tokens=False).ids)

    @cached_property
    def _pieces(self) -> list[str]:
        return [self.decode([token]) for token in range(len(self._fast))]

    def _read_ends(self, checkpoint: Checkpoint) -> frozenset[int]:
        """End-of-sequence tokens: the generation config's, else the model config's, and the tokenizer's."""
        ends: set[int] = set()
        file = checkpoint.path / "generation_config.json"
        generation = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        named = generation.get("eos_token_id", checkpoint.config.get("eos_token_id"))
        for value in named if isinstance(named, list) else [named]:
            if value is not None:
                ends.add(int(value))
        if self._fast.eos_token_id is not None:
            ends.add(int(self._fast.eos_token_id))
        if any(not 0 <= end < self._vocabulary for end in ends):
            raise CheckpointError(f"eos_token_id must be below {self._vocabulary}, got {sorted(ends)}")
        return frozenset(ends)
