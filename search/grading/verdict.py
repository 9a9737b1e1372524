"""Verdicts: how the grading of an answer ended. Only ``RIGHT`` counts as right."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Tried", "Verdict"]


class Verdict(StrEnum):
    """The words that logs and messages use."""

    RIGHT = "right"
    WRONG = "wrong"
    UNREADABLE = "unreadable"  # the solution states no answer
    HUNG = "hung"  # the grader, or the program it ran, was killed at its time limit
    DIED = "died"  # it ended by itself: out of memory, say


@dataclass(frozen=True, slots=True)
class Tried:
    """What the tests of a question say of an answer: ``report`` has a line per failure, "" where it passes
    all. ``seconds``: measured, of what ran."""

    report: str
    seconds: float = 0.0
