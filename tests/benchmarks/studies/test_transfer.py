from __future__ import annotations

import numpy as np
import pytest
import synthetic
import worlds
from studies.paired_comparison import ComparisonSpec
from studies.transfer import (
    left_out_domain,
    left_out_families,
    left_out_policy,
    left_out_prm,
)

from planner.evaluation.slices import rows_of
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.errors import LogError

SPEC = ComparisonSpec((4.0,), resamples=2, bootstrap=60)


class Fit:
    """Keeps what it was asked to learn from."""

    def __init__(self, planner: Planner | None = None) -> None:
        self.planner = planner
        self.logs: list[TrainingData] = []

    def __call__(self, log: TrainingData) -> Planner:
        self.logs.append(log)
        if self.planner is None:
            self.planner = worlds.learned(log)
        return self.planner


def test_a_domain_is_left_out_and_then_known_a_little(planner: Planner, data: TrainingData) -> None:
    fit = Fit(planner)
    without, told = left_out_domain(data, data, "puzzle", fit, SPEC)
    assert (without.told, told.told) == ("nothing", "calibration")
    assert set(fit.logs[0].domains) == {"arithmetic"}
    assert set(fit.logs[1].domains) == {"arithmetic", "puzzle"}
    assert set(without.duels) == {"majority", "mixture", "knn"}
    assert without.problems == len(fit.logs[0])
    with pytest.raises(LogError, match="got 'code' of arithmetic, puzzle"):
        left_out_domain(data, data, "code", fit, SPEC)


def test_no_problem_is_decided_by_who_saw_its_family(planner: Planner, data: TrainingData) -> None:
    fit = Fit(planner)
    (move,) = left_out_families(data, data, fit, SPEC)
    families = set(data.families)
    assert len(fit.logs) == 5
    # what each part left out: every family once
    left_out = [families - set(log.families) for log in fit.logs]
    assert sorted(family for part in left_out for family in part) == sorted(families)
    assert all(left_out)
    assert set(move.duels) == {"majority", "mixture", "knn"}
    # the same planner whatever is left out: what it reaches is the mean over parts of problems
    (one,) = move.duels["majority"]
    assert 0.0 < one.planner < 1.0
    assert one.above == pytest.approx(one.planner - one.rival)
    few = rows_of(data, np.flatnonzero(np.asarray(data.families) == data.families[0]))
    with pytest.raises(LogError, match="families are left out in 5 parts, got 1: "):
        left_out_families(data, few, fit, SPEC)


@pytest.fixture(scope="module")
def both() -> TrainingData:
    log = synthetic.make_log(72, policies=("small", "large"), draws=34)
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)


def test_a_new_policy_stands_under_the_name_of_the_nearest(both: TrainingData) -> None:
    fit = Fit()
    moves = left_out_policy(both, both, "large", fit, SPEC)
    assert [(move.kind, move.name, move.told) for move in moves] == [
        ("policy", "large", "nothing"),
        ("policy", "large", "calibration"),
    ]
    for log, name in zip(fit.logs, ("small", "large"), strict=True):
        assert set(log.policies) == {"small"}
        assert log.policies["small"].parameters == both.policies[name].parameters
    # told: the new one's own samples
    assert (fit.logs[1].pools["small"].codes == both.pools["large"].codes).all()
    for move in moves:
        for duels in move.duels.values():
            assert all(np.isfinite([one.planner, one.rival, one.low, one.high]).all() for one in duels)
    with pytest.raises(LogError, match="must stand in both logs beside others, got 'huge'"):
        left_out_policy(both, both, "huge", fit, SPEC)


def test_a_new_prm_stands_under_the_name_of_another(both: TrainingData) -> None:
    fit = Fit()
    left_out_prm(both, both, "bad", "good", fit, SPEC)
    for log, name in zip(fit.logs, ("good", "bad"), strict=True):
        assert set(log.prms) == {"good"}
        assert (log.pools["small"].prms["good"].summary == both.pools["small"].prms[name].summary).all()
    with pytest.raises(LogError, match="beside the other, got 'good' and 'good'"):
        left_out_prm(both, both, "good", "good", fit, SPEC)
