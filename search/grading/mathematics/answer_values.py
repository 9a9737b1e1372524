"""Values of expressions: an exact fraction where there is one, else their values at fixed points.

Two expressions are the same when they have the same values, to some 39 digits, wherever their letters stand
for the same numbers: three positive ones, three of any sign, three whole ones. So every answer is worked out
once, by itself, and pairs are compared in no time. What has no value (``\\infty``, a name) is compared as it
is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from search.grading.mathematics.latex_expression import (
    BeyondError,
    Call,
    Node,
    Number,
    Power,
    Product,
    Sum,
    exact,
    parsed,
)

__all__ = ["Float", "Value", "are_proportional", "are_same", "exact_value", "written_key"]

#: mantissa and exponent of two: what a float of any size is
Float = tuple[int, int]
#: real and imaginary part
Point = tuple[Float, Float]

#: bits that two values have in common when they are the same; of sums, limits and integrals fewer are known
_BITS, _ROUGH_BITS = 130, 26
_PRECISION = 400
#: points at which both must have values
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression is worth.

    Parameters
    ----------
    key:
        The expression as it is written, terms and factors sorted.
    exact:
        Its value where it is rational.
    points:
        Its values elsewhere; None at a point where it has none. One point: it holds no letters.
    is_rough:
        Whether the points are good to some 8 digits only.
    """

    key: str
    exact: Fraction | None = None
    points: tuple[Point | None, ...] = ()
    is_rough: bool = False

    @classmethod
    def from_json(cls, key: str, told: dict[str, Any]) -> Value:
        """From what the worker says."""
        points = tuple(
            None if point is None else ((point[0][0], point[0][1]), (point[1][0], point[1][1]))
            for point in told["points"]
        )
        return cls(key, None, points, bool(told["rough"]))

    def times(self, factor: Fraction) -> Value:
        """The value multiplied by a number."""
        if self.exact is not None:
            return Value(f"{self.key}*{factor}", self.exact * factor)
        by = _float(factor)
        points = tuple(None if p is None else (_product(p[0], by), _product(p[1], by)) for p in self.points)
        return replace(self, key=f"{self.key}*{factor}", points=points)

    def approximate(self) -> float | None:
        """As a float, for sorting; None where it is no real number of moderate size."""
        if self.exact is not None:
            try:
                return float(self.exact)
            except OverflowError:
                return None
        if len(self.points) != 1 or self.points[0] is None or self.points[0][1][0]:
            return None
        (mantissa, exponent), _ = self.points[0]
        if abs(exponent + mantissa.bit_length()) > 1000:
            return None
        return float(Fraction(mantissa) * Fraction(2) ** exponent)


def exact_value(text: str) -> Value | None:
    """The value of a rational expression, at once; None where it takes more. Never raises."""
    try:
        node = parsed(text)
    except BeyondError:
        return None
    value = exact(node)
    return None if value is None else Value(_key(node), value)


def written_key(text: str) -> str:
    """An expression as it is written, terms and factors sorted; without spaces where it cannot be read."""
    try:
        return _key(parsed(text))
    except BeyondError:
        return "".join(text.split())


def _key(node: Node) -> str:
    if isinstance(node, Number):
        return f"{node.value.numerator:x}/{node.value.denominator:x}"  # decimal digits are limited
    if isinstance(node, Sum):
        return f"sum({','.join(sorted(map(_key, node.terms)))})"
    if isinstance(node, Product):
        return f"product({','.join(sorted(map(_key, node.factors)))})"
    if isinstance(node, Power):
        return f"power({_key(node.base)},{_key(node.exponent)})"
    if isinstance(node, Call):
        return f"{node.name}({','.join(map(_key, node.arguments))})"
    return f"<{node.name}>"


def are_same(first: Value, second: Value) -> bool:
    """Whether two values are one."""
    if first.exact is not None and second.exact is not None:
        return first.exact == second.exact
    if first.key == second.key:
        return True
    bits = _ROUGH_BITS if first.is_rough or second.is_rough else _BITS
    pairs = _paired(first, second)
    return bool(pairs) and all(_close(a, b, bits) for a, b in pairs)


def are_proportional(first: Value, second: Value, *, positive: bool) -> bool:
    """Whether one is the other times a constant that is not 0; ``positive``: that is more than 0."""
    pairs = [(a[0], b[0]) for a, b in _paired(first, second) if not a[1][0] and not b[1][0]]
    base = next(((a, b) for a, b in pairs if a[0] and b[0]), None)
    if base is None or len(pairs) < _FEWEST:
        return False
    if positive and (base[0][0] < 0) != (base[1][0] < 0):
        return False
    zero = (0, 0)
    return all(
        _close((_product(a, base[1]), zero), (_product(b, base[0]), zero), _BITS - 20) for a, b in pairs
    )


def _paired(first: Value, second: Value) -> list[tuple[Point, Point]]:
    """The values of both at the points where both have some; none where that is at too few."""
    one, two = list(_points(first)), list(_points(second))
    size = max(len(one), len(two))
    if len(one) == 1:
        one = one * size
    if len(two) == 1:
        two = two * size
    pairs = [(a, b) for a, b in zip(one, two, strict=False) if a is not None and b is not None]
    return pairs if len(pairs) >= min(_FEWEST, size) else []


def _points(value: Value) -> Sequence[Point | None]:
    return value.points if value.exact is None else (((_float(value.exact)), (0, 0)),)


def _float(value: Fraction) -> Float:
    if not value:
        return 0, 0
    shift = _PRECISION + value.denominator.bit_length() - abs(value.numerator).bit_length()
    top = value.numerator << shift if shift >= 0 else value.numerator >> -shift
    return top // value.denominator, -shift


def _product(first: Float, second: Float) -> Float:
    return first[0] * second[0], first[1] + second[1]


def _top(value: Float) -> int:
    return value[1] + abs(value[0]).bit_length()


def _close(first: Point, second: Point, bits: int) -> bool:
    """Whether two complex numbers are equal to so many bits of the larger part."""
    tops = [_top(part) for point in (first, second) for part in point if part[0]]
    if not tops:
        return True
    least = max(tops) - bits
    return all(_differ_less(a, b, least) for a, b in zip(first, second, strict=True))


def _differ_less(first: Float, second: Float, least: int) -> bool:
    """Whether two real numbers differ by less than two to the power of ``least``."""
    one, two = _cut(first, least), _cut(second, least)
    return one is not None and two is not None and abs(one - two) <= 2


def _cut(value: Float, least: int) -> int | None:
    """The value in steps of two to the power of ``least``; None for one that is very much larger."""
    if not value[0]:
        return 0
    if _top(value) - least > 2 * _PRECISION:
        return None
    shift = value[1] - least
    if shift >= 0:
        return value[0] << shift
    return 0 if -shift > abs(value[0]).bit_length() + 2 else value[0] >> -shift
