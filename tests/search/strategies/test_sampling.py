"""Sampling: scoring without a barrier, equal solutions scored once, tight budgets used up."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from search.budget import Budget
from search.engines.protocol import Event, FinishReason, Request
from search.engines.scripted import ScriptedEngine
from search.errors import RewardError
from search.ledger import Ledger
from search.plan import Plan
from search.problem import Problem
from search.result import Result
from search.rewards.protocol import Handle, Scored
from search.rewards.scripted import ScriptedReward
from search.run import run_plan
from search.strategies.observer import Observer
from search.strategies.protocol import Limits, Setting
from search.testing.stepped_loop import STEP, stepped, stepped_ledger

BEST = Plan.parse("best_of_n(n=8)")


async def test_equal_solutions_are_sent_once_and_charged_each(bench: Any) -> None:
    b = bench()
    result = await run_plan(b.problem, BEST, b.setting, seed=1)
    texts = [c.text for c in result.candidates]
    assert len(b.reward.calls) == len(set(texts)) < len(texts)
    logical = sum(b.reward.count("", tuple(filter(str.strip, text.split("\n"))))[1] for text in texts)
    assert result.spend.prm_tokens == b.prm_prompt + logical
    assert result.spend.physical_prm_tokens < logical
    assert all(c.step_rewards for c in result.candidates)


async def test_a_sample_is_scored_while_others_are_still_written() -> None:
    order: list[str] = []

    class Watched(ScriptedReward):
        async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
            order.append(steps[0])
            return await super().extend(handle, steps)

    class Slow(ScriptedEngine):
        async def events(self, request: Any, flight: Any) -> Any:
            async for event in super().events(request, flight):
                order.append(type(event).__name__)
                yield event

    engine = Slow({"q": {"a": 0.5, "b" * 40: 0.5}})
    setting = Setting(engine, Watched(lambda q, s: 0.5))
    await run_plan(Problem("p", "f", "text", "q"), BEST, setting, seed=1)
    assert order.index("a") < len(order) - 1 - order[::-1].index("ChildFinished")


async def test_a_tight_budget_draws_as_many_as_fit(bench: Any) -> None:
    """A solution takes 11 to 18 tokens, its worst case 60: the budget holds one worst case only."""
    b = bench()
    plan = Plan.parse("majority(n=8)")
    result = await run_plan(b.problem, plan, b.setting, seed=1, budget=Budget(tokens=100))
    assert 5 <= len(result.candidates) < 8
    assert 100 - 2 * 18 < result.spend.policy_tokens <= 100
    assert len({request.seed for request in b.engine.requests}) == len(b.engine.requests)
    assert max(request.n for request in b.engine.requests) > 1  # still side by side


async def test_the_first_sample_gets_what_there_is(bench: Any) -> None:
    b = bench()
    result = await run_plan(
        b.problem, Plan.parse("majority(n=8)"), b.setting, seed=1, budget=Budget(tokens=9)
    )
    assert [(c.tokens, c.finish_reason) for c in result.candidates] == [(9 - b.prompt, FinishReason.LENGTH)]
    assert result.spend.policy_tokens == 9


async def test_scoring_is_kept_in_reserve(bench: Any) -> None:
    """Under any budget every candidate drawn is scored: the PRM's share is held before drawing."""
    for tokens in range(60, 300, 10):
        b = bench()
        result = await run_plan(b.problem, BEST, b.setting, seed=tokens, budget=Budget(tokens=tokens))
        assert all(len(c.step_rewards) == len(c.step_tokens) for c in result.candidates), tokens


async def test_a_solution_beyond_the_prms_context_stays_unscored(bench: Any) -> None:
    b = bench(prm_context=18)
    result = await run_plan(b.problem, BEST, b.setting, seed=1)
    scored = {c.text: bool(c.step_rewards) for c in result.candidates}
    assert scored == {text: len(text) + 1 + b.prm_prompt <= 18 for text in scored}
    assert len(set(scored.values())) == 2


def test_deadline_keeps_what_was_finished(bench: Any) -> None:
    b = bench(lambda text, rng: "# 5" if rng.random() < 0.5 else "x" * 10**6, max_tokens=10**6)

    async def run() -> Result:
        ledger = stepped_ledger(b.setting, Budget(seconds=20 * STEP))
        return await run_plan(b.problem, Plan.parse("majority(n=8)"), b.setting, seed=1, ledger=ledger)

    result = stepped(run())
    assert result.answer == "5"
    assert 1 <= len(result.candidates) < 8
    assert result.spend.policy_tokens == b.prompt + b.engine.generated


async def test_a_problem_of_one_run_does_not_wait_for_another(bench: Any) -> None:
    slow, fast = bench(lambda text, rng: "x" * 3000, max_tokens=3000), bench()
    first = asyncio.create_task(run_plan(slow.problem, BEST, slow.setting, seed=1))
    await run_plan(fast.problem, BEST, fast.setting, seed=1)
    assert not first.done()
    await first


@pytest.mark.parametrize("plan", [BEST, Plan.parse("weighted_vote(n=8)")], ids=str)
async def test_nothing_is_drawn_for_a_prm_that_has_failed(bench: Any, plan: Plan) -> None:
    """Solutions are a line or 9,000 characters long: the first line that nobody scores ends the others."""
    b = bench(lambda text, rng: f"# {rng.random()}" if rng.random() < 0.5 else "x" * 9000, max_tokens=10_000)
    asked: list[int] = []

    async def extend(handle: Handle, steps: Sequence[str]) -> Scored:
        asked.append(b.reward.count("", tuple(steps))[1])
        raise RewardError("a PRM must answer, got a refused connection")

    b.reward.extend = extend
    ledger = Ledger(Budget.unlimited(), b.engine.card, b.reward.card)
    with pytest.raises(RewardError, match="a PRM must answer"):
        await run_plan(b.problem, plan, b.setting, seed=1, ledger=ledger)
    reasons = {child.finish_reason for child in b.engine.children}
    assert (reasons, len(b.engine.requests)) == ({FinishReason.END, FinishReason.CANCELLED}, 1)
    assert b.engine.generated < 8 * 60
    assert ledger.committed_tokens == ledger.spend.tokens
    assert ledger.spend.policy_tokens == b.prompt + b.engine.generated
    assert ledger.spend.prm_tokens == b.prm_prompt + sum(asked)
    assert not b.engine.in_flight


async def test_the_limit_is_asked_of_the_engine(bench: Any) -> None:
    b = bench()
    setting = Setting(b.engine, b.reward, limits=Limits(max_tokens=33))
    await run_plan(b.problem, BEST, setting, seed=9)
    request = b.engine.requests[0]
    assert (request.n, request.max_tokens, request.seed, request.stop, request.logprobs) == (
        8,
        33,
        9,
        (),
        True,
    )


async def test_who_leaves_as_the_last_sample_comes_leaves_nothing_unawaited() -> None:
    """The sample's task is cancelled before its first step: what it was to do must not have begun."""
    running: list[asyncio.Task[Any]] = []

    class Left(ScriptedEngine):
        def submit(self, request: Request) -> AsyncIterator[Event]:
            return self._at_once(super().submit(request))

        async def _at_once(self, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
            found = [event async for event in events]
            running[0].cancel()
            for event in found:
                yield event

    setting = Setting(Left({"q": {"a": 1.0}}), None, observer=Observer())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        running.append(
            asyncio.ensure_future(
                run_plan(Problem("p", "f", "text", "q"), Plan.parse("majority(n=2)"), setting, seed=1)
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await running[0]
        gc.collect()
    assert [str(each.message) for each in said] == []
