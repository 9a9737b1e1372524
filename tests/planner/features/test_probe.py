from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.features.probe import AGREEMENT, REWARDS, SUMMARY, ProbeSamples, agreement, rewards, summarise
from search.result import Candidate
from search.scores import SCORES, score


def candidate(answer: str | None, *step_rewards: float, tokens: int = 10) -> Candidate:
    steps = (tokens,) if not step_rewards else (tokens, *(0 for _ in step_rewards[1:]))
    return Candidate("", answer, step_rewards, steps, "end", -0.5, -2.0)


def named(probe: ProbeSamples) -> dict[str, float]:
    return dict(zip(AGREEMENT, agreement(probe)[0], strict=True))


def test_a_unanimous_probe() -> None:
    seen = named(ProbeSamples.of([candidate("7")] * 4))
    assert (seen["top_share"], seen["unanimous"], seen["entropy"], seen["unreadable_share"]) == (
        1.0,
        1.0,
        0.0,
        0.0,
    )
    assert seen["distinct_share"] == pytest.approx(0.25)
    assert seen["log_mean_tokens"] == pytest.approx(math.log(11))


def test_a_split_probe() -> None:
    seen = named(ProbeSamples.of([candidate("7"), candidate(None), candidate("8"), candidate("8")]))
    assert (seen["top_share"], seen["second_share"], seen["unreadable_share"]) == (0.5, 0.25, 0.25)
    assert seen["distinct_share"] == pytest.approx(0.5)
    assert seen["entropy"] == pytest.approx(-(0.5 * math.log(0.5) + 0.25 * math.log(0.25)))


def test_nothing_readable() -> None:
    seen = named(ProbeSamples.of([candidate(None)] * 3))
    assert (seen["top_share"], seen["distinct_share"], seen["unreadable_share"]) == (0.0, 0.0, 1.0)


def test_rewards_tell_when_the_prm_is_against_the_vote() -> None:
    probe = ProbeSamples.of([candidate("7", 0.1), candidate("7", 0.2), candidate("8", 0.9)], scored=True)
    seen = dict(zip(REWARDS, rewards(probe)[0], strict=True))
    assert seen["reward_choice_is_vote"] == 0.0
    assert seen["reward_choice_over_vote"] == pytest.approx(0.7)
    assert seen["reward_of_vote"] == pytest.approx(0.15)


def test_rewards_need_a_scored_probe() -> None:
    with pytest.raises(ValueError, match="a PRM scored"):
        rewards(ProbeSamples.of([candidate("7")]))


def test_rewards_that_are_no_number_count_as_nothing() -> None:
    assert np.isfinite(summarise([[float("nan"), 0.5], []])).all()


@given(st.lists(st.lists(st.floats(0, 1, width=32), max_size=6), min_size=1, max_size=5))
def test_summaries_are_the_scores_of_search(solutions: list[list[float]]) -> None:
    table = summarise(solutions)
    for row, steps in zip(table, solutions, strict=True):
        for name in SCORES:
            assert row[SUMMARY.index(name)] == pytest.approx(score(steps, name), abs=1e-9)
        if len(steps) > 1:
            slope = np.polyfit(np.linspace(0, 1, len(steps)), steps, 1)[0]
            assert row[SUMMARY.index("slope")] == pytest.approx(slope, abs=1e-6)


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(-1, 3), st.floats(0, 1, width=32), st.integers(1, 300)),
            min_size=4,
            max_size=4,
        ),
        min_size=2,
        max_size=6,
    )
)
def test_one_probe_gives_the_same_bits_as_many(drawn: list[list[tuple[int, float, int]]]) -> None:
    probes = [
        ProbeSamples.of(
            [
                candidate(None if code < 0 else str(code), reward, reward / 2, tokens=tokens)
                for code, reward, tokens in probe
            ],
            scored=True,
        )
        for probe in drawn
    ]
    together = ProbeSamples(
        *(np.concatenate([getattr(p, name) for p in probes]) for name in ProbeSamples.__slots__)
    )
    assert np.array_equal(agreement(together), np.concatenate([agreement(p) for p in probes]))
    assert np.array_equal(rewards(together), np.concatenate([rewards(p) for p in probes]))
