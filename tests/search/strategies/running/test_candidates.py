"""Numbers that stand for logprobs; the conclusion of a run, which names why there is no answer."""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.budget import UNLIMITED, Budget
from search.cards import ModelCard
from search.engines.confidence import WINDOW
from search.grading.text import TextDomain
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.strategies.running import candidates as running
from search.strategies.running.candidates import LogprobSummary, conclude, summarize

LOGPROBS = st.lists(st.floats(-30.0, 0.0), min_size=1, max_size=200)
PROBLEM = Problem("p", "f", "text", "?")


def test_nothing_is_known_without_logprobs() -> None:
    assert summarize([], [3]) == LogprobSummary(None, None, None, ())


@given(LOGPROBS, st.integers(1, 100))
def test_a_window_lies_between_the_minimum_and_the_mean(logprobs: list[float], window: int) -> None:
    got = summarize(logprobs, window=window)
    assert got.mean == pytest.approx(math.fsum(logprobs) / len(logprobs))
    assert got.minimum == min(logprobs)
    assert got.lowest_window is not None
    assert got.minimum - 1e-9 <= got.lowest_window
    if window == 1:
        assert got.lowest_window == got.minimum
    width = min(window, len(logprobs))
    by_hand = [sum(logprobs[i : i + width]) / width for i in range(len(logprobs) - width + 1)]
    assert got.lowest_window == pytest.approx(min(by_hand))


def test_a_solution_shorter_than_the_window_is_one_window() -> None:
    short = [-0.5, -1.5] * (WINDOW // 4)
    assert summarize(short).lowest_window == -1.0
    uncertain = [-0.01] * 100 + [-5.0] * WINDOW + [-0.01] * 100
    assert summarize(uncertain).lowest_window == pytest.approx(-5.0)


@given(st.data())
def test_steps_have_their_own_means(data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=8).filter(any))
    logprobs = data.draw(st.lists(st.floats(-9.0, 0.0), min_size=sum(steps), max_size=sum(steps)))
    got = summarize(logprobs, steps)
    assert len(got.steps) == len(steps)
    weighted = sum(mean * tokens for mean, tokens in zip(got.steps, steps, strict=True))
    assert weighted == pytest.approx(math.fsum(logprobs), abs=1e-6)
    assert all(min(logprobs) - 1e-9 <= mean <= max(logprobs) + 1e-9 for mean in got.steps)


def test_a_step_without_tokens_has_the_value_at_its_place() -> None:
    assert summarize([-1.0, -2.0], [1, 0, 1, 0]).steps == (-1.0, -2.0, -2.0, -2.0)


def test_steps_that_do_not_add_up_have_no_means() -> None:
    assert summarize([-1.0, -2.0], [3]).steps == ()


def test_a_window_holds_a_token() -> None:
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        summarize([-1.0], window=0)


def test_a_probability_of_zero_is_no_error() -> None:
    got = summarize([-math.inf, -1.0, -1.0], [1, 2], window=2)
    assert (got.mean, got.minimum, got.lowest_window) == (-math.inf, -math.inf, -math.inf)
    assert got.steps == (-math.inf, -1.0)


def candidate(answer: str | None, reason: str = "end", rewards: tuple[float, ...] = ()) -> Candidate:
    return Candidate(answer or "", answer, rewards, (3,), reason)


def session(plan: str, ledger: Ledger, before: Spend | None = None, *, is_over: bool = False) -> Any:
    """As much of a session as a conclusion asks for."""
    return SimpleNamespace(
        problem=PROBLEM,
        plan=Plan.parse(plan),
        ledger=ledger,
        before=before or Spend(),
        is_over=is_over,
        failure=None,
    )


async def run(
    candidates: list[Candidate], plan: str = "best_of_n(score=min)", is_over: bool = False
) -> Result:
    ledger = Ledger(UNLIMITED, ModelCard("policy", 1, "f", 99), clock=lambda: 0.0)
    ledger.reserve(policy_tokens=5).settle(policy_tokens=5)
    before = ledger.spend
    ledger.reserve(policy_tokens=9).settle(policy_tokens=7)
    return await conclude(session(plan, ledger, before, is_over=is_over), candidates)


@pytest.mark.parametrize(
    ("candidates", "is_over", "outcome"),
    [
        ([candidate("a")], True, Outcome.ANSWERED),
        ([], False, Outcome.BUDGET),
        ([], True, Outcome.DEADLINE),
        ([candidate(None)], False, Outcome.UNREADABLE),
        ([candidate(None), candidate(None, "length")], False, Outcome.UNREADABLE),
        ([candidate(None, "stop"), candidate(None, "length")], True, Outcome.STEP_LIMIT),
        ([candidate(None, "length"), candidate("a", "length")], False, Outcome.ANSWERED),
    ],
)
async def test_outcomes(candidates: list[Candidate], is_over: bool, outcome: Outcome) -> None:
    result = await run(candidates, is_over=is_over)
    assert result.outcome is outcome
    assert (result.answer is not None) == (result.chosen is not None) == (outcome is Outcome.ANSWERED)


async def test_the_plans_score_decides_and_the_unscored_score_nothing() -> None:
    result = await run(
        [candidate("a"), candidate("b", rewards=(0.1, 0.9)), candidate("c", rewards=(0.4, 0.5))]
    )
    assert (result.answer, result.chosen) == ("c", 2)
    last = await run(
        [candidate("a"), candidate("b", rewards=(0.1, 0.9)), candidate("c", rewards=(0.4, 0.5))], "best_of_n"
    )
    assert last.answer == "b"


async def test_a_plan_without_a_score_does_not_look_at_rewards() -> None:
    assert (await run([candidate("a"), candidate("b", rewards=(0.9,))], "majority")).answer == "a"


async def test_the_spend_is_what_this_run_added() -> None:
    assert (await run([candidate("a")])).spend == Spend(policy_tokens=7, flops=14.0)


class Slow(TextDomain):
    """Answers compared by somebody else, who takes the name of the thread that waits."""

    __module__ = "search.grading.slow"  # as if it were the project's own: a plug-in always has a thread
    name = "slow"
    waits = True

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        self.threads.add(threading.current_thread().name)
        return super().equal(problem, first, second)


@pytest.mark.parametrize("waits", [True, False])
async def test_comparing_that_waits_does_not_hold_up_the_loop(
    monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    slow = Slow()
    monkeypatch.setattr(slow, "waits", waits)
    monkeypatch.setattr(running, "domain", lambda name: slow)
    candidates = [candidate("a"), candidate("b"), candidate("b")]
    ledger = Ledger(UNLIMITED, ModelCard("policy", 1, "f", 99), clock=lambda: 0.0)
    found = await conclude(session("majority(n=3)", ledger), candidates)
    assert (found.answer, found.chosen, found.spend) == ("b", 1, Spend())
    here = threading.current_thread().name
    assert (slow.threads - {here} != set()) == waits


async def test_a_deadline_does_not_wait_for_comparing(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Stuck(Slow):
        def equal(self, problem: Problem, first: str, second: str) -> bool:
            assert released.wait(20.0), "the conclusion must not wait"
            return super().equal(problem, first, second)

    monkeypatch.setattr(running, "domain", lambda name: Stuck())
    ledger = Ledger(
        Budget(seconds=1.0), ModelCard("policy", 1, "f", 99), clock=iter([0.0, *[2.0] * 9]).__next__
    )
    candidates = [candidate("a"), candidate("b"), candidate("b")]
    found = await conclude(session("majority(n=3)", ledger, is_over=True), candidates)
    released.set()
    assert (found.answer, found.outcome) == ("b", Outcome.ANSWERED)
