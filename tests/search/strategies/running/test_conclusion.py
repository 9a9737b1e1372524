"""The conclusion names why there is no answer."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from search.budget import UNLIMITED, Budget
from search.cards import ModelCard
from search.grading.text import TextDomain
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Outcome, Result, Spend
from search.strategies.running import conclusion
from search.strategies.running.conclusion import conclude, concluded

PROBLEM = Problem("p", "f", "text", "?")


def candidate(answer: str | None, reason: str = "end", rewards: tuple[float, ...] = ()) -> Candidate:
    return Candidate(answer or "", answer, rewards, (3,), reason)


def run(candidates: list[Candidate], plan: str = "best_of_n(score=min)", is_over: bool = False) -> Result:
    ledger = Ledger(UNLIMITED, ModelCard("policy", 1, "f", 99), clock=lambda: 0.0)
    ledger.reserve(policy_tokens=5).settle(policy_tokens=5)
    before = ledger.spend
    ledger.reserve(policy_tokens=9).settle(policy_tokens=7)
    return conclude(PROBLEM, Plan.parse(plan), candidates, ledger=ledger, before=before, is_over=is_over)


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
def test_outcomes(candidates: list[Candidate], is_over: bool, outcome: Outcome) -> None:
    result = run(candidates, is_over=is_over)
    assert result.outcome is outcome
    assert (result.answer is not None) == (result.chosen is not None) == (outcome is Outcome.ANSWERED)


def test_the_plans_score_decides_and_the_unscored_score_nothing() -> None:
    result = run([candidate("a"), candidate("b", rewards=(0.1, 0.9)), candidate("c", rewards=(0.4, 0.5))])
    assert (result.answer, result.chosen) == ("c", 2)
    last = run(
        [candidate("a"), candidate("b", rewards=(0.1, 0.9)), candidate("c", rewards=(0.4, 0.5))], "best_of_n"
    )
    assert last.answer == "b"


def test_a_plan_without_a_score_does_not_look_at_rewards() -> None:
    assert run([candidate("a"), candidate("b", rewards=(0.9,))], "majority").answer == "a"


def test_the_spend_is_what_this_run_added() -> None:
    assert run([candidate("a")]).spend == Spend(policy_tokens=7, flops=14.0)


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


def session(plan: Plan, ledger: Ledger, *, is_over: bool) -> Any:
    """As much of a session as a conclusion asks for."""
    return SimpleNamespace(
        problem=PROBLEM, plan=plan, ledger=ledger, before=Spend(), is_over=is_over, failure=None
    )


@pytest.mark.parametrize("waits", [True, False])
async def test_comparing_that_waits_does_not_hold_up_the_loop(
    monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    slow = Slow()
    monkeypatch.setattr(slow, "waits", waits)
    monkeypatch.setattr(conclusion, "domain", lambda name: slow)
    candidates = [candidate("a"), candidate("b"), candidate("b")]
    plan = Plan.parse("majority(n=3)")
    ledger = Ledger(UNLIMITED, ModelCard("policy", 1, "f", 99), clock=lambda: 0.0)
    found = await concluded(session(plan, ledger, is_over=False), candidates)
    assert found == conclude(PROBLEM, plan, candidates, ledger=ledger, before=Spend(), is_over=False)
    assert found.answer == "b"
    here = threading.current_thread().name
    assert (slow.threads - {here} != set()) == waits


async def test_a_deadline_does_not_wait_for_comparing(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Stuck(Slow):
        def equal(self, problem: Problem, first: str, second: str) -> bool:
            assert released.wait(20.0), "the conclusion must not wait"
            return super().equal(problem, first, second)

    monkeypatch.setattr(conclusion, "domain", lambda name: Stuck())
    ledger = Ledger(
        Budget(seconds=1.0), ModelCard("policy", 1, "f", 99), clock=iter([0.0, *[2.0] * 9]).__next__
    )
    candidates = [candidate("a"), candidate("b"), candidate("b")]
    plan = Plan.parse("majority(n=3)")
    found = await concluded(session(plan, ledger, is_over=True), candidates)
    released.set()
    assert (found.answer, found.outcome) == ("b", Outcome.ANSWERED)
