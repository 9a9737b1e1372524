"""Keeps keyed hashes in a decision log in place of what people asked and what was answered.

HMAC-SHA-256 under the operator's key over a salt that belongs to the log. Equal questions keep equal
hashes, so votes, repeats and drift can still be counted; without the key nobody can try likely questions
against them, and the hashes of two logs cannot be compared. Texts of candidates are not kept at all.
Features stay: numbers such as lengths, and a few dimensions of n-grams, from which no text can be read
but from which topics may be guessed. A hashed log cannot be refitted on: features of another planner
need the questions.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace

from planner.server.decisions.comparison import Comparison
from planner.server.decisions.recorder import Decision
from search.errors import DecisionLogError

__all__ = ["HASHED", "Hashing"]

#: what a hash begins with, so that it is never taken for a text
HASHED = "hmac-sha256:"

_SHORTEST = 16


@dataclass(frozen=True, slots=True, repr=False)
class Hashing:
    """Hides the texts of decisions. ``key`` has at least 16 bytes; ``salt`` is the log's own."""

    key: bytes
    salt: bytes

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST:
            raise DecisionLogError(
                f"a key for hashing questions has at least {_SHORTEST} bytes, got {len(self.key)}"
            )

    def digest(self, text: str) -> str:
        """The hash of a text. A hash is returned as it is."""
        if text.startswith(HASHED):
            return text
        salted = self.salt + text.encode("utf-8", "surrogatepass")
        return HASHED + hmac.new(self.key, salted, hashlib.sha256).hexdigest()

    def hide(self, decision: Decision) -> Decision:
        """The decision with hashes of its question and answers and without texts of candidates."""
        return replace(
            decision,
            question=self.digest(decision.question),
            answer=self._answer(decision.answer),
            comparison=self._compared(decision.comparison),
            candidates=tuple(
                replace(candidate, text="", answer=self._answer(candidate.answer))
                for candidate in decision.candidates
            ),
        )

    def _compared(self, comparison: Comparison | None) -> Comparison | None:
        if comparison is None:
            return None
        return replace(comparison, plain_answer=self._answer(comparison.plain_answer))

    def _answer(self, answer: str | None) -> str | None:
        return None if answer is None else self.digest(answer)
