"""Estimates against the truth, by going through everything that could have been logged."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.traffic.estimates import (
    Estimate,
    Staged,
    clip_of,
    doubly_robust,
    effective_size,
    mean,
    snips,
    terms,
)


@dataclass(frozen=True)
class Tree:
    """Two stages: at the first a choice of three or looking further, then a choice of three. What looking
    shows is one of two things. Everything is a number out of a seed."""

    share: np.ndarray  # (3, 4) chance of each first step by question; (the last looks further)
    shows: np.ndarray  # (3,) chance that looking shows the second thing
    later: np.ndarray  # (3, 2, 3) chance of each second step
    right: np.ndarray  # (3, 3) chance to be right of the first stage's choices
    right_later: np.ndarray  # (3, 2, 3)
    takes: np.ndarray  # (3,) what the new planner takes
    takes_later: np.ndarray  # (3, 2)
    expects: np.ndarray  # (3,)
    expects_later: np.ndarray  # (3, 2)

    @classmethod
    def of(cls, seed: int) -> Tree:
        rng = np.random.default_rng(seed)

        def chances(*shape: int) -> np.ndarray:
            drawn = rng.random(shape) + 0.1
            return np.asarray(drawn / drawn.sum(axis=-1, keepdims=True))

        return cls(
            chances(3, 4), rng.random(3), chances(3, 2, 3), rng.random((3, 3)), rng.random((3, 2, 3)),
            rng.integers(0, 4, 3), rng.integers(0, 3, (3, 2)), rng.random(3), rng.random((3, 2)),
        )  # fmt: skip

    def truth(self) -> float:
        met = []
        for x, step in enumerate(self.takes):
            later = [self.right_later[x, z, self.takes_later[x, z]] for z in (0, 1)]
            looked = (1 - self.shows[x]) * later[0] + self.shows[x] * later[1]
            met.append(looked if step == 3 else self.right[x, step])
        return float(np.mean(met))

    def logs(self) -> tuple[np.ndarray, Staged]:
        """Every decision that could be logged, with its chance."""
        chance, weights, expected, rewards, last = [], [], [], [], []
        for x, step, right in itertools.product(range(3), range(3), (0.0, 1.0)):
            p = self.right[x, step]
            chance.append(self.share[x, step] * (p if right else 1 - p) / 3)
            weights.append([(step == self.takes[x]) / self.share[x, step]] * 2)
            expected.append([self.expects[x], 0.0])
            rewards.append([right, 0.0])
            last.append(0)
        for x, z, step, right in itertools.product(range(3), (0, 1), range(3), (0.0, 1.0)):
            p = self.right_later[x, z, step]
            seen = self.shows[x] if z else 1 - self.shows[x]
            chance.append(self.share[x, 3] * seen * self.later[x, z, step] * (p if right else 1 - p) / 3)
            first = (self.takes[x] == 3) / self.share[x, 3]
            weights.append([first, first * (step == self.takes_later[x, z]) / self.later[x, z, step]])
            expected.append([self.expects[x], self.expects_later[x, z]])
            rewards.append([0.0, right])
            last.append(1)
        rows = Staged(
            weights=np.array(weights),
            expected=np.array(expected),
            rewards=np.array(rewards),
            last=np.array(last),
            clusters=np.arange(len(last)),
        )
        return np.array(chance), rows


@given(st.integers(0, 2**32 - 1))
def test_the_mean_over_all_logs_is_the_truth_whatever_is_expected(seed: int) -> None:
    tree = Tree.of(seed)
    chance, rows = tree.logs()
    assert chance.sum() == pytest.approx(1.0)
    assert chance @ terms(rows, math.inf) == pytest.approx(tree.truth())
    assert chance @ rows.final == pytest.approx(1.0)
    assert chance @ (rows.final * rows.rewards.sum(axis=1)) == pytest.approx(tree.truth())


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0), st.booleans())
def test_outcomes_that_are_known_of_some_decisions_only(seed: int, known: float, wrong_chance: bool) -> None:
    """Right if the chance to be known is right, or if what is expected of the last stage is."""
    tree = Tree.of(seed)
    if wrong_chance:
        exact = tree.right[np.arange(3), np.minimum(tree.takes, 2)]
        later = np.take_along_axis(tree.right_later, tree.takes_later[:, :, None], 2)[:, :, 0]
        tree = replace(tree, expects=np.where(tree.takes == 3, 0.5, exact), expects_later=later)
    chance, rows = tree.logs()
    told = 0.5 * known if wrong_chance else known  # what is thought to be the chance
    with_outcome = terms(replace(rows, known=np.full(len(chance), 1.0 / told)), math.inf)
    without = terms(replace(rows, known=np.zeros(len(chance))), math.inf)
    found = known * (chance @ with_outcome) + (1.0 - known) * (chance @ without)
    assert found == pytest.approx(tree.truth())


def test_what_is_expected_exactly_leaves_no_spread_but_that_of_questions() -> None:
    rows = Staged(
        weights=np.array([[4.0], [0.0], [2.0]]),
        expected=np.array([[1.0], [0.25], [0.0]]),
        rewards=np.array([[1.0], [1.0], [0.0]]),
        last=np.zeros(3, np.int64),
        clusters=np.arange(3),
    )
    assert terms(rows, math.inf).tolist() == [1.0, 0.25, 0.0]


def test_clipping_holds_a_weight_back() -> None:
    rows = Staged(
        weights=np.array([[100.0], [0.0]]),
        expected=np.array([[0.5], [0.5]]),
        rewards=np.array([[1.0], [0.0]]),
        last=np.zeros(2, np.int64),
        clusters=np.arange(2),
    )
    assert terms(rows, 2.0).tolist() == [1.5, 0.5]
    assert clip_of(10_000) == 100.0
    assert snips(rows, 2.0).value == 1.0


def test_snips_is_a_weighted_mean() -> None:
    rows = Staged(
        weights=np.array([[1.0], [3.0], [0.0]]),
        expected=np.zeros((3, 1)),
        rewards=np.array([[1.0], [0.0], [1.0]]),
        last=np.zeros(3, np.int64),
        clusters=np.arange(3),
    )
    assert snips(rows, math.inf).value == 0.25
    nothing = snips(replace(rows, weights=np.zeros((3, 1))), math.inf)
    assert math.isnan(nothing.value)


@given(st.integers(1, 6), st.integers(2, 30))
def test_a_question_that_repeats_counts_once(times: int, questions: int) -> None:
    rng = np.random.default_rng(questions)
    values, weights = rng.random(questions), rng.random(questions) + 0.1
    again = np.repeat(np.arange(questions), times)
    once, often = mean(values, np.arange(questions)), mean(values[again], again)
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))
    assert effective_size(weights[again], again) == pytest.approx(
        effective_size(weights, np.arange(questions))
    )


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=30))
def test_an_effective_size_is_at_most_the_number_of_draws(weights: list[float]) -> None:
    size = effective_size(np.array(weights), np.arange(len(weights)))
    assert 0.0 <= size <= len(weights) * (1 + 1e-9)
    assert (size > 0.0) == any(weight**2 > 0.0 for weight in weights)


def test_an_interval_is_students() -> None:
    found = Estimate.of(0.5, 0.1, 10.0)
    assert found.high - 0.5 == pytest.approx(0.2228, abs=1e-4)
    assert found.within(0.4, 0.6) == Estimate(0.5, 0.4, 0.6)


def test_the_doubly_robust_interval_widens_with_few_draws() -> None:
    rng = np.random.default_rng(0)
    rows = Staged(
        weights=np.where(rng.random((400, 1)) < 0.1, 10.0, 0.0),
        expected=np.full((400, 1), 0.5),
        rewards=(rng.random((400, 1)) < 0.5).astype(float),
        last=np.zeros(400, np.int64),
        clusters=np.arange(400),
    )
    found = doubly_robust(rows, clip_of(400))
    assert found.low < 0.5 < found.high
    assert 0.05 < found.high - found.value < 0.5
