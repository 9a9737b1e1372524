r"""Chemical formulas and balanced equations, compared by content; elements by periodictable.

``C2H5OH``, ``CH3CH2OH`` and ``C_2H_6O`` hold the same atoms and are one answer; charges count, states such
as ``(aq)``, conditions over an arrow, ``↓`` and ``↑`` do not. An ion is read in any spelling
(``search.grading.science.ions``). An equation's answer is its species and their coefficients, on whichever
place of a side they stand and however all of them are multiplied: ``2H2 + O2 -> 2H2O`` is ``H2 + 1/2 O2 =
H2O``. An equation that is not balanced can be an answer, but never a right one.

Canonical notation: atoms in Hill's order (carbon, hydrogen, then by the alphabet), ``^2-`` for a charge;
species in the order of the alphabet. Needs the extra ``grading``.
"""

# ruff: noqa: RUF001 (characters that probe alike are what it reads)
from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from search.errors import GradingError, MissingExtraError
from search.grading.protocol import Domain
from search.grading.science.ions import charge_of, plain_chemistry
from search.grading.stated import stated
from search.problem import Problem

__all__ = ["FormulaDomain", "is_balanced", "read_chemistry"]

#: characters of an answer; a longer one is a solution
_LONGEST = 400
#: most atoms of one element, largest coefficient
_MOST = 10_000

#: what a coefficient looks like: ``2``, ``(2)``, ``1/2``, ``(1/2)``, ``0.5``
_COEFFICIENT = re.compile(r"\(?([0-9]+(?:\.[0-9]+)?)(?:/([0-9]+))?\)?\s*[*·]?\s*(?=[A-Z(\[en^])")
_BODY = re.compile(r"[A-Za-z0-9()\[\]]+")
#: ``^14C``, with or without the number of protons
_ISOTOPE = re.compile(
    r"(?:\^([0-9]{1,3})(?:_(-?[0-9]{1,3}))?|_(-?[0-9]{1,3})\^([0-9]{1,3}))([A-Z][a-z]?|n|e)"
)
#: what an equation may set free or take that is no matter
_ENERGY = re.compile(r"heat|energy|light|hν|hnu|Δ|γ")


@dataclass(frozen=True, slots=True)
class _Species:
    """Atoms in Hill's order, and a charge. An electron has no atoms."""

    atoms: tuple[tuple[str, int], ...]
    charge: int

    def __str__(self) -> str:
        body = "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in self.atoms) or "e"
        if not self.charge:
            return body
        size = abs(self.charge)
        return f"{body}^{size if size > 1 else ''}{'+' if self.charge > 0 else '-'}"


class FormulaDomain(Domain):
    r"""Reads, compares and grades formulas and equations. Stateless.

    >>> domain, problem = FormulaDomain(), Problem("p", "f", "formula", "Burn hydrogen.", "2H2 + O2 -> 2H2O")
    >>> domain.read(problem, r"So \boxed{H_2 + \frac{1}{2}O_2 \rightarrow H_2O}")
    '2 H2 + O2 -> 2 H2O'
    """

    name = "formula"
    caption = "chemical formulas and balanced equations"

    def read(self, problem: Problem, text: str) -> str | None:
        """The canonical formula or equation that a solution states; None where it states none."""
        found = stated(text)
        return None if found is None else read_chemistry(found)

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """The same content."""
        return first == second or (read_chemistry(first) or first) == (read_chemistry(second) or second)

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """The content of the reference. Raises GradingError where that is unreadable or not balanced."""
        reference = None if problem.answer is None else read_chemistry(problem.answer)
        if reference is None or not is_balanced(reference):
            raise GradingError(
                "a reference answer must be a formula or a balanced equation, "
                f"got {problem.answer!r} in {problem.problem_id!r}"
            )
        return answer is not None and read_chemistry(answer) == reference

    def claims(self, question: str) -> bool:
        """Whether a question asks to balance an equation."""
        return re.search(r"\bbalance\b.{0,80}\bequation\b", question, re.IGNORECASE) is not None


def read_chemistry(text: str) -> str | None:
    """Canonical notation; None for what is neither a formula nor an equation.

    >>> [read_chemistry(text) for text in ("CH3CH2OH", "CuSO4*5H2O", "SO_4^{2-}(aq)", "e-", "Xx2", "")]
    ['C2H6O', 'H10CuO9S', 'O4S^2-', 'e^-', None, None]
    >>> read_chemistry("H2 + 1/2 O2 = H2O")
    '2 H2 + O2 -> 2 H2O'
    """
    return None if len(text) > _LONGEST else _kept(text)


@lru_cache(maxsize=65_536)
def _kept(text: str) -> str | None:
    sides = plain_chemistry(text).split("→")
    if len(sides) == 1:
        species = _species(sides[0])
        return None if species is None else str(species)
    if len(sides) != 2:
        return None
    read = [_side(side) for side in sides]
    if any(not side for side in read):
        return None
    left, right = (side for side in read if side)
    factor = math.lcm(*(value.denominator for side in (left, right) for value in side.values()))
    whole = [{name: int(value * factor) for name, value in side.items()} for side in (left, right)]
    divisor = math.gcd(*(count for side in whole for count in side.values()))
    told = []
    for side in whole:
        counts = sorted((str(name), count // divisor) for name, count in side.items())
        told.append(" + ".join(name if count == 1 else f"{count} {name}" for name, count in counts))
    return " -> ".join(told)


def is_balanced(canonical: str) -> bool:
    """Whether an equation keeps every element and the charge; a formula does.

    >>> is_balanced("2 H2 + O2 -> 2 H2O"), is_balanced("H2 + O2 -> H2O"), is_balanced("H2O")
    (True, False, True)
    """
    sides = [_side(side) or {} for side in plain_chemistry(canonical).split("→")]
    return len(sides) == 1 or _total(sides[0]) == _total(sides[1]) or _are_nuclear(sides[0], sides[1])


def _total(side: Mapping[_Species, Fraction]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for species, count in side.items():
        for name, size in (*species.atoms, ("charge", species.charge)):
            total[name] = total.get(name, Fraction(0)) + count * size
    return {name: value for name, value in total.items() if value}


def _are_nuclear(left: Mapping[_Species, Fraction], right: Mapping[_Species, Fraction]) -> bool:
    """Whether both sides are nuclei and keep the mass number and the charge."""
    total = _nucleons(left)
    return total is not None and total == _nucleons(right)


def _nucleons(side: Mapping[_Species, Fraction]) -> tuple[Fraction, Fraction] | None:
    """The mass numbers and the charges of nuclei of one side; None where a species tells no mass number."""
    from periodictable import elements

    mass, charge = Fraction(0), Fraction(0)
    for species, count in side.items():
        if not species.atoms:
            charge += count * species.charge
        for symbol, size in species.atoms:
            found = re.fullmatch(r"\^([0-9]+)([A-Z][a-z]?|n)", symbol)
            if found is None:
                return None
            mass += count * size * int(found[1])
            charge += count * size * (0 if found[2] == "n" else elements.symbol(found[2]).number)
    return mass, charge


def _side(text: str) -> dict[_Species, Fraction] | None:
    """Species and coefficients of one side; None where one of them is unreadable."""
    found: dict[_Species, Fraction] = {}
    # a plus between species has spaces or a species behind it; that of a charge ends a species
    for part in re.split(
        r"\s\+\s|\+(?=\s*(?:[0-9(\[A-Z^_]|e(?![a-z])|n(?![a-z])|heat|energy|light|Δ|hν|γ))", text
    ):
        clean = part.strip()
        if _ENERGY.fullmatch(clean):
            continue
        count = Fraction(1)
        if (coefficient := _COEFFICIENT.match(clean)) is not None:
            under = int(coefficient[2] or 1)
            over = Fraction(coefficient[1])
            if not under or not 0 < over <= _MOST:
                return None
            count, clean = over / under, clean[coefficient.end() :]
        species = _species(clean)
        if species is None:
            return None
        found[species] = found.get(species, Fraction(0)) + count
    return found


def _species(text: str) -> _Species | None:
    told = charge_of(text.strip())
    if told is None:
        return None
    clean, charge = told
    if clean == "e":
        return _Species((), charge or -1) if charge else None
    isotope = _ISOTOPE.fullmatch("^1n" if clean == "n" else clean)
    if isotope is not None:
        mass, symbol = isotope[1] or isotope[4], isotope[5]
        if symbol == "e":
            return _Species((), int(isotope[2] or isotope[3] or -1)) if mass == "0" else None
        known = symbol == "n" or _atoms(symbol) is not None
        return _Species(((f"^{int(mass)}{symbol}", 1),), charge) if known and int(mass) else None
    total: Counter[str] = Counter()
    for part in re.split(r"[*·.]", clean):
        leading = re.match(r"[0-9]+(?=[A-Z(\[])", part) if part is not clean else None
        times = int(leading.group()) if leading else 1
        atoms = _atoms(part[leading.end() :] if leading else part)
        if atoms is None or times > _MOST:
            return None
        for symbol, count in atoms:
            total[symbol] += times * count
    if not total or max(total.values()) > _MOST:
        return None
    first = ("C", "H") if "C" in total else ("H",) if "H" in total and len(total) > 1 else ()
    order = [*(s for s in first if s in total), *sorted(s for s in total if s not in first)]
    return _Species(tuple((symbol, total[symbol]) for symbol in order), charge)


@lru_cache(maxsize=4096)
def _atoms(text: str) -> tuple[tuple[str, int], ...] | None:
    """Counts per element, by periodictable; None for what it does not know."""
    if not _BODY.fullmatch(text) or re.search(r"[0-9]{6}", text) or text[0].isdigit():
        return None
    try:
        from periodictable import formula
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"formulas need the grading extra, got no {error.name}: pip install 'test-time-planner[grading]'"
        ) from error
    try:
        counts = formula(text.replace("[", "(").replace("]", ")")).atoms
    except Exception:  # its parser raises several types on what models write
        return None
    if any(count != int(count) or count < 1 for count in counts.values()):
        return None
    return tuple(sorted((str(element), int(count)) for element, count in counts.items()))
