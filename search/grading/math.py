r"""Answers of school and competition mathematics, compared by their normal form.

An answer is read from the last ``\boxed{...}``, or from the last line that says ``#### x``, ``A: x`` or
``the answer is x``. Numbers in any of the usual spellings (``0.5``, ``\frac12``, ``1/2``, ``1,200``) become
one exact fraction; everything else is text without LaTeX's spacing and sizing. Units after a number, dollar,
degree and percent signs and a leading ``x=`` are dropped, as MATH's own graders do. Two answers are equal
when their normal forms are equal, so equality is transitive.

This is a normalising equality, not algebra: ``x+1`` and ``1+x`` are two answers, and so are ``\sqrt{8}``
and ``2\sqrt{2}``. Where a record brings its own verdict, an importer keeps that.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["MathDomain", "normal"]

#: digits of a number that is read as a number; longer ones are text
_LONGEST = 60
#: characters of an answer; a longer one is no answer but a solution
_LONGEST_ANSWER = 500
#: what one rule uncovers another one may simplify; more layers than this nobody writes
_PASSES = 20

_SAID = re.compile(
    r"^\s*(?:####|\*{0,2}(?:A|Answer|Final answer)\*{0,2}\s*:\*{0,2})\s*(.+?)\s*$|"
    r"\bthe (?:final )?answer is:?\s*(.+?)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
#: spacing, sizing and dressing that mean nothing
_DRESSING = re.compile(
    r"\\(?:left|right|displaystyle|[bB]ig[glr]?|[bB]igg[lr]?)(?![a-zA-Z])|\\[!,;: ]|~|\$|\\\$|\s+"
)
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


class MathDomain(Domain):
    r"""Reads, compares and grades mathematical answers. Stateless.

    >>> domain, problem = MathDomain(), Problem("p", "f", "math", "Half of one?", r"\frac{1}{2}")
    >>> domain.read(problem, r"So it is \boxed{\dfrac12}.")
    '1/2'
    >>> domain.grade(problem, "1/2")
    True
    """

    name = "math"

    def read(self, problem: Problem, text: str) -> str | None:
        """The normal form of the answer that a solution states; None where none is stated."""
        stated = _boxed(text)
        if stated is None:
            said = _SAID.findall(text)
            stated = max(said[-1]) if said else None
        if stated is None or len(stated) > _LONGEST_ANSWER:
            return None
        return normal(stated) or None

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Equal normal forms."""
        return first == second or normal(first) == normal(second)

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """The normal form of the reference. Raises GradingError where there is no reference."""
        if problem.answer is None or not normal(problem.answer):
            raise GradingError(
                f"a reference answer is some mathematics, got {problem.answer!r} in {problem.problem_id!r}"
            )
        return answer is not None and self.equal(problem, answer, problem.answer)

    def claims(self, question: str) -> bool:
        """Whether a question holds a LaTeX command."""
        return re.search(r"\\[a-zA-Z]{2,}", question) is not None


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
    out = _DRESSING.sub("", out)
    out = _UNIT.sub("", out)
    out = _TEXT.sub(r"\1", out)
    out = re.sub(r"\\?%$", "", out)
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


def _braced(match: re.Match[str]) -> str:
    top, bottom = (part for part in match.groups() if part is not None)
    return f"\\frac{{{top}}}{{{bottom}}}"


def _boxed(text: str) -> str | None:
    """What stands in the last box, braces counted; None without a box that is closed."""
    begin = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if begin < 0:
        return None
    depth, start = 0, text.index("{", begin)
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if not depth:
            return text[start + 1 : place]
    return None
