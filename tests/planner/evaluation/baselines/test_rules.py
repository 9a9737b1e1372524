"""Rules that a log can replay: adaptive votes, weights where they help, cascades to dearer policies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.evaluation.baselines import rules
from planner.evaluation.baselines.rules import STOPS, pick_weights, rule_choices, with_rules
from planner.evidence.training_data import TrainingData, read_training_data, replayable
from search.strategies.adaptive.terms import Term
from search.strategies.adaptive.weights import Weights
from tests.planner import synthetic


def data(**how: object) -> TrainingData:
    return read_training_data(synthetic.make_log(**how), synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]


def with_signal(whole: TrainingData, tells: float, seed: int = 0) -> TrainingData:
    """A mean logprob that is higher where a sample is right, by so many standard deviations."""
    pools = {}
    for name, pool in whole.pools.items():
        right = whole.graded(pool.codes).astype(np.float64)
        noise = np.random.default_rng(seed).normal(size=right.shape)
        pools[name] = replace(
            pool, signals={"mean": (0.1 * (tells * right + noise) - 0.5).astype(np.float32)}
        )
    return replace(whole, pools=pools)


def test_every_rule_can_be_replayed_and_parses_back() -> None:
    whole = data(problems=60, policies=("small", "large"), draws=16)
    found = rule_choices(whole)
    assert found
    assert len(set(found)) == len(found)
    for choice in found:
        assert replayable(choice, whole.pools, whole.trees)
        assert type(choice).parse(str(choice.short)) == choice
    assert any(choice.plan.parts for choice in found)
    assert set(found) <= set(with_rules(whole).choices)


def test_a_cascade_goes_to_the_dearer_policy() -> None:
    whole = data(problems=60, policies=("small", "large"), draws=16)
    cascades = [choice for choice in rule_choices(whole) if choice.plan.parts]
    assert {tuple(part.policy for part in one.plan.parts) for one in cascades} == {("small", "large")}


def test_a_signal_that_tells_is_picked_and_one_that_does_not_is_not() -> None:
    whole = data(problems=200, draws=16, prms=(), signal=False)
    telling = pick_weights(with_signal(whole, 2.0), "small")
    assert [(prm, weights.kind, weights.signal) for prm, weights in telling] == [(None, "likelihood", "mean")]
    weights = telling[0][1]
    pool = with_signal(whole, 2.0).pools["small"]
    assert weights.of(pool.signals, None).mean() == pytest.approx(1.0, abs=0.01)
    picked = [len(pick_weights(with_signal(whole, 0.0, seed), "small", seed=seed)) for seed in range(6)]
    assert np.mean(picked) <= 0.5


def test_a_good_prm_is_picked_rather_than_a_bad_one() -> None:
    whole = data(problems=200, draws=16)
    assert ("good", "prm") in [(prm, weights.kind) for prm, weights in pick_weights(whole, "small")]


def test_of_one_draw_there_is_no_vote() -> None:
    whole = data(problems=60, draws=1, ns=(), prms=())
    assert rule_choices(whole) == ()


def test_rules_are_as_long_as_the_plans_of_the_log() -> None:
    whole = data(problems=60, draws=40, ns=(4, 16))
    votes = [choice for choice in rule_choices(whole) if not choice.plan.parts]
    assert {choice.plan.n for choice in votes} == {2, 4, 8, 16}
    assert max(c.plan.n for c in whole.choices) == 16
    assert {dict(choice.plan.parameters)["stop"] for choice in votes} == set(STOPS)


def test_a_learned_vote_in_which_a_prm_has_no_part_asks_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a PRM says nothing, its term in the learned odds comes out as 0 and is not written."""
    blind = Weights("odds", terms=(Term("mean", 1.0, 0.0),), level=1.0)
    monkeypatch.setattr(rules, "pick_weights", lambda *_, **__: [("good", blind)])
    whole = with_signal(data(problems=20, draws=16), 1.0)
    votes = [choice for choice in rule_choices(whole) if "weight=odds" in str(choice.plan)]
    assert votes
    assert {choice.prm for choice in votes} == {None}
