"""Corrections of what is promised: by price, by kind of decision and by domain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from planner.artefact import load, save
from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from planner.predicting.calibration import Correction, Promises
from search.budget import Budget
from search.errors import ArtefactError

QUESTION = "work out the sum of 3 + 41 + 7"


def promises() -> Promises:
    """Two domains and none, two kinds, two prices: every number is another."""
    table = np.arange(1.0, 13.0).reshape(3, 2, 2)
    return Promises(np.array([1.0, 100.0]), ("a", "b"), table / 10.0, table, 2.0 * table)


def test_a_correction_is_of_the_nearest_price_the_kind_and_the_domain() -> None:
    found = promises()
    assert found.of(0.0, probes=False, domain="a") == Correction(0.1, 1.0, 2.0)
    assert found.of(9.9, probes=True, domain="a") == Correction(pytest.approx(0.3), 3.0, 6.0)
    assert found.of(10.1, probes=True, domain="b") == Correction(0.8, 8.0, 16.0)
    assert found.of(1e9, probes=False, domain=None) == Correction(1.0, 10.0, 20.0)
    assert found.of(1e9, probes=False, domain="c") == found.of(1e9, probes=False, domain=None)


def test_accuracies_move_in_the_logit() -> None:
    moved = Correction(logit=np.log(3.0)).accuracy(np.array([0.0, 0.5, 0.75, 1.0]))
    assert moved.tolist() == pytest.approx([0.0, 0.75, 0.9, 1.0])
    assert promises().accuracy(np.full(3, 0.5), 1.0, ["a", "b", "c"]).tolist() == pytest.approx(
        [1 / (1 + np.exp(-x)) for x in (0.1, 0.5, 0.9)]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"logit": np.zeros((2, 2, 2))},
        {"flops": np.zeros((3, 2, 2))},
        {"tokens": np.full((3, 2, 2), np.inf)},
        {"prices": np.array([2.0, 1.0])},
        {"domains": ("a",)},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ArtefactError, match=r"promises|prices must ascend"):
        replace(promises(), **change)  # type: ignore[arg-type]


def test_they_change_what_is_promised_and_no_decision(planner: Planner, data: TrainingData) -> None:
    bare = replace(planner, stages=tuple(replace(stage, promises=None) for stage in planner.stages))
    kept = planner.stages[0].promises
    assert kept is not None
    price = float(planner.frontier.prices[9])
    moved = 0
    for question, domain in zip(data.questions[:20], data.domains[:20], strict=True):
        found, plain = (
            p.decide(question, budget=Budget(price=price), domain=domain) for p in (planner, bare)
        )
        assert (found.choice, found.probe) == (plain.choice, plain.probe)
        correction = kept.of(price, probes=plain.probe is not None, domain=domain)
        assert found.flops == pytest.approx(correction.flops * plain.flops)
        assert found.tokens == pytest.approx(correction.tokens * plain.tokens)
        assert found.accuracy == pytest.approx(float(correction.accuracy(np.array(plain.accuracy))))
        assert found.flops <= found.flops_p90
        moved += found.flops != plain.flops
        # decisions under a cap were not measured
        capped = [p.decide(question, budget=Budget(tokens=900), domain=domain) for p in (planner, bare)]
        assert capped[0] == capped[1]
    assert moved


def test_replayed_expectations_are_those_of_the_advice(planner: Planner, data: TrainingData) -> None:
    matrices = Matrices(data, planner.encoder, probes=1, resamples=2)
    prices = planner.frontier.prices[[3, 12]]
    done = replay(planner.stages, matrices, [Rule(price=float(price)) for price in prices])
    alone = replay(planner.stages, matrices, lambda at: Rule(price=float(prices[at % 2])))
    compared = 0
    for at in range(0, len(data), 11):
        for j, price in enumerate(prices):
            advice = planner.decide(
                data.questions[at], budget=Budget(price=float(price)), domain=data.domains[at]
            )
            is_plan = advice.probe is None
            compared += is_plan
            assert not is_plan or done.expected[0][at, j] == pytest.approx(advice.accuracy)
        assert alone.expected[0][at, 0] == pytest.approx(done.expected[0][at, at % 2])
    assert compared


def test_they_are_kept_on_disk(planner: Planner, tmp_path: Path) -> None:
    save(planner, tmp_path / "planner")
    for kept, own in zip(load(tmp_path / "planner").stages, planner.stages, strict=True):
        assert kept.promises is not None
        assert own.promises is not None
        assert kept.promises.domains == own.promises.domains
        for name in ("prices", "logit", "tokens", "flops"):
            assert (getattr(kept.promises, name) == getattr(own.promises, name)).all()
    assert planner.decide(QUESTION, budget=Budget(price=0.0)) == Planner.load(tmp_path / "planner").decide(
        QUESTION, budget=Budget(price=0.0)
    )
