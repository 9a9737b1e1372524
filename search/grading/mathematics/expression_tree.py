"""Trees of expressions, and their exact values where those are rational and of moderate size.

>>> exact(Sum((Number(Fraction(1, 2)), Power(Number(Fraction(4)), Number(Fraction(1, 2))))))
Fraction(5, 2)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Call", "Node", "Number", "Power", "Product", "Sum", "Symbol", "exact", "letters", "parts"]

#: bits of an exact number; a longer one is not computed
_MOST_BITS = 65_536
#: what is multiplied out for a factorial or a binomial
_MOST_FACTORS = 4_096


@dataclass(frozen=True, slots=True)
class Number:
    value: Fraction


@dataclass(frozen=True, slots=True)
class Symbol:
    """A letter with its subscript and primes, or a name that is one thing (``\\angle ABC``)."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Product:
    factors: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Power:
    base: Node
    exponent: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function of ``arguments``; constants are calls without any."""

    name: str
    arguments: tuple[Node, ...] = ()


Node = Number | Symbol | Sum | Product | Power | Call


def parts(node: Node) -> tuple[Node, ...]:
    """What a node is put together from."""
    if isinstance(node, Sum):
        return node.terms
    if isinstance(node, Product):
        return node.factors
    if isinstance(node, Power):
        return (node.base, node.exponent)
    return node.arguments if isinstance(node, Call) else ()


def letters(node: Node) -> frozenset[str]:
    """The letters of an expression, and the functions that nobody defined (``f()``)."""
    is_open = isinstance(node, Call) and node.name.endswith("()")
    own = {node.name} if isinstance(node, Symbol) or (isinstance(node, Call) and is_open) else set()
    return frozenset(own).union(*map(letters, parts(node)))


def exact(node: Node) -> Fraction | None:
    """The value of a rational expression; None where it is irrational, undefined or too long to compute."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Sum | Product):
        return _folded(node)
    if isinstance(node, Power):
        return _power(exact(node.base), exact(node.exponent))
    if isinstance(node, Call):
        return _called(node.name, [exact(argument) for argument in node.arguments])
    return None


def _folded(node: Sum | Product) -> Fraction | None:
    adds = isinstance(node, Sum)
    total = Fraction(0 if adds else 1)
    for part in node.terms if isinstance(node, Sum) else node.factors:
        value = exact(part)
        if value is None or _bits(total) + _bits(value) > 2 * _MOST_BITS:
            return None
        total = total + value if adds else total * value
    return total


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _power(base: Fraction | None, exponent: Fraction | None) -> Fraction | None:
    if base is None or exponent is None:
        return None
    if exponent.denominator != 1:
        root = _rooted(base, exponent.denominator)
        return None if root is None else _power(root, Fraction(exponent.numerator))
    if base in (0, 1, -1):
        if base == 0:
            return None if exponent <= 0 else base
        return base if exponent % 2 else Fraction(1)
    if abs(exponent) * _bits(base) > _MOST_BITS:
        return None
    return base ** int(exponent)


def _rooted(value: Fraction, degree: int) -> Fraction | None:
    """The exact root; None where it is irrational or complex."""
    if degree > 64 or value < 0:
        return None
    top, bottom = _whole_root(value.numerator, degree), _whole_root(value.denominator, degree)
    return None if top is None or bottom is None else Fraction(top, bottom)


def _whole_root(value: int, degree: int) -> int | None:
    if degree == 2:
        root = math.isqrt(value)
    else:
        low, high = 0, 1 << (value.bit_length() // degree + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
        root = low
    return root if root**degree == value else None


def _called(name: str, values: list[Fraction | None]) -> Fraction | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not values:
        return None
    first = known[0]
    if name == "abs":
        return abs(first)
    if name in ("floor", "ceil"):
        return Fraction(math.floor(first) if name == "floor" else math.ceil(first))
    if name == "factorial" and first.denominator == 1 and 0 <= first <= _MOST_FACTORS:
        return Fraction(math.factorial(int(first)))
    if name == "binomial" and all(v.denominator == 1 and 0 <= v <= _MOST_FACTORS for v in known):
        return Fraction(math.comb(int(known[0]), int(known[1])))
    if name in ("max", "min"):
        return max(known) if name == "max" else min(known)
    if name in ("gcd", "lcm") and all(value.denominator == 1 for value in known):
        return Fraction((math.gcd if name == "gcd" else math.lcm)(*map(int, known)))
    if name == "exp" and first == 0:
        return Fraction(1)
    if name == "ln" and first == 1:
        return Fraction(0)
    return None
