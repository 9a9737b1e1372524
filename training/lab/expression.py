"""Expression trees over whole numbers: what arithmetic problems are made of, and what checks them.

A tree is a number or ``[operation, left, right]``; every value in it stays within 0..LARGEST, so
that every step is short. Trees are JSON values: they travel in ``Problem.meta``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from training.lab.graders.puzzle import LARGEST, apply

__all__ = ["Tree", "balanced", "chain", "render", "replay", "solve", "value"]

Tree = Any  # int | list[str | Tree]: a JSON value, which no checker can express recursively here

_TRIES = 200


def value(tree: Tree) -> int | None:
    """The tree's value, None as soon as a part of it leaves 0..LARGEST."""
    if isinstance(tree, int):
        return tree
    operation, left, right = tree
    a, b = value(left), value(right)
    return None if a is None or b is None else apply(a, operation, b)


def render(tree: Tree, outer: bool = True) -> str:
    """The tree in full brackets: ``(37+85)*3``."""
    if isinstance(tree, int):
        return str(tree)
    inside = f"{render(tree[1], False)}{tree[0]}{render(tree[2], False)}"
    return inside if outer else f"({inside})"


def solve(tree: Tree) -> list[str]:
    """One reduction a line, left before right, inner before outer, then ``#answer``."""
    lines: list[str] = []

    def reduce(node: Tree) -> int:
        if isinstance(node, int):
            return node
        a, b = reduce(node[1]), reduce(node[2])
        result = apply(a, node[0], b)
        if result is None:
            raise ValueError(f"every value must stay within 0..{LARGEST}, got {a}{node[0]}{b}")
        lines.append(f"{a}{node[0]}{b}={result}")
        return result

    lines.append(f"#{reduce(tree)}")
    return lines


def replay(tree: Tree, steps: Sequence[str]) -> Iterator[bool]:
    """For each step, whether it and all before it are true reductions of what is left of the tree."""
    right = True
    for step in steps:
        if right:
            if step.startswith("#"):
                right = isinstance(tree, int) and step == f"#{tree}"
                tree = None  # nothing may follow the answer
            else:
                reduced = _reduce(tree, step)
                right = reduced is not None
                tree = reduced
        yield right


def _reduce(tree: Tree, step: str) -> Tree:
    """The tree with the one reduction that ``step`` names done, None if it has no such."""
    if tree is None or isinstance(tree, int):
        return None
    operation, left, right = tree
    if isinstance(left, int) and isinstance(right, int):
        result = apply(left, operation, right)
        names = {f"{left}{operation}{right}={result}"}
        if operation != "-":
            names.add(f"{right}{operation}{left}={result}")
        return result if step in names else None
    for place in (1, 2):
        if not isinstance(tree[place], int):
            reduced = _reduce(tree[place], step)
            if reduced is not None:
                return [operation, reduced, right] if place == 1 else [operation, left, reduced]
    return None


def chain(rng: random.Random, operations: Sequence[str], leaves: Sequence[int]) -> Tree:
    """A deep tree: each number joins what is there, on a random side where that is allowed."""
    tree: Tree = leaves[0]
    for leaf in leaves[1:]:
        tree = _join(rng, operations, tree, leaf)
    return tree


def balanced(rng: random.Random, operations: Sequence[str], leaves: Sequence[int]) -> Tree:
    """A tree that is split at a random place, down to the numbers."""
    if len(leaves) == 1:
        return leaves[0]
    cut = rng.randrange(1, len(leaves))
    left, right = (balanced(rng, operations, part) for part in (leaves[:cut], leaves[cut:]))
    return _join(rng, operations, left, right)


def _join(rng: random.Random, operations: Sequence[str], left: Tree, right: Tree) -> Tree:
    """Two trees under an operation that keeps the value in range; + or - of a smaller one always does."""
    a, b = value(left), value(right)
    if a is None or b is None:
        raise ValueError("both trees must have values in range")
    for _ in range(_TRIES):
        operation = rng.choice(operations)
        if operation == "*" and (min(a, b) > 99 or min(a, b) < 2):
            continue
        if apply(a, operation, b) is not None:
            return [operation, left, right]
        if operation == "-":
            return ["-", right, left]
    return ["-", left, right] if a >= b else ["-", right, left]
