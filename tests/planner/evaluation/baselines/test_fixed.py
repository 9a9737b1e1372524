from __future__ import annotations

import numpy as np
import pytest

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.fixed import best_fixed, best_of_n, majority, mixture, sizes, uniform, votes
from search.plan import Plan


def test_votes_and_best_of_n_are_the_fixed_choices_at_the_logged_n(apart: BaselineContext) -> None:
    fixed = apart.fixed[0]
    table = votes(apart, "small", sizes(8), apart.test)
    for n in (1, 4, 8):
        column = fixed.settings.index(f"small x - x {Plan.of('majority', n=n)}")
        assert table.values[:, sizes(8).index(n)] == pytest.approx(fixed.values[:, column])
        assert table.flops[:, sizes(8).index(n)] == pytest.approx(fixed.flops[:, column])
    best = best_of_n(apart)
    assert best is not None
    column = fixed.settings.index(f"small x judge x {Plan.of('best_of_n', n=8)}")
    # the lowest price asks for accuracy alone, and a good PRM has most to choose from at the largest n
    assert best.accuracy[:, 0] == pytest.approx(fixed.values[:, column])
    assert best.flops[:, 0] == pytest.approx(fixed.flops[:, column])


def test_what_is_best_in_training_is_taken(apart: BaselineContext) -> None:
    test, training = apart.fixed
    budget = float(np.median(training.flops.mean(axis=0)))
    fixed = best_fixed(apart, budget)
    fits = training.flops.mean(axis=0) <= budget
    column = np.where(fits, training.values.mean(axis=0), -1.0).argmax()
    assert fixed.accuracy[:, 0] == pytest.approx(test.values[:, column])
    assert not fixed.mixes
    assert best_fixed(apart, 1.0).flops.mean() == pytest.approx(test.flops.mean(axis=0).min())
    both = mixture(apart)
    assert (np.diff(both.flops.mean(axis=0)) <= 0).all()  # a dearer price never spends more in training
    single = [both.accuracy[:, j] for j in range(both.accuracy.shape[1])]
    assert all(any(np.allclose(one, test.values[:, c]) for c in range(len(test.settings))) for one in single)


def test_chance_ends_at_the_mean_of_all(apart: BaselineContext, crossed: BaselineContext) -> None:
    for context in (apart, crossed):
        track, test = uniform(context), context.fixed[0]
        assert track.accuracy[:, -1] == pytest.approx(test.values.mean(axis=1))
        assert track.flops[:, -1] == pytest.approx(test.flops.mean(axis=1))


def test_majority_is_every_n_and_nothing_else(apart: BaselineContext) -> None:
    track = majority(apart)
    assert track is not None
    table = votes(apart, "small", sizes(8), apart.test)
    for j in range(track.accuracy.shape[1]):
        assert any(np.allclose(track.flops[:, j], table.flops[:, c]) for c in range(len(table.settings)))
