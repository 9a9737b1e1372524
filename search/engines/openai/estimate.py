"""Estimates of tokens where nobody can count them: a chat server without a tokenizer at hand.

Three bytes of UTF-8 a token: a little more tokens than most tokenizers make of English and of mathematics, so
that budgets hold. What servers count (their usage) takes its place as soon as it is told.
"""

from __future__ import annotations

from collections.abc import Sequence

from search.engines.openai.tokenizer import Messages, Tokenizer

__all__ = ["EstimatedTokenizer", "estimated"]

#: bytes of a token
_BYTES = 3
#: tokens of a chat template around a question
_TEMPLATE = 8


def estimated(text: str) -> int:
    """Tokens of a text, by its length.

    >>> estimated("It is 7."), estimated("")
    (3, 0)
    """
    return -(-len(text.encode()) // _BYTES)


class EstimatedTokenizer(Tokenizer):
    """Stands in for a tokenizer: three bytes are one number. No model knows these ids; only chats can do with
    them, where the question travels as text.

    >>> words = EstimatedTokenizer()
    >>> words.decode(words.prompt("1 + 2?"))
    '1 + 2?'
    """

    fingerprint = ""
    end = None

    def prompt(self, question: str) -> tuple[int, ...]:
        return (*(0,) * _TEMPLATE, *self.encode(question))

    def converse(self, messages: Messages) -> tuple[int, ...]:
        if len(messages) == 1:
            return self.prompt(messages[0]["content"])
        said = "\n".join(f"{one['role']}: {one['content']}" for one in messages)
        return (*(0,) * (_TEMPLATE * len(messages)), *self.encode(said))

    def encode(self, text: str) -> tuple[int, ...]:
        data = text.encode()
        return tuple(
            int.from_bytes(data[at : at + _BYTES].ljust(_BYTES, b"\0"), "big")
            for at in range(0, len(data), _BYTES)
        )

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(token.to_bytes(_BYTES, "big") for token in tokens if token > 0).rstrip(b"\0").decode()
