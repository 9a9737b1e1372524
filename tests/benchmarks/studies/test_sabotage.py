from __future__ import annotations

import numpy as np
import pytest
from studies.sabotage import SABOTAGES, sabotaged

from planner.evidence.model_features import within_problem_auroc
from planner.evidence.training_data import TrainingData


@pytest.mark.parametrize("kind", SABOTAGES)
def test_rewards_change_and_nothing_else_does(kind: str, data: TrainingData) -> None:
    broken = sabotaged(data, kind, seed=1)
    for name, pool in data.pools.items():
        other = broken.pools[name]
        assert other.codes is pool.codes
        for prm, held in pool.prms.items():
            new = other.prms[prm]
            assert new.summary.shape == held.summary.shape
            assert np.isfinite(new.summary).all()
            assert ((new.summary[:, :, :4] >= 0) & (new.summary[:, :, :4] <= 1)).all()
            assert not np.allclose(new.summary, held.summary)
            assert (new.tokens == held.tokens).all()
    for choice, runs in data.trees.items():
        assert (broken.trees[choice].policy_tokens == runs.policy_tokens).all()
        assert broken.trees[choice].code.shape == runs.code.shape
    again = sabotaged(data, kind, seed=1)
    assert (again.pools["small"].prms["good"].summary == broken.pools["small"].prms["good"].summary).all()


def test_they_are_as_bad_as_they_say(data: TrainingData) -> None:
    good = within_problem_auroc(data, "small", "good")
    random = within_problem_auroc(sabotaged(data, "random"), "small", "good")
    critical = within_problem_auroc(sabotaged(data, "critical"), "small", "good")
    assert good > 0.9
    assert random == pytest.approx(0.5, abs=0.03)
    assert random + 0.03 < critical < good
    longest = sabotaged(data, "length").pools["small"]
    rewards, tokens = longest.prms["good"].score("last"), longest.tokens
    order = np.argsort(tokens, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(rewards, order, 1), axis=1) >= 0).all()


def test_a_tree_steered_by_noise_is_as_good_as_a_sample(data: TrainingData) -> None:
    broken = sabotaged(data, "random")
    for choice, runs in broken.trees.items():
        samples = broken.graded(broken.pools[choice.policy].codes).mean()
        assert broken.graded(runs.code).mean() == pytest.approx(samples, abs=0.08)
