"""The verdict: what is averaged, what it is held against, and the sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.evaluation.folds.cross_validation import BudgetMet, CrossValidation
from planner.evaluation.folds.verdict import sentence_of, verdict_of
from planner.evaluation.intervals import Interval

PROBLEMS, FAMILIES = 40, 10


def met(
    budget: float, accuracy: Mapping[str, float], *, spent: Mapping[str, float], chosen: tuple[str, ...]
) -> BudgetMet:
    """Problems that are alike but for noise that all methods share."""
    noise = 0.01 * np.random.default_rng(0).standard_normal(PROBLEMS)
    return BudgetMet(
        budget=budget,
        accuracy={name: value + noise for name, value in accuracy.items()},
        flops={name: np.full(PROBLEMS, spent.get(name, budget)) for name in accuracy},
        chosen=chosen,
    )


def found(*budgets: BudgetMet, rules: tuple[str, ...] = ("mixture", "knn")) -> CrossValidation:
    return CrossValidation(
        problems=tuple(f"p{i}" for i in range(PROBLEMS)),
        families=tuple(f"f{i % FAMILIES}" for i in range(PROBLEMS)),
        fold=np.arange(PROBLEMS) % 2,
        unit=2.0,
        unit_policy="m",
        budgets=budgets,
        rules=rules,
        missing={"majority": "there is one draw"},
        notes=("a note",),
        trials=0,
        seed=0,
    )


ACCURACY = {
    "planner": 0.60,
    "chosen_rule": 0.55,
    "best_fixed": 0.5,
    "mixture": 0.5,
    "knn": 0.58,
    "oracle": 0.9,
}


def two(**spent: float) -> CrossValidation:
    """Budgets of 2 and 8 FLOPs; at 8 the planner is level with the rule."""
    level = {**ACCURACY, "chosen_rule": 0.60, "knn": 0.60}
    return found(
        met(2.0, ACCURACY, spent={}, chosen=("mixture", "knn")),
        met(8.0, level, spent=spent, chosen=("knn", "knn")),
    )


def test_the_endpoint_is_the_mean_over_budgets_above_the_rule_that_folds_chose() -> None:
    verdict = verdict_of(two())
    assert verdict.above_rule is not None
    assert verdict.above_rule.value == pytest.approx(0.025)
    assert verdict.above["best_rule"].value == pytest.approx(0.01)
    assert verdict.above["mixture"].value == pytest.approx(0.10)
    assert verdict.rule == "knn"
    assert [row.best_rule for row in verdict.rows] == ["knn", "knn"]
    assert [row.budget for row in verdict.rows] == [1.0, 4.0]
    assert verdict.rows[0].chosen == {"mixture": 1, "knn": 1}
    assert not verdict.deployable["oracle"]
    assert not verdict.deployable["best_rule"]
    assert verdict.deployable["knn"]
    assert verdict.sentence == "better than any rule by 2.5 points (2.5 to 2.5)"


def test_a_budget_that_nobody_spends_does_not_count() -> None:
    verdict = verdict_of(two(planner=3.0, chosen_rule=3.0))
    assert [row.counted for row in verdict.rows] == [True, False]
    assert verdict.above_rule is not None
    assert verdict.above_rule.value == pytest.approx(0.05)
    # one that the rule spends counts, although the planner does not
    assert [row.counted for row in verdict_of(two(planner=3.0)).rows] == [True, True]


def test_a_budget_that_the_planner_cannot_keep_to_does_not_count() -> None:
    verdict = verdict_of(two(planner=9.0))
    assert [row.counted for row in verdict.rows] == [True, False]
    assert verdict.rows[1].cells["planner"] is None


def test_a_method_that_cannot_keep_to_a_budget_has_no_cell_there() -> None:
    verdict = verdict_of(two(mixture=20.0))
    assert verdict.rows[1].cells["mixture"] is None
    assert "mixture" not in verdict.above
    assert verdict.rows[0].cells["mixture"] is not None
    # and it is no bound there
    assert verdict_of(two(knn=20.0)).rows[1].best_rule == "mixture"


def test_without_a_budget_that_counts_the_verdict_says_so() -> None:
    verdict = verdict_of(found(met(2.0, ACCURACY, spent={"planner": 5.0}, chosen=("knn", "knn"))))
    assert verdict.above_rule is None
    assert verdict.above == {}
    assert verdict.sentence == "nothing to tell it from knn: no budget can be spent"


def test_json_holds_the_verdict_and_no_nan() -> None:
    body = json.loads(json.dumps(verdict_of(two(mixture=20.0)).to_json(), allow_nan=False))
    assert body["verdict"].startswith("better than any rule by ")
    assert body["above_rule"]["value"] == pytest.approx(0.025)
    assert body["rows"][1]["cells"]["mixture"] is None
    assert body["missing"] == {"majority": "there is one draw"}


def test_whole_families_are_drawn() -> None:
    """Gains that agree within families give a wider interval than gains that are mixed over them."""
    family = np.arange(PROBLEMS) % FAMILIES
    widths = []
    for gains in (family % 2, np.arange(PROBLEMS) // FAMILIES % 2):
        accuracy = {
            "planner": 0.5 + 0.2 * gains,
            **{n: np.full(PROBLEMS, 0.5) for n in ("chosen_rule", "knn")},
        }
        one = BudgetMet(
            budget=1.0,
            accuracy=accuracy,
            flops={name: np.ones(PROBLEMS) for name in accuracy},
            chosen=("knn", "knn"),
        )
        above = verdict_of(found(one, rules=("knn",))).above_rule
        assert above is not None
        widths.append(above.high - above.low)
    assert widths[0] > 0.05 > widths[1]


def test_a_bound_above_the_planner_is_told() -> None:
    said = sentence_of(Interval(0.02, 0.01, 0.03), "mixture", Interval(-0.004, -0.01, 0.01), "knn")
    assert said == (
        "better than the rule that training folds chose by 2.0 points (1.0 to 3.0); "
        "knn, the best rule on these problems themselves, is 0.4 points above it"
    )


@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3).map(sorted))
def test_a_sentence_claims_what_the_interval_shows(ends: list[float]) -> None:
    low, value, high = ends
    said = sentence_of(Interval(value, low, high), "knn")
    assert said.startswith("better than") == (low > 0)
    assert said.startswith("worse than knn") == (high < 0)
    assert said.startswith("no better than knn") == (low <= 0 <= high)
    assert "nan" not in said
    assert "-0.0" not in said
