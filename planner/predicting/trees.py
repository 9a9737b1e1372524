"""Boosted trees as arrays, evaluated in numpy: many rows by walking, one row by bits.

The same leaves are found either way and added up in the same order: one row and a million get equal bits,
which is what holds online decisions to offline ones. ``planner.predicting.lightgbm_text`` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.errors import ArtefactError

__all__ = ["MOST_LEAVES", "BitTrees", "Forest", "Trees"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

#: leaves that a word holds
MOST_LEAVES = 64

_ALL = 2**64 - 1
_ONE = np.uint64(1)
_KEEP = np.uint64(_ALL)


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


class Forest:
    """Several boosted models over the same features, walked together.

    ``predict`` maps rows (rows, features) to outputs (rows, models): sums of leaf values, logits for
    models that end in one. All models must take the same number of features (ArtefactError).

    Many rows walk down the trees level by level; one row alone is looked up in
    ``BitTrees``. The leaves are the same and are added up in the same way.
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


@dataclass(frozen=True, slots=True)
class BitTrees:
    """The leaves that one row reaches in many trees, found with words of bits instead of walks.

    Each tree's leaves, at most 64, are bits of a word, from left to right. A node whose condition fails (the
    row goes right) rules out the leaves to its left; the lowest bit that remains is the leaf. All conditions
    of all trees are tested at once, which for one row costs less than half of walking level by level in
    numpy. Source: QuickScorer (Lucchese et al., SIGIR 2015). Inner nodes stand behind one another.

    ``feature``, ``threshold``, ``mask`` (nodes,): the condition ``row[feature] <= threshold``, and the leaves
    that are left where it fails. ``starts`` (trees,): the first node of each tree; ``leaves`` (trees,): its
    first leaf among ``outputs``.
    """

    feature: Ints
    threshold: Floats
    mask: Words
    starts: Ints
    leaves: Ints
    outputs: Floats

    @classmethod
    def of(
        cls, feature: Ints, threshold: Floats, children: Ints, value: Floats, roots: Ints
    ) -> BitTrees | None:
        """From arrays as ``Forest`` has them; None where a tree has more leaves than a word."""
        right, left = children[::2].tolist(), children[1::2].tolist()
        nodes: list[int] = []
        masks: list[int] = []
        starts: list[int] = []
        leaves: list[int] = []
        outputs: list[int] = []
        for root in roots.tolist():
            starts.append(len(nodes))
            leaves.append(len(outputs))
            first = len(outputs)
            # in order: (node, None) is to be entered, (node, leaves so far) has its left side behind it
            stack: list[tuple[int, int | None]] = [(root, None)]
            while stack:
                node, before = stack.pop()
                if left[node] == node:
                    outputs.append(node)
                elif before is None:
                    stack += [(right[node], None), (node, len(outputs)), (left[node], None)]
                else:
                    behind = ((1 << (len(outputs) - before)) - 1) << (before - first)
                    nodes.append(node)
                    masks.append(_ALL & ~behind)
            if len(outputs) - first > MOST_LEAVES:
                return None
            if len(nodes) == starts[-1]:
                # a constant: a node that rules nothing out, since every tree needs one
                nodes.append(root)
                masks.append(_ALL)
        return cls(
            feature=feature[nodes],
            threshold=threshold[nodes],
            mask=np.array(masks, np.uint64),
            starts=np.array(starts, np.int64),
            leaves=np.array(leaves, np.int64),
            outputs=value[outputs],
        )

    def values(self, row: Floats) -> Floats:
        """(trees,) the output of the leaf that a finite row (features,) reaches in each tree."""
        goes_left = row.take(self.feature) <= self.threshold
        left = np.bitwise_and.reduceat(np.where(goes_left, _KEEP, self.mask), self.starts)
        lowest = left & (~left + _ONE)
        # a power of two is all exponent as a float
        place = (lowest.astype(np.float64).view(np.int64) >> 52) - 1023
        return self.outputs.take(self.leaves + place)
