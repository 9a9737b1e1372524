from __future__ import annotations

import numpy as np
import worlds

from planner.evaluation.baselines.fixed import best_fixed
from planner.evaluation.baselines.oracle import oracle
from planner.evaluation.baselines.split_half import doubts, split_halves


def test_it_knows_each_problem_and_gains_by_it() -> None:
    context = worlds.context(worlds.world(300, seed=1), worlds.world(300, seed=2))
    middle = float(np.median(context.fixed[0].flops.mean(axis=0)))
    fixed = best_fixed(context, middle).at(middle)[0].mean()
    for steady in (False, True):
        assert oracle(context, steady=steady).at(middle)[0].mean() > fixed + 0.03


def test_luck_is_no_knowledge() -> None:
    """Every sample is right with chance one half: nothing to know, and nothing gained by having looked."""
    rng = np.random.default_rng(0)
    codes = np.where(rng.random((2, 400, 24)) < 0.5, 0, rng.integers(1, 9, (2, 400, 24)))
    one, two = (worlds.world(400, seed=s, codes=c, quality=0.0) for s, c in enumerate(codes))
    context = worlds.context(one, two)
    best = context.fixed[0].values.mean(axis=0).max()
    peeking = context.fixed[0].values.max(axis=1).mean()
    steady, plain = oracle(context, steady=True), oracle(context, steady=False)
    assert plain.accuracy.mean(axis=0).max() < best + 0.02 < peeking
    # what is luck is discounted: the steady one does not fall below the best fixed choice
    assert steady.accuracy[:, 0].mean() > best - 0.02


def test_halves_share_no_sample() -> None:
    """Right in the first half, wrong in the second: each half knows its own."""
    codes = np.concatenate([np.zeros((30, 12), int), np.ones((30, 12), int)], axis=1)
    first, second = split_halves(worlds.world(30, codes=codes), "small", seed=0)
    assert (first.pass_rate == 1.0).all()
    assert (second.pass_rate == 0.0).all()
    assert (first.values[:, 1:] == 1.0).all()
    assert (second.values[:, 1:] == 0.0).all()


def test_halves_that_are_no_halves_are_told() -> None:
    assert doubts(worlds.world(20)) == ()
    (small,) = doubts(worlds.world(20, draws=12))
    assert small.startswith("half the pool of small holds 6 samples")
    one = worlds.world(20, trees=True)
    (choice,) = one.trees
    one.trees[choice] = type(one.trees[choice])(
        *(
            getattr(one.trees[choice], n)[:, :1]
            for n in ("code", "policy_tokens", "prm_tokens", "codes", "scores")
        )
    )  # type: ignore[index]
    assert any("one run only" in text for text in doubts(one))
