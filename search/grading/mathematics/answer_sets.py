r"""Answers that are sets of real numbers, as intervals: ``2<x\le5`` is ``(2,5]``, ``x\ne3`` is two rays.

Pieces are sorted and joined where they touch, so that one set has one form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from search.grading.mathematics.answer_shape import Items, Relation, Scalar, Shape, Union
from search.grading.mathematics.answer_values import Value, are_same
from search.grading.mathematics.expression_tree import Call, Node, Symbol
from search.grading.mathematics.latex_expression import BeyondError, parsed

__all__ = ["Edge", "Piece", "are_same_sets", "is_set_like", "pieces"]

Lookup = Callable[[str], Value | None]


@dataclass(frozen=True, slots=True)
class Edge:
    """An end of an interval; ``value`` None: infinite."""

    place: float
    value: Value | None


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval; ``has_low`` and ``has_high``: whether its ends belong to it."""

    low: Edge
    high: Edge
    has_low: bool
    has_high: bool


_BELOW, _ABOVE = Edge(-math.inf, None), Edge(math.inf, None)
_ALL = Piece(_BELOW, _ABOVE, False, False)
_FLIPPED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le", r"\ne": r"\ne", "=": "="}


def is_set_like(shape: Shape) -> bool:
    """Whether a shape can only be read as a set of numbers: an inequality, a union, the real line."""
    if isinstance(shape, Relation):
        return any(operator in ("<", ">", r"\le", r"\ge", r"\ne", r"\in") for operator in shape.operators)
    if isinstance(shape, Items) and not shape.brackets:
        return any(is_set_like(item) for item in shape.items)
    return isinstance(shape, Union) or shape == Scalar(r"\mathbb{R}")


def pieces(shape: Shape, lookup: Lookup) -> list[Piece] | None:
    """The intervals of a shape,
    sorted and joined; None where it is no such set or has ends of unknown order."""
    found = _pieces(shape, lookup)
    return None if found is None else _joined(found)


def are_same_sets(first: Sequence[Piece], second: Sequence[Piece]) -> bool:
    """Whether two sorted lists of intervals are one set."""
    return len(first) == len(second) and all(
        (a.has_low, a.has_high) == (b.has_low, b.has_high) and _same(a.low, b.low) and _same(a.high, b.high)
        for a, b in zip(first, second, strict=True)
    )


def _same(first: Edge, second: Edge) -> bool:
    if first.value is None or second.value is None:
        return first == second
    return are_same(first.value, second.value)


def _pieces(shape: Shape, lookup: Lookup) -> list[Piece] | None:
    if isinstance(shape, Scalar):
        return [_ALL] if shape.text == r"\mathbb{R}" else None
    if isinstance(shape, Items):
        return _of_items(shape, lookup)
    if isinstance(shape, Union):
        parts = [_pieces(part, lookup) for part in shape.parts]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        if shape.operator == r"\setminus":
            return _without(known[0], [piece for part in known[1:] for piece in part])
        return [piece for part in known for piece in part]
    if isinstance(shape, Relation):
        return _of_relation(shape, lookup)
    return None


def _of_items(shape: Items, lookup: Lookup) -> list[Piece] | None:
    if shape.brackets == "{}":
        ends = [_edge(item, lookup) for item in shape.items]
        return None if None in ends else [Piece(end, end, True, True) for end in ends if end is not None]
    if shape.brackets:
        if len(shape.items) != 2:
            return None
        low, high = (_edge(item, lookup) for item in shape.items)
        if low is None or high is None or low.place >= high.place:
            return None
        return [Piece(low, high, shape.brackets[0] == "[", shape.brackets[1] == "]")]
    parts = [_pieces(item, lookup) for item in shape.items]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not known:
        return None
    if not is_set_like(shape):
        # intervals beside one another are a union; pairs of numbers are points
        has_ray = any(
            edge.value is None for part in known for piece in part for edge in (piece.low, piece.high)
        )
        return [piece for part in known for piece in part] if has_ray or shape.joined else None
    together = known[0]
    for part in known[1:]:
        together = _common(together, part)
    if shape.joined == "or" or (shape.joined == "" and not together):
        return [piece for part in known for piece in part]
    return together


def _of_relation(shape: Relation, lookup: Lookup) -> list[Piece] | None:
    if shape.operators == (r"\in",):
        return _pieces(shape.sides[1], lookup)
    if len(shape.sides) == 2 and (around := _around_zero(shape, lookup)) is not None:
        return around
    letters = [place for place, side in enumerate(shape.sides) if _is_letter(side)]
    if len(letters) != 1 or len(shape.sides) > 3:
        return None
    (middle,) = letters
    found = [_ALL]
    for place, operator in enumerate(shape.operators):
        if middle not in (place, place + 1):
            return None
        other = shape.sides[place + 1 if middle == place else place]
        edge = _edge(other, lookup)
        ray = (
            None if edge is None else _ray(operator if middle == place else _FLIPPED.get(operator, ""), edge)
        )
        if ray is None:
            return None
        found = _common(found, ray)
    return found


def _around_zero(shape: Relation, lookup: Lookup) -> list[Piece] | None:
    """``|x|<3`` is ``(-3,3)``; None for other relations."""
    (operator,), (left, right) = shape.operators, shape.sides
    node = _node(left)
    if not isinstance(node, Call) or node.name != "abs" or not isinstance(node.arguments[0], Symbol):
        return None
    high = _edge(right, lookup)
    if high is None or high.value is None or high.place <= 0:
        return None
    low = Edge(-high.place, high.value.times(Fraction(-1)))
    one, two = _ray(operator, high), _ray(_FLIPPED.get(operator, ""), low)
    if one is None or two is None:
        return None
    return _common(one, two) if operator in ("<", r"\le", r"\ne") else [*one, *two]


def _ray(operator: str, edge: Edge) -> list[Piece] | None:
    """The numbers x for which ``x operator edge``."""
    below, above = Piece(_BELOW, edge, False, False), Piece(edge, _ABOVE, False, False)
    if operator == "<":
        return [below]
    if operator == ">":
        return [above]
    if operator == r"\le":
        return [Piece(_BELOW, edge, False, edge.value is not None)]
    if operator == r"\ge":
        return [Piece(edge, _ABOVE, edge.value is not None, False)]
    if operator == r"\ne":
        return [below, above]
    return [Piece(edge, edge, True, True)] if operator == "=" else None


def _is_letter(side: Shape) -> bool:
    return isinstance(_node(side), Symbol)


def _node(side: Shape) -> Node | None:
    if not isinstance(side, Scalar) or side.unit or side.percent:
        return None
    try:
        return parsed(side.text)
    except BeyondError:
        return None


def _edge(shape: Shape, lookup: Lookup) -> Edge | None:
    if not isinstance(shape, Scalar):
        return None
    if shape.text.lstrip("+") == r"\infty":
        return _ABOVE
    if shape.text == r"-\infty":
        return _BELOW
    value = lookup(shape.text)
    place = None if value is None else value.approximate()
    return None if value is None or place is None else Edge(place, value)


def _is_empty(piece: Piece) -> bool:
    if piece.low.place == piece.high.place:
        return not (piece.has_low and piece.has_high)
    return piece.low.place > piece.high.place


def _common(first: list[Piece], second: list[Piece]) -> list[Piece]:
    found = []
    for a in first:
        for b in second:
            low = max((a.low, not a.has_low), (b.low, not b.has_low), key=lambda end: (end[0].place, end[1]))
            high = min((a.high, a.has_high), (b.high, b.has_high), key=lambda end: (end[0].place, end[1]))
            piece = Piece(low[0], high[0], not low[1], high[1])
            if not _is_empty(piece):
                found.append(piece)
    return found


def _without(first: list[Piece], second: list[Piece]) -> list[Piece]:
    for piece in second:
        rest = []
        if piece.low.value is not None:
            rest.append(Piece(_BELOW, piece.low, False, not piece.has_low))
        if piece.high.value is not None:
            rest.append(Piece(piece.high, _ABOVE, not piece.has_high, False))
        first = _common(first, rest)
    return first


def _joined(found: list[Piece]) -> list[Piece]:
    done: list[Piece] = []
    for piece in sorted(found, key=lambda one: (one.low.place, not one.has_low)):
        last = done[-1] if done else None
        if (
            last is None
            or piece.low.place > last.high.place
            or (piece.low.place == last.high.place and not (piece.has_low or last.has_high))
        ):
            done.append(piece)
        elif (piece.high.place, piece.has_high) > (last.high.place, last.has_high):
            done[-1] = Piece(last.low, piece.high, last.has_low, piece.has_high)
        elif piece.low.place == last.low.place and piece.has_low and not last.has_low:
            done[-1] = Piece(last.low, last.high, True, last.has_high)
    return done
