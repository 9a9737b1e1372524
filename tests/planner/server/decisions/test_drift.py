"""Drift is found where there is some, and not where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made import candidate, decision, step

from planner.features.question import SURFACE
from planner.planner import Planner
from planner.server.decisions.drift import Distribution, measure_drift
from planner.server.decisions.log import Retention, prune
from planner.server.decisions.recorder import Decision
from planner.server.decisions.store import Store

VALUES = st.floats(-1e6, 1e6)


@given(arrays(np.float64, st.integers(1, 60), elements=VALUES))
def test_a_sample_does_not_differ_from_itself(values: np.ndarray) -> None:
    psi, chance, distance = Distribution.of(values).compare(values)
    assert psi == pytest.approx(0.0, abs=1e-12)
    assert distance == pytest.approx(0.0, abs=1e-12)
    assert chance >= 0.0


@given(arrays(np.float64, 30, elements=VALUES), arrays(np.float64, 20, elements=VALUES))
def test_distances_are_in_range_and_survive_json(reference: np.ndarray, live: np.ndarray) -> None:
    kept = Distribution.of(reference)
    psi, _, distance = kept.compare(live)
    assert psi >= -1e-12
    assert 0.0 <= distance <= 1.0
    edges, counts = json.loads(json.dumps([kept.edges, kept.counts]))
    assert Distribution(tuple(edges), tuple(counts)) == kept


def test_chance_is_what_psi_is_without_drift() -> None:
    random = np.random.default_rng(0)
    kept = Distribution.of(random.normal(size=500))
    found = [kept.compare(random.normal(size=400))[:2] for _ in range(300)]
    assert np.mean([psi for psi, _ in found]) == pytest.approx(found[0][1], rel=0.5)
    assert max(psi - chance for psi, chance in found) < 0.25


def test_a_shift_of_one_deviation_shows() -> None:
    random = np.random.default_rng(0)
    kept = Distribution.of(random.normal(size=500))
    psi, chance, distance = kept.compare(random.normal(1.0, size=400))
    assert psi - chance > 0.5
    assert distance == pytest.approx(0.38, abs=0.08)  # 2 * Phi(1/2) - 1


def test_a_feature_that_never_varied_shows_that_it_does() -> None:
    kept = Distribution.of(np.zeros(500))
    assert kept.compare(np.zeros(100))[0] == pytest.approx(0.0, abs=0.02)  # smoothed
    for moved in (-1.0, 1.0):
        assert kept.compare(np.full(100, moved))[0] > 1.0


def served(planner: Planner, questions: list[str], reward: float, first: int = 0) -> list[Decision]:
    """Decisions with the features that the planner sees."""
    stage, prm = planner.stages[0], next(iter(planner.prms))
    random = np.random.default_rng(first)
    made = []
    for i, question in enumerate(questions):
        features = tuple(planner.features(stage, question, None)[0].tolist())
        made.append(
            decision(
                f"d{first + i:05d}",
                float(first + i),
                question=question,
                planner="print",
                prm=prm,
                steps=(step(features=features),),
                candidates=(candidate("2", rewards=(0.5, float(np.clip(random.normal(reward, 0.1), 0, 1)))),),
            )
        )
    return made


def asked(count: int, seed: int, terms: int = 5) -> list[str]:
    random = np.random.default_rng(seed)
    return [
        "work out the sum of " + " + ".join(map(str, random.integers(1, 99, random.integers(1, terms + 1))))
        for _ in range(count)
    ]


def test_live_traffic(where: str, planner: Planner) -> None:
    store = Store.open(where)
    prm = next(iter(planner.prms))
    assert measure_drift(store, planner, "print").shifts == ()
    # too few for a reference: ranges only
    store.write(served(planner, asked(100, 1), 0.6))
    early = measure_drift(store, planner, "print", reference=200)
    assert {shift.look for shift in early.shifts} == {"question", prm}
    assert all(shift.psi is None for shift in early.shifts)
    assert all(shift.live == 100 for shift in early.shifts)
    # more of the same
    store.write(served(planner, asked(400, 2), 0.6, first=100))
    same = measure_drift(store, planner, "print", reference=200)
    assert same.drifted == ()
    assert {shift.live for shift in same.shifts} == {300}
    # longer questions, and a PRM that thinks less of everything; the reference itself is forgotten
    while prune(store, Retention(days=300 / 86_400), now=500.0):
        pass
    store.write(served(planner, asked(300, 3, terms=40), 0.3, first=500))
    moved = measure_drift(store, planner, "print", reference=200, live=250)
    found = {(shift.look, shift.feature) for shift in moved.drifted}
    assert {("question", "log_chars"), ("question", "plus"), (prm, "last_reward")} <= found
    assert moved.shifts[0].drifted
    assert ("question", SURFACE[SURFACE.index("percent")]) not in found
    told = json.loads(json.dumps(moved.to_json()))
    assert told["drifted"] == len(moved.drifted) > 2
    # another planner starts anew
    assert measure_drift(store, planner, "another").shifts == ()
    store.close()


def test_features_of_another_width_are_passed_over(tmp_path: Path, planner: Planner) -> None:
    store = Store.open(tmp_path / "log.db")
    (good,) = served(planner, asked(1, 0), 0.5)
    odd = [replace(good, decision_id=f"o{i}", steps=(step(features=f),)) for i, f in enumerate([(), (1.0,)])]
    store.write([good, *odd])
    report = measure_drift(store, planner, "print")
    assert {shift.live for shift in report.shifts if shift.look == "question"} == {1}
    with pytest.raises(ValueError, match="at least 20"):
        measure_drift(store, planner, "print", reference=5)
    store.close()
