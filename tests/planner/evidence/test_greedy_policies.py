"""A policy of which a log has greedy answers only is decided about by those."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from planner.evidence.training_data import TrainingData, read_training_data
from search.budget import Budget
from search.choice import Choice
from search.errors import TooLittleDataError
from tests.planner import synthetic
from training.cross_validation import cross_validate
from training.study import fit_training_data


def log(answered: int = 200) -> synthetic.Log:
    """200 problems: draws of the small policy, and greedy answers of the large one to the first of them."""
    made = synthetic.make_log(200, families=20, draws=8, policies=("small", "large"), prms=(), ns=(4,))
    few = made.frames["problems"]["problem_id"].to_list()[answered:]
    samples, outcomes = made.frames["samples"], made.frames["outcomes"]
    large = pl.col("policy") == "large"
    made.frames |= {
        "samples": samples.filter(~large | ((pl.col("draw") < 0) & ~pl.col("problem_id").is_in(few))),
        "outcomes": outcomes.filter(~large | (pl.col("plan") == "cot()")),
        "scores": made.frames["scores"].filter(~large),
    }
    return made


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return read_training_data(log(), synthetic.POLICIES, {})  # type: ignore[arg-type]


def test_its_greedy_answers_are_read(data: TrainingData) -> None:
    large = data.pools["large"]
    assert large.draws == 0
    assert large.is_greedy
    assert large.greedy_code is not None
    assert (large.codes[:, 0] == large.greedy_code).all()
    assert [str(choice) for choice in data.choices if choice.policy == "large"] == ["large x - x cot()"]
    assert data.main == "small"
    assert data.left_out == 0


def test_problems_that_it_did_not_answer_are_left_out_and_a_policy_of_few_answers_is() -> None:
    some = read_training_data(log(170), synthetic.POLICIES, {})  # type: ignore[arg-type]
    assert set(some.pools) == {"small", "large"}
    assert some.left_out == 30
    few = read_training_data(log(90), synthetic.POLICIES, {})  # type: ignore[arg-type]
    assert set(few.pools) == {"small"}
    assert few.left_out == 0


def test_a_log_of_greedy_answers_only_is_refused_as_such() -> None:
    made = log()
    samples = made.frames["samples"]
    made.frames |= {"samples": samples.filter(pl.col("draw") < 0)}
    with pytest.raises(TooLittleDataError, match="pools of samples, got greedy answers only"):
        read_training_data(made, synthetic.POLICIES, {})  # type: ignore[arg-type]
    made.frames |= {"samples": samples.clear()}
    with pytest.raises(TooLittleDataError, match="got a log without samples"):
        read_training_data(made, synthetic.POLICIES, {})  # type: ignore[arg-type]


def test_a_planner_decides_about_it(data: TrainingData) -> None:
    planner = fit_training_data(data, trials=0)
    greedy = Choice.parse("large: cot()")
    assert greedy in planner.choices
    assert all(stage.probe.policy == "small" for stage in planner.stages)
    assert any("large: cot()" in str(choice.plan) for choice in planner.choices)
    advice = planner.decide("work out the sum of 1 + 2 + 3", budget=Budget(price=0.0))
    assert 0.0 < advice.accuracy <= 1.0


def test_it_can_be_cross_validated(data: TrainingData) -> None:
    found = cross_validate(data, folds=3, trials=0, seed=0)
    assert np.isfinite([one.budget for one in found.budgets]).all()
    assert found.spendable
