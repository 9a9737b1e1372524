"""What a report shows of the synthetic planner on a synthetic log, collected once."""

from __future__ import annotations

import pytest
import synthetic

from planner.evaluation.evaluate import Evaluation, evaluate
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from planner.report.collect import collect
from planner.report.findings import Findings


@pytest.fixture(scope="session")
def tables() -> synthetic.Log:
    """The log that the fixture ``data`` was read from."""
    return synthetic.make_log(160, policies=("small", "large"), trees=True)


@pytest.fixture(scope="session")
def evaluation(planner: Planner, data: TrainingData) -> Evaluation:
    return evaluate(planner, data, budgets=(0.5, 1.0, 4.0), resamples=8, bootstrap=200)


@pytest.fixture(scope="session")
def findings(planner: Planner, data: TrainingData, evaluation: Evaluation, tables: synthetic.Log) -> Findings:
    return collect(planner, data, evaluation, tables=tables, names=("held-out", "fitted", None), resamples=8)
