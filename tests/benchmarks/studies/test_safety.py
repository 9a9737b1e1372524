from __future__ import annotations

import numpy as np
from studies.paired_comparison import ComparisonSpec, PairedComparison
from studies.sabotage import SABOTAGES
from studies.safety import CALIBRATION, Trial, safety

from planner.evidence.training_data import TrainingData
from planner.planner import Planner

SPEC = ComparisonSpec((4.0, 12.0), resamples=2, bootstrap=100)


def test_every_prm_gone_bad_is_tried_untold_and_told(planner: Planner, data: TrainingData) -> None:
    logs: list[TrainingData] = []

    def refit(log: TrainingData) -> Planner:
        logs.append(log)
        return planner

    trials = safety(planner, data, data, SPEC, refit=refit)
    assert [(trial.prm, trial.told) for trial in trials] == [
        (kind, told) for kind in SABOTAGES for told in ("probe", "calibration")
    ]
    assert all(len(log) == CALIBRATION for log in logs)
    for log in logs:  # its PRMs are the replaced ones
        at = [data.problem_ids.index(name) for name in log.problem_ids]
        real = data.pools["small"].prms["good"].summary[at]
        assert not np.allclose(log.pools["small"].prms["good"].summary, real)
    for trial in trials:
        assert [one.samples for one in trial.duels] == [4.0, 12.0]
        assert all(one.low <= one.above <= one.high for one in trial.duels)
    # noise in place of a PRM is felt by a planner that trusted it
    assert trials[0].duels != trials[2].duels


def test_a_fall_is_harm_where_the_interval_ends_below_a_point() -> None:
    fine, worse = (
        PairedComparison(samples=4.0, planner=0.5, rival=0.5, above=0.0, low=-0.009, high=0.01),
        PairedComparison(samples=4.0, planner=0.5, rival=0.51, above=-0.01, low=-0.02, high=0.0),
    )
    assert Trial("random", "probe", (fine,)).safe
    assert not Trial("random", "probe", (fine, worse)).safe
