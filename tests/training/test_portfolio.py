"""The portfolio trusts what was learned where it is surely better, and decides alike live and replayed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from planner.artefact import load, save
from planner.deciding.decision import Rule, Trust, decide
from planner.deciding.replay import replay
from planner.evaluation.baselines.rules import with_rules
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
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
    return fit_training_data(read(300, draws=12, seed=1, ns=(4,), prms=("good",)), trials=0)


@pytest.fixture(scope="module")
def blind() -> Planner:
    return fit_training_data(read(300, draws=12, seed=1, ns=(4,), signal=False, prms=()), trials=0)


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
    data = with_rules(read(60, draws=24, seed=5, ns=(4,), signal=False, prms=()))
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
    assert (kept.near == own.near).all()


def test_a_target_may_be_reached_by_a_rule(blind: Planner) -> None:
    trust = blind.stages[0].trust
    assert trust is not None
    advice = blind.decide("what is 3 + 4", budget=Budget(accuracy=0.01))
    assert advice.target is not None
    assert advice.by_rule == (not trust.learned[trust.at(advice.target.prices[0])])
    menu = blind.stages[0].menu(blind.features(blind.stages[0], "what is 3 + 4", None), np.array([13.0]))
    price = float(trust.prices[~trust.learned][0])
    means = menu.rule_means(Rule(price=price))
    assert means is not None
    assert (decide(menu, Rule(price=price)) == decide(menu.by_rule(means), Rule(price=price))).all()


def test_between_two_prices_the_nearer_one_counts() -> None:
    learned, near = np.array([True, False]), np.array([False, True])
    trust = Trust(np.array([1.0, 100.0]), learned, near)
    assert [trust.at(price) for price in (0.0, 0.5, 9.9, 10.1, 1e9)] == [0, 0, 0, 1, 1]
    with pytest.raises(ArtefactError, match="ascend"):
        Trust(np.array([2.0, 1.0]), learned, near)
    with pytest.raises(ArtefactError, match="each price"):
        Trust(np.array([1.0, 2.0]), learned, near[:1])


def test_prices_span_the_slopes_of_the_fixed_choices() -> None:
    accuracy, flops = np.array([0.3, 0.5, 0.55, 0.4]), np.array([1.0, 3.0, 9.0, 20.0])
    prices, judged = price_grid(accuracy, flops)
    assert prices[judged].min() <= 0.05 / 6.0 * 1.2
    assert prices[judged].max() >= 0.1 / 1.2
    assert (np.diff(prices) > 0).all()
    same, _ = price_grid(np.array([0.5]), np.array([2.0]))
    assert len(same) == len(prices)


#: what the questions of each kind are about
_KINDS = (
    "apples",
    "trains",
    "candles",
    "rabbits",
    "wages",
    "bottles",
    "ladders",
    "stamps",
    "bridges",
    "clocks",
)
_ASKED = "how many {word} are there, and which {word} are left over?"


def kinds() -> TrainingData:
    """Two policies, each of which solves some kinds of questions only."""
    log = synthetic.make_log(
        300, families=15, draws=8, signal=False, policies=("small", "large"), prms=(), ns=(4,)
    )
    about = [_KINDS[place // 15 % len(_KINDS)] for place in range(300)]
    problems = log.frames["problems"].with_columns(
        question=pl.Series([_ASKED.format(word=word) for word in about])
    )
    kinds = dict(zip(problems["problem_id"], about, strict=True))
    samples = log.frames["samples"]
    right = [
        (policy == "small") == (_KINDS.index(kinds[problem]) in (0, 3, 4, 7, 9))
        for policy, problem in zip(samples["policy"], samples["problem_id"], strict=True)
    ]
    log.frames |= {
        "problems": problems,
        "samples": samples.with_columns(
            correct=pl.Series(right), answer=pl.Series(["1" if one else "2" for one in right])
        ),
    }
    return read_training_data(log, synthetic.POLICIES, {})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def alike() -> Planner:
    return fit_training_data(kinds(), trials=0)


def test_neighbours_decide_where_they_are_surely_better_than_the_average(alike: Planner) -> None:
    stage = alike.stages[0]
    assert stage.trust is not None
    assert stage.neighbours is not None
    assert stage.trust.near.any()
    assert not (stage.trust.near & stage.trust.learned).any()
    price = float(stage.trust.prices[stage.trust.near][0])
    told = {word: alike.decide(_ASKED.format(word=word), budget=Budget(price=price)) for word in _KINDS}
    assert all(one.by_rule and one.neighbours == stage.neighbours.count for one in told.values())
    small = {word for word, one in told.items() if one.choice.policy == "small"}
    assert small == {_KINDS[place] for place in (0, 3, 4, 7, 9)}
    assert told["apples"].runner_up is not None


def test_neighbours_are_kept_on_disk(alike: Planner, tmp_path: Path) -> None:
    alike.save(tmp_path / "planner")
    kept, price = Planner.load(tmp_path / "planner"), Budget(price=float(alike.frontier.prices[3]))
    assert kept.stages[0].neighbours is not None
    for word in _KINDS:
        assert kept.decide(f"which {word}?", budget=price) == alike.decide(f"which {word}?", budget=price)


def test_without_likeness_there_are_no_neighbours(blind: Planner) -> None:
    assert blind.stages[0].neighbours is None
    assert blind.stages[0].trust is not None
    assert not blind.stages[0].trust.near.any()


def test_few_problems_are_enough_to_count_neighbours(alike: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.portfolio.TRIED", 60)
    few, every = fit_training_data(kinds(), trials=0).stages[0], alike.stages[0]
    assert few.neighbours is not None
    assert few.trust is not None
    assert every.trust is not None
    assert (few.trust.near == every.trust.near).all()
