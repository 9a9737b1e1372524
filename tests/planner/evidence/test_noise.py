"""A campaign in which a model says less than it did."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import synthetic

from planner.evidence.effects import Effects
from planner.evidence.noise import changed, with_noise
from planner.evidence.training_data import TrainingData, read_training_data
from search.scores import SCORES


@pytest.fixture(scope="module")
def data() -> TrainingData:
    made = synthetic.make_log(40, draws=8, ns=(4,), policies=("small", "large"), trees=True)
    return read_training_data(made, synthetic.POLICIES, synthetic.PRMS)


def test_a_prm_that_says_nothing_scores_as_before_but_others(data: TrainingData) -> None:
    noisy = with_noise(data, {"good": 1.0})
    for name, pool in data.pools.items():
        before, after = pool.prms["good"].summary, noisy.pools[name].prms["good"].summary
        assert sorted(before.ravel().tolist()) == sorted(after.ravel().tolist())
        assert (before != after).mean() > 0.5
        assert noisy.pools[name].prms["bad"] is pool.prms["bad"]
        assert noisy.pools[name].codes is pool.codes


def test_ranking_by_it_is_lost(data: TrainingData) -> None:
    def apart(one: TrainingData) -> float:
        """By how much right samples are scored above wrong ones."""
        pool = one.pools["small"]
        right = one.graded(pool.codes).astype(bool)
        scores = pool.prms["good"].summary[:, :, SCORES.index("last")]
        return float(scores[right].mean() - scores[~right].mean())

    assert abs(apart(with_noise(data, {"good": 1.0}))) < 0.3 * apart(data)
    part = apart(with_noise(data, {"good": 0.5}))
    assert 0.25 * apart(data) < part < 0.75 * apart(data)


def test_answers_of_a_policy_that_says_nothing_cannot_be_read(data: TrainingData) -> None:
    noisy = with_noise(data, {"large": 1.0})
    assert (noisy.pools["large"].codes == -1).all()
    assert not noisy.graded(noisy.pools["large"].codes).any()
    assert np.array_equal(noisy.pools["small"].codes, data.pools["small"].codes)
    mine = [choice for choice in data.trees if choice.policy == "large"]
    assert mine
    assert all((noisy.trees[choice].code == -1).all() for choice in mine)
    half = with_noise(data, {"large": 0.5}).pools["large"].codes
    assert 0.3 < (half == -1).mean() < 0.7 + (data.pools["large"].codes == -1).mean()


def test_a_search_that_a_broken_prm_steers_is_a_sample(data: TrainingData) -> None:
    noisy = with_noise(data, {"good": 1.0})
    steered = [choice for choice in data.trees if choice.prm == "good"]
    assert steered
    for choice in steered:
        code, pool = noisy.trees[choice].code, data.pools[choice.policy].codes
        assert all(set(row.tolist()) <= set(own.tolist()) for row, own in zip(code, pool, strict=True))


def test_nothing_lost_is_the_same_data(data: TrainingData) -> None:
    assert with_noise(data, {"good": 0.0}) is data
    assert changed(data, Effects({"policy small": 0.1}, {"good": 1.0})).effects == Effects(
        {"policy small": 0.1}
    )
    first, again = (with_noise(data, {"good": 0.5}, seed=3).pools["small"].prms["good"] for _ in range(2))
    assert np.array_equal(first.summary, again.summary)


def test_greedy_answers_alone_are_lost_alike() -> None:
    made = synthetic.make_log(40, draws=4, policies=("small", "large"), prms=(), ns=(4,))
    mine = pl.col("policy") == "small"
    frames = made.frames | {
        "samples": made.frames["samples"].filter(mine | (pl.col("draw") < 0)),
        "outcomes": made.frames["outcomes"].filter(mine | (pl.col("plan") == "cot()")),
    }
    greedy = read_training_data(synthetic.Log(frames), synthetic.POLICIES, {})
    assert greedy.pools["large"].is_greedy
    pool = with_noise(greedy, {"large": 0.5}).pools["large"]
    assert pool.greedy_code is not None
    assert np.array_equal(pool.codes[:, 0], pool.greedy_code)
    assert 0.3 < (pool.greedy_code == -1).mean() < 0.8


def test_what_joins_the_vote_of_a_probe_is_lost_with_the_run(data: TrainingData) -> None:
    mute, astray = with_noise(data, {"large": 1.0}), with_noise(data, {"good": 1.0})
    mine = [choice for choice in data.trees if choice.policy == "large"]
    assert mine
    assert all((mute.trees[choice].codes == -1).all() for choice in mine)
    steered = [choice for choice in data.trees if choice.prm == "good"]
    assert steered
    for choice in steered:
        before, after = data.trees[choice], astray.trees[choice]
        assert np.array_equal(after.codes[:, :, 0], after.code)
        assert (after.codes[:, :, 1:] == -1).all()
        assert sorted(after.scores.ravel().tolist()) == sorted(before.scores.ravel().tolist())
        assert (after.scores != before.scores).mean() > 0.5
    others = [choice for choice in data.trees if choice.prm == "bad"]
    assert all(np.array_equal(astray.trees[c].codes, data.trees[c].codes) for c in others)
