from __future__ import annotations

import json

import numpy as np
import pytest
import synthetic

from planner.evaluation.evaluate import evaluate
from planner.experience import Experience, read_experience
from search.errors import LogError, TooLittleDataError
from training.study import fit_experience


def read(problems: int, **how: object) -> Experience:
    return read_experience(synthetic.make_log(problems, **how), synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]


def test_beats_every_fixed_plan_where_features_tell() -> None:
    training, held_out = read(400, draws=40, seed=1), read(300, draws=40, seed=2)
    found = evaluate(
        fit_experience(training, trials=3),
        held_out,
        training=training,
        budgets=(4.0, 12.0),
        resamples=8,
        bootstrap=500,
    )
    for row in found.budgets:
        ours = row.methods["planner"]
        for rival in ("majority", "mixture", "best_fixed", "probe_rule"):
            theirs = row.methods[rival]
            # what a fixed plan costs is known from training only
            assert theirs.flops <= row.flops * 1.05
            assert ours.flops <= row.flops * 1.001
            assert theirs.above_low > 0, (row.name, rival, theirs)
    assert found.gap_closed["value"] > 0.5
    assert found.calibration["ece"] < 0.06
    assert all(sum(made.values()) == pytest.approx(1.0) for made in found.made.values())
    body = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert body["budgets"][0]["planner"]["accuracy"] == found.budgets[0].methods["planner"].accuracy


def test_does_no_harm_where_nothing_tells() -> None:
    how: dict[str, object] = {"signal": False, "prms": (), "draws": 40}
    training, held_out = read(300, seed=1, **how), read(300, seed=2, **how)
    found = evaluate(
        fit_experience(training, trials=2),
        held_out,
        training=training,
        budgets=(4.0, 12.0),
        resamples=8,
        bootstrap=500,
    )
    for row in found.budgets:
        for rival in ("best_fixed", "mixture"):
            assert row.methods[rival].above_high > -0.002
            assert row.methods[rival].planner_above > -0.01


def test_without_a_training_log_rivals_pick_on_other_families(planner, experience) -> None:  # type: ignore[no-untyped-def]
    found = evaluate(planner, experience, budgets=(4.0,), bootstrap=200, resamples=4, clustered=True)
    assert set(found.budgets[0].methods) == {
        "planner",
        "majority",
        "best_of_n",
        "mixture",
        "bin_absolute",
        "bin_quantile",
        "probe_rule",
        "oracle",
        "best_fixed",
    }
    assert (found.problems, found.families) == (160, 12)


@pytest.mark.parametrize("skill", [0.0, 1.0])
def test_all_wrong_and_all_right(skill: float) -> None:
    one = read(70, skill=skill, draws=16)
    planner = fit_experience(one, trials=1)
    found = evaluate(planner, one, budgets=(4.0,), bootstrap=100, resamples=4)
    ours = found.budgets[0].methods["planner"]
    assert ours.accuracy == pytest.approx(skill)
    assert found.to_json()["gap_closed"]["value"] is None
    # nothing can be gained: nothing is spent, however much may be
    assert max(found.curves[0].flops) <= 1.3 * planner.sample_flops


def test_one_plan_only() -> None:
    log = synthetic.make_log(80, prms=(), draws=16)
    log.frames["outcomes"] = log.frames["outcomes"].filter(log.frames["outcomes"]["plan"] == "majority(n=4)")
    one = read_experience(log, synthetic.POLICIES, synthetic.PRMS)
    assert [str(c) for c in one.choices] == ["small x - x majority(n=4)"]
    found = evaluate(fit_experience(one, trials=1), one, budgets=(4.0,), bootstrap=100, resamples=4)
    assert np.isfinite(found.budgets[0].methods["planner"].accuracy)


def test_rewards_that_are_no_number_do_no_harm() -> None:
    log = synthetic.make_log(80, prms=("bad",), draws=16)
    broken = log.frames["scores"].with_columns(
        log.frames["scores"]["step_rewards"].list.eval(__import__("polars").element() * float("nan"))
    )
    log.frames["scores"] = broken
    one = read_experience(log, synthetic.POLICIES, synthetic.PRMS)
    planner = fit_experience(one, trials=1)
    assert all(np.isfinite(stage.centre).all() for stage in planner.stages)


def test_one_problem_is_too_little(planner) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TooLittleDataError, match="at least 2 problems, got 1"):
        evaluate(planner, read(1, policies=("small", "large"), trees=True))


def test_a_choice_that_was_never_logged(planner) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LogError, match="the log can replay"):
        evaluate(planner, read(20, policies=("small",)))
