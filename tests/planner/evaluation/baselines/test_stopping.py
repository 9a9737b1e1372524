"""Rules that stop early, held against a plain loop over one order at a time."""

from __future__ import annotations

import numpy as np
import pytest
import worlds
from scipy.stats import beta

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines import adaptive_consistency as adaptive
from planner.evaluation.baselines import early_stopping as windows
from planner.evaluation.baselines.adaptive_consistency import adaptive_consistency, sureness
from planner.evaluation.baselines.early_stopping import early_stopping
from planner.evaluation.baselines.fixed import majority
from planner.evaluation.baselines.running import stopped
from search.voting.votes import pick


def test_sureness_is_the_beta_tail() -> None:
    table = sureness(12)
    for first, second in ((0, 0), (1, 0), (3, 1), (12, 5), (12, 12)):
        assert table[first, second] == pytest.approx(beta(first + 1, second + 1).sf(0.5))


def replayed(context: BaselineContext, stop) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Mean accuracy and tokens per problem when ``stop(drawn)`` says when; at most eight draws."""
    pool = context.data.pools["small"]
    order = context.running(context.test, "small").order
    right, tokens = np.zeros((2, *order.shape[:2]))
    for problem in range(len(order)):
        for way, draws in enumerate(order[problem]):
            for n in range(1, 9):
                drawn = [int(c) for c in pool.codes[problem, draws[:n]]]
                if n == 8 or stop(drawn):
                    break
            won = pick("majority", drawn, [0.0] * n)
            right[problem, way] = won is not None and drawn[won] == 0
            tokens[problem, way] = pool.prompt[problem] + pool.tokens[problem, draws[:n]].sum()
    return right.mean(axis=1), tokens.mean(axis=1)


def test_adaptive_consistency_stops_when_the_vote_is_sure() -> None:
    context = worlds.context(worlds.world(20, seed=4), worlds.world(60, seed=5))

    table = sureness(8)

    def sure(drawn: list[int]) -> bool:
        counts = sorted((drawn.count(c) for c in range(9)), reverse=True)
        return bool(table[counts[0], counts[1]] >= 0.9)

    accuracy, tokens = replayed(context, sure)
    running = context.running(context.test, "small")
    configs = stopped(running, adaptive.rules(running, 8))
    column = configs.settings.index("small until 0.9, at most 8")
    assert configs.values[:, column] == pytest.approx(accuracy)
    assert configs.tokens[:, column] == pytest.approx(tokens)


@pytest.mark.parametrize("window", [2, 3])
def test_early_stopping_stops_after_a_window_that_agrees(window: int) -> None:
    context = worlds.context(worlds.world(20, seed=4), worlds.world(60, seed=5))

    def agreed(drawn: list[int]) -> bool:
        last = drawn[-window:]
        return len(drawn) % window == 0 and len(set(last)) == 1 and last[0] >= 0

    accuracy, tokens = replayed(context, agreed)
    running = context.running(context.test, "small")
    configs = stopped(running, windows.rules(running, 8))
    column = configs.settings.index(f"small in windows of {window}, at most 8")
    assert configs.values[:, column] == pytest.approx(accuracy)
    assert configs.tokens[:, column] == pytest.approx(tokens)


@pytest.mark.parametrize("rule", [adaptive_consistency, early_stopping])
def test_stopping_early_saves_what_agreement_tells(rule, apart: BaselineContext) -> None:  # type: ignore[no-untyped-def]
    track, plain = rule(apart), majority(apart)
    budget = float(plain.flops[:, 0].mean()) / 2
    assert track.at(budget)[0].mean() > plain.at(budget)[0].mean()
    # with every threshold and cap to pick from, it never draws more than the largest plan
    assert track.flops.max() <= plain.flops.max() * 1.2
