r"""Whether an answer is a reference, shape by shape. Works on values that are known; computes none.

Only the rule of percents depends on which of the two is the reference. ``35\%`` as a reference is ``0.35``
and ``35`` too (questions ask "what percent"); ``0.35`` as a reference is ``35\%``, never ``0.35\%``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from search.grading.mathematics.answer_names import (
    are_numbered,
    is_name,
    is_number,
    letters_in,
    letters_of,
    names_of,
)
from search.grading.mathematics.answer_reading import shaped
from search.grading.mathematics.answer_sets import Lookup, are_same_sets, is_set_like, pieces
from search.grading.mathematics.answer_shape import (
    Clock,
    Items,
    Lettered,
    Matrix,
    Ratio,
    Relation,
    Residue,
    Scalar,
    Shape,
    Union,
    Words,
)  # fmt: skip
from search.grading.mathematics.answer_units import factor
from search.grading.mathematics.answer_values import Value, are_proportional, are_same

__all__ = ["is_answer", "leaves"]

_ORDERS = ("<", ">", r"\le", r"\ge")
_FLIPPED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}
#: relations whose sides may change places
_SYMMETRIC = frozenset({"=", r"\ne", r"\approx", r"\equiv", r"\sim", r"\cong", r"\parallel", r"\perp"})
_RADIANS = r"({})*\pi/180"


def leaves(shape: Shape) -> list[str]:
    """The expressions whose values tell whether an answer of this shape is another, each once."""
    return list(dict.fromkeys(_leaves(shape)))


def _leaves(shape: Shape) -> Iterator[str]:
    if isinstance(shape, Scalar):
        yield shape.text
        if shape.unit == "deg":
            yield _RADIANS.format(shape.text)
        return
    if isinstance(shape, Relation):
        yield from _differences(shape)
    for part in _parts(shape):
        yield from _leaves(part)


def _parts(shape: Shape) -> Sequence[Shape]:
    if isinstance(shape, Items):
        return shape.items
    if isinstance(shape, Union):
        return shape.parts
    if isinstance(shape, Relation):
        return shape.sides
    if isinstance(shape, Ratio):
        return shape.terms
    if isinstance(shape, Matrix):
        return [cell for row in shape.rows for cell in row]
    if isinstance(shape, Residue):
        return (shape.value, shape.modulus)
    return () if not isinstance(shape, Lettered) or shape.content is None else (shape.content,)


def _differences(shape: Relation) -> list[str]:
    """Left minus right, where the relation has two sides that are expressions."""
    if len(shape.sides) != 2:
        return []
    left, right = shape.sides
    if not (isinstance(left, Scalar) and isinstance(right, Scalar)):
        return []
    return [f"({left.text})-({right.text})"]


def is_answer(reference: Shape, answer: Shape, lookup: Lookup) -> bool:
    """Whether the answer is the reference. ``lookup`` gives the values that are known, None for others."""
    return _Equality(lookup).same(reference, answer)


class _Equality:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def same(self, first: Shape, second: Shape) -> bool:
        if first == second:
            return True
        for rule in (self._lettered, self._sets, self._relations, self._ambiguous):
            found = rule(first, second)
            if found is not None:
                return found
        if isinstance(first, Scalar) and isinstance(second, Scalar):
            return self._scalars(first, second)
        if isinstance(first, Items) and isinstance(second, Items):
            return self._items(first, second)
        if isinstance(first, Matrix) or isinstance(second, Matrix):
            return self._matrices(first, second)
        if isinstance(first, Residue) or isinstance(second, Residue):
            return self._residues(first, second)
        if isinstance(first, Clock | Ratio) or isinstance(second, Clock | Ratio):
            return self._clocks(first, second)
        return self._mixed(first, second)

    # ---- choices and words

    def _lettered(self, first: Shape, second: Shape) -> bool | None:
        if isinstance(first, Lettered) and isinstance(second, Lettered):
            return first.letter == second.letter
        if not isinstance(first, Lettered) and not isinstance(second, Lettered):
            return None
        choice, other, swapped = (
            (first, second, False) if isinstance(first, Lettered) else (second, first, True)
        )
        assert isinstance(choice, Lettered)
        if other == Scalar(choice.letter) or other == Words(choice.letter.casefold()):
            return True
        if choice.content is None:
            return False
        return self.same(other, choice.content) if swapped else self.same(choice.content, other)

    def _mixed(self, first: Shape, second: Shape) -> bool:
        """Shapes of different kinds: one item that is a set of one, words that are written as letters."""
        for one, other in ((first, second), (second, first)):
            if not isinstance(one, Items):
                continue
            # {5} is 5; "1/2, or 0.5" is 1/2
            items = self._kept(one)
            is_one = len(items) == 1 if one.brackets == "{}" else one.joined == "or"
            if is_one and items:
                return all(
                    self.same(item, other) if one is first else self.same(other, item) for item in one.items
                )
        texts = [_letters_only(shape) for shape in (first, second)]
        return texts[0] is not None and texts[0] == texts[1]

    # ---- sets and relations

    def _sets(self, first: Shape, second: Shape) -> bool | None:
        if not (is_set_like(first) or is_set_like(second)):
            return None
        if isinstance(first, Relation) and isinstance(second, Relation):
            if self._same_sides(first, second):
                return True
            if letters_in(first) != letters_in(second) and r"\in" not in (
                *first.operators,
                *second.operators,
            ):
                return False
        one, two = pieces(first, self._lookup), pieces(second, self._lookup)
        if one is not None and two is not None:
            return are_same_sets(one, two)
        if isinstance(first, Union) and isinstance(second, Union):
            return first.operator == second.operator and self._unordered(first.parts, second.parts)
        return None

    def _relations(self, first: Shape, second: Shape) -> bool | None:
        if isinstance(first, Relation) and isinstance(second, Relation):
            return self._two_relations(first, second)
        if isinstance(first, Relation) and not isinstance(second, Items | Lettered):
            value = self._named(first)
            return value is not None and self.same(value, second)
        if isinstance(second, Relation) and not isinstance(first, Items | Lettered):
            value = self._named(second)
            return value is not None and self.same(first, value)
        for one, other in ((first, second), (second, first)):
            if isinstance(one, Relation) and isinstance(other, Items):
                value = self._named(one)
                if value is not None:
                    return self.same(value, other) if one is first else self.same(other, value)
                return False
        return None

    def _two_relations(self, first: Relation, second: Relation) -> bool:
        if self._same_sides(first, second):
            return True
        if first.operators == second.operators == (r"\in",):
            return self.same(first.sides[1], second.sides[1])
        if "=" in (first.operators[0], second.operators[0]) and r"\in" in (
            first.operators[0],
            second.operators[0],
        ):
            # x=... and x\in{...} both say what x is
            return self.same(first.sides[0], second.sides[0]) and self.same(first.sides[-1], second.sides[-1])
        if len(first.sides) > 2 or len(second.sides) > 2:
            one, two = self._assigned(first), self._assigned(second)
            return one is not None and two is not None and self._same_sides(one, two)
        return self._are_one_equation(first, second)

    def _same_sides(self, first: Relation, second: Relation) -> bool:
        if first.operators == second.operators and self._ordered(first.sides, second.sides):
            return True
        turned = tuple(_FLIPPED.get(operator, operator) for operator in reversed(second.operators))
        if first.operators != turned or not set(turned) <= {*_SYMMETRIC, *_ORDERS}:
            return False
        return self._ordered(first.sides, second.sides[::-1])

    def _are_one_equation(self, first: Relation, second: Relation) -> bool:
        """Whether the differences of the sides are one, but for a factor."""
        one, two = _differences(first), _differences(second)
        if not one or not two:
            return False
        (a,), (b,) = first.operators, second.operators
        values = self._lookup(one[0]), self._lookup(two[0])
        if values[0] is None or values[1] is None or len(values[0].points) < 2 or len(values[1].points) < 2:
            return False
        if a == b and a in ("=", r"\ne"):
            return are_proportional(values[0], values[1], positive=False)
        if a not in _ORDERS or b not in _ORDERS:
            return False
        if a == b:
            return are_proportional(values[0], values[1], positive=True)
        return a == _FLIPPED[b] and are_proportional(values[0], values[1].times(Fraction(-1)), positive=True)

    def _named(self, relation: Relation) -> Shape | None:
        """The value that a relation gives to a name: 5 of ``x=5``, ``5=x``, ``AB=2+3=5``, ``x\\approx5``."""
        if relation.operators == (r"\in",):
            return relation.sides[1]
        if not all(operator in ("=", r"\approx") for operator in relation.operators):
            return None
        if is_name(relation.sides[0]) or all(is_number(side) for side in relation.sides):
            return relation.sides[-1]
        if is_name(relation.sides[-1]):
            return relation.sides[0]
        return None

    def _assigned(self, relation: Relation) -> Relation | None:
        value = self._named(relation)
        if value is None or relation.operators[0] == r"\in":
            return None
        name = relation.sides[0] if value is not relation.sides[0] else relation.sides[-1]
        return Relation(("=",), (name, value))

    # ---- lists

    def _ambiguous(self, first: Shape, second: Shape) -> bool | None:
        """``100,200`` is a number as well as a list: which, the other tells."""
        for one, other in ((first, second), (second, first)):
            if isinstance(one, Scalar) and isinstance(other, Items) and "," in one.text and not one.unit:
                items = tuple(shaped(part) for part in one.text.split(","))
                both = Items("", items)
                return self._items(both, other) if one is first else self._items(other, both)
        return None

    def _items(self, first: Items, second: Items) -> bool:
        kinds = {first.brackets, second.brackets}
        if kinds <= {"", "{}"}:
            one, two = self._kept(first), self._kept(second)
            if len(one) != len(two):
                return False
            if names_of(one) and names_of(two) and names_of(one) != names_of(two):
                return self._ordered(self._values(one), self._values(two)) and are_numbered(one, two)
            if (names_of(one) or names_of(two)) and len(set(letters_of(one) or letters_of(two))) > 1:
                return (
                    self._unordered(one, two) if names_of(one) == names_of(two) else self._ordered(one, two)
                )
            return self._unordered(one, two)
        if len(kinds) == 1:
            return self._ordered(first.items, second.items)
        if kinds == {"", "()"}:
            return self._ordered(self._values(first.items), self._values(second.items))
        return False

    def _kept(self, shape: Items) -> tuple[Shape, ...]:
        """The items; of a set each once."""
        if shape.brackets != "{}":
            return shape.items
        kept: list[Shape] = []
        for item in shape.items:
            if not any(self.same(other, item) for other in kept):
                kept.append(item)
        return tuple(kept)

    def _values(self, items: Sequence[Shape]) -> list[Shape]:
        return [(self._named(item) or item) if isinstance(item, Relation) else item for item in items]

    def _ordered(self, first: Sequence[Shape], second: Sequence[Shape]) -> bool:
        return len(first) == len(second) and all(map(self.same, first, second))

    def _unordered(self, first: Sequence[Shape], second: Sequence[Shape]) -> bool:
        left = list(second)
        for item in first:
            found = next((place for place, other in enumerate(left) if self.same(item, other)), None)
            if found is None:
                return False
            del left[found]
        return not left

    # ---- numbers

    def _scalars(self, reference: Scalar, answer: Scalar) -> bool:
        first, second = self._lookup(reference.text), self._lookup(answer.text)
        if first is None or second is None:
            return reference.text == answer.text and _are_units(reference, answer)
        if reference.percent or answer.percent:
            return _are_percents(reference, first, answer, second)
        if reference.unit and answer.unit and reference.unit != answer.unit:
            times = factor(answer.unit, reference.unit)
            if times is not None:
                return are_same(first, second.times(times))
            return _are_units(reference, answer) and are_same(first, second)
        if are_same(first, second):
            return True
        for one, other, value in ((reference, answer, second), (answer, reference, first)):
            if one.unit == "deg" and not other.unit:
                radians = self._lookup(_RADIANS.format(one.text))
                return radians is not None and are_same(radians, value) and not radians.exact
        return False

    def _matrices(self, first: Shape, second: Shape) -> bool:
        first, second = _as_matrix(first), _as_matrix(second)
        if isinstance(first, Matrix) and isinstance(second, Matrix):
            return (
                first.kind == second.kind
                and len(first.rows) == len(second.rows)
                and all(self._ordered(a, b) for a, b in zip(first.rows, second.rows, strict=True))
            )
        for one, other in ((first, second), (second, first)):
            if isinstance(one, Matrix) and isinstance(other, Items) and other.brackets == "()":
                column = [row[0] for row in one.rows if len(row) == 1]
                return len(column) == len(one.rows) and self._ordered(column, other.items)
        return False

    def _residues(self, first: Shape, second: Shape) -> bool:
        if isinstance(first, Residue) and isinstance(second, Residue):
            return self.same(first.modulus, second.modulus) and (
                self.same(first.value, second.value) or self._are_congruent(first, second)
            )
        residue, other = (first, second) if isinstance(first, Residue) else (second, first)
        return isinstance(residue, Residue) and self.same(residue.value, other)

    def _are_congruent(self, first: Residue, second: Residue) -> bool:
        numbers = [self._exact(shape) for shape in (first.value, second.value, first.modulus)]
        a, b, modulus = numbers
        if a is None or b is None or not modulus:
            return False
        return (a - b) % modulus == 0

    def _exact(self, shape: Shape) -> Fraction | None:
        value = self._lookup(shape.text) if isinstance(shape, Scalar) else None
        return None if value is None else value.exact

    def _clocks(self, first: Shape, second: Shape) -> bool:
        if isinstance(first, Clock) and isinstance(second, Clock):
            halves = {first.half, second.half} - {""}
            return (first.hour, first.minute) == (second.hour, second.minute) and len(halves) < 2
        for one, other in ((first, second), (second, first)):
            if isinstance(one, Clock) and one.half:
                return one.minute == 0 and other == Scalar(str(one.hour))
        terms, others = self._terms(first), self._terms(second)
        if terms is None or others is None or len(terms) != len(others) or not all(terms) or not all(others):
            return False
        return all(a * others[0] == b * terms[0] for a, b in zip(terms, others, strict=True))

    def _terms(self, shape: Shape) -> list[Fraction] | None:
        """The terms of a ratio; a number is one to 1."""
        if isinstance(shape, Clock):
            return [Fraction(shape.hour), Fraction(shape.minute)]
        if isinstance(shape, Ratio):
            terms = [self._exact(term) for term in shape.terms]
            known = [term for term in terms if term is not None]
            return known if len(known) == len(terms) else None
        value = self._exact(shape)
        return None if value is None else [value, Fraction(1)]


def _as_matrix(shape: Shape) -> Shape:
    """``[[1,2],[3,4]]`` as the matrix that it is; other shapes as they are."""
    if not isinstance(shape, Items) or shape.brackets != "[]":
        return shape
    rows = [row.items for row in shape.items if isinstance(row, Items) and row.brackets == "[]"]
    return Matrix("", tuple(rows)) if len(rows) == len(shape.items) else shape


def _are_units(first: Scalar, second: Scalar) -> bool:
    """Whether units that measure nothing known may be one: the same, none, or words that they share."""
    if not first.unit or not second.unit:
        return True
    one, two = (set(unit.replace("/", " ").split()) for unit in (first.unit, second.unit))
    if "deg" in one & two:
        return one <= two or two <= one
    return bool(one & two)


def _are_percents(reference: Scalar, first: Value, answer: Scalar, second: Value) -> bool:
    hundredth = Fraction(1, 100)
    if reference.percent:
        if answer.percent:
            return are_same(first, second)
        return are_same(first, second) or are_same(first.times(hundredth), second)
    if are_same(first, second.times(hundredth)):
        return True
    # the word is a unit; the sign is part of the number
    size = second.approximate()
    return answer.percent == "percent" and size is not None and size >= 1 and are_same(first, second)


def _letters_only(shape: Shape) -> str | None:
    """Words and expressions as bare letters,
    to compare ``\\text{abc}`` with ``abc``; None for other shapes."""
    if isinstance(shape, Words):
        text = shape.text
    elif isinstance(shape, Scalar) and not shape.percent:
        text = f"{shape.text}{shape.unit}"
    else:
        return None
    return "".join(text.split()).replace("{", "").replace("}", "").casefold()
