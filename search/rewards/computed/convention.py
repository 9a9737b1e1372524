"""A convention: how a family of reward models spells a question and its steps in tokens.

It says what is fed and where the reward is read; it knows nothing of weights, caches or event loops.
Pieces are tokenised apart, so that a step costs the same wherever it stands and a scored prefix never
changes. Where a tokenizer splits at line breaks, before spaces and at special tokens, as those of the
published models do, the pieces joined are the tokens of the whole text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

__all__ = ["Convention", "Piece"]


@dataclass(frozen=True, slots=True)
class Piece:
    """The tokens of one step, and after which of them its reward is read (0 is after the first)."""

    tokens: tuple[int, ...]
    read: int


class Convention(ABC):
    """One per family. Build it once per checkpoint."""

    #: fed after a step to read its reward, and taken back: no part of the prefix
    tail: tuple[int, ...] = ()
    #: what each step but the first begins with, and the first does not; the prompt has it or needs none
    opening: tuple[int, ...] = ()

    @abstractmethod
    def prompt(self, question: str) -> tuple[int, ...]:
        """Everything before the first step, computed once per question."""

    @abstractmethod
    def step(self, step: str) -> Piece:
        """A step that follows another one."""

    def first(self, step: str) -> Piece:
        """The step that follows the prompt."""
        return self.step(step)
