from __future__ import annotations

from random import Random

import numpy as np
import pytest
from studies.live import live

from planner.evaluation.budget_adherence import budget_adherence
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.engines.scripted import ScriptedEngine
from search.errors import LogError
from search.problem import Problem
from search.rewards.scripted import ScriptedReward
from search.strategies.protocol import Setting


def settings(share: float) -> dict[tuple[str, str | None], Setting]:
    """Policies that are right with chance ``share``."""

    def writes(text: str, rng: Random) -> str:
        return "# 51" if rng.random() < share else f"# {rng.randint(1, 9)}"

    reward = {
        name: ScriptedReward(lambda q, steps: 0.5, name=name, parameters=1_000_000)
        for name in ("good", "bad")
    }
    return {
        (policy, prm): Setting(ScriptedEngine(writes, name=policy, parameters=size), reward[prm])
        for policy, size in (("small", 1_000_000), ("large", 4_000_000))
        for prm in reward
    }


def test_live_runs_are_held_against_the_replay(planner: Planner, data: TrainingData) -> None:
    expected = budget_adherence(
        planner, Matrices(data, planner.encoder, probes=2, resamples=2), 4.0 * planner.sample_flops
    )
    places = list(range(0, 60, 3))
    problems = [Problem(f"p{i}", "f", "text", data.questions[i], "51") for i in places]
    right = live(planner, settings(1.0), problems, places, expected, allow_foreign=True)
    wrong = live(planner, settings(0.0), problems, places, expected, allow_foreign=True)
    assert (right.problems, right.budget) == (20, expected.budget)
    assert right.accuracy.value == 1.0
    assert wrong.accuracy.value == 0.0
    assert right.accuracy_promised == pytest.approx(expected.accuracy[places].mean())
    assert right.difference.value == pytest.approx(1.0 - right.accuracy_promised)
    assert not wrong.as_promised
    assert right.flops > 0
    assert right.flops_ratio.value == pytest.approx(right.flops / right.flops_promised)
    assert np.isfinite([right.difference.low, right.flops_ratio.high]).all()
    with pytest.raises(LogError, match="two problems or more, each with a place, got 1"):
        live(planner, settings(1.0), problems[:1], places[:1], expected)
