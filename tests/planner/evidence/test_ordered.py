"""What adaptive votes and cascades are worth and cost, from a log: beside the votes that they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from planner.evaluation.baselines.split_half import split_halves
from planner.evidence.labels import costs_of, draw_probes, values_of
from planner.evidence.ordered import ordered_values
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from search.choice import Choice
from search.plan import Plan

RUNS = 64


def choice(text: str) -> Choice:
    plan = Plan.parse(text)
    return Choice(plan.parts[0].policy if plan.parts else "small", None, plan)


def worth(data: TrainingData, text: str) -> tuple[float, float]:
    """Mean correctness and FLOPs without a probe."""
    found = ordered_values(data, choice(text), probe=None, paid=False, probes=1, runs=RUNS)
    return float(found.right.mean()), float(found.flops.mean())


def fixed(data: TrainingData, one: Choice) -> tuple[float, float]:
    draws = draw_probes(
        len(data), data.pools[one.policy].draws, held=0, probes=1, resamples=RUNS, seed=3, longest=16
    )
    before = Probe(one.policy, 0)
    return float(values_of(data, one, before, draws).mean()), float(
        costs_of(data, one, before, draws)[1].mean()
    )


def test_an_adaptive_vote_that_is_never_sure_is_the_vote(data: TrainingData) -> None:
    right, flops = worth(data, "adaptive_vote(n=8, stop=1, ahead=1)")
    expected_right, expected_flops = fixed(data, choice("majority(n=8)"))
    assert right == pytest.approx(expected_right, abs=0.03)
    assert flops == pytest.approx(expected_flops, rel=0.02)


def test_stopping_earlier_costs_less(data: TrainingData) -> None:
    costs = [worth(data, f"adaptive_vote(n=8, stop={stop}, ahead=1)")[1] for stop in (0.7, 0.9, 0.99, 1)]
    assert costs == sorted(costs)
    assert costs[0] < 0.6 * costs[-1]


def test_samples_in_flight_cost_more(data: TrainingData) -> None:
    costs = [worth(data, f"adaptive_vote(n=8, stop=0.9, ahead={ahead})")[1] for ahead in (1, 4, 8)]
    assert costs == sorted(costs)


def test_a_cascade_that_always_agrees_is_its_first_part(data: TrainingData) -> None:
    found = worth(data, "cascade(first=small: majority(n=4), tau=0, then=large: cot())")
    expected = fixed(data, choice("majority(n=4)"))
    assert found[0] == pytest.approx(expected[0], abs=0.05)
    assert found[1] >= 0.98 * expected[1]  # where nothing can be read the second part is asked all the same


def test_a_cascade_lies_between_its_parts_and_pays_for_both(data: TrainingData) -> None:
    first, then = fixed(data, choice("majority(n=4)")), fixed(data, Choice("large", None, Plan.of("cot")))
    found = worth(data, "cascade(first=small: majority(n=4), tau=1, then=large: cot())")
    assert first[1] < found[1] < first[1] + then[1] + 1e-6
    assert found[0] >= min(first[0], then[0]) - 0.03


def test_a_probe_is_paid_for_and_counts(data: TrainingData) -> None:
    draws = draw_probes(
        len(data), data.pools["small"].draws, held=2, probes=3, resamples=4, seed=1, longest=16
    )
    after = Probe("small", 2)
    one = choice("adaptive_vote(n=8, stop=1, ahead=1)")
    _, flops = costs_of(data, one, after, draws)
    pool = data.pools["small"]
    rest = pool.tokens.mean(axis=1)[:, None] * 6 * data.policies["small"].flops(1.0)
    assert flops.shape == (len(data), 3)
    assert float(flops.mean()) == pytest.approx(float(rest.mean()), rel=0.05)
    assert values_of(data, one, after, draws).shape == (len(data), 3)


def test_halves_hold_smaller_cascades(data: TrainingData) -> None:
    plan = choice("cascade(first=small: majority(n=4), tau=0.75, then=large: cot())")
    split = split_halves(data, "small", seed=1, resamples=4)
    assert all(np.isfinite(half.values).all() for half in split)
    assert plan.plan.with_(tau=0.5).parts == plan.plan.parts
