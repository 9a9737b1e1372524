"""Generated chemistry problems: molar masses and what follows from them.

A solution is arithmetic, one operation a line, and ends with ``#74 g/mol``::

    Ca 40*1=40
    O 16*2=32
    H 1*2=2
    40+32=72
    72+2=74
    #74 g/mol

Atomic masses are whole numbers but for Cl 35.5 and Cu 63.5; the question does not give them. All
numbers are exact decimals; only a mass percent is rounded (half up, to one decimal).

What ``right_so_far`` calls right. A solution that grades right is right at every prefix. Otherwise a
prefix is right iff each of its lines is one operation of the problem's calculation that has not been
done yet, on numbers that are known by then (atomic masses, counts and moles from the question,
results of earlier lines), with its true result. Terms may come in any order and sums may be formed
in any order and grouping; a true line that leads nowhere (a term not in the formula, a term twice)
is wrong. A line with ``#`` is right iff its quantity grades right.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from search.problem import Problem
from training.lab.family import Family, Worked
from training.lab.graders.chemistry import ChemistryDomain, plain

__all__ = ["CAPITALISED", "ELEMENTS", "FAMILIES", "LOCKED_FAMILIES", "MASSES", "ChemistryFamily", "terms"]

#: atomic masses in g/mol
MASSES: dict[str, Decimal] = {
    symbol: Decimal(mass)
    for symbol, mass in {
        "H": "1",
        "C": "12",
        "N": "14",
        "O": "16",
        "F": "19",
        "Na": "23",
        "Mg": "24",
        "Al": "27",
        "P": "31",
        "S": "32",
        "Cl": "35.5",
        "K": "39",
        "Ca": "40",
        "Fe": "56",
        "Cu": "63.5",
        "Zn": "65",
        "Br": "80",
        "Ag": "108",
    }.items()
}
#: the element symbols of every formula, for the tokenizer
ELEMENTS: tuple[str, ...] = tuple(MASSES)
#: the capitalised words of the questions that are not part of a formula
CAPITALISED: tuple[str, ...] = ("Find", "Give", "How", "In", "Mix", "What", "You")

_WATER = Decimal(18)

_CATIONS = (
    ("H", 1),
    ("Na", 1),
    ("K", 1),
    ("Ag", 1),
    ("Mg", 2),
    ("Ca", 2),
    ("Zn", 2),
    ("Cu", 2),
    ("Fe", 2),
    ("Fe", 3),
    ("Al", 3),
    ("NH4", 1),
)
_SIMPLE_ANIONS = (("F", 1), ("Cl", 1), ("Br", 1), ("S", 2), ("O", 2), ("N", 3), ("P", 3))
_GROUP_ANIONS = (
    ("OH", 1),
    ("NO3", 1),
    ("NO2", 1),
    ("ClO3", 1),
    ("ClO4", 1),
    ("HCO3", 1),
    ("CH3COO", 1),
    ("SO4", 2),
    ("SO3", 2),
    ("CO3", 2),
    ("PO4", 3),
)


def _salt(cation: tuple[str, int], anion: tuple[str, int]) -> str:
    """The formula of two ions whose charges cancel."""
    (first, plus), (second, minus) = cation, anion
    if plus == minus:
        plus = minus = 1

    def part(ion: str, count: int) -> str:
        single = ion in MASSES
        return ion if count == 1 else f"{ion}{count}" if single else f"({ion}){count}"

    return part(first, minus) + part(second, plus)


_BINARY = tuple(_salt(c, a) for c in _CATIONS[:-1] for a in _SIMPLE_ANIONS)
_SALTS = tuple(
    _salt(c, a)
    for c in _CATIONS
    for a in _GROUP_ANIONS
    if c[0] != "H" or a[0] not in ("OH", "HCO3", "CH3COO")
)
_FLAT_SALTS = tuple(formula for formula in _SALTS if "(" not in formula and formula.count("O") < 2)
_PAREN_SALTS = tuple(formula for formula in _SALTS if "(" in formula)
_HYDRATED = tuple(
    _salt(c, a)
    for c in _CATIONS[1:-1]
    for a in (("Cl", 1), ("Br", 1), ("NO3", 1), ("SO4", 2), ("CO3", 2), ("PO4", 3))
)

#: balanced: (count, formula) of the reactants, then of the products
REACTIONS: tuple[tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]], ...] = (
    (((2, "H2"), (1, "O2")), ((2, "H2O"),)),
    (((1, "N2"), (3, "H2")), ((2, "NH3"),)),
    (((1, "H2"), (1, "Cl2")), ((2, "HCl"),)),
    (((2, "Na"), (1, "Cl2")), ((2, "NaCl"),)),
    (((2, "K"), (1, "Br2")), ((2, "KBr"),)),
    (((2, "Mg"), (1, "O2")), ((2, "MgO"),)),
    (((2, "Ca"), (1, "O2")), ((2, "CaO"),)),
    (((2, "Zn"), (1, "O2")), ((2, "ZnO"),)),
    (((2, "Cu"), (1, "O2")), ((2, "CuO"),)),
    (((4, "Fe"), (3, "O2")), ((2, "Fe2O3"),)),
    (((4, "Al"), (3, "O2")), ((2, "Al2O3"),)),
    (((2, "Al"), (3, "Cl2")), ((2, "AlCl3"),)),
    (((2, "Fe"), (3, "Cl2")), ((2, "FeCl3"),)),
    (((2, "Al"), (3, "Br2")), ((2, "AlBr3"),)),
    (((3, "Mg"), (1, "N2")), ((1, "Mg3N2"),)),
    (((4, "P"), (5, "O2")), ((2, "P2O5"),)),
    (((2, "S"), (3, "O2")), ((2, "SO3"),)),
    (((2, "SO2"), (1, "O2")), ((2, "SO3"),)),
    (((2, "NO"), (1, "O2")), ((2, "NO2"),)),
    (((4, "NH3"), (5, "O2")), ((4, "NO"), (6, "H2O"))),
    (((2, "C"), (1, "O2")), ((2, "CO"),)),
    (((2, "CO"), (1, "O2")), ((2, "CO2"),)),
    (((1, "CaO"), (1, "H2O")), ((1, "Ca(OH)2"),)),
    (((1, "Na2O"), (1, "H2O")), ((2, "NaOH"),)),
    (((1, "P2O5"), (3, "H2O")), ((2, "H3PO4"),)),
    (((1, "Zn"), (2, "HCl")), ((1, "ZnCl2"), (1, "H2"))),
    (((2, "Al"), (6, "HCl")), ((2, "AlCl3"), (3, "H2"))),
    (((1, "Mg"), (2, "HCl")), ((1, "MgCl2"), (1, "H2"))),
    (((2, "Na"), (2, "H2O")), ((2, "NaOH"), (1, "H2"))),
    (((1, "Ca"), (2, "H2O")), ((1, "Ca(OH)2"), (1, "H2"))),
    (((1, "Ca(OH)2"), (2, "HCl")), ((1, "CaCl2"), (2, "H2O"))),
    (((2, "NaOH"), (1, "H2SO4")), ((1, "Na2SO4"), (2, "H2O"))),
    (((3, "NaOH"), (1, "H3PO4")), ((1, "Na3PO4"), (3, "H2O"))),
    (((1, "Al2O3"), (6, "HCl")), ((2, "AlCl3"), (3, "H2O"))),
    (((1, "Fe2O3"), (3, "CO")), ((2, "Fe"), (3, "CO2"))),
    (((1, "CuO"), (1, "H2")), ((1, "Cu"), (1, "H2O"))),
    (((2, "AgNO3"), (1, "Cu")), ((1, "Cu(NO3)2"), (2, "Ag"))),
    (((1, "Na2CO3"), (2, "HCl")), ((2, "NaCl"), (1, "CO2"), (1, "H2O"))),
    (((1, "CaCO3"), (2, "HCl")), ((1, "CaCl2"), (1, "CO2"), (1, "H2O"))),
    (((1, "CH4"), (2, "O2")), ((1, "CO2"), (2, "H2O"))),
    (((1, "C3H8"), (5, "O2")), ((3, "CO2"), (4, "H2O"))),
    (((2, "C2H6"), (7, "O2")), ((4, "CO2"), (6, "H2O"))),
    (((2, "C4H10"), (13, "O2")), ((8, "CO2"), (10, "H2O"))),
    (((1, "C2H6O"), (3, "O2")), ((2, "CO2"), (3, "H2O"))),
    (((1, "C6H12O6"), (6, "O2")), ((6, "CO2"), (6, "H2O"))),
)

_PART = re.compile(r"([A-Z][a-z]?)([0-9]*)|\(([A-Za-z0-9]+)\)([0-9]+)")


@lru_cache(maxsize=50_000)
def terms(formula: str) -> tuple[tuple[str, int], ...]:
    """Elements and their counts in order of first appearance.

    >>> terms("Ca(OH)2")
    (('Ca', 1), ('O', 2), ('H', 2))
    """
    counts: dict[str, int] = {}
    for symbol, count, group, times in _PART.findall(formula):
        inner = terms(group) if group else ((symbol, 1),)
        for element, number in inner:
            counts[element] = counts.get(element, 0) + number * int(times or count or 1)
    return tuple(counts.items())


# A calculation is a list of nodes; a node names earlier nodes by index or holds plain numbers.
# JSON: ["term", label, mass, count] | ["sum", [node, ...]] | [op, operand, operand] where op is
# "+", "*", "/", "%" (a quotient rounded to one decimal) or "<" (the smaller one), and an operand is a
# node's index or a number as text.
Node: TypeAlias = "list[Any]"


@dataclass(slots=True)
class _Calculation:
    """Nodes, their values and the lines of the plain solution, built together."""

    nodes: list[Node] = field(default_factory=list)
    values: list[Decimal] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def term(self, label: str, mass: Decimal, count: int) -> int:
        value = mass * count
        self.lines.append(f"{label} {plain(mass)}*{count}={plain(value)}")
        return self._add(["term", label, plain(mass), count], value)

    def total(self, parts: Sequence[int]) -> int:
        """The sum of nodes, added up from the left; of one node, that node."""
        if len(parts) == 1:
            return parts[0]
        value = self.values[parts[0]]
        for part in parts[1:]:
            after = value + self.values[part]
            self.lines.append(f"{plain(value)}+{plain(self.values[part])}={plain(after)}")
            value = after
        return self._add(["sum", list(parts)], value)

    def mass(self, formula: str) -> int:
        """The molar mass of a formula, ``*5H2O`` included."""
        salt, _, water = formula.partition("*")
        parts = [self.term(element, MASSES[element], count) for element, count in terms(salt)]
        if water:
            parts.append(self.term("H2O", _WATER, int(water.removesuffix("H2O"))))
        return self.total(parts)

    def binary(self, op: str, left: int | Decimal, right: int | Decimal) -> int:
        """``op`` of two operands; ``%`` is written as a division, ``<`` has the smaller one first."""
        a, b = self.number(left), self.number(right)
        value = _apply(op, a, b)
        sign = "/" if op == "%" else op
        ending = "" if op == "<" else f"={plain(value)}"
        self.lines.append(f"{plain(a)}{sign}{plain(b)}{ending}")
        operands = [each if isinstance(each, int) else plain(each) for each in (left, right)]
        return self._add([op, *operands], value)

    def number(self, operand: int | Decimal) -> Decimal:
        return self.values[operand] if isinstance(operand, int) else operand

    def _add(self, node: Node, value: Decimal) -> int:
        self.nodes.append(node)
        self.values.append(value)
        return len(self.nodes) - 1


def _apply(op: str, a: Decimal, b: Decimal) -> Decimal:
    if op == "+":
        return a + b
    if op == "*":
        return a * b
    if op == "/":
        return a / b
    if op == "%":
        return (a / b).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return min(a, b)


#: a worded question, the calculation and the unit of its last node
Drawn: TypeAlias = "tuple[str, _Calculation, str]"


class ChemistryFamily(Family):
    """A family given by one function from generator and difficulty to a question and its calculation."""

    domain = "chemistry"

    def __init__(self, name: str, build: Callable[[random.Random, int], Drawn]) -> None:
        self.name = name
        self._build = build

    def draw(self, rng: random.Random, difficulty: int) -> Worked:
        """A question, its calculation and the plain order of its lines."""
        question, calculation, unit = self._build(rng, difficulty)
        answer = f"{plain(calculation.values[-1])} {unit}"
        problem = Problem(
            problem_id=f"{self.name}-{hashlib.sha256(question.encode()).hexdigest()[:12]}",
            family=self.name,
            domain="chemistry",
            question=question,
            answer=answer,
            meta={"calculation": calculation.nodes},
        )
        return Worked(problem, (*calculation.lines, f"#{answer}"))

    def right_so_far(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        """See the module: every line does one open operation of the calculation."""
        domain = ChemistryDomain()
        whole = domain.read(problem, "\n".join(steps))
        if whole is not None and domain.grade(problem, whole):
            return (True,) * len(steps)
        nodes = problem.meta["calculation"]
        values = _values(nodes)
        states = {_opening(nodes, values)}
        truths: list[bool] = []
        for step in steps:
            for line in map(str.strip, step.split("\n")):
                if line.startswith("#"):
                    answer = domain.read(problem, line)
                    if answer is None or not domain.grade(problem, answer):
                        states = set()
                elif line and states:
                    states = {after for state in states for after in _after(nodes, values, state, line)}
            truths.append(bool(states))
        return tuple(truths)


#: which nodes other than sums are done; and of each sum (by index) the addends that lie ready
_State: TypeAlias = "tuple[frozenset[int], tuple[tuple[int, tuple[Decimal, ...]], ...]]"

_TERM = re.compile(r"([A-Z][A-Za-z0-9]{0,3}) ([0-9.]{1,12})\*([0-9]{1,6})=([0-9.]{1,12})\Z")
_LINE = re.compile(r"([0-9.]{1,12})([-+*/<>])([0-9.]{1,12})(?:=([0-9.]{1,12}))?\Z")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z")


def _values(nodes: Sequence[Node]) -> list[Decimal]:
    values: list[Decimal] = []
    for kind, *rest in nodes:
        if kind == "term":
            values.append(Decimal(rest[1]) * rest[2])
        elif kind == "sum":
            values.append(sum((values[part] for part in rest[0]), Decimal(0)))
        else:
            left, right = (values[each] if isinstance(each, int) else Decimal(each) for each in rest)
            values.append(_apply(kind, left, right))
    return values


def _opening(nodes: Sequence[Node], values: Sequence[Decimal]) -> _State:
    return frozenset(), tuple((index, ()) for index, node in enumerate(nodes) if node[0] == "sum")


def _ready(nodes: Sequence[Node], values: Sequence[Decimal], state: _State, node: int) -> bool:
    """Whether the value of a node is known in a state."""
    done, pools = state
    if nodes[node][0] != "sum":
        return node in done
    # A pool that has merged into one number equal to the whole is the whole: all addends are positive.
    return next(pool for index, pool in pools if index == node) == (values[node],)


def _finish(nodes: Sequence[Node], values: Sequence[Decimal], state: _State, node: int) -> _State:
    """The state once a node's value is known: it joins the pool of every sum that adds it."""
    done, pools = state
    fresh = tuple(
        (index, tuple(sorted((*pool, values[node]))) if node in nodes[index][1] else pool)
        for index, pool in pools
    )
    return (done | {node} if nodes[node][0] != "sum" else done), fresh


def _after(nodes: Sequence[Node], values: Sequence[Decimal], state: _State, line: str) -> list[_State]:
    """The states that a line can lead to; none if it is wrong or of no use."""
    found = _TERM.match(line)
    if found is not None:
        return _after_term(nodes, values, state, found.groups())
    found = _LINE.match(line)
    if found is None:
        return []
    left, sign, right, result = found.groups()
    if not all(_NUMBER.match(text) for text in (left, right, result or "0")):
        return []
    a, b = Decimal(left), Decimal(right)
    c = None if result is None else Decimal(result)
    after = _after_sum(nodes, values, state, a, b, c) if sign == "+" else []
    if sign == ">":
        a, b, sign = b, a, "<"
    for index, (kind, *operands) in enumerate(nodes):
        if index in state[0] or kind in ("term", "sum") or sign != ("/" if kind == "%" else kind):
            continue
        if not all(_ready(nodes, values, state, each) for each in operands if isinstance(each, int)):
            continue
        numbers = [values[each] if isinstance(each, int) else Decimal(each) for each in operands]
        fits = (a, b) == tuple(numbers) or (sign in "+*" and (b, a) == tuple(numbers))
        if sign == "<":
            fits = sorted(numbers) == [a, b] and c is None
        elif c != values[index]:
            fits = False
        if fits:
            after.append(_finish(nodes, values, state, index))
    return after


def _after_term(
    nodes: Sequence[Node], values: Sequence[Decimal], state: _State, parts: tuple[str | Any, ...]
) -> list[_State]:
    label, mass, count, result = parts
    if not (_NUMBER.match(mass) and _NUMBER.match(result)):
        return []
    after = []
    for index, node in enumerate(nodes):
        if node[0] != "term" or node[1] != label or index in state[0]:
            continue
        if (Decimal(node[2]), node[3], values[index]) == (Decimal(mass), int(count), Decimal(result)):
            after.append(_finish(nodes, values, state, index))
    return after


def _after_sum(
    nodes: Sequence[Node],
    values: Sequence[Decimal],
    state: _State,
    a: Decimal,
    b: Decimal,
    c: Decimal | None,
) -> list[_State]:
    if c != a + b:
        return []
    done, pools = state
    after = []
    for place, (index, pool) in enumerate(pools):
        rest = list(pool)
        if a not in rest:
            continue
        rest.remove(a)
        if b not in rest:
            continue
        rest.remove(b)
        merged = (index, tuple(sorted((*rest, a + b))))
        fresh: _State = (done, (*pools[:place], merged, *pools[place + 1 :]))
        after.append(_finish(nodes, values, fresh, index) if merged[1] == (values[index],) else fresh)
    return after


def _organic(rng: random.Random, difficulty: int) -> str:
    """A formula of C, H and at most two more; counts grow with difficulty."""
    carbons = rng.randrange(1, 3 + 2 * difficulty)
    hydrogens = rng.randrange(1, 2 * carbons + 3)
    text = _count("C", carbons) + _count("H", hydrogens)
    others = rng.randrange(0, 2 if difficulty < 4 else 3)
    for symbol in sorted(rng.sample(("Br", "Cl", "N", "O", "S"), others)):
        text += _count(symbol, rng.randrange(1, 3 + difficulty // 2))
    return text


def _count(symbol: str, count: int) -> str:
    return symbol if count == 1 else f"{symbol}{count}"


def _compound(rng: random.Random, difficulty: int) -> str:
    """A formula whose size grows with difficulty."""
    if difficulty <= 2:
        return rng.choice(_BINARY)
    if difficulty <= 5:
        return rng.choice((rng.choice(_BINARY), rng.choice(_FLAT_SALTS), _organic(rng, difficulty)))
    return rng.choice((rng.choice(_SALTS), rng.choice(_PAREN_SALTS), _organic(rng, difficulty)))


def _moles(rng: random.Random, difficulty: int) -> Decimal:
    """Whole below difficulty 4, halves below 8, tenths above."""
    if difficulty < 4:
        return Decimal(rng.randrange(2, 10))
    if difficulty < 8:
        return Decimal(rng.randrange(1, 20)) / 2
    return Decimal(rng.randrange(1, 100)) / 10


def _molar_mass_question(rng: random.Random, formula: str) -> str:
    return rng.choice(
        (
            f"What is the molar mass of {formula}?",
            f"Find the molar mass of {formula}.",
            f"Give the molar mass of {formula} in g/mol.",
            f"How heavy is one mol of {formula}?",
        )
    )


def _molar_mass(rng: random.Random, difficulty: int) -> Drawn:
    formula = rng.choice(_BINARY) if difficulty == 1 else _organic(rng, difficulty - 1)
    if difficulty > 1 and rng.random() < 0.25:
        formula = rng.choice(_BINARY if difficulty < 4 else _FLAT_SALTS)
    calculation = _Calculation()
    calculation.mass(formula)
    return _molar_mass_question(rng, formula), calculation, "g/mol"


def _groups(rng: random.Random, difficulty: int) -> Drawn:
    if difficulty <= 3:
        formula = _salt(rng.choice(_CATIONS[4:-1]), rng.choice(_GROUP_ANIONS[: 4 + difficulty]))
    elif difficulty <= 6 and rng.random() < 0.5:
        formula = rng.choice(_PAREN_SALTS)
    else:
        formula = _esters(rng, difficulty)
    calculation = _Calculation()
    calculation.mass(formula)
    return _molar_mass_question(rng, formula), calculation, "g/mol"


def _esters(rng: random.Random, difficulty: int) -> str:
    """A metal with several copies of an organic group: Ca(C3H5O2)2."""
    metal, charge = rng.choice(_CATIONS[4:-1])
    carbons = rng.randrange(1, difficulty)
    hydrogens = rng.randrange(1, 2 * carbons + 2)
    group = _count("C", carbons) + _count("H", hydrogens) + _count("O", rng.randrange(1, 5))
    return f"{metal}({group}){charge}"


def _hydrate(rng: random.Random, difficulty: int) -> Drawn:
    pool = _HYDRATED if difficulty > 3 else tuple(f for f in _HYDRATED if "(" not in f)
    formula = f"{rng.choice(pool)}*{rng.randrange(2, 4 + difficulty)}H2O"
    calculation = _Calculation()
    molar = calculation.mass(formula)
    if difficulty < 6:
        return _molar_mass_question(rng, formula), calculation, "g/mol"
    moles = _moles(rng, difficulty)
    _times(calculation, molar, moles)
    return _mass_question(rng, plain(moles), formula), calculation, "g"


def _mass_question(rng: random.Random, moles: str, formula: str) -> str:
    return rng.choice(
        (
            f"What is the mass of {moles} mol of {formula}?",
            f"Find the mass of {moles} mol of {formula} in g.",
            f"How many grams are {moles} mol of {formula}?",
            f"You need {moles} mol of {formula}. How many grams is that?",
        )
    )


def _mass_of_moles(rng: random.Random, difficulty: int) -> Drawn:
    formula, moles = _compound(rng, difficulty), _moles(rng, difficulty)
    calculation = _Calculation()
    _times(calculation, calculation.mass(formula), moles)
    return _mass_question(rng, plain(moles), formula), calculation, "g"


def _moles_of_mass(rng: random.Random, difficulty: int) -> Drawn:
    formula, moles = _compound(rng, difficulty), _moles(rng, difficulty)
    calculation = _Calculation()
    molar = calculation.mass(formula)
    mass = calculation.values[molar] * moles
    calculation.binary("/", mass, molar)
    grams = plain(mass)
    question = rng.choice(
        (
            f"How many moles are {grams} g of {formula}?",
            f"You have {grams} g of {formula}. How many moles is that?",
            f"In a jar are {grams} g of {formula}. Find the moles.",
            f"Give the moles in {grams} g of {formula}.",
        )
    )
    return question, calculation, "mol"


def _percent(rng: random.Random, difficulty: int) -> Drawn:
    while True:
        formula = _compound(rng, difficulty + 1)
        parts = terms(formula)
        if len(parts) > 1:
            break
    element, _ = rng.choice(parts)
    calculation = _Calculation()
    molar = calculation.mass(formula)
    node = [name for name, _ in parts].index(element)
    hundred = calculation.binary("*", node, Decimal(100))
    calculation.binary("%", hundred, molar)
    question = rng.choice(
        (
            f"What is the mass percent of {element} in {formula}?",
            f"Find the mass percent of {element} in {formula}.",
            f"How much of {formula} is {element}, in mass percent?",
        )
    )
    return question, calculation, "%"


def _mixture(rng: random.Random, difficulty: int) -> Drawn:
    """The mass of two compounds: moles of one and grams of the other; from difficulty 6 moles of both."""
    first, second = rng.sample(_BINARY if difficulty < 4 or difficulty > 5 else _FLAT_SALTS, 2)
    calculation = _Calculation()
    moles = _moles(rng, 1 if difficulty < 4 or 5 < difficulty < 9 else 5)
    part = _times(calculation, calculation.mass(first), moles)
    told = [f"{plain(moles)} mol of {first}"]
    if difficulty < 6:
        grams = Decimal(rng.randrange(2, 100))
        calculation.binary("+", part, grams)
        told.append(f"{plain(grams)} g of {second}")
    else:
        other = _moles(rng, 1)
        calculation.total([part, _times(calculation, calculation.mass(second), other)])
        told.append(f"{plain(other)} mol of {second}")
    question = rng.choice(
        (
            f"Mix {told[0]} with {told[1]}. What is the mass?",
            f"What is the mass of {told[0]} and {told[1]}?",
            f"In a jar are {told[0]} and {told[1]}. How many grams is that?",
        )
    )
    return question, calculation, "g"


def _times(calculation: _Calculation, node: int, amount: int | Decimal) -> int:
    """A node times an amount; no line for an amount of 1."""
    if calculation.number(amount) == 1:
        return node
    return calculation.binary("*", node, amount)


def _equation(rng: random.Random, difficulty: int) -> tuple[tuple[tuple[int, str], ...], ...]:
    """Reactants and products; longer ones with difficulty."""
    return rng.choice(REACTIONS[: 8 + 4 * difficulty])


def _write(sides: tuple[tuple[tuple[int, str], ...], ...]) -> str:
    return " = ".join(
        " + ".join(formula if count == 1 else f"{count} {formula}" for count, formula in side)
        for side in sides
    )


def _product(rng: random.Random, difficulty: int) -> Drawn:
    """From moles (below difficulty 6) or grams of one reactant to the mass of one product."""
    sides = _equation(rng, difficulty)
    weighed = [part for part in sides[0] if difficulty < 6 or len(terms(part[1])) < 3]
    (used, reactant), (made, product) = rng.choice(weighed or sides[0]), rng.choice(sides[1])
    calculation = _Calculation()
    moles = _moles(rng, min(difficulty, 7)) * (used if used > 2 or difficulty < 4 else 1)
    amount: int | Decimal = moles
    given = f"{plain(moles)} mol of {reactant}"
    if difficulty >= 6:
        molar = calculation.mass(reactant)
        grams = calculation.values[molar] * moles
        given = f"{plain(grams)} g of {reactant}"
        amount = calculation.binary("/", grams, molar)
    if used != 1:
        amount = calculation.binary("/", amount, Decimal(used))
    if made != 1:
        amount = calculation.binary("*", amount, Decimal(made))
    _times(calculation, calculation.mass(product), amount)
    question = rng.choice(
        (
            f"{_write(sides)}. What mass of {product} do {given} give?",
            f"{_write(sides)}. How many grams of {product} come from {given}?",
            f"In {_write(sides)}, find the mass of {product} from {given}.",
        )
    )
    return question, calculation, "g"


def _limiting(rng: random.Random, difficulty: int) -> Drawn:
    """Moles of two reactants; the scarcer one decides the mass of a product."""
    while True:
        sides = _equation(rng, difficulty)
        (used_a, first), (used_b, second) = sides[0][:2]
        extent_a, extent_b = _moles(rng, min(difficulty, 6)), _moles(rng, min(difficulty, 6))
        if extent_a != extent_b:
            break
    moles_a, moles_b = extent_a * used_a, extent_b * used_b
    made, product = rng.choice(sides[1])
    calculation = _Calculation()
    a: int | Decimal = moles_a if used_a == 1 else calculation.binary("/", moles_a, Decimal(used_a))
    b: int | Decimal = moles_b if used_b == 1 else calculation.binary("/", moles_b, Decimal(used_b))
    low, high = (a, b) if extent_a < extent_b else (b, a)
    amount: int | Decimal = calculation.binary("<", low, high)
    if made != 1:
        amount = calculation.binary("*", amount, Decimal(made))
    _times(calculation, calculation.mass(product), amount)
    told = f"{plain(moles_a)} mol of {first} and {plain(moles_b)} mol of {second}"
    question = rng.choice(
        (
            f"{_write(sides)}. What mass of {product} do {told} give?",
            f"{_write(sides)}. How many grams of {product} come from {told}?",
            f"Mix {told}: {_write(sides)}. Find the mass of {product}.",
        )
    )
    return question, calculation, "g"


def _element_in_moles(rng: random.Random, difficulty: int) -> Drawn:
    """The mass of one element in some moles of a compound."""
    formula, moles = _compound(rng, difficulty), _moles(rng, difficulty)
    element, count = rng.choice(terms(formula))
    calculation = _Calculation()
    _times(calculation, calculation.term(element, MASSES[element], count), moles)
    question = rng.choice(
        (
            f"How many grams of {element} are in {plain(moles)} mol of {formula}?",
            f"Find the mass of {element} in {plain(moles)} mol of {formula}.",
        )
    )
    return question, calculation, "g"


def _three(rng: random.Random, difficulty: int) -> Drawn:
    """The mass of moles of three compounds."""
    formulas = rng.sample(_BINARY if difficulty < 6 else _FLAT_SALTS, 3)
    calculation = _Calculation()
    told, parts = [], []
    for formula in formulas:
        moles = _moles(rng, 1)
        parts.append(_times(calculation, calculation.mass(formula), moles))
        told.append(f"{plain(moles)} mol of {formula}")
    calculation.total(parts)
    given = f"{told[0]} and {told[1]} and {told[2]}"
    question = rng.choice((f"What is the mass of {given}?", f"In a jar are {given}. How many grams is that?"))
    return question, calculation, "g"


def _reactant(rng: random.Random, difficulty: int) -> Drawn:
    """From moles of a product back to the mass of one reactant."""
    sides = _equation(rng, difficulty)
    (used, reactant), (made, product) = rng.choice(sides[0]), rng.choice(sides[1])
    calculation = _Calculation()
    extent = _moles(rng, min(difficulty, 6))
    moles = extent * made
    amount: int | Decimal = moles
    given = f"{plain(moles)} mol of {product}"
    if made != 1:
        amount = calculation.binary("/", amount, Decimal(made))
    if used != 1:
        amount = calculation.binary("*", amount, Decimal(used))
    _times(calculation, calculation.mass(reactant), amount)
    question = rng.choice(
        (
            f"{_write(sides)}. How many grams of {reactant} give {given}?",
            f"In {_write(sides)}, find the mass of {reactant} from {given}.",
        )
    )
    return question, calculation, "g"


def _hydrate_percent(rng: random.Random, difficulty: int) -> Drawn:
    """The share of water in a hydrate."""
    pool = _HYDRATED if difficulty > 5 else tuple(f for f in _HYDRATED if "(" not in f)
    formula = f"{rng.choice(pool)}*{rng.randrange(2, 4 + difficulty)}H2O"
    calculation = _Calculation()
    molar = calculation.mass(formula)
    water = calculation.nodes.index(next(node for node in calculation.nodes if node[1] == "H2O"))
    calculation.binary("%", calculation.binary("*", water, Decimal(100)), molar)
    return f"What is the mass percent of H2O in {formula}?", calculation, "%"


FAMILIES: tuple[Family, ...] = (
    ChemistryFamily("chemistry-molar-mass", _molar_mass),
    ChemistryFamily("chemistry-groups", _groups),
    ChemistryFamily("chemistry-hydrates", _hydrate),
    ChemistryFamily("chemistry-mass-of-moles", _mass_of_moles),
    ChemistryFamily("chemistry-moles-of-mass", _moles_of_mass),
    ChemistryFamily("chemistry-percent", _percent),
    ChemistryFamily("chemistry-mixture", _mixture),
    ChemistryFamily("chemistry-product", _product),
    ChemistryFamily("chemistry-limiting", _limiting),
)

#: no model was trained on them: ``training.lab.held_out``
LOCKED_FAMILIES: tuple[Family, ...] = (
    ChemistryFamily("chemistry-element-in-moles", _element_in_moles),
    ChemistryFamily("chemistry-three", _three),
    ChemistryFamily("chemistry-reactant", _reactant),
    ChemistryFamily("chemistry-water-percent", _hydrate_percent),
)
