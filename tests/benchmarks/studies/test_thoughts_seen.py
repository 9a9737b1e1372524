"""A planner sees thoughts where its log has them; planners from before load and decide as ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import synthetic
from studies.parity import parity

from planner.artefact import load, save
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe, feature_groups, feature_names
from planner.evidence.training_data import TrainingData, read_training_data
from planner.features.question import NgramEncoder
from planner.features.thoughts import MISSING, THOUGHTS
from planner.planner import Planner
from training.crossfit import Settings
from training.design import Design
from training.study_cache import StudyCache

HOW: dict[str, object] = {"draws": 34, "prms": ("good",)}


def thinking_log(problems: int = 64) -> synthetic.Log:
    """Wrong samples think longer, and some are cut."""
    made = synthetic.make_log(problems, **HOW)  # type: ignore[arg-type]
    thought = (pl.col("tokens") * pl.when("correct").then(0.2).otherwise(0.7)).cast(pl.Int32)
    samples = made.frames["samples"].with_columns(
        thought.alias("thought_tokens"), (~pl.col("correct")).alias("thought_cut")
    )
    return synthetic.Log({**made.frames, "samples": samples})


def read(log: synthetic.Log) -> TrainingData:
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)


@pytest.fixture(scope="module")
def log() -> synthetic.Log:
    return thinking_log()


@pytest.fixture(scope="module")
def fitted(log: synthetic.Log) -> Planner:
    return StudyCache(read(log), 0, 1).finished(Design("small", (1, 4), 4, 6, Settings()), {}, "")


def matrices(log: synthetic.Log) -> Matrices:
    data = read(log)
    return Matrices(data, NgramEncoder.fit(data.questions, dimensions=2), probes=2, resamples=2)


def test_a_log_with_thoughts_has_their_features_and_another_has_none(log: synthetic.Log) -> None:
    probe = Probe("small", 4)
    with_, without = matrices(log).at(probe), matrices(synthetic.make_log(64, **HOW)).at(probe)  # type: ignore[arg-type]
    assert with_.thoughts
    assert not without.thoughts
    assert with_.features.shape[1] == without.features.shape[1] + len(THOUGHTS)
    assert np.array_equal(with_.features[:, : -len(THOUGHTS)], without.features)
    assert feature_names(probe, 2, True)[-len(THOUGHTS) :] == THOUGHTS
    assert len(feature_groups(probe, 2, True)) == with_.features.shape[1]
    assert not matrices(log).at(Probe("small", 0)).thoughts


def test_what_a_log_does_not_tell_is_missing() -> None:
    made = synthetic.make_log(64, **HOW)  # type: ignore[arg-type]
    found = matrices(made).at(Probe("small", 4), thoughts=True).features[:, -len(THOUGHTS) :]
    assert (found == MISSING).all()
    known = made.frames["samples"].with_columns(pl.lit(0, pl.Int32).alias("thought_tokens"))
    never = synthetic.Log({**made.frames, "samples": known})
    assert not matrices(never).at(Probe("small", 4)).thoughts  # a policy that never thinks


def test_training_and_live_see_the_same(fitted: Planner, log: synthetic.Log) -> None:
    assert [stage.thoughts for stage in fitted.stages] == [bool(s.probe.samples) for s in fitted.stages]
    found = parity(fitted, log, problems=24)
    assert found.exact, found.first_difference
    assert found.decisions > 24


def test_a_planner_that_sees_thoughts_is_written_and_read(fitted: Planner, tmp_path: Path) -> None:
    save(fitted, tmp_path / "p")
    again = load(tmp_path / "p")
    assert [stage.thoughts for stage in again.stages] == [stage.thoughts for stage in fitted.stages]


def test_a_planner_that_sees_none_decides_alike_on_a_log_with_thoughts() -> None:
    made = synthetic.make_log(64, **HOW)  # type: ignore[arg-type]
    plain = StudyCache(read(made), 0, 1).finished(Design("small", (1, 4), 4, 6, Settings()), {}, "")
    assert not any(stage.thoughts for stage in plain.stages)
    assert parity(plain, thinking_log(), problems=16).exact


def test_the_shipped_planner_loads_and_sees_none() -> None:
    shipped = load(Path(__file__).parents[3] / "models" / "planner")
    assert not any(stage.thoughts for stage in shipped.stages)
