"""Which rule training problems choose, and what is said of rivals that a log does not support."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import worlds

from planner.evaluation.baseline import BASELINES, Baseline
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.frontier import Track
from planner.evaluation.rivals import RULES, UNDEPLOYABLE, chosen_rule, rivals, rules_of
from planner.evidence.training_data import TrainingData
from planner.features.question import NgramEncoder
from search.choice import Choice
from search.errors import TooLittleDataError
from search.plan import Plan


def track(accuracy: float, flops: float) -> Track:
    """One setting, the same on ten problems."""
    return Track("any", np.full((10, 1), accuracy), np.full((10, 1), flops), np.full((10, 1), flops))


def single() -> TrainingData:
    """A log with one draw of each question."""
    data = worlds.world(40, draws=1, ns=(1,))
    return replace(data, choices=tuple(c for c in data.choices if not c.plan.needs_prm))


def test_the_most_accurate_rule_within_the_budget_is_chosen() -> None:
    tracks = {"mixture": track(0.5, 1.0), "knn": track(0.6, 1.0), "dear": track(0.9, 2.0)}
    assert chosen_rule(tracks, 1.0) == "knn"
    assert chosen_rule(tracks, 2.0) == "dear"
    # costs of some problems stand for those of others: a hair above a budget is within it
    assert chosen_rule(tracks, 1.95) == "dear"
    assert chosen_rule(tracks, 1.8) == "knn"


def test_of_equal_rules_the_first_is_chosen() -> None:
    assert chosen_rule({"mixture": track(0.5, 1.0), "knn": track(0.5 + 1e-15, 1.0)}, 1.0) == "mixture"
    assert chosen_rule({"knn": track(0.5, 1.0), "mixture": track(0.5, 1.0)}, 1.0) == "knn"


def test_where_all_are_too_dear_the_cheapest_is_chosen() -> None:
    assert chosen_rule({"mixture": track(0.9, 3.0), "knn": track(0.1, 2.0)}, 1.0) == "knn"
    with pytest.raises(TooLittleDataError, match="against a rule that the log supports, got none"):
        chosen_rule({}, 1.0)


def test_rules_are_registered_and_deployable() -> None:
    assert {"mixture", "adaptive_consistency", "knn"} <= set(rules_of())
    assert set(rules_of()) <= set(BASELINES)
    assert not set(RULES) & UNDEPLOYABLE
    assert set(BASELINES) >= UNDEPLOYABLE
    assert rules_of(("knn", "nobody")) == ("knn",)


def test_a_log_of_one_draw_says_what_rivals_need() -> None:
    found = rivals(worlds.context(single()))
    assert {"majority", "best_of_n", "adaptive_consistency", "early_stopping", "probe_rule"} <= set(
        found.missing
    )
    assert "several samples of a question" in found.missing["adaptive_consistency"]
    assert {"mixture", "knn", "oracle"} <= set(found.tracks)
    assert not set(found.missing) & set(found.tracks)


def test_every_baseline_is_a_rival_or_missing(apart: BaselineContext) -> None:
    found = rivals(apart)
    assert {*found.tracks, *found.missing} == set(BASELINES)
    assert {"mixture", "knn", "probe_rule", "best_of_n", "oracle"} <= set(found.tracks)
    assert set(rivals(apart, ["knn"]).tracks) == {"knn"}


def test_a_log_without_room_for_a_probe_rule_says_so() -> None:
    data = worlds.world(40, draws=4, ns=(1, 4))
    data = replace(
        data, choices=(Choice("small", None, Plan.of("cot")), Choice("small", None, Plan.of("majority", n=4)))
    )
    found = rivals(
        BaselineContext(data, None, NgramEncoder.fit(data.questions, dimensions=4), np.array([1e-9]))
    )
    assert "more than four draws" in found.missing["probe_rule"]
    assert "by a PRM" in found.missing["best_of_n"]


def test_a_plug_in_that_fails_or_counts_no_numbers_is_left_out_by_name(crossed: BaselineContext) -> None:
    class Broken(Baseline):
        name = "broken_of_a_test"

        def track(self, context: BaselineContext) -> Track | None:
            raise RuntimeError("nothing works")

    class Nothing(Baseline):
        name = "nan_of_a_test"

        def track(self, context: BaselineContext) -> Track | None:
            empty = np.full((len(context.data), 1), np.nan)
            return Track(self.name, empty, empty, empty)

    BASELINES.register(Broken)
    BASELINES.register(Nothing)
    try:
        found = rivals(crossed, ["mixture", Broken.name, Nothing.name])
    finally:
        BASELINES.unregister(Broken.name)
        BASELINES.unregister(Nothing.name)
    assert set(found.tracks) == {"mixture"}
    assert "nothing works" in found.missing["broken_of_a_test"]
    assert found.missing["nan_of_a_test"] == "some of its figures are no numbers"
