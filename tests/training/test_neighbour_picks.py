"""Choices that neighbours pick: kept where likeness tells something, and only those that are picked."""

from __future__ import annotations

import numpy as np
from optuna.trial import FixedTrial

from planner.evidence.matrix import Matrix
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData, read_training_data
from search.choice import Choice
from search.plan import Plan
from tests.planner import synthetic
from training.design import Design, plain
from training.neighbour_picks import neighbour_picks
from training.study_cache import StudyCache

PRICES = np.geomspace(1e-3, 1e-1, 5)
CHOICES = tuple(Choice(name, None, Plan.of("cot")) for name in ("a", "b", "c", "d"))


def matrix(values: np.ndarray, features: np.ndarray) -> Matrix:
    rows = np.arange(len(values))
    costs = np.broadcast_to(np.array([1.0, 1.0, 1.0, 40.0]), values.shape).copy()
    zero = np.zeros(len(values))
    return Matrix(
        probe=Probe("a", 0),
        choices=CHOICES,
        problem=rows,
        features=features,
        characters=np.full(len(values), 50.0),
        values=values,
        tokens=costs,
        flops=costs,
        paid_tokens=zero,
        paid_flops=zero,
        probes=1,
    )


def worlds(problems: int = 400, *, tells: bool = True) -> tuple[Matrix, list[str]]:
    """Three kinds of questions, each of which one policy solves; the fourth policy is dear and worth nothing.

    Where features tell nothing the kind is not seen."""
    rng = np.random.default_rng(0)
    kind = rng.choice(3, problems, p=[0.5, 0.3, 0.2])
    values = np.full((problems, 4), 0.3)
    values[np.arange(problems), kind] = 0.9
    centres = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    features = rng.normal(size=(problems, 2)) * 0.5 + (centres[kind] if tells else 0.0)
    return matrix(values, features), [f"f{place}" for place in range(problems)]


def test_every_choice_that_some_kind_of_question_wants_is_kept() -> None:
    seen, families = worlds()
    assert neighbour_picks(seen, PRICES, families, families) == CHOICES[:3]


def test_without_likeness_nothing_is_kept() -> None:
    seen, families = worlds(tells=False)
    assert neighbour_picks(seen, PRICES, families, families) == ()


def test_a_question_is_not_its_own_neighbour() -> None:
    rng = np.random.default_rng(1)
    values = (rng.random((300, 4)) < 0.5).astype(np.float64)
    families = [f"f{place}" for place in range(300)]
    assert neighbour_picks(matrix(values, rng.normal(size=(300, 2))), PRICES, families, families) == ()


def test_a_family_is_not_its_own_neighbour() -> None:
    rng = np.random.default_rng(2)
    families = [f"f{place // 10}" for place in range(300)]
    wanted = rng.integers(0, 3, 30)[np.arange(300) // 10]
    values = np.full((300, 4), 0.3)
    values[np.arange(300), wanted] = 0.9
    features = rng.normal(size=(30, 2))[np.arange(300) // 10] + 0.01 * rng.normal(size=(300, 2))
    problems = [f"p{place}" for place in range(300)]
    seen = matrix(values, features)
    assert neighbour_picks(seen, PRICES, families, families) == ()
    assert neighbour_picks(seen, PRICES, problems, families) != ()


def test_too_few_problems_have_no_neighbours() -> None:
    seen, families = worlds(problems=1)
    assert neighbour_picks(seen, PRICES, families, families) == ()


def wide() -> TrainingData:
    """Two policies, each of which solves questions of its own length, within one group of a shortlist."""
    log = synthetic.make_log(300, draws=4, families=60, policies=("small", "large"), prms=(), ns=(4,))
    return read_training_data(log, synthetic.POLICIES, {})  # type: ignore[arg-type]


def test_a_shortlist_holds_what_neighbours_pick_and_few_more_than_asked() -> None:
    data = wide()
    cache = StudyCache(data=data, seed=0, threads=1)
    design = Design.suggested(
        FixedTrial(plain(cache.main, cache.largest[cache.main], len(data)) | {"choices": 3}),
        cache.largest,
        scorable=False,
    )
    listed = cache.listed(Probe(cache.main, 0), None, design).choices
    assert set(cache.near[:1]) <= set(listed)
    assert list(listed) == sorted(listed, key=str)
    assert len(set(listed)) == len(listed)
