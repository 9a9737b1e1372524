"""What a domain knows: how to read an answer, when two are equal, when one is right.

It knows nothing of policies, plans or logs. Grading happens after and apart from a run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from search.errors import GradingError
from search.grading.verdict import Tried, Verdict
from search.problem import Problem

__all__ = ["Domain"]


class Domain(ABC):
    """The reader, the equality and the grader of one kind of problem. Stateless. (``planner.Grader``)

    >>> from search.grading.registry import domain
    >>> from search.problem import Problem
    >>> problem = Problem("p", "f", "math", "What is 1/2 + 1/4?", "3/4")
    >>> domain("math").grade(problem, "0.75")
    True
    """

    #: the value of ``Problem.domain`` that names it
    name: str
    #: what it reads, for people, in a few words
    caption: str = ""
    #: whether ``equal`` is the equality of texts, so that none of a pool's pairs need be asked
    exact: bool = False
    #: whether ``equal`` waits for other processes: then it has no place on an event loop's thread
    waits: bool = False

    @abstractmethod
    def read(self, problem: Problem, text: str) -> str | None:
        """The answer that a solution text gives, in canonical notation; ``None`` if unreadable.

        ``text`` is one whole solution: steps separated by newlines. Never raises on any text.
        """

    def asked(self, problem: Problem, seed: int) -> Problem:
        """The problem as one sample of a campaign is asked: as it stands, unless the domain varies it.

        Answers are read with what this returns, and compared and graded with ``problem`` itself. The same
        seed gives the same question; where nothing varies, ``problem`` itself is returned.
        """
        return problem

    @abstractmethod
    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Whether two answers that ``read`` returned count as one vote."""

    def equal_so_far(self, problem: Problem, first: str, second: str) -> bool:
        """``equal`` as far as it is known without waiting: for requests whose time is up."""
        return first == second if self.waits else self.equal(problem, first, second)

    @abstractmethod
    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Whether an answer is right. Raises GradingError if the problem has no usable reference."""

    def judge(self, problem: Problem, answer: str | None) -> Verdict:
        """``grade`` with the reason: unreadable, or a grader that had to be killed, say."""
        if self.grade(problem, answer):
            return Verdict.RIGHT
        return Verdict.UNREADABLE if answer is None else Verdict.WRONG

    #: whether an answer can be what a program prints, so that a solution may be a program
    prints: bool = True

    def shows_tests(self, problem: Problem) -> bool:
        """Whether the question itself shows tests that an answer can be tried on."""
        return False

    def try_tests(self, problem: Problem, answer: str | None) -> Tried:
        """What the tests that the question shows say of an answer; the reference answer has no part in it.

        May wait for other processes. Raises GradingError where the question shows none.
        """
        raise GradingError(f"a question must show tests to try an answer on, got none in {self.name!r}")

    @abstractmethod
    def claims(self, question: str) -> bool:
        """Whether a bare question (no problem set around it) looks like one of this domain."""
