"""Cross-validation: every problem is met by a planner, rivals and a rule that have not seen its family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from planner.evaluation.folds.cross_validation import CrossValidation
from planner.evaluation.folds.verdict import verdict_of
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from search.errors import BudgetError, LogError, TooLittleDataError
from training.cross_validation import cross_validate, room_of
from training.study import fit_training_data

Fit = Callable[[TrainingData], Planner]


@pytest.fixture(scope="module")
def data(synthetic) -> TrainingData:  # type: ignore[no-untyped-def]
    return read_training_data(
        synthetic.make_log(124, draws=12, ns=(4,), prms=("good",)), synthetic.POLICIES, synthetic.PRMS
    )


@pytest.fixture(scope="module")
def found(data: TrainingData) -> CrossValidation:
    return cross_validate(data, folds=2, trials=0, seed=1)


@pytest.fixture(scope="module")
def known(data: TrainingData) -> Fit:
    """One planner for all folds: quick, where it does not matter what a planner has seen."""
    planner = fit_training_data(data, trials=0)
    return lambda training: planner


def test_everything_is_met_in_the_order_of_the_log(data: TrainingData, found: CrossValidation) -> None:
    assert found.problems == data.problem_ids
    assert found.families == data.families
    assert found.unit_policy == data.main
    assert len(found.budgets) == 6
    for family in set(data.families):
        assert len(set(found.fold[np.asarray(data.families) == family].tolist())) == 1
    for met in found.budgets:
        assert {"planner", "chosen_rule", "best_fixed", "mixture", "knn", "oracle"} <= set(met.accuracy)
        for name in found.methods:
            assert met.accuracy[name].shape == met.flops[name].shape == (len(data),)
            assert np.isfinite(met.accuracy[name]).all()
            assert (met.flops[name] > 0).all()


def test_the_rule_that_a_fold_chose_is_met_on_that_fold(found: CrossValidation) -> None:
    for met in found.budgets:
        assert len(met.chosen) == 2
        for fold, rule in enumerate(met.chosen):
            assert rule in found.rules
            there = found.fold == fold
            np.testing.assert_array_equal(met.accuracy["chosen_rule"][there], met.accuracy[rule][there])
            np.testing.assert_array_equal(met.flops["chosen_rule"][there], met.flops[rule][there])


def test_a_verdict_can_be_read_off(found: CrossValidation) -> None:
    verdict = verdict_of(found, bootstrap=200)
    assert verdict.above_rule is not None
    assert verdict.sentence.startswith(("better than", "no better than", "worse than"))
    assert any("families are few" in note for note in verdict.notes)


def test_no_fold_sees_what_it_is_met_on(data: TrainingData, known: Fit) -> None:
    seen: list[set[str]] = []

    def fit(training: TrainingData) -> Planner:
        seen.append(set(training.families))
        return known(training)

    told: list[tuple[int, int]] = []
    found = cross_validate(
        data, folds=3, budgets=[2.0], fit=fit, progress=lambda done, count: told.append((done, count))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    for fold, families in enumerate(seen):
        held = {family for family, at in zip(data.families, found.fold, strict=True) if at == fold}
        assert held
        assert not held & families
        assert held | families == set(data.families)


def test_the_rule_is_chosen_without_the_fold_that_is_left_out(data: TrainingData, known: Fit) -> None:
    """Turn right into wrong on one fold: what the others chose for it stays."""
    plain = cross_validate(data, folds=2, fit=known)
    held = plain.fold == 0
    right = data.right.copy()
    right[held] = ~right[held]
    turned = cross_validate(replace(data, right=right), folds=2, fit=known)
    for one, two in zip(plain.budgets, turned.budgets, strict=True):
        assert one.chosen[0] == two.chosen[0]
        np.testing.assert_array_equal(one.flops["chosen_rule"][held], two.flops["chosen_rule"][held])
        assert not np.array_equal(one.accuracy["chosen_rule"][held], two.accuracy["chosen_rule"][held])


def test_equal_arguments_give_equal_figures(data: TrainingData, known: Fit) -> None:
    one, two = (cross_validate(data, folds=2, budgets=[1.0, 4.0], fit=known) for _ in range(2))
    assert [met.budget / one.unit for met in one.budgets] == pytest.approx([1.0, 4.0])
    for first, second in zip(one.budgets, two.budgets, strict=True):
        assert first.chosen == second.chosen
        for name in one.methods:
            np.testing.assert_array_equal(first.accuracy[name], second.accuracy[name])


def test_folds_may_learn_from_fewer_problems(data: TrainingData, known: Fit) -> None:
    seen: list[int] = []

    def fit(training: TrainingData) -> Planner:
        seen.append(len(training))
        return known(training)

    found = cross_validate(data, folds=2, budgets=[2.0], fit=fit, most=40)
    assert seen == [40, 40]
    # and is met on all
    assert found.budgets[0].accuracy["planner"].shape == (len(data),)
    room = room_of(data, folds=2)
    assert room == min(int((found.fold != fold).sum()) for fold in (0, 1))
    cross_validate(data, folds=2, budgets=[2.0], fit=fit, most=room + 40)
    assert min(seen[2:]) == room


def test_curves_meet_at_budgets_over_the_range_of_the_log(data: TrainingData, known: Fit) -> None:
    plain = cross_validate(data, folds=2, fit=known)
    assert plain.curve == ()
    found = cross_validate(data, folds=2, fit=known, curves=True)
    costs = [met.budget for met in found.curve]
    assert len(costs) == 25
    assert [costs[0], costs[-1]] == pytest.approx([plain.budgets[0].budget, plain.budgets[-1].budget])
    for one, two in zip(plain.budgets, found.budgets, strict=True):
        np.testing.assert_array_equal(one.accuracy["planner"], two.accuracy["planner"])
    assert set(found.curve[0].accuracy) == set(found.budgets[0].accuracy)
    assert found.fixed is not None
    assert found.fixed.values.shape == (len(data), len(data.choices))
    # in the order of the log: the greedy answer's own outcome
    cot = [at for at, name in enumerate(found.fixed.settings) if "cot()" in name]
    pool = data.pools[data.main]
    assert pool.greedy_code is not None
    np.testing.assert_allclose(found.fixed.values[:, cot[0]], data.graded(pool.greedy_code))


def test_the_static_ceiling_is_a_bound(found: CrossValidation) -> None:
    verdict = verdict_of(found, bootstrap=50)
    assert "static_ceiling" in found.methods
    assert not verdict.deployable["static_ceiling"]
    dearest = found.budgets[-1].accuracy
    assert dearest["static_ceiling"].mean() >= dearest["mixture"].mean()


def test_rules_can_be_named(data: TrainingData, known: Fit) -> None:
    found = cross_validate(data, folds=2, budgets=[2.0], rules=("mixture", "nobody"), fit=known)
    assert found.rules == ("mixture",)
    assert found.budgets[0].chosen == ("mixture", "mixture")


def test_more_folds_than_families(synthetic, known: Fit) -> None:  # type: ignore[no-untyped-def]
    few = read_training_data(
        synthetic.make_log(24, draws=12, ns=(4,), families=3, prms=("good",)),
        synthetic.POLICIES,
        synthetic.PRMS,
    )
    found = cross_validate(few, folds=5, budgets=[2.0], fit=known)
    assert set(found.fold.tolist()) == {0, 1, 2}
    assert "3 families are too few for 5 folds: there is one fold for each" in found.notes


def test_what_cannot_be_cross_validated_is_refused(data: TrainingData, synthetic) -> None:  # type: ignore[no-untyped-def]
    few = read_training_data(
        synthetic.make_log(12, draws=8, ns=(4,), prms=()), synthetic.POLICIES, synthetic.PRMS
    )
    with pytest.raises(TooLittleDataError, match=r"a fold leaves \d of 12 problems to learn from: "):
        cross_validate(few, trials=0)
    one = read_training_data(
        synthetic.make_log(24, draws=8, ns=(4,), prms=(), families=1), synthetic.POLICIES, synthetic.PRMS
    )
    with pytest.raises(TooLittleDataError, match="a log of at least 2 families, got 1"):
        cross_validate(one, trials=0)
    with pytest.raises(LogError, match=r"of a policy of the log \(small\), got 'huge'"):
        cross_validate(data, unit="huge")
    with pytest.raises(LogError, match="at least 2 folds, got 1"):
        cross_validate(data, folds=1)
    with pytest.raises(BudgetError, match="budgets are above 0, got -1"):
        cross_validate(data, budgets=[-1.0])


def without_tokens(data: TrainingData, *policies: str) -> TrainingData:
    """The same log, whose records count no tokens of some policies."""
    pools = {
        name: replace(
            pool,
            prompt=0 * pool.prompt,
            tokens=0 * pool.tokens,
            greedy_tokens=None if pool.greedy_tokens is None else 0 * pool.greedy_tokens,
        )
        if name in policies
        else pool
        for name, pool in data.pools.items()
    }
    return replace(data, pools=pools)


def test_a_policy_without_token_counts_is_left_out_and_named(synthetic, known: Fit) -> None:  # type: ignore[no-untyped-def]
    both = read_training_data(
        synthetic.make_log(24, draws=12, ns=(4,), prms=("good",), policies=("small", "large")),
        synthetic.POLICIES,
        synthetic.PRMS,
    )
    assert both.main == "large"
    found = cross_validate(without_tokens(both, "large"), folds=2, budgets=[2.0], fit=known)
    assert found.unit_policy == "small"
    assert "left out with all their plans, since no tokens of theirs are counted: large" in found.notes
    for met in found.budgets:
        assert all(np.isfinite(values).all() for values in met.accuracy.values())
    with pytest.raises(TooLittleDataError, match="takes token counts, got a log without any of large, small"):
        cross_validate(without_tokens(both, "large", "small"), folds=2, fit=known)
