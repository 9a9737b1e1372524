"""Adaptive votes: they stop when sure, charge what is in flight, and a replay tells what a run does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.evaluation.baselines.adaptive_consistency import sureness
from search.budget import Budget
from search.engines.scripted import ScriptedEngine
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome
from search.run import run_plan
from search.strategies.adaptive.adaptive_vote import AdaptiveVote
from search.strategies.adaptive.sure import certainty
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


PRICED = "adaptive_vote(n=8, stop=price, ahead=1{})"


async def drawn(text: str, answers: str, price: float = 0.0) -> int:
    setting = Setting(engine(solutions(answers, [12] * len(answers))), price=price)
    return len((await run_plan(PROBLEM, Plan.parse(text), setting, seed=1)).candidates)


async def test_a_price_of_nothing_draws_all_and_a_price_beyond_all_worth_draws_one() -> None:
    assert await drawn(PRICED.format(""), "aaaaaaaa") == 8
    assert await drawn(PRICED.format(", cost=1"), "abababab") == 1
    assert await drawn(PRICED.format(""), "abababab", price=1e9) == 1


async def test_it_goes_on_while_a_sample_is_worth_its_cost() -> None:
    # after one vote two more are worth 0.03125 each, and after two votes to nothing no sample is worth 0.02
    assert await drawn(PRICED.format(", cost=0.04"), "aaaaaaaa") == 1
    assert await drawn(PRICED.format(", cost=0.02"), "aaaaaaaa") == 2
    # a tie is worth 0.1875
    assert await drawn(PRICED.format(", cost=0.02"), "abaaaaaa") > 2
    # one vote and a sample of 12 tokens of 2,000 FLOPs
    per_flop = 0.02 / 24_000
    assert await drawn(PRICED.format(""), "aaaaaaaa", price=per_flop) == 2
    assert await drawn(PRICED.format(""), "aaaaaaaa", price=2 * per_flop) == 1
    # the plan's own cost goes before the request's
    assert await drawn(PRICED.format(", cost=0.04"), "aaaaaaaa", price=per_flop / 100) == 1


async def test_a_price_never_draws_beyond_a_budget() -> None:
    texts = solutions("abababab", [12] * 8)
    b = engine(texts)
    budget = Budget(tokens=len(b.prompt(PROBLEM.question)) + 3 * 12)
    setting = Setting(b, limits=Limits(max_tokens=12))
    plan = Plan.parse(PRICED.format(", cost=0.0001"))
    result = await run_plan(PROBLEM, plan, setting, seed=1, budget=budget)
    assert len(result.candidates) == 3


@settings(max_examples=40, deadline=None)
@given(answers=st.text("aabc", min_size=8, max_size=8), cost=st.sampled_from([0.0, 0.003, 0.02, 0.06, 0.3]))
def test_a_priced_replay_says_what_a_run_does(answers: str, cost: float) -> None:
    texts = solutions(answers, [9 + place for place in range(8)])
    strategy = AdaptiveVote(n=8, stop="price", ahead=1, cost=cost)
    b = engine(texts)
    live = asyncio.run(run_plan(PROBLEM, strategy.plan, Setting(b), seed=1))
    told = strategy.replay(recorded(texts))
    assert live.spend.policy_tokens - len(b.prompt(PROBLEM.question)) == told.tokens["scripted"][0]
    assert live.answer is not None
    assert live.answer[-1] == texts[int(told.group[0])][-1]


@given(
    groups=st.lists(st.integers(-1, 3), min_size=1, max_size=12),
    costs=st.tuples(st.floats(0.0, 0.3), st.floats(0.0, 0.3)).map(sorted),
)
def test_a_higher_price_never_draws_more(groups: list[int], costs: list[float]) -> None:
    n, group = len(groups), np.array([groups])
    record = Record(("m", None), {("m", None): Draws(group, group == 0, np.full((1, n), 7.0))})
    low, high = (
        AdaptiveVote(n=n, stop="price", ahead=1, cost=cost).replay(record).tokens["m"][0] for cost in costs
    )
    assert 7.0 <= high <= low <= 7.0 * n


def test_a_cost_belongs_to_a_price() -> None:
    with pytest.raises(ValueError, match="a cost belongs to stop=price"):
        Plan.parse("adaptive_vote(n=4, cost=0.1)")
    with pytest.raises(ValueError, match=r"from 0\.5 to 1 or price, got stop=prize"):
        Plan.parse("adaptive_vote(n=4, stop=prize)")
    assert str(Plan.parse("adaptive_vote( stop = price, n=4)")) == "adaptive_vote(n=4, stop=price, ahead=4)"
