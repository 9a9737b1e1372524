"""Controls: what is exchanged, and that everything else stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import worlds

from planner.evaluation.folds.shuffled import CONTROLS, controls_of, shuffled
from planner.evidence.training_data import TrainingData
from search.errors import LogError


@pytest.fixture(scope="module")
def data() -> TrainingData:
    world = worlds.world(30, draws=8)
    pool = world.pools["small"]
    signals = {"mean": pool.mean_logprob.astype(np.float32)}
    return replace(world, pools={"small": replace(pool, signals=signals)})


def test_questions_are_exchanged_and_nothing_else(data: TrainingData) -> None:
    other = shuffled(data, "questions", seed=1)
    assert sorted(other.questions) == sorted(data.questions)
    assert other.questions != data.questions
    assert replace(other, questions=data.questions) == data


def test_what_belongs_to_a_sample_moves_together(data: TrainingData) -> None:
    other = shuffled(data, "logprobs", seed=1)
    before, after = data.pools["small"], other.pools["small"]
    assert (before.mean_logprob != after.mean_logprob).mean() > 0.5

    def pairs(pool: object) -> list[tuple[float, float]]:
        return sorted(zip(pool.mean_logprob.ravel(), pool.min_logprob.ravel(), strict=True))  # type: ignore[attr-defined]

    assert pairs(before) == pairs(after)
    np.testing.assert_allclose(after.signals["mean"], after.mean_logprob, rtol=1e-6)
    np.testing.assert_array_equal(before.codes, after.codes)
    np.testing.assert_array_equal(before.tokens, after.tokens)
    np.testing.assert_array_equal(before.prms["judge"].summary, after.prms["judge"].summary)
    assert other.questions == data.questions


def test_rewards_move_with_all_that_sums_them_up(data: TrainingData) -> None:
    before, after = (log.pools["small"] for log in (data, shuffled(data, "rewards", seed=1)))
    rows = [np.sort(pool.prms["judge"].summary.reshape(240, -1), axis=0) for pool in (before, after)]
    np.testing.assert_array_equal(*rows)
    ordered = [
        {tuple(row) for row in pool.prms["judge"].summary.reshape(240, -1).tolist()}
        for pool in (before, after)
    ]
    assert ordered[0] == ordered[1]
    assert (before.prms["judge"].summary != after.prms["judge"].summary).any()
    np.testing.assert_array_equal(before.mean_logprob, after.mean_logprob)


@pytest.mark.parametrize("control", CONTROLS)
def test_equal_seeds_give_equal_logs(data: TrainingData, control: str) -> None:
    one, two, other = (shuffled(data, control, seed=seed) for seed in (1, 1, 2))

    def told(log: TrainingData) -> tuple[object, ...]:
        pool = log.pools["small"]
        return (log.questions, pool.mean_logprob.tolist(), pool.prms["judge"].summary.tolist())

    assert told(one) == told(two)
    assert told(one) != told(other)


def test_a_log_without_the_evidence_has_no_control(data: TrainingData) -> None:
    assert controls_of(data) == (("questions", "logprobs", "rewards"), {})
    pool = data.pools["small"]
    silent = replace(
        pool,
        mean_logprob=0 * pool.mean_logprob,
        min_logprob=0 * pool.min_logprob,
        signals={"mean": np.full(pool.codes.shape, np.nan, np.float32)},
        prms={},
    )
    kept, missing = controls_of(replace(data, pools={"small": silent}))
    assert kept == ("questions",)
    assert missing == {"logprobs": "no logprobs were logged", "rewards": "no PRM scored the samples"}
    with pytest.raises(LogError, match="one of questions, logprobs, rewards, got 'answers'"):
        shuffled(data, "answers")
