"""Plain text: the answer is the last line, after a ``#`` if there is one.

For tests and for plain questions. It claims no question: whoever wants it names it.
"""

from __future__ import annotations

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["TextDomain"]


class TextDomain(Domain):
    """Answers are equal when they are the same words, whatever their case and spacing.

    >>> domain, problem = TextDomain(), Problem("p", "f", "text", "Capital of France?", "Paris")
    >>> domain.read(problem, "It is on the Seine.\\n#  PARIS")
    'paris'
    >>> domain.grade(problem, "paris")
    True
    """

    name = "text"
    caption = "short texts, equal whatever their case and spacing"

    def read(self, problem: Problem, text: str) -> str | None:
        """The last line that is not blank, from its last ``#`` on; None when nothing is there."""
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines:
            return None
        return _normal(lines[-1].rpartition("#")[2]) or None

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Same words in the same order."""
        return _normal(first) == _normal(second)

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Same words as the reference. Raises GradingError without a reference."""
        if problem.answer is None or not problem.answer.strip():
            raise GradingError(f"a reference is some text, got {problem.answer!r} in {problem.problem_id!r}")
        return answer is not None and self.equal(problem, answer, problem.answer)

    def claims(self, question: str) -> bool:
        """Never: any question is text, so saying so would tell nothing."""
        return False


def _normal(text: str) -> str:
    return " ".join(text.split()).casefold()
