"""What a template family of lab problems promises, and what a worked problem is."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from search.problem import Problem

__all__ = ["DIFFICULTIES", "Family", "Worked"]

#: the knob every family turns: 1 is trivial, 10 is beyond every shipped policy
DIFFICULTIES = range(1, 11)


@dataclass(frozen=True, slots=True)
class Worked:
    """A problem with one right solution.

    ``steps`` are lines without their newline. The solution text is ``"\\n".join(steps)``.
    """

    problem: Problem
    steps: tuple[str, ...]

    @property
    def solution(self) -> str:
        """The solution as a policy would write it."""
        return "\n".join(self.steps)


class Family(ABC):
    """One template family: a way to word and build problems of one domain.

    ``draw`` is a pure function of the random generator and the difficulty, so that a seed
    determines a problem set.
    """

    #: unique over all families, starts with the domain: ``"arithmetic-nested-add"``
    name: str
    domain: str

    @abstractmethod
    def draw(self, rng: random.Random, difficulty: int) -> Worked:
        """A new problem with one right solution. ``difficulty`` is one of ``DIFFICULTIES``."""

    @abstractmethod
    def right_so_far(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        """For each prefix of ``steps``: does it follow the rules, and can it still end right?

        The exact check that PRMs are measured against. ``steps`` may hold any text. Once False it
        stays False. For a complete solution a True at the end means a right grade; a wrong step whose
        answer is right by luck may be False there (arithmetic) or forgiven (code, chemistry).
        """

    def true_so_far(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        """For each prefix: is every step of it true and allowed, wherever it leads?

        Differs from ``right_so_far`` where a true step can lead nowhere, which takes looking ahead to see.
        """
        return self.right_so_far(problem, steps)
