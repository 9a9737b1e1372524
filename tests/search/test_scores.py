"""Scores by hand; steps: blank pieces are none, tokens are shared out to the last one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.scores import SCORES, apportion, score, split


@pytest.mark.parametrize(("name", "value"), [("min", 0.25), ("last", 0.5), ("mean", 0.5), ("prod", 0.09375)])
def test_scores_by_hand(name: str, value: float) -> None:
    assert score((0.75, 0.25, 0.5), name) == value


@pytest.mark.parametrize("name", SCORES)
def test_nothing_speaks_for_a_solution_without_steps(name: str) -> None:
    assert score((), name) == 0.0


def test_an_unknown_score_says_the_rule_and_the_value() -> None:
    with pytest.raises(ValueError, match="score must be one of min, last, mean, prod, got 'max'"):
        score((0.5,), "max")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_scores_of_rewards_lie_in_the_unit_interval_and_in_order(rewards: list[float]) -> None:
    product, least, mean = (score(rewards, name) for name in ("prod", "min", "mean"))
    rounding = 1e-12  # dividing the sum of equal rewards by their number need not give that reward
    assert 0.0 <= product <= least <= mean + rounding <= max(rewards) + 2 * rounding
    assert least <= score(rewards, "last") <= 1.0


@given(st.sampled_from(SCORES), st.floats(0, 1))
def test_all_scores_of_one_step_are_its_reward(name: str, reward: float) -> None:
    assert score((reward,), name) == reward


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a\nb", ("a", "b")),
        ("a\n", ("a",)),
        ("\n\na\n \nb\n\n", ("a", "b")),
        ("", ()),
        (" \n", ()),
        ("a", ("a",)),
    ],
)
def test_split(text: str, steps: tuple[str, ...]) -> None:
    assert split(text, "\n") == steps


def test_any_delimiter_will_do() -> None:
    assert split("a\nb\n\nc", "\n\n") == ("a\nb", "c")


@given(st.lists(st.text(min_size=1, max_size=9), max_size=9), st.integers(0, 200))
def test_no_token_is_lost_or_made(steps: list[str], tokens: int) -> None:
    shares = apportion(steps, tokens)
    assert sum(shares) == tokens
    assert min(shares, default=0) >= 0
    assert len(shares) == (len(steps) or (1 if tokens else 0))


@given(st.lists(st.text("ab", min_size=1, max_size=9), min_size=1, max_size=9))
def test_it_is_exact_where_tokens_are_characters(steps: list[str]) -> None:
    assert apportion(steps, len("\n".join(steps)) + 1) == tuple(len(step) + 1 for step in steps)
