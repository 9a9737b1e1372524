"""Pieces of text to tokens, by the tokenizer of a reward model's folder.

Reads ``tokenizer.json`` and the chat template as they are; unlike the engines' tokenizer it needs no
template, since some reward models have none.
"""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from search.checkpoint import Checkpoint
from search.errors import CheckpointError

__all__ = ["Pieces"]

#: stands before a piece while it is tokenised; every tokenizer splits after it
_ANCHOR = "\n"


class Pieces:
    """Wraps a ``PreTrainedTokenizerFast``. Raises CheckpointError when the folder's does not load."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._folder = str(checkpoint.path)
        try:
            # not AutoTokenizer: for some families it puts its own splitting in place of the folder's
            self._fast = PreTrainedTokenizerFast.from_pretrained(self._folder)
        except Exception as error:  # whatever the libraries raise on a damaged file
            raise CheckpointError(f"the tokenizer must load, got {self._folder!r}: {error}") from error
        self._bare = self._fast.backend_tokenizer
        vocabulary = int(checkpoint.config["vocab_size"])
        if len(self._fast) > vocabulary:
            raise CheckpointError(
                f"the tokenizer must fit the model's vocabulary of {vocabulary}, got {len(self._fast)} tokens"
            )

    @property
    def has_template(self) -> bool:
        """Whether there is a chat template."""
        return bool(self._fast.chat_template)

    @property
    def beginning(self) -> str:
        """The text of the beginning-of-sequence token; empty when there is none."""
        return str(self._fast.bos_token or "")

    def encode(self, text: str, *, special: bool = False) -> tuple[int, ...]:
        """Tokens of a text that stands alone; ``special`` adds what the tokenizer puts around it."""
        return tuple(self._bare.encode(text, add_special_tokens=special).ids)

    def after(self, text: str) -> tuple[int, ...]:
        """Tokens of a text that stands after other text: without the space that some tokenizers put
        before the first word of a text."""
        anchor, both = self.encode(_ANCHOR), self.encode(_ANCHOR + text)
        return both[len(anchor) :] if both[: len(anchor)] == anchor else self.encode(text)

    def token(self, text: str) -> int:
        """The id of one token. Raises CheckpointError when there is none."""
        found = self._fast.get_vocab().get(text)
        if found is None:
            raise CheckpointError(f"the tokenizer must hold {text!r}, got none in {self._folder!r}")
        return int(found)

    def holds(self, text: str) -> bool:
        """Whether a text is one token of the vocabulary."""
        return text in self._fast.get_vocab()

    def render(self, turns: Sequence[tuple[str, str]], *, generation: bool = False) -> str:
        """(role, content) turns under the chat template. Raises CheckpointError when there is none."""
        if not self.has_template:
            raise CheckpointError(f"the tokenizer needs a chat template, got none in {self._folder!r}")
        messages = [{"role": role, "content": content} for role, content in turns]
        text = self._fast.apply_chat_template(messages, add_generation_prompt=generation, tokenize=False)
        return str(text)
