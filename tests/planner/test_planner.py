from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.deciding.budgeting import rule
from planner.deciding.decision import Rule, decide
from planner.deciding.replay import replay
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.budget import Budget
from search.cards import ModelCard
from search.errors import ArtefactError, BudgetError
from search.log.manifest import Manifest
from search.result import Candidate, Spend

QUESTION = "work out the sum of 3 + 41 + 7"


def prices(planner: Planner) -> np.ndarray:
    return np.geomspace(1e-4, 0.5, 9) / planner.sample_flops


@pytest.mark.parametrize(
    "budget",
    [
        Budget(tokens=900),
        Budget(flops=1e10),
        Budget(accuracy=0.8),
        Budget(mean_flops=1e9),
        Budget(mean_tokens=400),
        Budget(price=0.0),
        Budget(price=1e-4, price_unit="tokens"),
    ],
)
def test_advice_is_whole(planner: Planner, budget: Budget) -> None:
    advice = planner.decide(QUESTION, budget=budget)
    assert 0 <= advice.interval[0] <= advice.accuracy <= advice.interval[1] <= 1
    assert 0 < advice.tokens <= advice.tokens_p90
    assert 0 < advice.flops <= advice.flops_p90
    assert advice.runner_up is None or advice.runner_up.choice != advice.choice
    assert advice == planner.decide(QUESTION, budget=budget)
    assert all(np.isfinite(reason.effect) for reason in advice.why)


def test_a_cap_is_kept_in_expectation(planner: Planner) -> None:
    for tokens in (90, 150, 500, 2000):
        assert planner.decide(QUESTION, budget=Budget(tokens=tokens)).tokens_p90 <= tokens


def test_a_tighter_cap_never_expects_to_cost_more(planner: Planner, data: TrainingData) -> None:
    for question in data.questions[:10]:
        planned = [
            planner.decide(question, budget=Budget(tokens=t)).tokens_p90 for t in (90, 150, 500, 2000, 9000)
        ]
        assert planned == sorted(planned)


def test_a_cap_below_the_cheapest_choice_says_so(planner: Planner) -> None:
    with pytest.raises(BudgetError, match=r"must allow the cheapest choice, .* got 3 tokens"):
        planner.decide(QUESTION, budget=Budget(tokens=3))
    with pytest.raises(BudgetError, match="cheapest"):
        planner.decide(QUESTION, budget=Budget(accuracy=0.5, flops=1.0))


def test_a_target_is_decided_at_its_price(planner: Planner, data: TrainingData) -> None:
    lowest, highest = planner.frontier.accuracy.min(), planner.frontier.accuracy.max()
    for question in data.questions[:10]:
        for asked in (0.01, float(lowest + highest) / 2.0, 1.0):
            advice = planner.decide(question, budget=Budget(accuracy=asked))
            assert advice.target is not None
            price = rule(planner, Budget(accuracy=asked), question).price
            assert price in advice.target.prices
            alone = planner.decide(question, budget=Budget(price=price))
            assert replace(advice, target=None, warnings=alone.warnings) == alone
            assert advice.target.reached == (asked < 1.0)
            assert advice.warnings == (*alone.warnings, *filter(None, [advice.target.warning]))
    assert planner.decide(QUESTION, budget=Budget(price=0.0)).target is None


def test_open_ended_requests_get_one_greedy_answer(planner: Planner) -> None:
    advice = planner.plain_advice("tell me about the sea")
    assert (advice.choice.plan.strategy, advice.probe, advice.choice.prm) == ("cot", None, None)
    assert "voting means nothing" in advice.warnings[0]


def test_an_answer_that_is_expected_to_pass_a_cap_says_so(planner: Planner) -> None:
    advice = planner.plain_advice("tell me about the sea")
    over = advice.checked_against(Budget(tokens=1, flops=10.0))
    assert over.warnings[len(advice.warnings) :] == (
        f"{advice.tokens:,.0f} tokens are expected, the budget allows 1",
        f"{advice.flops:,.0f} FLOPs are expected, the budget allows 10",
    )
    assert advice.checked_against(Budget(tokens=10**6)) == advice


def test_warns_of_strange_questions_and_domains(planner: Planner) -> None:
    strange = "Ж" * 5000 + "(((((((((" + "9" * 400 + "%=?/" * 50
    told = planner.decide(strange, budget=Budget(price=0.0), domain="poetry").warnings
    assert any("outside what the planner has seen" in w for w in told)
    assert any("'poetry'" in w for w in told)
    assert not planner.decide(QUESTION, budget=Budget(price=0.0), domain="arithmetic").warnings


def test_foreign_models_are_refused_unless_told(planner: Planner) -> None:
    foreign = ModelCard("small", 1_000_000, "another", 512)
    with pytest.raises(ArtefactError, match="'small' with fingerprint 'another'"):
        planner.check([foreign])
    planner.check([foreign], allow_foreign=True)
    planner.check(planner.policies.values())


def test_a_log_of_other_policies_is_named(planner: Planner) -> None:
    known = next(iter(planner.policies.values()))
    prms = {"critic": ModelCard("critic", 1_000_000, "c", 512)}
    other = {"mine": ModelCard("mine", 1_000_000, "m", 512)}
    assert planner.logged(Manifest({}, {known.name: known, **other}, prms)) == ({known.name: known}, {})
    with pytest.raises(ArtefactError, match=r"the planner was learned from \(.*\), got one of mine"):
        planner.logged(Manifest({}, other, prms))
    with pytest.raises(ArtefactError, match="got one of none"):
        planner.logged(Manifest({}, {}, {}))


def test_looks_it_was_not_fitted_for_are_refused(planner: Planner) -> None:
    with pytest.raises(ValueError, match="a probe must be one of"):
        planner.decide(QUESTION, Probe("small", 7), [], budget=Budget(price=0.0))
    probe = planner.stages[1].probe
    with pytest.raises(ValueError, match="got 0"):
        planner.decide(QUESTION, probe, [], budget=Budget(price=0.0))


def test_decides_live_exactly_as_in_evaluation(planner: Planner, data: TrainingData) -> None:
    matrices = Matrices(data, planner.encoder, probes=2, resamples=2, seed=5)
    rules = [Rule(price=float(p)) for p in prices(planner)]
    offline = replay(planner.stages, matrices, rules)
    first, second = planner.stages[0], planner.stages[1]
    pool = data.pools[second.probe.policy]
    draws = matrices.orders(second.probe, second.probe.samples).probe(second.probe.samples)
    for at in range(0, len(data), 9):
        question = data.questions[at]
        alone = first.menu(planner.features(first, question, None), np.array([float(len(question))]))
        for j, price in enumerate(prices(planner)):
            advice = planner.decide(question, budget=Budget(price=float(price)))
            option = offline.made[0][at, j]
            assert option == decide(alone, rules[j])[0]
            assert (advice.probe is not None) == (option == len(first.choices))
            plans = [*first.choices, advice.choice]  # a probe comes after them
            assert advice.choice == plans[option]
        for probe in range(2):
            seen = [
                Candidate(
                    "",
                    None if pool.codes[at, d] < 0 else str(pool.codes[at, d]),
                    (),
                    (int(pool.tokens[at, d]), *[0] * (int(pool.steps[at, d]) - 1)),
                    "end",
                    float(pool.mean_logprob[at, d]),
                    float(pool.min_logprob[at, d]),
                )
                for d in draws[at, probe]
            ]
            for j, price in enumerate(prices(planner)):
                advice = planner.decide(
                    question, second.probe, seen, budget=Budget(price=float(price)), spent=Spend()
                )
                option = offline.made[1][2 * at + probe, j]
                assert (advice.probe is not None) == (option == len(second.choices))
                assert advice.choice == [*second.choices, advice.choice][option]


def test_mean_budgets_are_met_in_training(planner: Planner, data: TrainingData) -> None:
    frontier = planner.frontier
    for amount in np.linspace(frontier.flops.min() * 1.2, frontier.flops.max() * 0.9, 5):
        shares = np.linspace(0, 1, 500, endpoint=False)
        prices = np.array([frontier.price_of(float(amount), float(s)) for s in shares])
        met = np.minimum.accumulate(frontier.flops)[np.searchsorted(frontier.prices, prices)].mean()
        assert met == pytest.approx(amount, rel=0.01)


def test_stages_must_follow_one_another(planner: Planner) -> None:
    with pytest.raises(ArtefactError, match="follow one another"):
        replace(planner, stages=planner.stages[:1])
