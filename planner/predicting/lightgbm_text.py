"""LightGBM's text format, read strictly.

LightGBM's own reader crashes the process on malformed text, so a text from a stranger never reaches it:
``parse`` checks sizes, counts, index ranges, the shape of every tree and that every number is finite.

Only what ``planner.predicting.boosting`` writes is accepted: numerical splits, no missing values, constant
leaves. Source: LightGBM ``src/io/tree.cpp`` (version v4 of the format).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.predicting.trees import Trees
from search.errors import ArtefactError

__all__ = ["parse"]

_MOST_TREES = 20_000
_MOST_LEAVES = 4_096
_MOST_BYTES = 64 * 1024 * 1024
#: numerical split, no missing type; bit 1 (default left) means nothing then
_DECISIONS = (0, 2)
_WHOLES = re.compile(r"-?[0-9]{1,9}(?: -?[0-9]{1,9})*")
_OBJECTIVES = {"regression": False, "cross_entropy": True}


def parse(text: str) -> Trees:
    """Read a model's text. Raises ArtefactError on anything that is not exactly such a model."""
    if len(text) > _MOST_BYTES:
        raise ArtefactError(f"a model's text holds at most {_MOST_BYTES} characters, got {len(text)}")
    head, _, rest = text.partition("\nTree=0\n")
    if not rest:
        raise ArtefactError("a model's text needs at least one tree, got none")
    fields = _fields(head, allow=("tree",))
    _equals(fields, "version", "v4")
    _equals(fields, "num_class", "1")
    _equals(fields, "num_tree_per_iteration", "1")
    objective = fields.get("objective", "")
    if objective not in _OBJECTIVES:
        raise ArtefactError(f"objective must be one of {', '.join(_OBJECTIVES)}, got {objective[:40]!r}")
    features = _whole(fields.get("max_feature_idx", ""), "max_feature_idx", 0, 1_000_000) + 1
    if len(fields.get("feature_names", "").split()) != features:
        raise ArtefactError(
            f"feature_names must hold {features} names, got {fields.get('feature_names', '')[:60]!r}"
        )
    body, end, _ = rest.partition("\nend of trees\n")
    if not end:
        raise ArtefactError("a model's text must close its trees with 'end of trees', it does not")
    blocks = ("Tree=0\n" + body).split("\nTree=")
    blocks[0] = blocks[0].removeprefix("Tree=")
    sizes = fields.get("tree_sizes", "").split()
    if len(blocks) > _MOST_TREES or len(sizes) != len(blocks):
        raise ArtefactError(
            f"tree_sizes must count every tree, got {len(sizes)} sizes and {len(blocks)} trees"
        )
    trees = [_tree(block, number, features) for number, block in enumerate(blocks)]
    return _join(trees, features, _OBJECTIVES[objective])


@dataclass(frozen=True, slots=True)
class _Tree:
    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    value: list[float]
    depth: int


def _tree(block: str, number: int, features: int) -> _Tree:
    first, _, rest = block.partition("\n")
    if first.strip() != str(number):
        raise ArtefactError(f"trees must be numbered in order, got {first[:20]!r} as tree {number}")
    fields = _fields(rest)
    leaves = _whole(fields.get("num_leaves", ""), "num_leaves", 1, _MOST_LEAVES)
    _equals(fields, "num_cat", "0")
    _equals(fields, "is_linear", "0")
    inner = leaves - 1
    leaf_value = _floats(fields, "leaf_value", leaves)
    if not inner:
        return _Tree(feature=[0], threshold=[0.0], left=[0], right=[0], value=leaf_value, depth=0)
    feature = _wholes(fields, "split_feature", inner, 0, features - 1)
    threshold = _floats(fields, "threshold", inner)
    decisions = set(_wholes(fields, "decision_type", inner, 0, 255))
    if not decisions <= set(_DECISIONS):
        raise ArtefactError(f"decision_type must be one of {_DECISIONS}, got {sorted(decisions)}")
    internal = _floats(fields, "internal_value", inner)
    left = _wholes(fields, "left_child", inner, -leaves, inner - 1)
    right = _wholes(fields, "right_child", inner, -leaves, inner - 1)
    # every node but the root has one parent, and parents come first: then it is a tree
    if sorted(left + right) != [*range(-leaves, 0), *range(1, inner)]:
        raise ArtefactError(f"every node must have exactly one parent, tree {number} breaks that")
    depth = [1] * inner
    for node in range(inner):
        for child in (left[node], right[node]):
            if child >= 0:
                if child <= node:
                    raise ArtefactError(f"children must come after their parents, tree {number} breaks that")
                depth[child] = depth[node] + 1
    itself = list(range(inner, inner + leaves))
    return _Tree(
        feature=feature + [0] * leaves,
        threshold=threshold + [0.0] * leaves,
        left=[child if child >= 0 else inner + ~child for child in left] + itself,
        right=[child if child >= 0 else inner + ~child for child in right] + itself,
        value=internal + leaf_value,
        depth=max(depth),
    )


def _join(trees: Sequence[_Tree], features: int, logit: bool) -> Trees:
    sizes = [len(tree.value) for tree in trees]
    roots = np.array([0, *accumulate(sizes[:-1])], np.int64)
    shift = np.repeat(roots, sizes)

    def chained(name: str, kind: type[np.generic]) -> NDArray[Any]:
        return np.fromiter(chain.from_iterable(getattr(tree, name) for tree in trees), kind, len(shift))

    return Trees(
        feature=chained("feature", np.int64),
        threshold=chained("threshold", np.float64),
        left=chained("left", np.int64) + shift,
        right=chained("right", np.int64) + shift,
        value=chained("value", np.float64),
        roots=roots,
        depth=max(tree.depth for tree in trees),
        features=features,
        logit=logit,
    )


def _fields(text: str, allow: tuple[str, ...] = ()) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        if not line or line in allow:
            continue
        name, equals, value = line.partition("=")
        if not equals or name in fields:
            raise ArtefactError(f"a model's text holds one name=value a line, got {line[:40]!r}")
        fields[name] = value
    return fields


def _equals(fields: dict[str, str], name: str, value: str) -> None:
    if fields.get(name) != value:
        raise ArtefactError(f"{name} must be {value}, got {fields.get(name, 'nothing')[:40]!r}")


def _whole(text: str, name: str, low: int, high: int) -> int:
    number = text.removeprefix("-")
    if not (number.isascii() and number.isdigit() and len(number) <= 9) or not low <= int(text) <= high:
        raise ArtefactError(f"{name} must be a whole number from {low} to {high}, got {text[:40]!r}")
    return int(text)


def _wholes(fields: dict[str, str], name: str, count: int, low: int, high: int) -> list[int]:
    parts = fields.get(name, "").split(" ")
    if len(parts) != count:
        raise ArtefactError(f"{name} must hold {count} numbers, got {len(parts)}")
    if _WHOLES.fullmatch(fields[name]):
        values = list(map(int, parts))
        if low <= min(values) and max(values) <= high:
            return values
    # something is wrong: find what
    return [_whole(part, name, low, high) for part in parts]


def _floats(fields: dict[str, str], name: str, count: int) -> list[float]:
    parts = fields.get(name, "").split(" ")
    if len(parts) != count:
        raise ArtefactError(f"{name} must hold {count} numbers, got {len(parts)}")
    try:
        values = list(map(float, parts))
    except ValueError:
        raise ArtefactError(f"{name} must hold numbers, got {fields[name][:40]!r}") from None
    if not all(-1e300 <= value <= 1e300 for value in values):
        raise ArtefactError(f"{name} must hold finite numbers, got {fields[name][:40]!r}")
    return values
