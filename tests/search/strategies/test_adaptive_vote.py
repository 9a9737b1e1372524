"""Adaptive votes: they stop when sure, charge what is in flight, and a replay tells what a run does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.evaluation.adaptive_consistency import sureness
from search.budget import Budget
from search.engines.scripted import ScriptedEngine
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome
from search.run import run_plan
from search.strategies.adaptive_vote import AdaptiveVote, certainty
from search.strategies.protocol import Limits, Setting
from search.strategies.replay import Draws, Record

PROBLEM = Problem("p", "", "text", "which?")


def solutions(answers: str, lengths: list[int]) -> list[str]:
    """One solution per answer, so many characters long, the end of the text included."""
    return [
        f"{'.' * (length - 4)}\n# {answer}"[-length + 1 :]
        for answer, length in zip(answers, lengths, strict=True)
    ]


def engine(texts: list[str]) -> ScriptedEngine:
    """Writes one text after the other, in the order in which draws are sent."""
    ahead: Iterator[str] = iter(texts)
    return ScriptedEngine(lambda text, rng: next(ahead))


def recorded(texts: list[str], prior: int = 0, lag: np.ndarray | int = 0) -> Record:
    answers = [text[-1] for text in texts]
    group = np.array([[answers.index(one) for one in answers]])
    tokens = np.array([[len(text) + 1.0 for text in texts]]) + lag  # the end is a token
    return Record(("scripted", None), {("scripted", None): Draws(group, group == 0, tokens, prior=prior)})


def test_certainty_is_that_of_adaptive_consistency() -> None:
    votes = np.arange(9)
    assert np.allclose(certainty(votes[:, None], votes[None, :]), sureness(8))


async def test_it_stops_when_the_vote_is_sure() -> None:
    texts = solutions("aaaaaaaa", [12] * 8)
    b = engine(texts)
    result = await run_plan(PROBLEM, Plan.parse("adaptive_vote(n=8, stop=0.9, ahead=1)"), Setting(b), seed=1)
    assert (result.outcome, len(result.candidates)) == (Outcome.ANSWERED, 3)  # 1 - I_1/2(4, 1) = 0.9375
    assert result.spend.policy_tokens == len(b.prompt(PROBLEM.question)) + 3 * 12


async def test_without_certainty_all_are_drawn() -> None:
    texts = solutions("abababab", [12] * 8)
    plan = Plan.parse("adaptive_vote(n=8, stop=0.95, ahead=3)")
    result = await run_plan(PROBLEM, plan, Setting(engine(texts)), seed=1)
    assert len(result.candidates) == 8
    assert result.chosen == 0  # a tie goes to the earlier draw


async def test_what_is_in_flight_is_cancelled_and_charged() -> None:
    texts = solutions("aaab", [10, 10, 10, 400])
    b = engine(texts)
    plan = Plan.parse("adaptive_vote(n=4, stop=0.9, ahead=4)")
    result = await run_plan(PROBLEM, plan, Setting(b), seed=1)
    assert [candidate.text[-1] for candidate in result.candidates] == ["a", "a", "a"]
    drawn = result.spend.policy_tokens - len(b.prompt(PROBLEM.question))
    assert 30 + 10 <= drawn <= 30 + 20  # the long one had come as far as the others, and a little further


async def test_a_budget_for_fewer_lets_what_is_in_flight_end_and_count() -> None:
    texts = solutions("abab", [30, 30, 30, 30])
    b = engine(texts)
    prompt = len(b.prompt(PROBLEM.question))
    plan = Plan.parse("adaptive_vote(n=4, stop=0.99, ahead=3)")
    setting = Setting(b, limits=Limits(max_tokens=30))
    result = await run_plan(PROBLEM, plan, setting, seed=1, budget=Budget(tokens=prompt + 60))
    assert [candidate.text[-1] for candidate in result.candidates] == ["a", "b"]
    assert result.spend.policy_tokens == prompt + 60


async def test_prior_samples_count_and_may_be_enough() -> None:
    seen = [Candidate("# a", "# a", (), (5,), "end") for _ in range(3)]
    plan = Plan.parse("adaptive_vote(n=8, stop=0.9, ahead=2)")
    result = await run_plan(PROBLEM, plan, Setting(engine([])), seed=1, prior=seen)
    assert (len(result.candidates), result.spend.policy_tokens) == (3, 0)


@settings(max_examples=40, deadline=None)
@given(
    answers=st.text("aab", min_size=8, max_size=8),
    lengths=st.lists(st.integers(6, 60), min_size=8, max_size=8),
    ahead=st.integers(1, 8),
    stop=st.sampled_from([0.8, 0.9, 0.95, 1.0]),
)
def test_a_replay_says_what_a_run_does(answers: str, lengths: list[int], ahead: int, stop: float) -> None:
    texts = solutions(answers, lengths)
    strategy = AdaptiveVote(n=8, stop=stop, ahead=ahead)
    b = engine(texts)
    live = asyncio.run(run_plan(PROBLEM, strategy.plan, Setting(b), seed=1))
    told = strategy.replay(recorded(texts))
    spent = live.spend.policy_tokens - len(b.prompt(PROBLEM.question))
    # a draw is sent some steps after another has ended, and cancelled some after the vote is sure;
    # which of two ends first, where they are that close, is decided by these
    lags = np.random.default_rng(0).integers(0, 5, (128, 8))
    late = [strategy.replay(recorded(texts, lag=lag)).tokens["scripted"][0] for lag in lags]
    slack = 3 * ahead * len(live.candidates)
    assert min(late) - slack <= spent <= max(late) + slack
    if ahead == 1:
        assert spent == told.tokens["scripted"][0]
        assert live.answer is not None
        assert live.answer[-1] == texts[int(told.group[0])][-1]
    assert told.asked["scripted"].all()


@given(
    groups=st.lists(st.integers(-1, 3), min_size=1, max_size=12),
    stop=st.floats(0.5, 1.0),
    prior=st.integers(0, 12),
)
def test_one_at_a_time_it_is_adaptive_consistency(groups: list[int], stop: float, prior: int) -> None:
    n = len(groups)
    prior = min(prior, n)
    strategy = AdaptiveVote(n=n, stop=stop, ahead=1)
    group = np.array([groups])
    told = strategy.replay(
        Record(("m", None), {("m", None): Draws(group, group == 0, np.full((1, n), 7.0), prior=prior)})
    )
    used = n
    for seen in range(max(prior, 1), n + 1):
        votes = sorted((groups[:seen].count(one) for one in range(4)), reverse=True)
        if certainty(votes[0], votes[1]) >= stop:
            used = seen
            break
    assert told.tokens["m"][0] == 7.0 * (used - prior)
    best = max((groups[:used].count(one) for one in range(4)), default=0)
    expected = next((one for one in groups[:used] if one >= 0 and groups[:used].count(one) == best), -1)
    assert told.group[0] == expected


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs 9 draws of 'scripted', got 8"):
        AdaptiveVote(n=9).replay(recorded(solutions("aaaaaaaa", [9] * 8)))


def test_the_plan_describes_itself() -> None:
    plan: Any = Plan.parse("adaptive_vote(n=4)")
    assert (plan.is_ordered, plan.is_pooled, plan.described.joins_probe, plan.described.most_prior) == (
        True,
        False,
        True,
        None,
    )
