from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import synthetic
import worlds

from planner.evaluation.evaluate import evaluate
from planner.evaluation.evaluation import METHODS
from planner.evaluation.slices import rows_of
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.errors import BudgetError, LogError, TooLittleDataError
from training.study import fit_training_data

#: what the JSON promises per budget, in the words of whoever reads it
ASKED = (
    "planner",
    "majority",
    "best_of_n",
    "best_fixed",
    "mixture",
    "bin_absolute",
    "bin_quantile",
    "adaptive_consistency",
    "probe_rule",
    "knn",
    "oracle",
)


def read(problems: int, **how: object) -> TrainingData:
    return read_training_data(synthetic.make_log(problems, **how), synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]


def test_beats_every_fixed_plan_where_features_tell() -> None:
    training, held_out = read(300, draws=24, seed=1), read(240, draws=24, seed=2)
    found = evaluate(
        fit_training_data(training, trials=0),
        held_out,
        training=training,
        budgets=(4.0, 12.0),
        resamples=4,
        bootstrap=300,
    )
    for row in found.budgets:
        ours = row.methods["planner"]
        for rival in ("majority", "mixture", "best_fixed", "probe_rule", "random", "early_stopping"):
            theirs = row.methods[rival]
            # what a fixed plan costs is known from training only
            assert theirs.flops <= row.flops * 1.05
            assert ours.flops <= row.flops * 1.001
            assert theirs.above_low > 0, (row.name, rival, theirs)
    assert found.gap_closed["value"] > 0.5
    assert found.gap_closed["low"] <= found.gap_closed["value"] <= found.gap_closed["high"]
    assert found.calibration["ece"] < 0.06
    assert found.multiples["control"].value == 1.0
    assert found.multiples["majority"].value > 2.0
    assert all(sum(made.values()) == pytest.approx(1.0) for made in found.made.values())
    area = found.areas["majority"]
    assert area.above_low > 0
    assert area.value + area.planner_above == pytest.approx(found.areas["planner"].value)


def test_does_no_harm_where_nothing_tells() -> None:
    how: dict[str, object] = {"signal": False, "prms": (), "draws": 40}
    training, held_out = read(240, seed=1, **how), read(240, seed=2, **how)
    found = evaluate(
        worlds.learned(training),
        held_out,
        training=training,
        budgets=(4.0, 12.0),
        resamples=4,
        bootstrap=300,
    )
    for row in found.budgets:
        for rival in ("best_fixed", "mixture"):
            assert row.methods[rival].above_high > -0.002
            assert row.methods[rival].planner_above > -0.01
    assert "best_of_n" not in found.budgets[0].methods
    assert found.to_json()["budgets"][0]["best_of_n"] is None


def test_the_json_is_what_was_promised(planner: Planner, data: TrainingData) -> None:
    found = evaluate(planner, data, budgets=(4.0, 16.0), bootstrap=100, resamples=2, clustered=True, timed=20)
    assert (found.problems, found.families) == (160, 12)
    assert set(found.budgets[0].methods) == set(METHODS)
    body = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [row["name"] for row in body["budgets"]] == ["4 samples", "16 samples"]
    for row in body["budgets"]:
        assert row["flops"] > 0
        for name in ASKED:
            assert {"accuracy", "tokens", "flops", "low", "high"} <= set(row[name])
            assert row[name]["low"] <= row[name]["accuracy"] <= row[name]["high"]
    assert {"value", "low", "high"} <= set(body["gap_closed"])
    assert len(body["headline"]) == 4
    for cell in body["headline"]:
        expected = {
            "policy",
            "prm",
            "gain_over_cot_percent",
            "multiple_over_majority",
            "censored",
            "low",
            "high",
        }
        assert expected <= set(cell)
        assert isinstance(cell["censored"], bool)
    assert {"ece", "resolution", "brier"} <= set(body["calibration"])
    assert body["budget_error_percent"] >= 0
    assert 0 < body["decision_ms"]["p50"] <= body["decision_ms"]["p99"]
    assert any("12 families are few" in note for note in body["notes"])
    assert sum(cell["share"] for cell in body["reliability"]) == pytest.approx(1.0)
    for curve in body["curves"]:
        assert len(curve["low"]) == len(curve["accuracy"]) == len(curve["flops"])


def nulls(value: object, place: str = "") -> list[str]:
    """Where a JSON document is null, as ``a.b.0``."""
    if value is None:
        return [place]
    inner: list[tuple[object, object]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [found for name, one in inner for found in nulls(one, f"{place}.{name}".lstrip("."))]


def test_without_budgets_they_span_the_log(planner: Planner, data: TrainingData) -> None:
    few = rows_of(data, np.arange(40))
    found = evaluate(planner, few, bootstrap=50, resamples=2)
    costs = sorted(curve.flops[0] for curve in found.fixed)
    flops = [row.flops for row in found.budgets]
    np.testing.assert_allclose(flops, np.geomspace(costs[0], costs[-1], 4))
    names = [row.name for row in found.budgets]
    assert [float(name.removesuffix(" samples")) for name in names] == pytest.approx(
        [one / planner.sample_flops for one in flops], rel=5e-3
    )


@pytest.mark.parametrize("skill", [0.0, 0.5])
def test_an_empty_figure_says_why(skill: float) -> None:
    """No figure is NaN in the JSON, and each that is null, or each method without figures, has its reason."""
    one = read(70, skill=skill, draws=34, prms=())
    body = evaluate(worlds.learned(one), one, budgets=(4.0,), bootstrap=50, resamples=2).to_json()
    assert "NaN" not in json.dumps(body, allow_nan=False)
    assert {"best_of_n", "cascade"} <= set(body["missing"])
    assert all(body["missing"].values())
    told = tuple(body["empty"])
    for place in nulls(body):
        method = place.split(".")[-1]
        absent = place.startswith("budgets.") and method in body["missing"]
        named = place.replace("gain_over_cot_percent", "gain").replace("gain_low", "gain")
        no_prm = place.startswith("headline.") and method == "prm"
        assert absent or no_prm or named.replace("gain_high", "gain").startswith(told), place


def test_equal_arguments_give_equal_figures(planner: Planner, data: TrainingData) -> None:
    few = rows_of(data, np.arange(40))
    one, two = (evaluate(planner, few, budgets=(4.0,), bootstrap=50, resamples=2).to_json() for _ in range(2))
    assert one == two
    assert one["decision_ms"] == {"p50": None, "p99": None}


def test_problems_of_both_logs_are_told(planner: Planner, data: TrainingData) -> None:
    found = evaluate(planner, data, training=data, budgets=(4.0,), bootstrap=50, resamples=2)
    assert any(note.startswith("160 problems are in both logs") for note in found.notes)


@pytest.mark.parametrize("skill", [0.0, 1.0])
def test_all_wrong_and_all_right(skill: float) -> None:
    one = read(70, skill=skill, draws=34)
    planner = worlds.learned(one)
    found = evaluate(planner, one, budgets=(4.0,), bootstrap=50, resamples=2)
    ours = found.budgets[0].methods["planner"]
    assert ours.accuracy == pytest.approx(skill)
    body = found.to_json()
    assert body["gap_closed"]["value"] is None
    json.dumps(body, allow_nan=False)
    # nothing can be gained: nothing is spent, however much may be
    assert max(found.curves[0].flops) <= 1.3 * planner.sample_flops
    for cell in found.headline:
        assert (
            cell.gain_over_cot_percent == pytest.approx(0.0)
            if skill
            else np.isnan(cell.gain_over_cot_percent)
        )


def test_one_plan_only() -> None:
    log = synthetic.make_log(80, prms=(), draws=9)
    log.frames["outcomes"] = log.frames["outcomes"].filter(log.frames["outcomes"]["plan"] == "majority(n=4)")
    one = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)
    assert [str(c) for c in one.choices] == ["small x - x majority(n=4)"]
    found = evaluate(worlds.learned(one), one, budgets=(4.0,), bootstrap=100, resamples=2)
    assert np.isfinite(found.budgets[0].methods["planner"].accuracy)
    assert "probe_rule" not in found.budgets[0].methods
    # the one plan is best fixed, mixture and neighbours at once
    same = {found.budgets[0].methods[name].accuracy for name in ("best_fixed", "mixture", "knn", "random")}
    assert len(same) == 1


def test_rewards_that_are_no_number_do_no_harm() -> None:
    log = synthetic.make_log(80, prms=("bad",), draws=34)
    log.frames["scores"] = log.frames["scores"].with_columns(
        log.frames["scores"]["step_rewards"].list.eval(pl.element() * float("nan"))
    )
    one = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)
    planner = worlds.learned(one)
    found = evaluate(planner, one, budgets=(4.0,), bootstrap=50, resamples=2)
    for method in found.budgets[0].methods.values():
        assert np.isfinite([method.accuracy, method.flops, method.low, method.high]).all()
    # a PRM that says nothing takes the first sample: no better than one
    first = found.budgets[0].methods["best_of_n"]
    assert first.accuracy == pytest.approx(found.budgets[0].methods["majority"].accuracy, abs=0.1)


def test_one_problem_is_too_little(planner: Planner, data: TrainingData) -> None:
    one = read(1, policies=("small", "large"), trees=True)
    with pytest.raises(TooLittleDataError, match="at least 2 problems, got 1"):
        evaluate(planner, one)
    with pytest.raises(TooLittleDataError, match="at least 2 problems, got 1"):
        evaluate(planner, data, training=one)


def test_a_choice_that_was_never_logged(planner: Planner, data: TrainingData) -> None:
    with pytest.raises(LogError, match="the log can replay"):
        evaluate(planner, read(20, policies=("small",)))
    # what baselines pick on must hold all that is compared
    with pytest.raises(TooLittleDataError, match="must hold every choice that is compared, got none of"):
        evaluate(planner, data, training=read(20, policies=("small", "large")), resamples=2)


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ((), "at least one mean budget, got none"),
        ((4.0, 0.0), "budgets are above 0, got 0"),
        ((float("nan"),), "budgets are above 0, got nan"),
        ((float("inf"),), "budgets are above 0, got inf"),
        ((4.0, 16.0, 4.0), "budgets are given once, got 4, 16, 4"),
    ],
)
def test_budgets_that_make_no_sense(
    planner: Planner, data: TrainingData, budgets: tuple[float, ...], said: str
) -> None:
    with pytest.raises(BudgetError, match=said):
        evaluate(planner, data, budgets=budgets)
