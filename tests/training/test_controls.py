"""Controls: each is cross-validated on its shuffled log; one that a log cannot support says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from planner.evaluation.folds.cross_validation import CrossValidation
from planner.evaluation.folds.shuffled import shuffled
from planner.evidence.training_data import TrainingData, read_training_data
from training.controls import controls


@pytest.fixture(scope="module")
def read(synthetic) -> Callable[..., TrainingData]:  # type: ignore[no-untyped-def]
    def make(**how: object) -> TrainingData:
        return read_training_data(
            synthetic.make_log(30, draws=6, ns=(4,), **how), synthetic.POLICIES, synthetic.PRMS
        )

    return make


def test_each_control_is_met_on_its_own_log(
    read: Callable[..., TrainingData], met: Callable[..., CrossValidation]
) -> None:
    data = read(prms=("good",))
    logs: list[TrainingData] = []

    def validate(log: TrainingData) -> CrossValidation:
        logs.append(log)
        return met(0.49)

    found = controls(data, validate, seed=3, bootstrap=10)
    assert [one.control for one in found] == ["questions", "logprobs", "rewards"]
    assert logs[0].questions == shuffled(data, "questions", seed=3).questions
    assert [log.questions == data.questions for log in logs] == [False, True, True]
    for one in found:
        assert one.to_json()["above_rule"]["value"] == pytest.approx(-0.01)
        assert one.why == ""


def test_a_control_that_means_nothing_is_empty(
    read: Callable[..., TrainingData], met: Callable[..., CrossValidation]
) -> None:
    found = {one.control: one for one in controls(read(prms=()), lambda log: met(0.5), bootstrap=10)}
    assert found["rewards"].why == "no PRM scored the samples"
    assert found["rewards"].to_json()["above_rule"] is None
    assert found["questions"].verdict is not None
