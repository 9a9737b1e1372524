from __future__ import annotations

import numpy as np
import pytest
import worlds

from planner.evaluation.slices import calibration_rows, known_as, only, rows_of, sample_flops
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.errors import LogError, TooLittleDataError


def test_some_problems_keep_all_that_is_theirs(data: TrainingData) -> None:
    at = np.array([7, 3, 90])
    part = rows_of(data, at)
    assert part.problem_ids == tuple(data.problem_ids[i] for i in at)
    assert part.questions == tuple(data.questions[i] for i in at)
    assert (part.right == data.right[at]).all()
    for name, pool in data.pools.items():
        assert (part.pools[name].codes == pool.codes[at]).all()
        assert (part.pools[name].prms["good"].summary == pool.prms["good"].summary[at]).all()
        assert part.pools[name].draws == pool.draws
    for choice, runs in data.trees.items():
        assert (part.trees[choice].scores == runs.scores[at]).all()
    assert part.choices == data.choices
    with pytest.raises(TooLittleDataError, match="at least one problem"):
        rows_of(data, np.zeros(0, int))


def test_some_models_alone(data: TrainingData) -> None:
    part = only(data, policies=("small",), prms=("bad",))
    assert set(part.policies) == set(part.pools) == {"small"}
    assert set(part.prms) == set(part.pools["small"].prms) == {"bad"}
    assert all(choice.policy == "small" and choice.prm in (None, "bad") for choice in part.choices)
    assert part.trees
    assert set(part.trees) < set(data.trees)
    for choice in part.choices:
        part.require(choice)
    with pytest.raises(LogError, match="must hold a choice"):
        only(data, policies=())


def test_models_under_other_names_keep_what_they_cost(data: TrainingData) -> None:
    large = only(data, policies=("large",))
    part = known_as(large, policies={"large": "small"}, prms={"good": "judge"})
    assert set(part.pools) == {"small"}
    assert set(part.prms) == {"judge", "bad"}
    assert part.policies["small"].parameters == data.policies["large"].parameters
    assert part.policies["small"].name == "small"
    for choice in part.choices:
        part.require(choice)


def test_few_problems_cover_all_families() -> None:
    one = worlds.world(120, families=12)
    at = calibration_rows(one, 24, seed=0)
    assert len(set(at.tolist())) == 24
    assert sorted(np.bincount([int(one.families[i][1:]) for i in at])) == [2] * 12
    assert len(calibration_rows(one, 999, seed=0)) == 120


def test_a_sample_equivalent_is_the_planners(planner: Planner, data: TrainingData) -> None:
    assert sample_flops(data) == pytest.approx(planner.sample_flops)
