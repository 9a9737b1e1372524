r"""Answers of school and competition mathematics, compared by what they mean.

An answer is read by ``search.grading.stated`` and kept in one spelling
(``search.grading.mathematics.latex_text``); plain numbers become one exact fraction. Two answers are compared
by their shapes (lists, intervals, equations, units: ``search.grading.mathematics.answer_reading`` and
``answer_equality``) and the values of the expressions inside.

Rational values are exact and computed here. All others are worked out by processes that are killed when they
take longer than ``SECONDS``: once per answer, and remembered, so that of many candidates a slow one costs one
wait and delays no other. An answer that was not worked out in time equals only what is written like it; that
is said in a warning of the logger ``search.grading``, and ``judge`` names it.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from search.errors import GraderDiedError, GraderHungError, GradingError
from search.grading.mathematics.answer_equality import is_answer, leaves
from search.grading.mathematics.answer_reading import shaped
from search.grading.mathematics.answer_scalars import is_symbolic
from search.grading.mathematics.answer_shape import Scalar
from search.grading.mathematics.answer_values import Value, exact_value, written_key
from search.grading.mathematics.killable import KillablePool
from search.grading.mathematics.latex_expression import BeyondError, exact, parsed
from search.grading.mathematics.latex_text import plain
from search.grading.protocol import Domain
from search.grading.stated import stated
from search.grading.verdict import Verdict
from search.problem import Problem

__all__ = ["SECONDS", "MathDomain", "normal"]

#: how long working out one answer may take
SECONDS = 3.0
#: answers whose values are remembered
_KEPT = 65_536
#: characters of an answer; a longer one is no answer but a solution
_LONGEST_ANSWER = 500
#: digits of a number that is written as a fraction; longer ones stay as they are
_LONGEST = 60

_LOG = logging.getLogger("search.grading")
_NUMBER = re.compile(
    r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?: \d{3})+|\d+(?:\.\d*)?|\.\d+|\d+/\d+"
    r"|(?:\d+ ?)?\\frac ?(?:\{-?\d+\}|\d) ?(?:\{-?\d+\}|\d))"
)
#: a number, or a list of numbers of three digits
_AMBIGUOUS = re.compile(r"[-+]?\d{3}(?:,000)*,(?!000)\d{3}(?:,\d{3})*")


class MathDomain(Domain):
    r"""Reads, compares and grades mathematical answers. Remembers values of answers, nothing else.

    Parameters
    ----------
    pool:
        Where values are worked out; by default processes of its own, started when first needed.
    symbolic:
        Where those of sums, integrals and limits are, which take long: so they delay no other answer. By
        default ``pool`` where that is given, else processes of its own.
    seconds:
        Their limit for one answer.

    >>> domain, problem = MathDomain(), Problem("p", "f", "math", "Half of one?", r"\frac{1}{2}")
    >>> domain.read(problem, r"So it is \boxed{\dfrac12}.")
    '1/2'
    >>> domain.grade(problem, "1/2")
    True
    """

    name = "math"
    caption = "numbers, expressions, equations, sets and intervals, by value"
    waits = True

    def __init__(
        self, pool: KillablePool | None = None, symbolic: KillablePool | None = None, seconds: float = SECONDS
    ) -> None:
        self._symbolic = (
            symbolic or pool or KillablePool("search.grading.mathematics.symbolic_worker", size=4)
        )
        self._pool = KillablePool("search.grading.mathematics.worker") if pool is None else pool
        self._seconds = seconds
        #: by expression; one without a value is compared as it is written
        self._values: OrderedDict[str, Value] = OrderedDict()
        #: answers that were given up, and how that ended
        self._given_up: OrderedDict[str, Verdict] = OrderedDict()
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def read(self, problem: Problem, text: str) -> str | None:
        """The normal form of the answer that a solution states; None where none is stated."""
        found = stated(text)
        if found is None or len(found) > _LONGEST_ANSWER:
            return None
        return normal(found) or None

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Whether one is an answer where the other is the reference. Raises MissingExtraError when that takes
        mpmath and it is not installed."""
        if first == second:
            return True
        return Verdict.RIGHT in (self._compare(problem, first, second), self._compare(problem, second, first))

    def equal_so_far(self, problem: Problem, first: str, second: str) -> bool:
        """As ``equal``, by the values that are exact or were worked out before."""
        if first == second:
            return True
        for text in (first, second):
            self._have_exact(leaves(shaped(normal(text))))
        self._forget()
        one, two = shaped(normal(first)), shaped(normal(second))
        return is_answer(one, two, self._values.get) or is_answer(two, one, self._values.get)

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Equal to the reference. Raises GradingError where there is none."""
        return self.judge(problem, answer) is Verdict.RIGHT

    def judge(self, problem: Problem, answer: str | None) -> Verdict:
        """As ``grade``; ``Verdict.HUNG`` and ``Verdict.DIED`` where a worker had to be killed or ended."""
        if problem.answer is None or not normal(problem.answer):
            raise GradingError(
                f"a reference answer is some mathematics, got {problem.answer!r} in {problem.problem_id!r}"
            )
        return Verdict.UNREADABLE if answer is None else self._compare(problem, problem.answer, answer)

    def claims(self, question: str) -> bool:
        """Whether a question holds a LaTeX command."""
        return re.search(r"\\[a-zA-Z]{2,}", question) is not None

    def _compare(self, problem: Problem, reference: str, answer: str) -> Verdict:
        """RIGHT where the answer is the reference."""
        first, second = normal(reference), normal(answer)
        if first == second:
            return Verdict.RIGHT
        numbers = _plain_number(first), _plain_number(second)
        if None not in numbers and "," not in first + second:
            return Verdict.RIGHT if numbers[0] == numbers[1] else Verdict.WRONG
        ended = [self._work_out(problem, text) for text in (first, second)]
        if is_answer(shaped(first), shaped(second), self._values.get):
            return Verdict.RIGHT
        return next((verdict for verdict in ended if verdict is not None), Verdict.WRONG)

    def _work_out(self, problem: Problem, answer: str) -> Verdict | None:
        """Have the values of an answer's expressions; how it ended where that took too long."""
        texts = leaves(shaped(answer))
        if all(text in self._values for text in texts) or answer in self._given_up:
            return self._given_up.get(answer)
        try:
            with self._turn(answer):  # others that wait for the same answer find it worked out, or given up
                missing = self._have_exact(texts)
                for pool, is_late in ((self._pool, False), (self._symbolic, True)):
                    asked = [text for text in missing if is_symbolic(text) is is_late]
                    if asked and answer not in self._given_up:
                        self._ask(pool, problem, answer, asked)
        finally:
            with self._lock:
                self._turns.pop(answer, None)
        self._forget()
        return self._given_up.get(answer)

    def _forget(self) -> None:
        """Keep the newest values, and the newest that were given up."""
        with self._lock:
            for kept in (self._values, self._given_up):
                while len(kept) > _KEPT:
                    kept.popitem(last=False)

    def _have_exact(self, texts: Sequence[str]) -> list[str]:
        """Keep the values that are rational; returns the expressions that take a worker."""
        missing = []
        for text in texts:
            if text in self._values:
                continue
            value = exact_value(text)
            if value is None:
                missing.append(text)
            else:
                self._values[text] = value
        return missing

    def _turn(self, answer: str) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(answer, threading.Lock())

    def _ask(self, pool: KillablePool, problem: Problem, answer: str, texts: list[str]) -> None:
        try:
            told = pool.ask({"expressions": texts}, self._seconds)["values"]
        except (GraderHungError, GraderDiedError) as error:
            _LOG.warning("problem %r: %s", problem.problem_id, error)
            self._given_up[answer] = Verdict.HUNG if isinstance(error, GraderHungError) else Verdict.DIED
            return
        for text, value in zip(texts, told, strict=True):
            key = written_key(text)
            self._values[text] = Value(key) if value is None else Value.from_json(key, value)


@lru_cache(maxsize=65_536)
def normal(text: str) -> str:
    r"""The normal form of an answer; "" for one of spaces and dressing alone.

    >>> [normal(text) for text in (r"1,200.50", "2401/2", r"1\frac{1}{2}", r"\tfrac 3 2", "(1, 2]", r"\$5")]
    ['2401/2', '2401/2', '3/2', '3/2', '(1,2]', '\\$5']
    """
    out = plain(text)
    number = None if _AMBIGUOUS.fullmatch(out) is not None else _plain_number(out)
    if number is not None:
        return str(number)
    # words do not depend on case, symbols do
    return (
        out.casefold() if out.isalpha() and len(out) > 1 and out.isascii() and not _is_product(out) else out
    )


def _is_product(text: str) -> bool:
    return isinstance(shaped(text), Scalar)


def _plain_number(text: str) -> Fraction | None:
    """The value of a number in digits; None for everything else."""
    if len(text) > _LONGEST or _NUMBER.fullmatch(text) is None:
        return None
    try:
        return exact(parsed(text))
    except BeyondError:
        return None
