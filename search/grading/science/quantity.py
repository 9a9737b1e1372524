r"""Quantities of science: numbers with units and a tolerance (SciBench's style), units by pint.

An answer is read from what a solution states, in LaTeX or plain: ``50.7\,\mathrm{atm}``, ``1.31 \times
10^{-3} K^{-1}``, ``6.02×10²³``, ``3\ln 2\ J``, ``\Delta H = 5 kJ``. An expression is evaluated whole or the
answer is unreadable; so is a range, an inequality and whatever is left over behind a unit. Canonical
notation is a number and a unit: ``0.00131 K^-1``; of several, all of them: ``1; 2 m``.

Two answers are equal when one, converted to the unit of the other, lies within the tolerance, relative to
the larger. ``Problem.meta["tolerance"]`` replaces ``TOLERANCE``. A number without a unit is taken in the
unit that the question asks for, since that is what models write. Shares (``%``, ``ppm``) are numbers: a
reference of 45 % is met by 0.45, and by the bare 45, since questions ask "what percent"; a reference of 45
is not met by 45 %. Words that pint does not know are what is counted: ``photons`` equals ``photons``. A
comma is no decimal point: ``1,5 m`` is two numbers, and ``1,500 m`` is fifteen hundred.

Closeness is not transitive: votes compare an answer with the first of a group, never with every member.
Needs the extra ``grading``.
"""

# ruff: noqa: RUF001, RUF002 (characters that probe alike are what it reads)
from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

from search.errors import GradingError
from search.grading.amount import amount
from search.grading.protocol import Domain
from search.grading.science.unit_conversion import convert
from search.grading.science.unit_spelling import plain_unit
from search.grading.science.units import unit
from search.grading.stated import stated
from search.problem import Problem

__all__ = ["TOLERANCE", "QuantityDomain", "plain_unit", "quantity"]

#: relative
TOLERANCE = 0.01
#: characters of an answer; a longer one is a solution
_LONGEST = 200
#: values in one answer
_MOST = 20

_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ]+")
_PLAIN_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n")
_VULGAR = re.compile(r"([0-9]?)\s*([¼½¾⅐-⅞])")
_MINUS = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-"))
_SPACES = re.compile(r"\\[,;:! ]|\\q?quad(?![a-zA-Z])|\\(?:thin|med|thick)?space(?![a-zA-Z])|~|\s+|&")
_DRESSING = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|boldsymbol|bm|big|Big|bigg|Bigg)(?![a-zA-Z])|\\[()\[\]]|(?<!\\)\$|\*\*"
    r"|\\color\s*\{\w+\}|\\(?:boxed|underline|mathbf|textbf|bf)(?=\s*\{)"
)
_WRAPPED = re.compile(
    r"\\(?:mathrm|text|textrm|mathbf|textbf|num|mathit)\s*\{\s*([-+]?\s*[0-9][^{}]*|e|ln|exp)\s*\}"
)
_SIUNITX = re.compile(r"\\(?:SI|qty)\s*(?:\[[^\]]*\])?\{([^{}]*)\}\s*\{([^{}]*)\}")
_BRACED = re.compile(r"\{([^{}]*)\}$")
_ABOUT = re.compile(
    r"(?:\\(?:approx|sim|simeq|cong|therefore|implies)(?![a-zA-Z])|≈|~|≃|∼|approximately|approx\.?|about|roughly|around"
    r"|nearly|almost|exactly|equal to|equals|ca\.|circa)\s*",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"(?<![<>!:=])=(?!=)|≈|≃|\\approx(?![a-zA-Z])|\\simeq(?![a-zA-Z])|\\equiv(?![a-zA-Z])|≡")
#: what stands before an equals sign: a letter or a word with its indices, ``\Delta_r H^\circ``, ``v(t)``
_NAMED = re.compile(r"(?![-+]?[0-9.])[^=<>≤≥]{1,60}$", re.DOTALL)
_SUM = re.compile(r"(?:[-+*/^0-9.,(){}\s×·]|\\times|\\cdot|\\frac|\\div)+")
_SPREAD = re.compile(r"\s*(?:±|\\pm(?![a-zA-Z])|\+/-|\+-)\s*")
_SPREAD_NUMBER = re.compile(r"[0-9.,]+(?:[eE][-+]?[0-9]+)?%?")
_REMARK = re.compile(
    r"(?<![/*·^×])\s*\((?=[^()]*[a-z]{3})[^()]*\)\s*\.?$|\s+(?:approximately|approx\.?|exactly)$"
)
_NAMES_OF_LARGE = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "dozen": 12.0,
}
_LARGE = re.compile(rf"({'|'.join(_NAMES_OF_LARGE)})s?\b\s*", re.IGNORECASE)
_LISTED = re.compile(r"\s*;\s*|\s*,\s+(?:and\s+|or\s+)?|\s+(?:and|or)\s+|,(?=[-+0-9.\\])")
_THOUSANDS = re.compile(r"(?<![0-9,.])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9,])")
#: dimensionless units and what one of them is
_SHARES = {"%": 1e-2, "ppm": 1e-6, "ppb": 1e-9, "‰": 1e-3, "permille": 1e-3}


class QuantityDomain(Domain):
    r"""Reads, compares and grades quantities. Stateless.

    >>> domain, problem = QuantityDomain(), Problem("p", "f", "quantity", "How much heat?", "1.5 kJ")
    >>> domain.read(problem, r"So \(q = \boxed{1505~\mathrm{J}}\).")
    '1505 J'
    >>> domain.grade(problem, "1505 J"), domain.grade(problem, "1505 W"), domain.grade(problem, "1.5")
    (True, False, True)
    """

    name = "quantity"
    caption = "numbers with units, within a tolerance"

    def read(self, problem: Problem, text: str) -> str | None:
        """The canonical quantity that a solution states; None where it states none."""
        found = stated(text)
        return None if found is None else quantity(found)

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Close in one unit."""
        return first == second or _are_all_close(first, second, _tolerance(problem))

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Close to the reference. Raises GradingError where that is no quantity."""
        reference = None if problem.answer is None else quantity(problem.answer)
        if reference is None:
            raise GradingError(
                f"a reference answer must be a number and a unit, got {problem.answer!r} in "
                f"{problem.problem_id!r}"
            )
        tolerance = _tolerance(problem)
        known = None if answer is None else quantity(answer)
        return known is not None and _are_all_close(known, reference, tolerance, asked=True)

    def claims(self, question: str) -> bool:
        """Never: such questions look like any other of mathematics. Whoever wants it names it."""
        return False


def quantity(text: str) -> str | None:
    r"""Canonical notation of a quantity; None for what is none.

    >>> [quantity(text) for text in (r"$-3.8$ $\\text{J}$", "1,200 cm^-1.", "3 / 2", "2 apples", "3x + 2")]
    ['-3.8 J', '1200 cm^-1', '1.5', '2 apples', None]
    """
    return None if len(text) > _LONGEST else _kept(text)


@lru_cache(maxsize=65_536)
def _kept(text: str) -> str | None:
    parts = _listed(_plain(text))
    if not 0 < len(parts) <= _MOST:
        return None
    read = [_one(part) for part in parts]
    found = [value for value in read if value is not None]
    if len(found) < len(read):
        return None
    common = found[-1][1]
    if common and not any(known for _, known in found[:-1]):  # 1 and 2 m
        found = [(value, common) for value, _ in found]
    return "; ".join(f"{value:.10g} {known}".strip() for value, known in found)


def _plain(text: str) -> str:
    """Without the dressing of LaTeX and of texts; minus signs, powers and fractions in plain characters."""
    out = _RAISED.sub(lambda found: f"^{{{found.group().translate(_PLAIN_RAISED)}}}", text.translate(_MINUS))
    out = _VULGAR.sub(_fraction, out.replace("℃", "°C").replace("℉", "°F").replace("µ", "μ"))
    out = "".join(
        unicodedata.normalize("NFKC", one) if one in "ΩÅK" or one >= "\uff00" else one for one in out
    )
    out = _DRESSING.sub(" ", re.sub(r"([0-9])\{,\}(?=[0-9]{3}(?![0-9]))", r"\1,", out).replace("{,}", "."))
    for _ in range(2):
        out = _WRAPPED.sub(r" \1 ", _SIUNITX.sub(r"\1 \2", out))
    out = _SPACES.sub(" ", out).strip().rstrip(".,;:")
    for _ in range(3):
        out = _ABOUT.sub("", out, count=1) if _ABOUT.match(out) else out
    out = _REMARK.sub("", out).strip()
    return braced[1].strip() if (braced := _BRACED.match(out)) is not None else out


def _fraction(found: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", found[2]).partition("\u2044")
    return f"{found[1]} {over}/{under}" if found[1] else f"({over}/{under})"


def _listed(text: str) -> list[str]:
    """The values of a list; a comma between thousands and one in brackets divides nothing."""
    kept = _THOUSANDS.sub(lambda found: found.group().replace(",", ""), text)
    if re.search(r"[({\[][^)}\]]*[,;]", kept):
        return [kept]
    return _LISTED.split(kept)


def _one(text: str) -> tuple[float, str] | None:
    """The value and the canonical unit of one quantity, behind its name if it has one."""
    sides = [side.strip() for side in _EQUALS.split(text)]
    if len(sides) > 1:
        values = [_value(_ABOUT.sub("", side, count=1) if _ABOUT.match(side) else side) for side in sides]
        last = values[-1]
        if last is None:
            return (
                values[0]
                if len(sides) == 2 and values[0] and re.fullmatch(r"\\?[a-zA-Z]+", sides[1])
                else None
            )
        return last if _NAMED.match(sides[0]) or values[0] or _SUM.fullmatch(sides[0]) else None
    return _value(text)


def _value(text: str) -> tuple[float, str] | None:
    plain = _without_spread(text)
    found = None if plain is None else amount(plain)
    if found is None:
        found = _in_a_fraction(plain or "")
    if found is None:
        return None
    value, rest = found
    large = _LARGE.match(re.sub(r"^\\text\s*\{\s*([a-z]+)\s*\}", r"\1", rest))
    if large is not None:
        value *= _NAMES_OF_LARGE[large[1].lower()]
        rest = re.sub(r"^\\text\s*\{\s*([a-z]+)\s*\}", r"\1", rest)[large.end() :]
    power = amount(rest) if re.match(r"(?:\\times|×|\*)?\s*10\s*\^", rest) else None
    if power is not None:  # 1.5 x 10^3 in units of 10^-2 s
        value, rest = value * power[0], power[1]
    known = unit(rest)
    return _added(value, rest) if known is None else (value, known)


def _added(value: float, rest: str) -> tuple[float, str] | None:
    """``2 h 30 min``, ``5 ft 3 in``: the rest of one quantity in a smaller unit."""
    found = re.match(r"([a-zA-Z]+)\s+([0-9][^=]*)$", rest)
    more = None if found is None else _value(found[2])
    known = None if found is None else unit(found[1])
    if more is None or not known:
        return None
    converted = convert(more[0], more[1], known) if more[1] else None
    return (value + converted, known) if converted is not None and 0.0 <= converted < 1.0 else None


def _in_a_fraction(text: str) -> tuple[float, str] | None:
    r"""``\frac{5 kJ}{mol}``: the number stands in the numerator."""
    found = re.match(
        r"([-+]?)\s*\\[dt]?frac\s*\{((?:[^{}]|\{[^{}]*\})*)\}\s*\{((?:[^{}]|\{[^{}]*\})*)\}(.*)$", text
    )
    over = None if found is None else amount(found[2])
    if found is None or over is None:
        return None
    under = amount(found[3])
    value = over[0] / under[0] if under is not None and under[0] else over[0]
    below = found[3] if under is None else under[1]
    return (
        -value if found[1] == "-" else value
    ), f"{over[1]}/({below}) {found[4]}" if below else f"{over[1]} {found[4]}"


def _without_spread(text: str) -> str | None:
    """Without an uncertainty: ``5.0 ± 0.1 s``, ``5 s ± 0.1 s``, ``(3.0 ± 0.1) 10^8``; None if it leads."""
    found = _SPREAD.search(text)
    if found is None:
        return text
    before, after = text[: found.start()].rstrip(), text[found.end() :]
    if not before.strip("({ "):
        return None
    number = _SPREAD_NUMBER.match(after)
    if before[-1].isdigit() or before[-1] in ".)}":
        return None if number is None else before + after[number.end() :]
    return before


def _are_all_close(answer: str, reference: str, tolerance: float, *, asked: bool = False) -> bool:
    """Whether each value of one is close to one of the other; ``asked``: the second is a reference."""
    left, right = ([_parts(one) for one in text.split("; ")] for text in (answer, reference))
    if len(left) != len(right):
        return False
    for value in left:
        met = next((other for other in right if _are_close(value, other, tolerance, asked=asked)), None)
        if met is None:
            return False
        right.remove(met)
    return True


def _are_close(
    answer: tuple[float, str], reference: tuple[float, str], tolerance: float, *, asked: bool
) -> bool:
    (a, one), (b, other) = answer, reference
    if one == other:
        return _within(a, b, tolerance)
    if other in _SHARES and not one:
        return (asked and _within(a, b, tolerance)) or _within(a, b * _SHARES[other], tolerance)
    if one in _SHARES and not other:
        return _within(a * _SHARES[one], b, tolerance)
    if not one or not other:
        return _within(a, b, tolerance)
    converted = convert(a, one, other)
    return converted is not None and _within(converted, b, tolerance)


def _within(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def _parts(canonical: str) -> tuple[float, str]:
    number, _, known = canonical.partition(" ")
    try:
        return float(number), known
    except ValueError:
        raise GradingError(f"an answer must be a number and a unit, got {canonical!r}") from None


def _tolerance(problem: Problem) -> float:
    value: Any = problem.meta.get("tolerance", TOLERANCE)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < 1.0:
        raise GradingError(f"tolerance must be a number in [0, 1), got {value!r} in {problem.problem_id!r}")
    return float(value)
