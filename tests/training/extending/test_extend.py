"""Extending a planner: a policy or a PRM from few problems, what decides then, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from planner.artefact import load, save
from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.slices import known_as, only, rows_of
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.budget import Budget
from search.errors import ArtefactError, LogError, TooLittleDataError
from tests.planner import synthetic
from training.extending.extend import extend_training_data, new_model
from training.extending.growing import involves
from training.study import fit_training_data

SUM = "work out the sum of 3 + 4 + 5 + 6"


def read(problems: int, seed: int) -> TrainingData:
    made = synthetic.make_log(problems, draws=12, ns=(4,), policies=("small", "large"), seed=seed)
    return read_training_data(made, synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture(scope="module")
def whole() -> TrainingData:
    return read(200, 1)


@pytest.fixture(scope="module")
def fresh() -> TrainingData:
    """The problems that extend."""
    return read(64, 2)


@pytest.fixture(scope="module")
def small(whole: TrainingData) -> Planner:
    """Knows one policy and a PRM that tells nothing."""
    return fit_training_data(only(whole, policies=["small"], prms=["bad"]), trials=0)


@pytest.fixture(scope="module")
def larger(small: Planner, fresh: TrainingData) -> Planner:
    return extend_training_data(small, only(fresh, prms=["bad"]), date="2026-01-01")


@pytest.fixture(scope="module")
def judged(small: Planner, fresh: TrainingData) -> Planner:
    return extend_training_data(small, only(fresh, policies=["small"]))


def utility(planner: Planner, data: TrainingData, prices: np.ndarray) -> float:
    matrices = Matrices(data, planner.encoder, probes=2, resamples=4, seed=0)
    met = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices]).met
    return float((met.accuracy - prices * met.flops).mean())


def test_a_policy_joins_and_what_was_known_stays(small: Planner, larger: Planner) -> None:
    assert set(larger.policies) == {"small", "large"}
    assert set(larger.prms) == set(small.prms)
    for before, after in zip(small.stages, larger.stages, strict=True):
        assert after.choices[: len(before.choices)] == before.choices
        added = after.choices[len(before.choices) :]
        assert added
        assert all(involves(choice, "large") for choice in added)
        assert after.actions.policies == (*before.actions.policies, "large")
    features = larger.features(larger.stages[0], SUM, None)
    before, after = (one.stages[0].menu(features, np.array([30.0])) for one in (small, larger))
    known = len(small.stages[0].choices)
    np.testing.assert_array_equal(after.advantage[:, :known], before.advantage)
    np.testing.assert_array_equal(after.advance_net, before.advance_net)


def test_a_prm_joins_behind_probes_too(judged: Planner, small: Planner) -> None:
    assert set(judged.prms) == {"good", "bad"}
    assert judged.stages[0].actions.policies == small.stages[0].actions.policies
    assert sum(stage.added is not None for stage in judged.stages) == len(judged.stages)
    assert all(choice.prm == "good" for stage in judged.stages for choice in stage.choices[stage.fitted :])


@pytest.mark.parametrize("which", ["larger", "judged"])
def test_it_is_better_than_before_on_other_problems(
    which: str, small: Planner, request: pytest.FixtureRequest
) -> None:
    extended: Planner = request.getfixturevalue(which)
    test = read(120, 3)
    before = utility(small, test, small.frontier.prices)
    assert utility(extended, test, small.frontier.prices) > before + 0.01


def test_the_new_policy_alone_is_enough_and_proves_nothing(small: Planner, fresh: TrainingData) -> None:
    extended = extend_training_data(small, only(fresh, policies=["large"], prms=[]))
    assert extended.stages[0].added is not None
    assert all(stage.added is None for stage in extended.stages[1:])  # small's probes were not logged
    was, now = small.stages[0].trust, extended.stages[0].trust
    assert was is not None
    assert now is not None
    before = [was.learned[was.at(float(price))] for price in now.prices]
    newly = [now for was, now in zip(before, now.learned, strict=True) if now and not was]
    assert newly == []
    found = extended.card["verdict"]
    assert found["sentence"].startswith("Not compared with the rules")
    assert "above_rule" not in found
    assert extended.card["extended"][0]["known_measured"] is False


def test_the_verdict_is_that_of_a_fit(small: Planner, larger: Planner) -> None:
    found = larger.card["verdict"]
    assert set(found) == {*small.card["verdict"], "above_before"}
    assert [set(row) for row in found["budgets"]] == [{"flops", "planner", "rule", "best_fixed"}] * len(
        found["budgets"]
    )
    trust = larger.stages[0].trust
    assert trust is not None
    assert found["learned"] == pytest.approx(trust.learned.mean())
    assert "the planner as it was (" in found["sentence"]


def test_the_card_tells_what_was_added(small: Planner, larger: Planner, fresh: TrainingData) -> None:
    told = larger.card["extended"][0]
    assert {"model": "large", "kind": "policy", "problems": len(fresh), "date": "2026-01-01"}.items() <= (
        told.items()
    )
    assert list(told["like"]) == ["small"]
    assert larger.card["problems"] == small.card["problems"]
    assert set(small.card["choices"]) | set(told["choices"]) == set(larger.card["choices"])


def test_it_is_kept_whole(larger: Planner, tmp_path: Path) -> None:
    save(larger, tmp_path / "m")
    again = Planner.load(tmp_path / "m")
    for budget in (Budget(samples=4), Budget(mean_flops=3e9), Budget(accuracy=0.5)):
        one, two = larger.decide(SUM, budget=budget), again.decide(SUM, budget=budget)
        assert (one.choice, one.accuracy, one.flops) == (two.choice, two.accuracy, two.flops)
    assert load(tmp_path / "m").card == larger.card


def test_equal_arguments_give_equal_planners(
    small: Planner, larger: Planner, fresh: TrainingData, tmp_path: Path
) -> None:
    again = extend_training_data(small, only(fresh, prms=["bad"]), date="2026-01-01")
    for planner, name in ((larger, "a"), (again, "b")):
        save(planner, tmp_path / name)
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert [(tmp_path / "a" / name).read_bytes() for name in names] == [
        (tmp_path / "b" / name).read_bytes() for name in names
    ]


def test_twice_one_after_the_other(larger: Planner, fresh: TrainingData, tmp_path: Path) -> None:
    both = extend_training_data(larger, fresh)
    assert set(both.prms) == {"good", "bad"}
    assert [told["model"] for told in both.card["extended"]] == ["large", "good"]
    for first, second in zip(larger.stages, both.stages, strict=True):
        assert second.choices[: len(first.choices)] == first.choices
    save(both, tmp_path / "m")
    assert Planner.load(tmp_path / "m").choices == both.choices


def test_main_factors_are_told_of_added_choices(larger: Planner) -> None:
    stage = larger.stages[0]
    features = larger.features(stage, SUM, None)[0]
    credited = stage.contributions(features)
    assert credited.shape == (len(stage.choices) + len(stage.actions.prices), len(features))
    assert np.isfinite(credited).all()


def test_a_policy_that_is_always_wrong_changes_nothing(small: Planner, fresh: TrainingData) -> None:
    data = only(fresh, policies=["large"], prms=[])
    pool = data.pools["large"]
    wrong = replace(pool, codes=np.full_like(pool.codes, -1), greedy_code=np.full(len(data), -1))
    worse = replace(data, pools={"large": wrong})
    extended = extend_training_data(small, worse)
    assert extended.choices == small.choices
    assert set(extended.policies) == {"small", "large"}
    told = extended.card["extended"][0]
    assert (told["choices"], told["like"]) == ([], {})


def test_a_better_and_dearer_policy_is_bought_at_lower_prices(small: Planner, fresh: TrainingData) -> None:
    data = only(fresh, policies=["large"], prms=[])
    pool = data.pools["large"]
    right = data.right[:, 0] == 1
    code = np.where(right, 0, 1)  # the first answer of a problem that is right
    perfect = replace(
        pool,
        codes=np.repeat(code[:, None], pool.draws, axis=1).astype(pool.codes.dtype),
        greedy_code=code,
        tokens=400 * pool.tokens,
        greedy_tokens=400 * np.asarray(pool.greedy_tokens),
    )
    sure = replace(data, pools={"large": perfect}, right=np.ones_like(data.right))
    extended = extend_training_data(small, sure)
    old, new = small.frontier.prices, extended.frontier.prices
    assert new[0] < old[0]
    assert set(old) <= set(new)
    trust = extended.stages[0].trust
    assert trust is not None
    np.testing.assert_array_equal(trust.prices, new)
    assert extended.frontier.flops[0] > 2 * small.frontier.flops[0]
    plenty = Budget(mean_flops=float(extended.frontier.flops.max()))
    assert extended.decide(SUM, budget=plenty).choice.policy == "large"


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (lambda data: only(data, policies=["small"], prms=["bad"]), LogError, r"beside its own .*got none"),
        (lambda data: data, LogError, r"one model beside its own \(bad, small\), got good, large"),
        (
            lambda data: rows_of(only(data, prms=["bad"]), np.arange(49)),
            TooLittleDataError,
            "at least 50 complete problems, got 49",
        ),
        (
            lambda data: replace(only(data, prms=["bad"]), domains=("text",) * len(data)),
            LogError,
            r"the planner's domains \(arithmetic, puzzle\), got text",
        ),
        (
            lambda data: replace(
                only(data, prms=["bad"]), families=tuple(f"other {name}" for name in data.families)
            ),
            LogError,
            r"the planner's families \(f0, f1, .* and 7 more\), got other f0",
        ),
        (
            lambda data: replace(only(data, prms=["bad"]), families=("f0",) * len(data)),
            TooLittleDataError,
            "at least 3 families, got 64 of 1",
        ),
        (
            lambda data: known_as(only(data, policies=["small"], prms=["good"]), prms={"good": "bad"}),
            LogError,
            r"'bad' has 'r-bad' there, got 'r-good'; a new one needs a new name",
        ),
        (
            lambda data: known_as(only(data, policies=["small"], prms=["good"]), prms={"good": "small"}),
            LogError,
            r"a model has one name, got the PRM 'small'",
        ),
        (
            lambda data: known_as(only(data, policies=["large"], prms=["bad"]), policies={"large": "bad"}),
            LogError,
            r"a model has one name, got the policy 'bad'",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    given: Callable[[TrainingData], TrainingData],
    error: type[Exception],
    told: str,
    small: Planner,
    fresh: TrainingData,
) -> None:
    with pytest.raises(error, match=told):
        extend_training_data(small, given(fresh))


def test_a_planner_without_rules_is_refused(small: Planner, fresh: TrainingData) -> None:
    old = replace(small, stages=(replace(small.stages[0], trust=None), *small.stages[1:]))
    with pytest.raises(ArtefactError, match="of an older version: make it again with planner fit"):
        extend_training_data(old, only(fresh, prms=["bad"]))


def test_tokens_must_be_counted(small: Planner, fresh: TrainingData) -> None:
    data = only(fresh, prms=["bad"])
    free = replace(data.pools["large"], tokens=np.zeros_like(data.pools["large"].tokens))
    with pytest.raises(LogError, match="tokens are counted, got none for 'large'"):
        extend_training_data(small, replace(data, pools={**data.pools, "large": free}))


def test_families_that_are_single_problems_may_be_others(small: Planner, fresh: TrainingData) -> None:
    data = only(fresh, policies=["large"], prms=[])
    alone = replace(data, families=data.problem_ids)
    assert "large" in extend_training_data(small, alone).policies


def test_the_new_model_is_found_by_name(small: Planner) -> None:
    assert new_model(small, synthetic.POLICIES, {"bad": synthetic.PRMS["bad"]}) == "large"


def test_decisions_pass_probes(larger: Planner) -> None:
    probe = larger.stages[1].probe
    assert probe == Probe("small", probe.samples)
    assert larger.stage(probe).choices == larger.stages[1].choices
