"""What the sides of equations name: ``x``, ``AB``, ``a+b``, ``f(2)`` are names, ``x^2+1`` is none."""

from __future__ import annotations

from collections.abc import Sequence

from search.grading.mathematics.answer_shape import Items, Ratio, Relation, Scalar, Shape, Words
from search.grading.mathematics.expression_tree import (
    Call,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    letters,
)
from search.grading.mathematics.latex_expression import BeyondError, parsed

__all__ = ["are_numbered", "is_name", "is_number", "letters_in", "letters_of", "names_of"]


def _node(shape: Shape) -> Node | None:
    if not isinstance(shape, Scalar) or shape.unit or shape.percent:
        return None
    try:
        return parsed(shape.text)
    except BeyondError:
        return None


def is_name(shape: Shape) -> bool:
    """Whether a side names something: a letter, ``AB``, ``a+b``, ``\\sin A``, ``f(2)``, a word."""
    if isinstance(shape, Words):
        return True
    if isinstance(shape, Items):
        return shape.brackets == "()" and all(map(is_name, shape.items))
    if isinstance(shape, Ratio):
        return all(map(is_name, shape.terms))
    node = _node(shape)
    return node is not None and _names_something(node)


def letters_in(relation: Relation) -> frozenset[str]:
    """The letters of a relation's sides, as far as those are expressions."""
    nodes = [_node(side) for side in relation.sides]
    return frozenset().union(*(letters(node) for node in nodes if node is not None))


def _names_something(node: Node) -> bool:
    if isinstance(node, Symbol):
        return True
    if isinstance(node, Sum):
        return all(map(_names_something, node.terms))
    if isinstance(node, Product):
        first, *rest = node.factors
        is_call = isinstance(first, Symbol) and len(rest) == 1 and isinstance(rest[0], Number)  # P(2)
        return is_call or all(map(_names_something, node.factors))
    if isinstance(node, Power):
        is_divided = isinstance(node.exponent, Number) and node.exponent.value == -1
        return is_divided and _names_something(node.base)
    if isinstance(node, Call):
        return bool(node.arguments) and (
            node.name.endswith("()") or all(map(_names_something, node.arguments))
        )
    return False


def is_number(shape: Shape) -> bool:
    """Whether a side holds no letters."""
    node = _node(shape)
    return node is not None and not letters(node)


def names_of(items: Sequence[Shape]) -> tuple[str, ...]:
    """The names of a list of assignments, sorted; () where an item is none."""
    found = [
        item.sides[0].text
        for item in items
        if isinstance(item, Relation) and isinstance(item.sides[0], Scalar)
    ]
    return tuple(sorted(found)) if len(found) == len(items) else ()


def letters_of(items: Sequence[Shape]) -> list[str]:
    """The names without their subscripts: ``x_1, x_2`` are values of one thing."""
    return [name.partition("_")[0].strip() for name in names_of(items)]


def are_numbered(first: Sequence[Shape], second: Sequence[Shape]) -> bool:
    """Whether both lists name values of one thing each, as ``x=1,x=2`` and ``x_1=1,x_2=2`` do."""
    return set(letters_of(first)) == set(letters_of(second)) and len(set(letters_of(first))) == 1
