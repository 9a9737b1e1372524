r"""Answers of school and competition mathematics, compared by their normal form.

An answer is read from the last ``\boxed{...}``, or from the last line that says ``#### x``, ``A: x`` or
``the answer is x``. Numbers in any of the usual spellings (``0.5``, ``\frac12``, ``1/2``, ``1,200``) become
one exact fraction; everything else is text without LaTeX's spacing and sizing. Units after a number, dollar,
degree and percent signs and a leading ``x=`` are dropped, as MATH's own graders do.

Answers with equal normal forms are equal. Two numbers, and words, are equal only then. Everything else is
for math-verify (the extra ``grading``) to decide: ``x+1`` and ``1+x``, ``\sqrt{8}`` and ``2\sqrt{2}``. It
runs in processes that are killed when they take longer than ``SECONDS``; what it could not decide in time
counts as different, is said in a warning of the logger ``search.grading``, and ``judge`` names it.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from fractions import Fraction
from functools import lru_cache

from search.errors import GraderDiedError, GraderHungError, GradingError
from search.grading.killable import KillablePool
from search.grading.protocol import Domain
from search.grading.stated import stated
from search.grading.verdict import Verdict
from search.problem import Problem

__all__ = ["SECONDS", "MathDomain", "normal"]

#: how long math-verify may think about one pair of answers
SECONDS = 10.0
#: pairs whose comparison is remembered
_KEPT = 65_536

_LOG = logging.getLogger("search.grading")

#: digits of a number that is read as a number; longer ones are text
_LONGEST = 60
#: characters of an answer; a longer one is no answer but a solution
_LONGEST_ANSWER = 500
#: what one rule uncovers another one may simplify; more layers than this nobody writes
_PASSES = 20

#: spacing, sizing and dressing that mean nothing; a space that ends a command's name means something
_DRESSING = re.compile(
    r"\\(?:left|right|displaystyle|[bB]ig[glr]?|[bB]igg[lr]?)(?![a-zA-Z])|(?<!\\)\\[!,;: ]|~|\$|\\\$"
)
_SPACE = re.compile(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])|\s+")
_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox|operatorname)\s*\{([^{}]*)\}")
_UNIT = re.compile(r"(?<=[0-9}])\\(?:text|mathrm|mbox)\s*\{[^{}]*\}(?:\^\{?[0-9]\}?)?$")
_DEGREES = re.compile(r"\^\{?\\circ\}?|\\degree|°")
_SHORT_FRACTION = re.compile(r"\\frac([0-9])([0-9])|\\frac([0-9])\{([^{}]*)\}|\\frac\{([^{}]*)\}([0-9])")
_MIXED = re.compile(r"(-?)([0-9]+)\\frac\{([0-9]+)\}\{([0-9]+)\}")
_FRACTION = re.compile(r"(-?)\\frac\{(-?[0-9]+(?:\.[0-9]+)?)\}\{(-?[0-9]+(?:\.[0-9]+)?)\}")
_RATIO = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)/(-?[0-9]+(?:\.[0-9]+)?)")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_THOUSANDS = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_ASSIGNED = re.compile(r"[a-zA-Z](?:_\{?[a-zA-Z0-9]\}?)?=([^=]+)")
#: digits and their base: 52_8
_NUMERAL = re.compile(r"[0-9A-Z]+_(?:[0-9]+|\{[0-9]+\})")
#: a word that is no command: such answers are names, not mathematics
_WORD = re.compile(r"(?<!\\begin\{)(?<!\\end\{)(?<![\\a-zA-Z])[a-zA-Z]{3,}")


class MathDomain(Domain):
    r"""Reads, compares and grades mathematical answers. Remembers comparisons, nothing else.

    Parameters
    ----------
    pool:
        Where math-verify runs; by default processes of its own, started when first needed.
    seconds:
        Its limit for one pair of answers.

    >>> domain, problem = MathDomain(), Problem("p", "f", "math", "Half of one?", r"\frac{1}{2}")
    >>> domain.read(problem, r"So it is \boxed{\dfrac12}.")
    '1/2'
    >>> domain.grade(problem, "1/2")
    True
    """

    name = "math"
    waits = True

    def __init__(self, pool: KillablePool | None = None, seconds: float = SECONDS) -> None:
        self._pool = KillablePool("search.grading.worker") if pool is None else pool
        self._seconds = seconds
        self._compared: OrderedDict[tuple[str, str], Verdict] = OrderedDict()

    def read(self, problem: Problem, text: str) -> str | None:
        """The normal form of the answer that a solution states; None where none is stated."""
        found = stated(text)
        if found is None or len(found) > _LONGEST_ANSWER:
            return None
        return normal(found) or None

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Equal normal forms, or the same mathematics. Raises MissingExtraError when that takes
        math-verify and it is not installed."""
        return first == second or self._compare(problem, first, second) is Verdict.RIGHT

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Equal to the reference. Raises GradingError where there is none."""
        return self.judge(problem, answer) is Verdict.RIGHT

    def judge(self, problem: Problem, answer: str | None) -> Verdict:
        """As ``grade``; ``Verdict.HUNG`` and ``Verdict.DIED`` where math-verify had to be killed or ended."""
        if problem.answer is None or not normal(problem.answer):
            raise GradingError(
                f"a reference answer is some mathematics, got {problem.answer!r} in {problem.problem_id!r}"
            )
        return Verdict.UNREADABLE if answer is None else self._compare(problem, answer, problem.answer)

    def claims(self, question: str) -> bool:
        """Whether a question holds a LaTeX command."""
        return re.search(r"\\[a-zA-Z]{2,}", question) is not None

    def _compare(self, problem: Problem, first: str, second: str) -> Verdict:
        """RIGHT where the answers are equal."""
        first, second = sorted((normal(first), normal(second)))
        if first == second:
            return Verdict.RIGHT
        if _are_plain(first, second):
            return Verdict.WRONG
        found = self._compared.get((first, second))
        if found is None:
            found = self._compared[first, second] = self._ask(problem, first, second)
            if len(self._compared) > _KEPT:
                self._compared.popitem(last=False)
        return found

    def _ask(self, problem: Problem, first: str, second: str) -> Verdict:
        try:
            answer = self._pool.ask({"first": first, "second": second}, self._seconds)
        except (GraderHungError, GraderDiedError) as error:
            _LOG.warning("problem %r: %s", problem.problem_id, error)
            return Verdict.HUNG if isinstance(error, GraderHungError) else Verdict.DIED
        return Verdict.RIGHT if answer["equal"] else Verdict.WRONG


@lru_cache(maxsize=65_536)
def normal(text: str) -> str:
    r"""The normal form of an answer; "" for one of spaces and dressing alone.

    >>> [normal(text) for text in (r"\$1,200.50", "2401/2", r"1\frac{1}{2}", r"x = \tfrac 3 2", "(1, 2]")]
    ['2401/2', '2401/2', '3/2', '3/2', '(1,2]']
    """
    for _ in range(_PASSES):
        once = _simpler(text)
        if once == text:
            break
        text = once
    return text


def _simpler(text: str) -> str:
    out = text.strip().rstrip(".")
    out = _DEGREES.sub("", out).replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    out = _SPACE.sub(_spaced, _DRESSING.sub("", out))
    out = _UNIT.sub("", out)
    out = _TEXT.sub(r"\1", out)
    out = re.sub(r"\\?%$", "", out)
    if _NUMERAL.fullmatch(out):
        return out.replace("{", "").replace("}", "")
    if (assigned := _ASSIGNED.fullmatch(out)) is not None:
        out = assigned[1]
    out = _SHORT_FRACTION.sub(_braced, out)
    if _THOUSANDS.fullmatch(out):
        out = out.replace(",", "")
    number = _number(out)
    if number is not None:
        return str(number)
    # words do not depend on case, symbols do
    return out.casefold() if out.isalpha() and len(out) > 1 else out


def _number(text: str) -> Fraction | None:
    if len(text) > _LONGEST:
        return None
    if _DECIMAL.fullmatch(text):
        return Fraction(text)
    if (mixed := _MIXED.fullmatch(text)) is not None and int(mixed[4]):
        value = int(mixed[2]) + Fraction(int(mixed[3]), int(mixed[4]))
        return -value if mixed[1] else value
    parts = _FRACTION.fullmatch(text)
    if parts is not None and Fraction(parts[3]):
        value = Fraction(parts[2]) / Fraction(parts[3])
        return -value if parts[1] else value
    ratio = _RATIO.fullmatch(text)
    if ratio is not None and Fraction(ratio[2]):
        return Fraction(ratio[1]) / Fraction(ratio[2])
    return None


def _are_plain(first: str, second: str) -> bool:
    """Whether two normal forms that differ are different answers, no algebra asked."""
    numbers = _number(first) is not None and _number(second) is not None
    numerals = _NUMERAL.fullmatch(first) is not None and _NUMERAL.fullmatch(second) is not None
    words = _WORD.search(first) is not None or _WORD.search(second) is not None
    # symbols depend on case, which math-verify overlooks; so does it the base of a numeral
    return numbers or numerals or words or first.casefold() == second.casefold()


def _spaced(match: re.Match[str]) -> str:
    return f"{match[1]} " if match[1] else ""


def _braced(match: re.Match[str]) -> str:
    top, bottom = (part for part in match.groups() if part is not None)
    return f"\\frac{{{top}}}{{{bottom}}}"
