r"""Quantities of science: numbers with units and a tolerance (SciBench's style), units by pint.

An answer is read from what a solution states, in LaTeX or plain: ``50.7\,\mathrm{atm}``, ``1.31 \times
10^{-3} K^{-1}``, ``3.52e-19 J``, ``1/3``. Canonical notation is a number and a unit: ``0.00131 K^-1``. Two
answers are equal when one, converted to the unit of the other, lies within the tolerance, relative to the
larger. ``Problem.meta["tolerance"]`` replaces ``TOLERANCE``. A number without a unit is taken in the unit
that the question asks for, since that is what models write. Units that pint does not know count as words:
``photons`` equals ``photons``.

Closeness is not transitive: votes compare an answer with the first of a group, never with every member.
Needs the extra ``grading``.
"""

from __future__ import annotations

import math
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from search.errors import GradingError, MissingExtraError
from search.grading.protocol import Domain
from search.grading.stated import stated
from search.problem import Problem

if TYPE_CHECKING:
    from pint import UnitRegistry

__all__ = ["TOLERANCE", "QuantityDomain", "plain_unit", "quantity"]

#: relative
TOLERANCE = 0.01
#: characters of an answer; a longer one is a solution
_LONGEST = 200

_NUMBER = re.compile(
    r"(?P<sign>[-+]?)\s*(?P<digits>[0-9]+(?:,[0-9]{3})*(?:\.[0-9]*)?|\.[0-9]+)(?:e(?P<exponent>[-+]?[0-9]{1,3}))?"
    r"(?:\s*/\s*(?P<under>[0-9]+(?:\.[0-9]+)?)(?![0-9a-zA-Z]))?",
    re.IGNORECASE,
)
_POWER = re.compile(r"\s*[*x\u00d7]?\s*10\s*(?:\^|\*\*)\s*\(?([-+]?[0-9]{1,3})\)?")
_NAMED = re.compile(r"[a-zA-Z]{1,2}\s*(?:=|≈|~)\s*")
#: what a unit is written with; anything else ends it
_UNIT = re.compile(r"[a-zA-Zµμ°ΩÅ%αλ][a-zA-Z0-9µμ°ΩÅ%αλ^*/·()\s+-]*")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_WRAPPED = re.compile(r"\\(?:mathrm|text|mbox|textrm|operatorname|rm|mathbf)\s*\{([^{}]*)\}")
#: LaTeX and plain spellings in pint's words, in this order
_SPELLINGS = (
    (r"\\circ|°", "degree"),
    (r"\\%|%", "percent"),
    (r"(?:\\mu\b|µ|μ)\s*", "u"),
    (r"\\Omega\b|Ω", "ohm"),
    (r"\\AA\b|\\mathring\{A\}|Å", "angstrom"),
    (r"\\alpha\b", "\N{GREEK SMALL LETTER ALPHA}"),
    (r"\\times|\u00d7", "*"),
    (r"\\cdot|·", "*"),
    (r"\\(?:left|right)(?![a-zA-Z])|\\[,;:! ]|~|\$|\\ ", " "),
)
#: slips that SciBench and models make
_SLIPS = {"KJ": "kJ", "kPA": "kPa", "JK": "J K", "degreeC": "degC", "degree C": "degC", "degreeF": "degF"}


class QuantityDomain(Domain):
    r"""Reads, compares and grades quantities. Stateless.

    >>> domain, problem = QuantityDomain(), Problem("p", "f", "quantity", "How much heat?", "1.5 kJ")
    >>> domain.read(problem, r"So \(q = \boxed{1505~\mathrm{J}}\).")
    '1505 J'
    >>> domain.grade(problem, "1505 J"), domain.grade(problem, "1505 W"), domain.grade(problem, "1.5")
    (True, False, True)
    """

    name = "quantity"

    def read(self, problem: Problem, text: str) -> str | None:
        """The canonical quantity that a solution states; None where it states none."""
        found = stated(text)
        return None if found is None else quantity(found)

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Close in one unit."""
        return first == second or _are_close(first, second, _tolerance(problem))

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
        return known is not None and _are_close(known, reference, tolerance)

    def claims(self, question: str) -> bool:
        """Never: such questions look like any other of mathematics. Whoever wants it names it."""
        return False


@lru_cache(maxsize=65_536)
def quantity(text: str) -> str | None:
    """Canonical notation of a quantity; None where a text does not begin with one.

    >>> [quantity(text) for text in (r"$-3.8$ $\\text{J}$", "1,200 cm^-1.", "3 / 2", "2 apples", "many")]
    ['-3.8 J', '1200 cm^-1', '1.5', '2 apples', None]
    """
    if len(text) > _LONGEST:
        return None
    rest = _NAMED.sub("", plain_unit(text), count=1) if "=" in text or "≈" in text else plain_unit(text)
    rest = rest.replace("\\approx", "").strip()
    found = _NUMBER.match(rest)
    power = _POWER.match(rest) if found is None or found.group() == "10" else None
    value = 1.0 if power is not None else None
    if power is None:
        if found is None:
            return None
        value = _value(found)
        rest = rest[found.end() :]
        power = _POWER.match(rest)
    if value is None:
        return None
    if power is not None:
        value *= 10.0 ** int(power[1])
        rest = rest[power.end() :]
        if (again := _POWER.match(rest)) is not None:  # 1.5 x 10^3 in units of 10^-2 s
            value *= 10.0 ** int(again[1])
            rest = rest[again.end() :]
    unit = _unit(rest)
    return f"{value:.10g} {unit}".strip()


def plain_unit(text: str) -> str:
    r"""A quantity or a unit without LaTeX.

    >>> plain_unit(r"$\mathrm{~J} \mathrm{~mol}^{-1} \mathrm{~K}^{-1}$"), plain_unit(r"$^{\circ} \mathrm{C}$")
    ('J mol^-1 K^-1', 'degC')
    """
    out = text
    for _ in range(4):
        out = _WRAPPED.sub(r" \1 ", _FRACTION.sub(r"(\1)/(\2)", out))
    for spelling, word in _SPELLINGS:
        out = re.sub(spelling, word if word in ("*", " ") else word.replace("\\", ""), out)
    out = re.sub(r"\^\s*\{?\s*degree\s*\}?", " degree", out)
    out = re.sub(r"\{\s*([^{}]*?)\s*\}", r"\1", out)
    out = re.sub(r"\s*\^\s*\(?\s*([-+]?[0-9]+)(?:\s*\))?", r"^\1", out)
    out = re.sub(r"\(([-+]?[0-9.]+)\)", r"\1", out)
    out = re.sub(r"\bdegree\s+([CF])\b", r"deg\1", out)
    for slip, word in _SLIPS.items():
        out = re.sub(rf"\b{slip}\b", word, out)
    return " ".join(out.split())


def _value(found: re.Match[str]) -> float | None:
    value = float(found["digits"].replace(",", "") + (f"e{found['exponent']}" if found["exponent"] else ""))
    if found["under"]:
        under = float(found["under"])
        if not under:
            return None
        value /= under
    return None if not math.isfinite(value) else -value if found["sign"] == "-" else value


def _unit(text: str) -> str:
    """The unit at the beginning of a text: as long as pint knows it, else its words (at most three)."""
    found = _UNIT.match(text.strip(" *·"))
    words = [] if found is None else found.group().strip(" *·/^(-+").split()
    for length in range(len(words), 0, -1):
        known = _known(" ".join(words[:length]))
        if known is not None:
            return known
    return " ".join(words[:3])


@lru_cache(maxsize=4096)
def _known(text: str) -> str | None:
    """A unit in symbols, such as ``J*K^-1*mol^-1``; None for one that pint does not know."""
    if len(text) > 60 or re.search(r"\^[-+]?[0-9]{3}|\*\*|\([^)]*\(", text):
        return None
    spaced = re.sub(r"(?<=[a-zA-Zµ0-9)])\s+(?=[a-zA-Zµ(])", "*", text)
    try:
        registry = _registry()
        powers = dict(registry.parse_units(spaced)._units.items())
        symbols = {registry.get_symbol(name): power for name, power in powers.items()}
        parts = [name if power == 1 else f"{name}^{power:g}" for name, power in sorted(symbols.items())]
        return "*".join(parts) or None
    except Exception:  # pint and what it is built on raise many types on what models write
        return None


def _are_close(first: str, second: str, tolerance: float) -> bool:
    """Whether canonical quantities are close, the first converted to the unit of the second."""
    (a, one), (b, other) = _parts(first), _parts(second)
    if one and other and one != other:
        converted = _convert(a, one, other)
        if converted is None:
            return False
        a = converted
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def _parts(canonical: str) -> tuple[float, str]:
    number, _, unit = canonical.partition(" ")
    try:
        return float(number), unit
    except ValueError:
        raise GradingError(f"an answer must be a number and a unit, got {canonical!r}") from None


@lru_cache(maxsize=4096)
def _convert(value: float, one: str, other: str) -> float | None:
    registry = _registry()
    try:
        return float(registry.Quantity(value, one).to(other).magnitude)
    except Exception:  # not of one dimension, or words
        return None


def _tolerance(problem: Problem) -> float:
    value: Any = problem.meta.get("tolerance", TOLERANCE)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < 1.0:
        raise GradingError(f"tolerance must be a number in [0, 1), got {value!r} in {problem.problem_id!r}")
    return float(value)


@cache
def _registry() -> UnitRegistry[Any]:
    try:
        from pint import UnitRegistry
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"units need the grading extra, got no {error.name}: pip install 'test-time-planner[grading]'"
        ) from error
    return UnitRegistry()
