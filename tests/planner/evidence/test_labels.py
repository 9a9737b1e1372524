"""Labels against the slow rules of ``search``: votes one by one, continuations one problem at a time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import POLICIES, PRMS, make_log

from planner.evidence.labels import costs_of, draw_probes, paid_for, values_of, values_of_all
from planner.evidence.matrix import Matrices, open_choices
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData, read_training_data
from planner.features.question import NgramEncoder
from search.choice import Choice
from search.plan import Plan
from search.voting.votes import pick, winners
from training.costs import fit_costs

CANDIDATES = st.lists(
    st.tuples(st.integers(-1, 3), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=9
)


@given(st.lists(CANDIDATES, min_size=1, max_size=4), st.sampled_from(["majority", "max", "weighted"]))
def test_winners_are_those_of_search(rows: list[list[tuple[int, float]]], rule: str) -> None:
    size = min(map(len, rows))
    codes = np.array([[code for code, _ in row[:size]] for row in rows])
    scores = np.array([[value for _, value in row[:size]] for row in rows])
    won = winners(codes, scores, rule)
    for row in range(len(rows)):
        chosen = pick(rule, codes[row].tolist(), scores[row].tolist())
        assert won[row] == (-1 if chosen is None else codes[row, chosen])


def test_a_vote_over_the_probe_alone_is_right_or_wrong(data: TrainingData) -> None:
    draws = draw_probes(len(data), 40, held=4, probes=3, resamples=4, seed=0, longest=16)
    values = values_of(data, Choice("small", None, Plan.of("majority", n=4)), Probe("small", 4), draws)
    assert set(np.unique(values)) <= {0.0, 1.0}


def test_probes_and_continuations_do_not_overlap() -> None:
    draws = draw_probes(5, 20, held=4, probes=3, resamples=6, seed=1, longest=20)
    assert (np.sort(draws.order, axis=3) == np.arange(20)).all()
    assert (draws.order[:, :, :, :4] == draws.order[:, :, :1, :4]).all()
    wider = draw_probes(5, 20, held=2, probes=3, resamples=6, seed=1, longest=20)
    assert (wider.probe(2) == draws.probe(2)).all()


def test_continuations_agree_with_the_exact_rules_of_search(data: TrainingData) -> None:
    rng = np.random.default_rng(0)
    draws = draw_probes(len(data), 40, held=4, probes=1, resamples=400, seed=2, longest=16)
    probe = Probe("small", 4)
    pool = data.pools["small"]
    plans = [Plan.of("majority", n=16), Plan.of("best_of_n", n=16), Plan.of("weighted_vote", n=16)]
    gaps = []
    for at in range(6):
        right = data.graded(pool.codes)[at]
        seen = draws.probe(4)[at, 0]
        rest = np.setdiff1d(np.arange(40), seen)
        for plan in plans:
            prm = "good" if plan.needs_prm else None
            scores = np.zeros(40) if prm is None else pool.prms[prm].score(str(plan.score))[at]
            slow = []
            for _ in range(800):
                drawn = np.concatenate([seen, rng.permutation(rest)[:12]])
                chosen = pick(plan.vote, pool.codes[at, drawn].tolist(), scores[drawn].tolist())
                slow.append(0.0 if chosen is None else right[drawn[chosen]])
            fast = values_of(data, Choice("small", prm, plan), probe, draws)[at, 0]
            gaps.append(fast - np.mean(slow))
    assert np.abs(gaps).max() < 0.11
    assert abs(np.mean(gaps)) < 0.02


def test_choices_counted_together_are_worth_what_each_is_alone(data: TrainingData) -> None:
    probe = Probe("small", 4)
    draws = draw_probes(len(data), 40, held=4, probes=2, resamples=5, seed=2, longest=16)
    choices = [choice for choice in data.choices if choice.policy == "small" and probe.allows(choice)]
    together = values_of_all(data, choices, probe, draws)
    assert len({choice.plan.strategy for choice in choices}) >= 4
    for choice in choices:
        assert np.array_equal(together[choice], values_of(data, choice, probe, draws))


def test_draws_do_not_depend_on_how_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"held": 2, "probes": 3, "resamples": 4, "seed": 5, "longest": 9}
    whole = draw_probes(30, 12, **known)
    monkeypatch.setattr("planner.evidence.labels.CHUNK", 3 * 4 * 12 * 7)
    assert np.array_equal(draw_probes(30, 12, **known).order, whole.order)


def test_costs_add_up_to_what_going_straight_costs(data: TrainingData) -> None:
    draws = draw_probes(len(data), 40, held=4, probes=200, resamples=1, seed=2, longest=16)
    plain = draw_probes(len(data), 40, held=0, probes=1, resamples=1, seed=2, longest=16)
    for plan, prm in ((Plan.of("majority", n=16), None), (Plan.of("best_of_n", n=16), "good")):
        choice = Choice("small", prm, plan)
        for probe in (Probe("small", 4), Probe("small", 4, "good")):
            if prm is None and probe.prm:
                continue
            by_way = paid_for(data, probe, draws)[1] + costs_of(data, choice, probe, draws)[1]
            straight = costs_of(data, choice, Probe("small", 0), plain)[1]
            np.testing.assert_allclose(by_way.mean(axis=1), straight[:, 0], rtol=0.03)


def test_tree_searches_take_the_probe_into_their_vote(data: TrainingData) -> None:
    tree = next(c for c in data.choices if c.plan.must_run and c.prm == "good" and c.policy == "small")
    draws = draw_probes(len(data), 40, held=4, probes=4, resamples=1, seed=2, longest=16)
    joined = values_of(data, tree, Probe("small", 4), draws)
    alone = values_of(data, tree, Probe("small", 0), draws)
    elsewhere = values_of(data, tree, Probe("large", 4), draws)
    assert np.array_equal(alone, elsewhere)
    assert not np.array_equal(joined, alone)


def test_what_can_follow_a_look(data: TrainingData) -> None:
    after = open_choices(data, Probe("small", 8))
    assert Choice("small", None, Plan.of("majority", n=8)) in after
    assert Choice("small", None, Plan.of("majority", n=4)) not in after
    assert Choice("small", None, Plan.of("cot")) not in after
    assert Choice("large", None, Plan.of("cot")) in after


def test_the_same_seed_gives_the_same_matrix(data: TrainingData) -> None:
    encoder = NgramEncoder.fit(data.questions)
    one, two = (
        Matrices(data, encoder, probes=2, resamples=2, seed=3).at(Probe("small", 2)) for _ in range(2)
    )
    assert np.array_equal(one.features, two.features)
    assert np.array_equal(one.values, two.values)


@pytest.mark.parametrize(("policy", "samples", "prm"), [("p", -1, None), ("p", 0, "r")])
def test_refuses_looks_that_mean_nothing(policy: str, samples: int, prm: str | None) -> None:
    with pytest.raises(ValueError, match=r"cannot be negative|scores samples"):
        Probe(policy, samples, prm)


def test_a_tree_whose_prm_scored_no_pool_takes_no_probe() -> None:
    log = make_log(24, trees=True)
    log.frames["scores"] = log.frames["scores"].filter(pl.col("prm") != "good")
    unscored = read_training_data(log, POLICIES, PRMS)
    assert set(unscored.prms) == {"good", "bad"}
    assert set(unscored.pools["small"].prms) == {"bad"}
    tree = next(choice for choice in unscored.trees if choice.prm == "good")
    assert tree in unscored.choices
    assert not any(choice.prm == "good" and not choice.plan.must_run for choice in unscored.choices)
    probe, alone = Probe("small", 4), unscored.graded(unscored.trees[tree].code).mean(axis=1)
    draws = draw_probes(len(unscored), 40, held=4, probes=3, resamples=1, seed=0, longest=4)
    assert (values_of(unscored, tree, probe, draws) == alone[:, None]).all()
    runs = unscored.trees[tree]
    rest = runs.policy_tokens.mean(axis=1) - unscored.pools["small"].prompt + runs.prm_tokens.mean(axis=1)
    assert costs_of(unscored, tree, probe, draws)[0] == pytest.approx(np.repeat(rest[:, None], 3, axis=1))
    (cost,) = fit_costs(unscored, [tree], probe, {"small": 0.1}, np.arange(24))
    assert cost.prm_prompt == 0
    expected = rest.mean() / unscored.pools["small"].tokens.mean()
    assert cost.policy_rate + cost.prm_rate == pytest.approx(expected)


def test_a_stop_beyond_every_logged_plan_has_draws_enough() -> None:
    log = make_log(24, ns=(1, 2))
    known = (Choice("small", None, Plan.of("cot")), Choice("small", None, Plan.of("majority", n=2)))
    data = read_training_data(log, POLICIES, PRMS, choices=known)
    matrices = Matrices(data, NgramEncoder.fit(list(data.questions), dimensions=4))
    stop = Choice("small", None, Plan.of("majority", n=8))
    short = matrices.at(Probe("small", 0), known).values
    both = matrices.at(Probe("small", 0), (*known, stop)).values
    # longer orders begin with the same draws
    assert (both[:, :2] == short).all()
    draws = draw_probes(24, 40, held=0, probes=1, resamples=1, seed=0, longest=2)
    with pytest.raises(ValueError, match=r"majority\(n=8\) takes 8 draws, got orders of 2"):
        values_of(data, stop, Probe("small", 0), draws)
