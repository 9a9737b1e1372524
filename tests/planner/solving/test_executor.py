"""Live runs on scripted models: the planner's stages, its caps, and its spends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from planner.evidence.probe import Probe
from planner.planner import Planner
from planner.solving.availability_filter import AvailabilityFilter
from planner.solving.events import Decided, Drawn, Ended, EndReason, Event, Grown, Left, Lost, Probed
from planner.solving.solution import Solution
from planner.solving.solver import perform, solve
from planner.solving.stopping import EarlyStopping
from search.budget import Budget
from search.choice import Choice
from search.engines.protocol import Event as SearchEvent
from search.engines.protocol import Request
from search.engines.scripted import ScriptedEngine
from search.errors import ArtefactError, BudgetError, RewardError
from search.plan import Plan
from search.problem import Problem
from search.result import Outcome
from search.rewards.protocol import Handle, Scored
from search.rewards.scripted import ScriptedReward
from search.strategies.protocol import Limits, Setting
from search.sync import run_sync
from search.testing.stepped_loop import stepped

PROBLEM = Problem("p1", "f", "text", "work out the sum of 3 + 41 + 7", "51")


def writes(text: str, rng: Random) -> str:
    return "3 + 41 = 44\n# 51" if rng.random() < 0.6 else f"hm\n# {rng.randint(1, 99)}"


def settings() -> dict[tuple[str, str | None], Setting]:
    out: dict[tuple[str, str | None], Setting] = {}
    for policy, size in (("small", 1_000_000), ("large", 4_000_000)):
        engine = ScriptedEngine(writes, name=policy, parameters=size)
        for prm in ("good", "bad"):
            reward = ScriptedReward(
                lambda q, steps: 0.9 if "51" in steps[-1] else 0.3, name=prm, parameters=1_000_000
            )
            out[policy, prm] = Setting(engine, reward)
    return out


def looking(planner: Planner) -> Planner:
    """The same planner with a rule that looks as far as it can."""
    stages = []
    for stage in planner.stages:
        centre = stage.centre.copy()
        if stage.actions.next_probe is not None:
            centre[len(stage.choices) :] += 50.0
        stages.append(replace(stage, centre=centre))
    return replace(planner, stages=tuple(stages))


async def test_looks_decides_again_and_answers(planner: Planner) -> None:
    solution = await solve(
        PROBLEM, looking(planner), settings(), budget=Budget(price=0.0), allow_foreign=True, seed=3
    )
    assert [record.probe for record in solution.stages] == [stage.probe for stage in planner.stages]
    assert solution.stages[0].advice.probe == planner.stages[1].probe
    assert solution.stages[-1].advice.probe is None
    assert solution.outcome == Outcome.ANSWERED
    assert solution.answer in {candidate.answer for candidate in solution.candidates}
    assert sum(record.spend.policy_tokens for record in solution.stages) == solution.spend.policy_tokens
    assert sum(record.spend.prm_tokens for record in solution.stages) == solution.spend.prm_tokens
    assert solution.tokens >= solution.stages[0].spend.tokens
    joined = solution.choice.policy == planner.stages[1].probe.policy and not solution.choice.plan.must_run
    assert not joined or len(solution.candidates) == solution.choice.plan.n


async def test_the_same_seed_gives_the_same_answer(planner: Planner) -> None:
    one, two = [
        await solve(PROBLEM, planner, settings(), budget=Budget(price=0.0), allow_foreign=True, seed=8)
        for _ in range(2)
    ]
    assert one.candidates == two.candidates
    assert one.answer == two.answer


@pytest.mark.parametrize("tokens", [300, 600, 1500])
async def test_a_hard_cap_is_never_broken(planner: Planner, tokens: int) -> None:
    for budget in (Budget(tokens=tokens), Budget(tokens=tokens, price=0.0)):
        for chosen in (planner, looking(planner)):
            solution = await solve(PROBLEM, chosen, settings(), budget=budget, allow_foreign=True)
            assert 0 < solution.spend.tokens <= tokens


async def test_a_cap_below_everything_is_refused(planner: Planner) -> None:
    with pytest.raises(BudgetError, match="cheapest choice"):
        await solve(PROBLEM, planner, settings(), budget=Budget(tokens=2), allow_foreign=True)


async def test_foreign_and_missing_models_are_refused(planner: Planner) -> None:
    with pytest.raises(ArtefactError, match="learned from"):
        await solve(PROBLEM, planner, settings(), budget=Budget(price=0.0))
    one = {key: value for key, value in settings().items() if key == ("small", "bad")}
    with pytest.raises(ArtefactError, match="models that are there"):
        await solve(PROBLEM, looking(planner), one, budget=Budget(price=0.0), allow_foreign=True)


@pytest.mark.parametrize("budget", [Budget(mean_flops=1e8), Budget(price=1.0, price_unit="tokens")])
async def test_runs_in_a_loop_through_the_synchronous_face(planner: Planner, budget: Budget) -> None:
    solution = run_sync(solve(PROBLEM, planner, settings(), budget=budget, allow_foreign=True))
    assert solution.spend.tokens > 0


async def test_open_ended_requests_are_answered_once(planner: Planner) -> None:
    solution = await solve(
        "tell me about the sea",
        planner,
        settings(),
        budget=Budget(price=0.0),
        allow_foreign=True,
    )
    assert solution.choice.plan == Plan.of("cot")
    assert len(solution.candidates) == 1
    assert np.isnan(solution.accuracy)


def test_another_policys_plan_does_not_take_the_probe() -> None:
    probe = Probe("small", 4)
    assert probe.joins(Choice("small", None, Plan.of("majority", n=16)))
    assert not probe.joins(Choice("large", None, Plan.of("majority", n=16)))
    assert not probe.joins(Choice("small", None, Plan.of("cot")))


async def test_abstains_where_nothing_is_expected_to_help(planner: Planner) -> None:
    nothing = await solve(
        PROBLEM, planner, settings(), budget=Budget(price=0.0), abstain_below=1.01, allow_foreign=True
    )
    assert nothing.outcome == Outcome.ABSTAINED
    assert nothing.answer is None
    assert nothing.spend.tokens == 0
    assert nothing.stages[-1].advice.abstain
    hopeful = await solve(PROBLEM, planner, settings(), budget=Budget(price=0.0), allow_foreign=True)
    assert hopeful.outcome == Outcome.ANSWERED
    assert not any(record.advice.abstain for record in hopeful.stages)


def slow(text: str, rng: Random) -> str:
    if rng.random() < 0.6:
        return "so\n" * rng.randint(1, 20) + "# 51"
    return "hm\n" * 60 + f"# {rng.randint(1, 99)}"


def heard_by(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


async def test_a_listener_hears_of_everything_and_changes_nothing(planner: Planner) -> None:
    events: list[Event] = []
    silent, heard = [
        await solve(
            PROBLEM,
            looking(planner),
            settings(),
            budget=Budget(price=0.0),
            allow_foreign=True,
            seed=3,
            listener=listener,
        )
        for listener in (None, events.append)
    ]
    assert heard.candidates == silent.candidates
    assert [e.advice for e in events if isinstance(e, Decided)] == [r.advice for r in heard.stages]
    assert len(heard_by(events, Probed)) == len(planner.stages) - 1
    tokens = [event.spend.tokens for event in events]
    assert tokens == sorted(tokens)
    assert tokens[-1] <= heard.spend.tokens
    finals = {e.draw: e.candidate for e in events if isinstance(e, Drawn)}
    assert set(heard.candidates) <= set(finals.values()) or heard.choice.plan.must_run
    last = [e for e in events if isinstance(e, Drawn | Grown)][-1]
    assert last.votes
    assert sum(vote.count for vote in last.votes) <= len(heard.candidates)


async def test_a_vote_that_cannot_change_ends_the_drawing(planner: Planner) -> None:
    small = {("small", None): Setting(ScriptedEngine(slow, name="small", parameters=1_000_000))}
    choice = Choice("small", None, Plan.of("majority", n=32))
    events: list[Event] = []
    full = await perform(PROBLEM, choice, small, seed=5)
    short = await perform(
        PROBLEM, choice, small, seed=5, early_stopping=EarlyStopping(), listener=events.append
    )
    assert (short.answer, full.answer) == ("51", "51")
    assert short.ended == EndReason.SETTLED
    assert short.spend.tokens < full.spend.tokens
    assert [e.why for e in events if isinstance(e, Ended)] == [EndReason.SETTLED]
    dear = await perform(PROBLEM, choice, small, seed=5, early_stopping=EarlyStopping(price=1e-9))
    assert dear.ended == EndReason.PRICE
    assert dear.spend.tokens < short.spend.tokens
    assert len(dear.candidates) < 32


@pytest.mark.parametrize("samples", [9, 16])
async def test_a_drawing_that_is_done_was_not_ended(samples: int) -> None:
    """All samples that there are money for have come, as the vote is settled: nothing was saved."""
    engine = ScriptedEngine(lambda text, rng: "# 51", name="small", parameters=1_000_000)
    pairs: dict[tuple[str, str | None], Setting] = {
        ("small", None): Setting(engine, limits=Limits(max_tokens=5))
    }
    choice = Choice("small", None, Plan.of("majority", n=16))
    events: list[Event] = []
    budget = Budget(tokens=len(PROBLEM.question) + 1 + samples * 5)
    found = await perform(
        PROBLEM, choice, pairs, budget=budget, seed=5, early_stopping=EarlyStopping(), listener=events.append
    )
    assert (len(found.candidates), found.ended) == (samples, None)
    assert not [event for event in events if isinstance(event, Ended)]


def test_at_the_deadline_the_best_answer_so_far_is_given(planner: Planner) -> None:
    class Stuck(ScriptedEngine):
        """Hangs after its first child until it is cancelled."""

        async def events(self, request: Request, flight: Any) -> AsyncIterator[SearchEvent]:
            async for event in super().events(request, flight):
                yield event
                while flight.active and not flight.cancelled:
                    await asyncio.sleep(1.0)

    engine = Stuck(slow, name="small", parameters=1_000_000)
    choice = Choice("small", None, Plan.of("majority", n=8))
    pairs = {("small", None): Setting(engine)}
    events: list[Event] = []

    async def answered() -> Solution:
        clock, budget = asyncio.get_running_loop().time, Budget(seconds=60)
        listener = events.append
        return await perform(PROBLEM, choice, pairs, budget=budget, seed=5, listener=listener, clock=clock)

    found = stepped(answered())
    assert (found.ended, found.outcome, found.answer) == (EndReason.DEADLINE, Outcome.ANSWERED, "51")
    assert [e.missing for e in events if isinstance(e, Ended)] == [7]
    assert not engine.in_flight
    # a probe that is cut short answers too
    both = {
        (name, None): Setting(Stuck(slow, name=name, parameters=1_000_000)) for name in ("small", "large")
    }

    async def probed() -> Solution:
        return await solve(
            PROBLEM,
            looking(planner),
            both,
            availability=AvailabilityFilter(prms={"good", "bad"}),
            budget=Budget(seconds=60, price=0.0),
            allow_foreign=True,
            seed=5,
            clock=asyncio.get_running_loop().time,
        )

    half = stepped(probed())
    assert half.ended == EndReason.DEADLINE
    assert half.answer is not None


async def test_a_prm_that_fails_is_left_out_of_what_follows(planner: Planner) -> None:
    class Dead(ScriptedReward):
        async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
            raise RewardError("a PRM must answer, got a refused connection")

    broken = {
        key: replace(setting, reward=Dead(lambda q, s: 0.5, name=str(key[1]), parameters=1_000_000))
        for key, setting in settings().items()
    }
    events: list[Event] = []
    found = await solve(
        PROBLEM,
        looking(planner),
        broken,
        budget=Budget(price=0.0),
        allow_foreign=True,
        listener=events.append,
    )
    lost = tuple(e.prm for e in events if isinstance(e, Lost))
    assert found.lost == lost != ()
    assert found.choice.prm is None
    assert found.answer is not None
    assert sum(record.spend.tokens for record in found.stages) == found.spend.tokens
    with pytest.raises(RewardError):
        await perform(PROBLEM, Choice("small", "good", Plan.of("best_of_n", n=2)), broken)


async def test_who_leaves_early_is_told_what_was_spent(planner: Planner) -> None:
    events: list[Event] = []

    def cancel_at_first_sample(event: Event) -> None:
        events.append(event)
        if isinstance(event, Drawn):
            task.cancel()

    engine = ScriptedEngine(slow, name="small", parameters=1_000_000)
    choice = Choice("small", None, Plan.of("majority", n=8))
    task = asyncio.ensure_future(
        perform(PROBLEM, choice, {("small", None): Setting(engine)}, listener=cancel_at_first_sample)
    )
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(events[-1], Left)
    assert events[-1].spend.tokens > 0
    for _ in range(3):
        await asyncio.sleep(0)
    assert not engine.in_flight
