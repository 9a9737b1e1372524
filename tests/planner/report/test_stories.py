from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import synthetic

from planner.evidence.matrix import Matrices
from planner.evidence.probe import feature_names
from planner.evidence.training_data import TrainingData
from planner.features.probe import AGREEMENT, ProbeSamples, agreement
from planner.planner import Planner
from planner.report.findings import Findings
from planner.report.stories import probe_draws, stories


@pytest.fixture(scope="module")
def matrices(planner: Planner, data: TrainingData) -> Matrices:
    return Matrices(data, planner.encoder, probes=3, resamples=4, seed=5)


def test_the_probe_that_is_told_of_is_the_one_that_was_decided_on(
    planner: Planner, data: TrainingData, matrices: Matrices
) -> None:
    for stage in planner.stages[1:]:
        table = matrices.at(stage.probe, stage.choices)
        draws = probe_draws(matrices, stage.probe)
        pool = data.pools[stage.probe.policy]
        at = np.arange(len(data))[:, None, None]
        k = stage.probe.samples
        seen = ProbeSamples(
            *(
                part[at, draws].reshape(-1, k)
                for part in (
                    pool.codes,
                    pool.tokens,
                    pool.steps,
                    pool.mean_logprob,
                    pool.min_logprob,
                    pool.truncated,
                )
            )
        )
        start = feature_names(stage.probe, planner.encoder.dimensions).index(AGREEMENT[0])
        assert np.array_equal(agreement(seen), table.features[:, start : start + len(AGREEMENT)])


def test_ten_stories_from_gain_to_loss(findings: Findings) -> None:
    gains = [story.gain for story in findings.stories]
    assert len(gains) == 10
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0 > gains[-1]
    assert len({story.question for story in findings.stories}) == 10
    assert len({story.family for story in findings.stories[:5]}) == 5
    assert len({story.rival for story in findings.stories}) == 1


def test_a_story_tells_what_the_log_holds(findings: Findings, tables: synthetic.Log) -> None:
    samples = tables.frames["samples"].join(tables.frames["problems"], on="problem_id", suffix="_right")
    for story in findings.stories:
        assert story.reference == "1"
        assert story.cost > 0
        assert 0 <= story.met <= 1
        written = set(samples.filter(pl.col("question") == story.question)["answer"].to_list())
        for place, step in enumerate(story.steps):
            assert {text for text, _ in step.answers} <= written
            assert sum(times for _, times in step.answers) == (0 if not place else int(step.seen.split()[0]))
            assert (step.decided.startswith("draw")) == (place < len(story.steps) - 1)
            assert 0 <= step.expected <= 1
        assert story.ended.startswith(story.steps[-1].decided)


def test_a_log_of_few_problems_has_few_stories(planner: Planner) -> None:
    from planner.evidence.training_data import read_training_data

    log = synthetic.make_log(4, policies=("small", "large"), trees=True)
    one = read_training_data(log, synthetic.POLICIES, synthetic.PRMS)
    small = Matrices(one, planner.encoder, probes=2, resamples=4)
    told = stories(planner, small, log, 1e-3 / planner.sample_flops, 4 * planner.sample_flops)
    assert len(told) == 4
