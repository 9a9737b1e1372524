"""What every strategy keeps: it charges everything, repeats itself, stays within any budget.

class TestTrio(StrategyContract):
    @pytest.fixture
    def plan(self) -> Plan:
        return Plan.of("trio", n=3)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.budget import Budget, Prices
from search.engines.protocol import Event, FinishReason, Request, RequestFinished, Usage
from search.engines.scripted import ScriptedEngine
from search.errors import ContextError, EngineError, PlanError, RewardError
from search.ledger import Ledger
from search.plan import Plan
from search.result import Candidate, Outcome, Result
from search.rewards.protocol import Handle, Scored
from search.rewards.scripted import ScriptedReward
from search.run import run_plan
from search.strategies.protocol import Limits, Setting
from search.testing.bench import Bench, MakeBench, make_bench
from search.testing.stepped_loop import STEP, stepped, stepped_ledger

__all__ = ["StrategyContract"]

_any_budget = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    max_examples=25,
)

_SIX = Candidate("2+3=6\n# 6", "6", (), (6, 4), "end")
_FIVE = Candidate("2+3=5\n# 5", "5", (0.9, 1.0), (6, 4), "end")


class _Broken(ScriptedEngine):
    """Fails at its third request, or at its first if that draws everything."""

    def __init__(self, script: Any, event: Event | None) -> None:
        super().__init__(script)
        self.event = event

    def submit(self, request: Request) -> AsyncIterator[Event]:
        return self._fail()

    async def _fail(self) -> AsyncIterator[Event]:
        await asyncio.sleep(0)
        if self.event is None:
            raise EngineError("the backend is gone")
        yield self.event


class _BrokenReward(ScriptedReward):
    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        await asyncio.sleep(0)
        raise RewardError("the PRM is gone")


class _Hanging(ScriptedReward):
    """Never answers."""

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        await asyncio.Event().wait()
        raise AssertionError


class StrategyContract:
    """Subclass it as ``Test...`` and give a ``plan``: the strategy with numbers small enough for a test.

    A strategy that may stop early is given numbers at which it does not (``stop=1``): with the limits of
    these tests it then draws all of its ``n`` solutions. Policies inside a plan are called ``scripted``. For
    several plans give the fixture ``params``.
    """

    @pytest.fixture
    def plan(self) -> Plan:
        """The plan that is tested."""
        raise NotImplementedError("a contract is given a fixture plan")

    def drafts(self, plan: Plan) -> int:
        """How many solutions are drawn where none of them can be read: override it for a strategy that draws
        its last ones only where some can be."""
        return plan.n

    @pytest.fixture
    def bench(self) -> MakeBench:
        """Makes a problem and a setting over a script, with fakes that count."""
        return make_bench

    @pytest.mark.asyncio
    async def test_it_answers_and_says_what_it_ran(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        result = await run_plan(b.problem, plan, b.setting, seed=3)
        assert (result.problem_id, result.plan, result.outcome) == ("p", plan, Outcome.ANSWERED)
        assert result.chosen is not None
        assert result.answer == result.candidates[result.chosen].answer is not None
        assert 1 <= len(result.candidates) <= plan.n
        for candidate in result.candidates:
            assert candidate.mean_logprob is not None
            assert candidate.min_logprob is not None
            assert candidate.min_logprob <= candidate.mean_logprob <= 0.0
            assert len(candidate.step_rewards) == (len(candidate.step_tokens) if plan.needs_prm else 0)

    @pytest.mark.asyncio
    async def test_it_charges_everything_the_backends_did(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        spend = (await run_plan(b.problem, plan, b.setting, seed=4)).spend
        assert spend.policy_tokens == b.engine.prompted + b.engine.generated
        assert (
            spend.physical_policy_tokens == sum(len(r.prompt) for r in b.engine.requests) + b.engine.generated
        )
        assert (spend.prm_tokens > b.prm_prompt) == plan.needs_prm
        if plan.must_run and plan.needs_prm:
            assert spend.prm_tokens == b.prm_prompt + b.reward.scored
        assert spend.flops == b.engine.card.flops(spend.policy_tokens) + b.reward.card.flops(spend.prm_tokens)
        assert spend.seconds > 0

    @pytest.mark.parametrize("takes_n", [True, False])
    @pytest.mark.asyncio
    async def test_money_is_what_the_backends_bill(self, plan: Plan, bench: MakeBench, takes_n: bool) -> None:
        b, prices = bench(takes_n=takes_n), Prices(prompt=1.0, generated=3.0, prm=0.5)
        ledger = Ledger(Budget.unlimited(), b.engine.card, b.reward.card, prices)
        await run_plan(b.problem, plan, b.setting, seed=4, ledger=ledger)
        assert ledger.usd == pytest.approx(b.bill(prices), rel=1e-9)

    @pytest.mark.asyncio
    async def test_candidates_tokens_are_what_was_written(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        for candidate in (await run_plan(b.problem, plan, b.setting, seed=5)).candidates:
            is_ended = candidate.finish_reason == FinishReason.END
            written = "".join(map(chr, candidate.token_ids[: -1 if is_ended else None]))
            assert candidate.tokens == len(candidate.token_ids) == len(written) + is_ended
            assert candidate.text.startswith(written)  # what a program printed may follow

    @pytest.mark.asyncio
    async def test_a_seed_repeats_a_run(self, plan: Plan, bench: MakeBench) -> None:
        async def run(seed: int) -> tuple[object, ...]:
            b = bench()
            result = await run_plan(b.problem, plan, b.setting, seed=seed)
            return result.candidates, result.answer, result.chosen, result.spend.tokens

        assert await run(7) == await run(7)
        if not plan.is_greedy:
            assert len({(await run(seed))[0] for seed in range(12)}) > 1

    @pytest.mark.parametrize("kind", ["tokens", "flops", "usd"])
    @_any_budget
    @given(share=st.floats(0, 1.3), seed=st.integers(0, 50), takes_n=st.booleans())
    def test_no_budget_is_ever_exceeded(
        self, plan: Plan, bench: MakeBench, kind: str, share: float, seed: int, takes_n: bool
    ) -> None:
        b = bench(takes_n=takes_n)
        prices = Prices(prompt=1.0, generated=3.0, prm=0.5)
        caps = {
            "tokens": Budget(tokens=int(700 * share)),
            "flops": Budget(flops=1.4e6 * share),
            "usd": Budget(usd=2e-3 * share),
        }
        cap = float(getattr(caps[kind], kind))
        ledger = Ledger(caps[kind], b.engine.card, b.reward.card, prices)
        result = asyncio.run(run_plan(b.problem, plan, b.setting, seed=seed, ledger=ledger))
        assert {"tokens": ledger.spend.tokens, "flops": ledger.spend.flops, "usd": ledger.usd}[kind] <= cap
        assert ledger.spend.policy_tokens == b.engine.prompted + b.engine.generated
        # every prompt is paid for as often as it was sent
        assert ledger.usd == pytest.approx(b.bill(prices), rel=1e-9)
        assert ledger.committed_tokens == ledger.spend.tokens  # nothing is held for ever
        if not result.candidates:
            assert result.outcome is Outcome.BUDGET
            assert (result.answer, result.chosen) == (None, None)
        # what was affordable answers: no solution that can be read is left without a word
        assert (result.answer is None) == all(one.answer is None for one in result.candidates)

    @pytest.mark.asyncio
    async def test_a_budget_for_everything_changes_nothing(self, plan: Plan, bench: MakeBench) -> None:
        free, capped = bench(), bench()
        first = await run_plan(free.problem, plan, free.setting, seed=6)
        second = await run_plan(capped.problem, plan, capped.setting, seed=6, budget=Budget(tokens=10**6))
        assert (first.candidates, first.chosen) == (second.candidates, second.chosen)

    @pytest.mark.asyncio
    async def test_no_budget_at_all_is_a_result(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        result = await run_plan(b.problem, plan, b.setting, seed=1, budget=Budget(tokens=0))
        assert (result.outcome, result.candidates, result.spend.tokens) == (Outcome.BUDGET, (), 0)
        assert b.engine.requests == []

    @pytest.mark.asyncio
    async def test_no_time_at_all_is_a_result(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        result = await run_plan(b.problem, plan, b.setting, seed=1, budget=Budget(seconds=0))
        assert (result.outcome, result.candidates, result.spend.tokens) == (Outcome.DEADLINE, (), 0)

    def test_when_time_is_up_what_is_finished_answers(self, plan: Plan, bench: MakeBench) -> None:
        """The engine never ends on its own; the prior candidate is what is finished."""

        async def run(b: Bench, prior: Sequence[Candidate]) -> Result:
            ledger = stepped_ledger(b.setting, Budget(seconds=20 * STEP))
            return await run_plan(b.problem, plan, b.setting, seed=1, ledger=ledger, prior=prior)

        b = bench(lambda text, rng: "x" * 10**6, max_tokens=10**6)
        result = stepped(run(b, []))
        assert (result.outcome, result.candidates) == (Outcome.DEADLINE, ())
        assert all(child.finish_reason == FinishReason.CANCELLED for child in b.engine.children)
        assert result.spend.policy_tokens == b.engine.prompted + b.engine.generated
        if plan.n > 1:
            b = bench(lambda text, rng: "x" * 10**6, max_tokens=10**6)
            result = stepped(run(b, [_FIVE]))
            assert (result.outcome, result.answer, len(result.candidates)) == (Outcome.ANSWERED, "5", 1)

    @pytest.mark.asyncio
    async def test_unreadable_answers_are_a_result(self, plan: Plan, bench: MakeBench) -> None:
        b = bench(lambda text, rng: "hm\n# "[len(text.partition("\x1e")[2]) :])
        result = await run_plan(b.problem, plan, b.setting, seed=1)
        assert (result.outcome, result.answer, result.chosen) == (Outcome.UNREADABLE, None, None)
        assert len(result.candidates) == self.drafts(plan)

    @pytest.mark.asyncio
    async def test_the_token_limit_is_a_result(self, plan: Plan, bench: MakeBench) -> None:
        b = bench(lambda text, rng: "#" * 99, max_tokens=20)
        result = await run_plan(b.problem, plan, b.setting, seed=1)
        assert (result.outcome, len(result.candidates)) == (Outcome.STEP_LIMIT, self.drafts(plan))
        assert {(c.tokens, c.finish_reason) for c in result.candidates} == {(20, FinishReason.LENGTH)}

    @pytest.mark.asyncio
    async def test_the_context_is_a_limit_too(self, plan: Plan, bench: MakeBench) -> None:
        asked = bench(lambda text, rng: "#")
        await run_plan(asked.problem, plan, asked.setting, seed=1)
        prompt = len(asked.engine.requests[0].prompt)
        b = bench(lambda text, rng: "#" * 99, context=prompt + 20)
        result = await run_plan(b.problem, plan, b.setting, seed=1, budget=Budget(tokens=10**4))
        assert {c.tokens for c in result.candidates} == {20}
        short = bench(context=prompt - 1)
        with pytest.raises(ContextError):
            await run_plan(short.problem, plan, short.setting, seed=1)

    @pytest.mark.asyncio
    async def test_an_empty_solution_is_a_result(self, plan: Plan, bench: MakeBench) -> None:
        b = bench(lambda text, rng: "")
        result = await run_plan(b.problem, plan, b.setting, seed=1)
        assert (result.outcome, len(result.candidates)) == (Outcome.UNREADABLE, self.drafts(plan))
        assert {(c.text, c.tokens, c.step_rewards) for c in result.candidates} == {("", 1, ())}

    @pytest.mark.asyncio
    async def test_prior_candidates_count_and_compete(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        ledger = Ledger(Budget(tokens=5000), b.engine.card, b.reward.card)
        ledger.reserve(policy_tokens=20, policy_prompt=b.prompt).settle(policy_tokens=20)  # the probe
        result = await run_plan(b.problem, plan, b.setting, seed=2, prior=[_SIX, _FIVE], ledger=ledger)
        assert [c.text for c in result.candidates[:2]] == [_SIX.text, _FIVE.text]
        assert len(result.candidates) == 2 + plan.described.fresh(2)
        if not plan.must_run:
            assert len(b.engine.children) == plan.described.fresh(2)
        # the probe has paid for the question's prompt and its tokens
        question = b.engine.prompt(b.problem.question)
        others = b.engine.prompted - (b.prompt if b.engine.has_sent(question) else 0)
        assert result.spend.policy_tokens == others + b.engine.generated
        assert ledger.spend.policy_tokens == b.prompt + 20 + others + b.engine.generated
        if plan.needs_prm:
            assert len(result.candidates[0].step_rewards) == 2  # scored now
            assert result.candidates[1].step_rewards == _FIVE.step_rewards  # scored before
            assert [new for _, new in b.reward.calls].count(("2+3=6", "# 6")) == 1

    @pytest.mark.asyncio
    async def test_prior_candidates_alone_answer_when_nothing_more_is_affordable(
        self, plan: Plan, bench: MakeBench
    ) -> None:
        b = bench()
        result = await run_plan(b.problem, plan, b.setting, seed=2, prior=[_FIVE], budget=Budget(tokens=0))
        assert (result.outcome, result.answer, result.candidates) == (Outcome.ANSWERED, "5", (_FIVE,))

    @pytest.mark.asyncio
    async def test_runs_side_by_side_do_not_disturb_each_other(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        alone = [(await run_plan(b.problem, plan, b.setting, seed=seed)).candidates for seed in range(5)]
        together = await asyncio.gather(
            *(run_plan(b.problem, plan, b.setting, seed=seed) for seed in range(5))
        )
        assert [result.candidates for result in together] == alone

    @pytest.mark.asyncio
    async def test_a_prm_that_is_missing_is_said(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        work = run_plan(b.problem, plan, Setting(b.engine), seed=1)
        if plan.needs_prm:
            with pytest.raises(PlanError, match=f"{plan.strategy} needs a PRM, got a setting without one"):
                await work
        else:
            assert (await work).outcome is Outcome.ANSWERED

    @pytest.mark.asyncio
    async def test_a_failing_engine_is_an_error_and_leaves_nothing_behind(
        self, plan: Plan, bench: MakeBench
    ) -> None:
        b = bench()
        before = asyncio.all_tasks()
        engine = _Broken({}, None)
        with pytest.raises(EngineError, match="the backend is gone"):
            await run_plan(b.problem, plan, Setting(engine, b.reward), seed=1)
        assert asyncio.all_tasks() == before

    @pytest.mark.asyncio
    async def test_an_engine_that_forgets_children_is_an_error(self, plan: Plan, bench: MakeBench) -> None:
        b = bench()
        engine = _Broken({}, RequestFinished(Usage(1, 0, 0)))
        with pytest.raises(EngineError, match="all children must finish, got 0 of"):
            await run_plan(b.problem, plan, Setting(engine, b.reward), seed=1)

    @pytest.mark.asyncio
    async def test_a_failing_prm_is_an_error_and_leaves_nothing_behind(
        self, plan: Plan, bench: MakeBench
    ) -> None:
        b = bench()
        before = asyncio.all_tasks()
        work = run_plan(b.problem, plan, Setting(b.engine, _BrokenReward(lambda q, s: 0.0)), seed=1)
        if plan.needs_prm:
            with pytest.raises(RewardError, match="the PRM is gone"):
                await work
        else:  # it is not asked
            assert (await work).outcome is Outcome.ANSWERED
        assert asyncio.all_tasks() == before

    @pytest.mark.asyncio
    async def test_cancelling_a_run_cancels_its_requests(self, plan: Plan, bench: MakeBench) -> None:
        b = bench(lambda text, rng: "x" * 10**6, max_tokens=10**6)
        before = asyncio.all_tasks()
        task = asyncio.create_task(run_plan(b.problem, plan, b.setting, seed=1))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert b.engine.in_flight == ()
        assert asyncio.all_tasks() == before

    def test_a_prm_that_hangs_is_left_at_the_deadline(self, plan: Plan, bench: MakeBench) -> None:
        """Everything else is done long before it."""
        b = bench()
        setting = Setting(b.engine, _Hanging(lambda q, s: 0.0), limits=Limits(60, 12))
        budget = Budget(seconds=60) if plan.needs_prm else Budget.unlimited()

        async def run() -> Result:
            ledger = stepped_ledger(setting, budget)
            return await run_plan(b.problem, plan, setting, seed=1, ledger=ledger)

        result = stepped(run())
        assert (result.spend.seconds >= 60) == plan.needs_prm
        if plan.prune is not None:
            assert (result.outcome, result.candidates) == (Outcome.DEADLINE, ())
        else:  # the samples are finished, though unscored
            assert result.outcome is Outcome.ANSWERED
            assert len(result.candidates) == plan.n or plan.must_run
            assert {c.step_rewards for c in result.candidates} == {()}
        # nobody knows what it did, so all of it is charged
        assert (result.spend.prm_tokens > 0) == plan.needs_prm
