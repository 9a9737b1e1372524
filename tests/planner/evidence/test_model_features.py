from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.evidence.model_features import within_problem_auroc
from planner.evidence.training_data import TrainingData


def uninformed(data: TrainingData) -> TrainingData:
    """The same log, every answer readable and right: no problem has a wrong sample."""
    pools = {name: replace(pool, codes=np.maximum(pool.codes, 0)) for name, pool in data.pools.items()}
    return replace(data, right=np.ones_like(data.right), pools=pools)


def test_a_prm_that_ranks_well_stands_above_one_that_does_not(data: TrainingData) -> None:
    good, bad = (within_problem_auroc(data, "small", prm) for prm in ("good", "bad"))
    assert good > 0.6 > bad


def test_where_no_problem_has_both_what_is_known_otherwise_stands(data: TrainingData) -> None:
    blank = uninformed(data)
    assert within_problem_auroc(blank, "small", "good") == 0.5
    assert within_problem_auroc(blank, "small", "good", unknown=0.8) == 0.8
    # a log that can tell is believed
    told = within_problem_auroc(data, "small", "good")
    assert within_problem_auroc(data, "small", "good", unknown=0.1) == told
