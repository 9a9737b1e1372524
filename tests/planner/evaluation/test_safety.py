from __future__ import annotations

import numpy as np

from planner.evaluation.duel import Bout, Duel
from planner.evaluation.sabotage import SABOTAGES
from planner.evaluation.safety import CALIBRATION, Trial, safety
from planner.experience import Experience
from planner.planner import Planner

BOUT = Bout((4.0, 12.0), resamples=2, bootstrap=100)


def test_every_prm_gone_bad_is_tried_untold_and_told(planner: Planner, experience: Experience) -> None:
    logs: list[Experience] = []

    def refit(log: Experience) -> Planner:
        logs.append(log)
        return planner

    trials = safety(planner, experience, experience, BOUT, refit=refit)
    assert [(trial.prm, trial.told) for trial in trials] == [
        (kind, told) for kind in SABOTAGES for told in ("probe", "calibration")
    ]
    assert all(len(log) == CALIBRATION for log in logs)
    for log in logs:  # its PRMs are the replaced ones
        at = [experience.problem_ids.index(name) for name in log.problem_ids]
        real = experience.pools["small"].prms["good"].summary[at]
        assert not np.allclose(log.pools["small"].prms["good"].summary, real)
    for trial in trials:
        assert [one.samples for one in trial.duels] == [4.0, 12.0]
        assert all(one.low <= one.above <= one.high for one in trial.duels)
    # noise in place of a PRM is felt by a planner that trusted it
    assert trials[0].duels != trials[2].duels


def test_a_fall_is_harm_where_the_interval_ends_below_a_point() -> None:
    fine, worse = Duel(4.0, 0.5, 0.5, 0.0, -0.009, 0.01), Duel(4.0, 0.5, 0.51, -0.01, -0.02, 0.0)
    assert Trial("random", "probe", (fine,)).safe
    assert not Trial("random", "probe", (fine, worse)).safe
