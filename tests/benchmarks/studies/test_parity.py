from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
import synthetic
from studies.parity import parity

from planner.evidence.training_data import read_training_data
from planner.planner import Planner
from training.crossfit import Settings
from training.design import Design
from training.study_cache import StudyCache

HOW: dict[str, object] = {"draws": 34, "prms": ("good",)}


@pytest.fixture(scope="module")
def log() -> synthetic.Log:
    return synthetic.make_log(64, **HOW)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def decider(log: synthetic.Log) -> Planner:
    """A planner that may look at rewards, and probes far."""
    data = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)
    cache = StudyCache(data, 0, 1)
    return cache.finished(Design("small", (1, 4), 4, 6, Settings()), {}, "")


def test_replay_and_live_decide_alike_on_the_same_samples(decider: Planner, log: synthetic.Log) -> None:
    found = parity(decider, log, problems=24)
    assert found.exact, found.first_difference
    assert found.decisions > 24 * 5 * 1.5  # questions, and more than a few probes
    assert found.first_difference is None


def test_other_samples_are_told_apart(decider: Planner, log: synthetic.Log) -> None:
    """The same log with other answers under the live planner's eyes: a parity that cannot fail is none."""

    class Twisted:
        """Gives the replay the real samples, and whoever asks for single draws others."""

        def __init__(self) -> None:
            self.asked = 0

        def scan(self, table: str) -> pl.LazyFrame:
            frame = log.frames[table]
            if table == "samples":
                self.asked += 1
                if self.asked > 1:
                    frame = frame.with_columns(pl.lit("1").alias("answer"))
            return frame.lazy()

    found = parity(decider, Twisted(), problems=24)
    assert not found.exact
    assert found.agreed < found.decisions
    assert found.first_difference is not None
    assert "live says" in found.first_difference


def test_a_greedy_answer_that_is_looked_at_first_is_told_alike(log: synthetic.Log) -> None:
    cache = StudyCache(read_training_data(log, synthetic.POLICIES, synthetic.PRMS), 0, 1)
    planner = cache.finished(Design("small", (1, 4), 0, 6, Settings(), True), {}, "")
    first, *others = planner.stages
    centre = first.centre.copy()
    centre[len(first.choices) :] += 1.0  # it looks whatever that costs
    planner = replace(planner, stages=(replace(first, centre=centre, trust=None), *others))
    assert all(stage.probe.greedy for stage in others)
    found = parity(planner, log, problems=24)
    assert found.exact, found.first_difference
    assert found.decisions >= 24 * 5 * 3  # questions, and two greedy answers of each
