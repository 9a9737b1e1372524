"""What thoughts tell, in training and live alike; what is not known is missing."""

from __future__ import annotations

import numpy as np
import pytest

from planner.features.probe import ProbeSamples
from planner.features.thoughts import MISSING, THOUGHTS, thoughts, thoughts_of
from search.result import Candidate


def candidate(tokens: int, thought: int, *, cut: bool = False) -> Candidate:
    return Candidate("7", "7", (), (tokens,), "end", thought_tokens=thought, thought_cut=cut)


def named(values: np.ndarray) -> dict[str, float]:
    return dict(zip(THOUGHTS, values.tolist(), strict=True))


def test_lengths_shares_and_cuts() -> None:
    seen = ProbeSamples.of([candidate(10, 4), candidate(20, 12, cut=True)])
    found = named(thoughts(seen.tokens, seen.thought, seen.thought_cut)[0])
    assert found == pytest.approx(
        {
            "thought_share": (0.4 + 0.6) / 2,
            "log_mean_thought": np.log1p(8.0),
            "thought_spread": 4.0 / 8.0,
            "thought_cut_share": 0.5,
        }
    )


def test_no_thought_is_zero_and_an_unknown_one_is_missing() -> None:
    tokens = np.array([[10.0, 10.0], [10.0, 10.0]])
    found = thoughts(tokens, np.array([[0.0, 0.0], [np.nan, 4.0]]), np.zeros((2, 2)))
    assert found[0].tolist() == [0.0] * len(THOUGHTS)
    assert found[1].tolist() == [MISSING] * len(THOUGHTS)


def test_one_probe_alone_is_the_same_bits_as_among_many() -> None:
    rng = np.random.default_rng(3)
    tokens = rng.integers(1, 900, (50, 7)).astype(np.float64)
    thought = np.floor(tokens * rng.random((50, 7)))
    cut = (rng.random((50, 7)) < 0.2).astype(np.float64)
    together = thoughts(tokens, thought, cut)
    alone = np.concatenate(
        [thoughts(tokens[i : i + 1], thought[i : i + 1], cut[i : i + 1]) for i in range(50)]
    )
    assert np.array_equal(together, alone)


def test_live_candidates_are_counted_as_logged_ones() -> None:
    thought, cut = thoughts_of([candidate(9, 3), candidate(9, 0, cut=True)])
    assert (thought.tolist(), cut.tolist()) == ([[3.0, 0.0]], [[0.0, 1.0]])
