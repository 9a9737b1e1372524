"""Boosted trees as arrays: LightGBM's text format, read strictly and evaluated in numpy.

LightGBM's own reader crashes the process on malformed text, so a text from a stranger never reaches
it: ``parse`` checks sizes, counts, index ranges, the shape of every tree and that every number is
finite, and ``Forest`` evaluates what is left. The same code evaluates one row and a million, with
equal bits, which is what holds online decisions to offline ones.

Only what ``planner.predicting.boosting`` writes is accepted: numerical splits, no missing values, constant
leaves. Source: LightGBM ``src/io/tree.cpp`` (version v4 of the format).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.predicting.bitscore import BitTrees
from search.errors import ArtefactError

__all__ = ["Forest", "Trees", "parse"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MOST_TREES = 20_000
_MOST_LEAVES = 4_096
_MOST_BYTES = 64 * 1024 * 1024
#: numerical split, no missing type; bit 1 (default left) means nothing then
_DECISIONS = (0, 2)
_WHOLES = re.compile(r"-?[0-9]{1,9}(?: -?[0-9]{1,9})*")
_OBJECTIVES = {"regression": False, "cross_entropy": True}


@dataclass(frozen=True, slots=True)
class Trees:
    """One boosted model: nodes of all trees behind one another.

    A node is an inner node or a leaf. Leaves point at themselves, so that walking on changes nothing.
    ``value`` holds a leaf's output, and for inner nodes the output their training rows would get.
    """

    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats
    roots: Ints
    depth: int
    features: int
    #: whether the summed output is a logit
    logit: bool


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


class Forest:
    """Several boosted models over the same features, walked together.

    ``predict`` maps rows (rows, features) to outputs (rows, models): sums of leaf values, logits for
    models that end in one. All models must take the same number of features (ArtefactError).

    Many rows walk down the trees level by level; one row alone is looked up in
    ``planner.predicting.bitscore``. The leaves are the same and are added up in the same way.
    """

    def __init__(self, models: Sequence[Trees]) -> None:
        if not models or len({model.features for model in models}) != 1:
            raise ArtefactError(
                f"models walked together must take equally many features, got {[m.features for m in models]}"
            )
        offsets = np.cumsum([0, *(len(model.value) for model in models[:-1])])
        self.features = models[0].features
        self.feature_ = np.concatenate([m.feature for m in models])
        self.threshold_ = np.concatenate([m.threshold for m in models])
        self.value_ = np.concatenate([m.value for m in models])
        self.children_ = np.stack(
            [
                np.concatenate([m.right + o for m, o in zip(models, offsets, strict=True)]),
                np.concatenate([m.left + o for m, o in zip(models, offsets, strict=True)]),
            ],
            axis=1,
        ).ravel()
        self.roots_ = np.concatenate([m.roots + o for m, o in zip(models, offsets, strict=True)])
        self.starts_ = np.cumsum([0, *(len(m.roots) for m in models[:-1])])
        self.depth_ = max(m.depth for m in models)

    @cached_property
    def _bits(self) -> BitTrees | None:
        return BitTrees.of(self.feature_, self.threshold_, self.children_, self.value_, self.roots_)

    def predict(self, rows: Floats) -> Floats:
        """Outputs (rows, models) of finite rows (rows, features)."""
        if len(rows) == 1 and self._bits is not None:
            alone = self._bits.values(rows[0])[None]
            return np.asarray(np.add.reduceat(alone, self.starts_, axis=1))
        out = np.empty((len(rows), len(self.starts_)))
        step = max(1, 4_000_000 // max(1, len(self.roots_)))
        for begin in range(0, len(rows), step):
            chunk = rows[begin : begin + step]
            # one contiguous sum per model and row: equal bits for one row and for many
            out[begin : begin + step] = np.add.reduceat(
                self.value_[self._leaves(chunk)], self.starts_, axis=1
            )
        return out

    def _leaves(self, rows: Floats) -> Ints:
        flat = np.ascontiguousarray(rows).ravel()
        base = (np.arange(len(rows)) * self.features)[:, None]
        node = np.broadcast_to(self.roots_, (len(rows), len(self.roots_))).copy()
        for _ in range(self.depth_):
            goes_left = flat[base + self.feature_[node]] <= self.threshold_[node]
            node = self.children_[2 * node + goes_left]
        return node

    def contributions(self, row: Floats) -> Floats:
        """What each feature adds to each output, (models, features), for one row (features,).

        Path attribution (Saabas 2014): a step from a node to its child is credited to the feature
        that split there. The rest of the output is the models' mean.
        """
        out = np.zeros((len(self.starts_), self.features))
        model_of = np.repeat(np.arange(len(self.starts_)), np.diff([*self.starts_, len(self.roots_)]))
        node = self.roots_.copy()
        for _ in range(self.depth_):
            feature = self.feature_[node]
            child = self.children_[2 * node + (row[feature] <= self.threshold_[node])]
            np.add.at(out, (model_of, feature), self.value_[child] - self.value_[node])
            node = child
        return out


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
