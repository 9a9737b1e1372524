"""The portfolio trusts what was learned where it is surely better, and decides alike live and replayed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planner.artefact import load, save
from planner.decision import Rule, Trust, decide
from planner.matrix import Matrices
from planner.planner import Planner
from planner.replay import replay
from planner.rules import with_rules
from planner.training_data import TrainingData, read_training_data
from search.budget import Budget
from search.errors import ArtefactError
from tests.planner import synthetic
from training.portfolio import sure_prices
from training.study import fit_training_data
from training.study_cache import price_grid


def read(problems: int, **how: object) -> TrainingData:
    return read_training_data(synthetic.make_log(problems, **how), synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def telling() -> Planner:
    return fit_training_data(read(300, draws=40, seed=1), trials=0)


@pytest.fixture(scope="module")
def blind() -> Planner:
    return fit_training_data(read(300, draws=40, seed=1, signal=False, prms=()), trials=0)


def test_what_tells_is_trusted(telling: Planner) -> None:
    trust = telling.stages[0].trust
    assert trust is not None
    assert trust.learned.any()
    found = telling.card["verdict"]
    assert found["above_rule"]["low"] > 0.0
    assert found["sentence"].startswith("Better than any rule by ")
    assert found["learned"] == pytest.approx(trust.learned.mean())


def test_luck_is_not_trusted_often_and_a_gain_is() -> None:
    rng = np.random.default_rng(0)
    families = [f"f{place % 30}" for place in range(300)]
    shared = rng.normal(0.0, 0.1, (200, 30))[:, np.arange(300) % 30]
    lucky = [
        sure_prices((row + rng.normal(0.0, 0.3, 300))[:, None].repeat(5, axis=1), families, errors)
        for errors in (1.0, 2.0)
        for row in shared
    ]
    rates = np.reshape(lucky, (2, 200, 5)).mean(axis=(1, 2))
    assert 0.08 < rates[0] < 0.25  # 16% of a normal distribution lie beyond one standard error
    assert rates[1] < 0.06
    gain = 0.2 + rng.normal(0.0, 0.3, (300, 5))
    assert sure_prices(gain, families, 2.0).all()
    assert not sure_prices(np.full((300, 5), 0.0005), families, 1.0).any()


def test_the_planner_never_falls_far_below_the_rule(telling: Planner, blind: Planner) -> None:
    for planner in (telling, blind):
        for row in planner.card["verdict"]["budgets"]:
            assert row["planner"]["value"] >= row["rule"]["value"] - 0.01


def test_a_rule_gives_every_question_the_same(blind: Planner) -> None:
    trust = blind.stages[0].trust
    assert trust is not None
    price = float(trust.prices[~trust.learned][0])
    questions = read(40, draws=4, seed=9, ns=(4,)).questions
    advice = [blind.decide(question, budget=Budget(price=price)) for question in questions]
    assert all(one.by_rule and one.probe is None for one in advice)
    assert len({one.choice for one in advice}) == 1


def test_replayed_decisions_are_the_live_ones(blind: Planner) -> None:
    data = with_rules(read(60, draws=40, seed=5, signal=False, prms=()))
    prices = blind.frontier.prices
    matrices = Matrices(data, blind.encoder, seed=0)
    done = replay(blind.stages, matrices, [Rule(price=float(price)) for price in prices])
    live = [
        [blind.decide(question, budget=Budget(price=float(price))) for price in prices]
        for question in data.questions
    ]
    count = len(blind.stages[0].choices)
    options = [
        [count if one.probe else blind.stages[0].choices.index(one.choice) for one in row] for row in live
    ]
    assert (done.made[0] == np.array(options)).all()


def test_trust_is_kept_on_disk(blind: Planner, tmp_path: Path) -> None:
    save(blind, tmp_path / "planner")
    kept = load(tmp_path / "planner").stages[0].trust
    own = blind.stages[0].trust
    assert kept is not None
    assert own is not None
    assert (kept.prices == own.prices).all()
    assert (kept.learned == own.learned).all()


def test_a_target_may_be_reached_by_a_rule(blind: Planner) -> None:
    trust = blind.stages[0].trust
    assert trust is not None
    advice = blind.decide("what is 3 + 4", budget=Budget(accuracy=0.01))
    assert advice.target is not None
    assert advice.by_rule == (not trust.at(advice.target.prices[0]))
    menu = blind.stages[0].menu(blind.features(blind.stages[0], "what is 3 + 4", None), np.array([13.0]))
    price = float(trust.prices[~trust.learned][0])
    assert (decide(menu, Rule(price=price)) == decide(menu.by_rule(), Rule(price=price))).all()


def test_between_two_prices_the_nearer_one_counts() -> None:
    trust = Trust(np.array([1.0, 100.0]), np.array([True, False]))
    assert [trust.at(price) for price in (0.0, 0.5, 9.9, 10.1, 1e9)] == [True, True, True, False, False]
    with pytest.raises(ArtefactError, match="ascend"):
        Trust(np.array([2.0, 1.0]), np.array([True, False]))


def test_prices_span_the_slopes_of_the_fixed_choices() -> None:
    accuracy, flops = np.array([0.3, 0.5, 0.55, 0.4]), np.array([1.0, 3.0, 9.0, 20.0])
    prices, judged = price_grid(accuracy, flops)
    assert prices[judged].min() <= 0.05 / 6.0 * 1.2
    assert prices[judged].max() >= 0.1 / 1.2
    assert (np.diff(prices) > 0).all()
    same, _ = price_grid(np.array([0.5]), np.array([2.0]))
    assert len(same) == len(prices)
