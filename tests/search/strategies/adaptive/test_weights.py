"""Weights of votes: mean 1, unknown counts as 1, and a weighted vote live is the vote that a replay tells."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.budget import Budget
from search.cards import ModelCard
from search.engines.scripted import ScriptedEngine
from search.errors import LogError, PlanError
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate
from search.strategies.adaptive.adaptive_vote import AdaptiveVote
from search.strategies.adaptive.terms import Term
from search.strategies.adaptive.weights import SIGNALS, Weights, signals_of
from search.strategies.protocol import Setting
from search.strategies.replay import Draws, Record
from search.strategies.running.candidates import conclude

PROBLEM = Problem("p", "", "text", "which?")
CARD = ModelCard("p", 1_000_000, "f", 512)
LIKELY = "adaptive_vote(n=4, stop=1, ahead=1, weight=likelihood, signal=mean, scale=10, level=-2)"


def candidate(answer: str | None, logprob: float | None, rewards: tuple[float, ...] = ()) -> Candidate:
    return Candidate(f"# {answer}", answer, rewards, (4,), "stop", mean_logprob=logprob)


def answered(plan: Plan, candidates: Sequence[Candidate]) -> str | None:
    """What a run of a plan with these candidates answers."""
    ledger = Ledger(Budget.unlimited(), CARD)
    session: Any = SimpleNamespace(
        problem=PROBLEM, plan=plan, ledger=ledger, before=ledger.spend, is_over=False, failure=None
    )
    return asyncio.run(conclude(session, candidates)).answer


def test_a_sure_sample_outweighs_two_unsure_ones() -> None:
    plan = Plan.parse(LIKELY)
    candidates = [candidate("a", -0.5), candidate("a", -0.5), candidate("b", -0.05)]
    assert answered(plan, candidates) == "b"
    assert answered(Plan.parse("adaptive_vote(n=4)"), candidates) == "a"


def test_what_is_not_known_weighs_one() -> None:
    strategy = Plan.parse(LIKELY).described
    assert strategy.weigh(candidate("a", None)) == 1.0
    assert strategy.weigh(candidate("a", -0.2)) == pytest.approx(1.0)
    assert strategy.weigh(candidate("a", -0.1)) == pytest.approx(math.e)
    found = Weights("likelihood", "mean", 10.0, -2.0).of({"mean": np.array([np.nan, -0.2])}, None)
    assert found.tolist() == pytest.approx([1.0, 1.0])


def test_a_prm_multiplies() -> None:
    both = Weights("prm_likelihood", "mean", 10.0, -2.0)
    assert both.of({"mean": -0.1}, 0.5) == pytest.approx(math.e / 2)
    assert Weights("prm", level=math.log(0.5)).of({}, np.array([0.5, 0.25])).tolist() == [1.0, 0.5]


def test_every_signal_is_told_by_a_candidate() -> None:
    one = replace(
        candidate("a", -0.3),
        min_logprob=-2.0,
        lowest_window_logprob=-0.7,
        mean_confidence=9.0,
        lowest_confidence=5.0,
    )
    told = signals_of(one)
    assert set(told) == set(SIGNALS)
    assert told["length"] == -4.0


@pytest.mark.parametrize(
    "text",
    [
        "adaptive_vote(n=4, scale=2)",
        "adaptive_vote(n=4, signal=min)",
        "adaptive_vote(n=4, level=1)",
        "adaptive_vote(n=4, weight=likelihood)",
        "adaptive_vote(n=4, score=min)",
        "adaptive_vote(n=4, weight=odds)",
        "adaptive_vote(n=4, weight=prm, scale=3)",
    ],
)
def test_a_parameter_that_would_not_count_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="got"):
        Plan.parse(text)


def test_only_a_weight_by_prm_asks_one() -> None:
    assert not Plan.parse(LIKELY).needs_prm
    assert Plan.parse("adaptive_vote(n=4, weight=prm, level=-0.5, score=min)").score == "min"
    assert Plan.parse(LIKELY).described.signals == {"mean"}
    assert Plan.parse(LIKELY.replace("=mean", "=length").replace("10", "0.1")).described.signals == set()


def test_a_replay_without_scores_says_so() -> None:
    draws = Draws(np.zeros((1, 4), np.int64), np.ones((1, 4), bool), np.full((1, 4), 5.0))
    with pytest.raises(LogError, match="needs the scores of a PRM"):
        AdaptiveVote(n=4, weight="prm").replay(Record(("p", None), {("p", None): draws}))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-1, 3), st.one_of(st.none(), st.floats(-2.0, -0.01))), min_size=1, max_size=8
    ),
    st.floats(0.5, 1.0),
)
def test_a_replay_votes_as_candidates_are_weighed(drawn: list[tuple[int, float | None]], stop: float) -> None:
    n = len(drawn)
    plan = Plan.of("adaptive_vote", n=n, stop=stop, ahead=1, weight="likelihood", scale=3.0, level=-2.0)
    group = np.array([[number for number, _ in drawn]])
    signal = np.array([[np.nan if known is None else known for _, known in drawn]])
    draws = Draws(group, group == 0, np.full((1, n), 5.0), signals={"mean": signal})
    met = plan.described.replay(Record(("p", None), {("p", None): draws}))
    counted = round(float(met.tokens["p"][0]) / 5.0)
    candidates = [candidate(None if number < 0 else str(number), known) for number, known in drawn[:counted]]
    assert str(int(met.group[0])) == (answered(plan, candidates) or "-1")


async def test_a_live_run_stops_by_weight() -> None:
    from search.run import run_plan

    # equal likelihoods: whatever the engine says of them, all samples weigh alike and the vote is sure
    engine = ScriptedEngine(lambda text, rng: "# a")
    plan = Plan.parse(
        "adaptive_vote(n=8, stop=0.9, ahead=1, weight=likelihood, signal=length, scale=1, level=-4)"
    )
    result = await run_plan(PROBLEM, plan, Setting(engine), seed=1)
    assert result.answer == "a"
    assert len(result.candidates) < 8


TERMS = (Term("mean", 5.0, -0.4), Term("length", 0.01, -100.0), Term("prm", 1.0, 0.0))


def test_several_signals_add_up_to_odds() -> None:
    odds = Weights("odds", terms=TERMS, level=0.5)
    found = odds.of(
        {"mean": np.array([-0.2, -0.4]), "length": np.array([-50.0, -100.0])}, np.array([0.8, 0.5])
    )
    # 5 x 0.2 + 0.01 x 50 + log 4 - 0.5, and nothing but the level
    assert found.tolist() == pytest.approx([4.0 * math.e, math.exp(-0.5)])
    assert odds.asks_prm
    assert odds.signals == {"mean", "length"}


def test_log_odds_below_zero_have_no_vote() -> None:
    weights = Weights("log_odds", terms=TERMS[:1], bias=1.0, level=math.log(2.0))
    assert weights.of({"mean": np.array([-0.2, -0.4, -0.7, -2.0])}, None).tolist() == [1.0, 0.5, 0.0, 0.0]
    assert not weights.asks_prm


def test_a_signal_that_is_not_known_says_nothing() -> None:
    odds = Weights("odds", terms=TERMS)
    both = {"mean": np.array([np.nan, np.nan, -0.2]), "length": np.array([-50.0, np.nan, np.nan])}
    assert odds.of(both, None).tolist() == pytest.approx([math.exp(0.5), 1.0, math.e])
    assert float(odds.of({}, None)) == 1.0
    assert float(Weights("log_odds", terms=TERMS, bias=-3.0).of({}, None)) == 1.0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("adaptive_vote(n=4, terms=mean*1@0)", "come together"),
        ("adaptive_vote(n=4, weight=likelihood, scale=1, terms=mean*1@0)", "come together"),
        ("adaptive_vote(n=4, weight=log_odds)", "come together"),
        ("adaptive_vote(n=4, weight=odds, terms=mean*1@0, bias=1)", "log_odds"),
        ("adaptive_vote(n=4, weight=odds, terms=mean*1@0, scale=1)", "likelihood"),
        ("adaptive_vote(n=4, weight=odds, terms=mean*1@0, score=min)", "PRM"),
    ],
)
def test_learned_weights_are_told_whole(text: str, why: str) -> None:
    with pytest.raises(PlanError, match=why):
        Plan.parse(text)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-1, 3), st.one_of(st.none(), st.floats(-2.0, -0.01)), st.floats(0.0, 1.0, width=32)
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["odds", "log_odds"]),
)
def test_a_replay_by_learned_weights_votes_as_candidates_are_weighed(
    drawn: list[tuple[int, float | None, float]], kind: str
) -> None:
    n = len(drawn)
    told = {"bias": 0.5} if kind == "log_odds" else {}
    terms = (Term("mean", 3.0, -1.0), Term("prm", 0.7, 0.1))
    plan = Plan.of("adaptive_vote", n=n, stop=1.0, ahead=1, weight=kind, terms=terms, **told)
    group = np.array([[number for number, _, _ in drawn]])
    signal = np.array([[np.nan if known is None else known for _, known, _ in drawn]])
    scores = np.array([[reward for _, _, reward in drawn]])
    draws = Draws(group, group == 0, np.full((1, n), 5.0), scores=scores, signals={"mean": signal})
    met = plan.described.replay(Record(("p", "judge"), {("p", "judge"): draws}))
    candidates = [
        candidate(None if number < 0 else str(number), known, (reward,)) for number, known, reward in drawn
    ]
    assert str(int(met.group[0])) == (answered(plan, candidates) or "-1")
