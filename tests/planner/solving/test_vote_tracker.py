"""The vote tracker of a run: what it tells is the same whether comparing answers waits for others or not."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from random import Random

import pytest

from planner.planner import Planner
from planner.solving import executor, stopping
from planner.solving.events import Drawn, Event, Grown
from planner.solving.solver import perform, solve
from search.budget import Budget
from search.cards import ModelCard
from search.choice import Choice
from search.engines.scripted import ScriptedEngine
from search.grading.text import TextDomain
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Spend
from search.rewards.scripted import ScriptedReward
from search.strategies.protocol import Setting
from search.strategies.running import candidates as running
from search.voting import grouping

PROBLEM = Problem("p1", "f", "text", "work out the sum of 3 + 41 + 7", "51")
PLANS = ("majority(n=9)", "weighted_vote(n=9, score=last)", "beam_search(n=8, width=2)")


class Waiting(TextDomain):
    """Compares when the loop lets it: each comparison waits for a turn of the loop."""

    name = "waiting"
    waits = True

    def __init__(self) -> None:
        self.turns = threading.Semaphore(0)
        self.wanted = 0
        self.threads: set[int] = set()

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        self.threads.add(threading.get_ident())
        self.wanted += 1
        assert self.turns.acquire(timeout=20.0), "only the loop can let it compare"
        return super().equal(problem, first, second)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """Answers are compared by ``Waiting`` wherever a request compares them."""
    found = Waiting()
    monkeypatch.setattr(stopping, "domain", lambda name: found)
    monkeypatch.setattr(grouping, "domain", lambda name: found)
    monkeypatch.setattr(running, "domain", lambda name: found)
    monkeypatch.setattr(executor, "grading", lambda name: found)
    return found


async def served(domain: Waiting) -> None:
    """Lets comparisons go on, from the loop."""
    given = 0
    while True:
        for _ in range(domain.wanted - given):
            domain.turns.release()
        given = domain.wanted
        await asyncio.sleep(0.001)


def settings(engine: ScriptedEngine) -> dict[tuple[str, str | None], Setting]:
    rewards = [
        ScriptedReward(lambda q, steps: 0.9 if "51" in steps[-1] else 0.3, name=name, parameters=1_000_000)
        for name in ("good", "bad")
    ]
    return {(engine.card.name, reward.card.name): Setting(engine, reward) for reward in rewards}


def writes(text: str, rng: Random) -> str:
    right = rng.random() < 0.6
    if text.endswith("\n"):
        return "# 51" if right else f"# {rng.randint(1, 9)}"
    return "3 + 41 = 44\n# 51" if right else f"hm\n# {rng.randint(1, 9)}"


async def heard(plan: str) -> list[tuple[object, ...]]:
    """What a listener hears of a forced plan, but for what was spent when it did."""
    events: list[Event] = []
    choice = Choice("small", "good" if "majority" not in plan else None, Plan.parse(plan))
    engine = ScriptedEngine(writes, name="small", parameters=1_000_000)
    solution = await perform(PROBLEM, choice, settings(engine), seed=3, listener=events.append)
    told: list[tuple[object, ...]] = [(solution.answer, solution.chosen, solution.candidates)]
    for event in events:
        if isinstance(event, Drawn):
            told.append((event.draw, event.candidate, event.votes, event.missing))
        elif isinstance(event, Grown):
            told.append((event.node, event.answer, event.votes))
        else:
            told.append((type(event),))
    return told


@pytest.mark.parametrize("plan", PLANS)
async def test_comparing_that_waits_is_told_as_any_other(plan: str, request: pytest.FixtureRequest) -> None:
    plain = await heard(plan)
    domain: Waiting = request.getfixturevalue("waiting")
    turns = asyncio.ensure_future(served(domain))
    assert await heard(plan) == plain
    turns.cancel()
    assert domain.wanted > 0
    assert threading.get_ident() not in domain.threads


async def test_looks_are_grouped_beside_the_loop(planner: Planner, waiting: Waiting) -> None:
    stages = []
    for stage in planner.stages:  # a rule that looks as far as it can
        centre = stage.centre.copy()
        if stage.actions.next_probe is not None:
            centre[len(stage.choices) :] += 50.0
        stages.append(replace(stage, centre=centre))
    every = {}
    for policy, size in (("small", 1_000_000), ("large", 4_000_000)):
        every |= settings(ScriptedEngine(writes, name=policy, parameters=size))
    turns = asyncio.ensure_future(served(waiting))
    solution = await solve(
        PROBLEM,
        replace(planner, stages=tuple(stages)),
        every,
        budget=Budget(price=0.0),
        allow_foreign=True,
        seed=3,
    )
    turns.cancel()
    assert len(solution.stages) == len(planner.stages) > 1
    assert solution.answer == "51"
    assert waiting.wanted > 0
    assert threading.get_ident() not in waiting.threads


async def test_without_time_events_do_not_wait_for_comparisons(waiting: Waiting) -> None:
    events: list[Event] = []
    counted = stopping.VoteTracker(
        PROBLEM,
        Plan.parse("majority(n=3)"),
        [],
        Spend,
        listener=events.append,
        policy=ModelCard("policy", 1, "f", 99),
        seconds_left=lambda: 0.0,
    )
    for draw, answer in enumerate(("51", "52", "51")):
        await counted.drawn(draw, Candidate(answer, answer, (), (3,), "end"), 2 - draw)
    told = [
        [(vote.answer, vote.count) for vote in event.votes] for event in events if isinstance(event, Drawn)
    ]
    assert told == [[("51", 1)], [("51", 1), ("52", 1)], [("51", 2), ("52", 1)]]
    assert waiting.wanted == 0


def test_a_candidate_is_weighed_once_however_many_votes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, weighed, told = Plan.parse("majority(n=4)"), list[str](), list[Event]()

    def weigh(_: object, candidate: Candidate) -> float:
        weighed.append(candidate.text)
        return 2.0

    monkeypatch.setattr(type(plan.described), "weigh", weigh)
    drawn = [Candidate(str(n), "51", (), (1,), "stop") for n in range(4)]

    async def draw() -> None:
        tracker = stopping.VoteTracker(
            PROBLEM, plan, drawn[:1], Spend, listener=told.append, policy=ModelCard("p", 10**6, "f", 512)
        )
        for place, candidate in enumerate(drawn[1:], start=1):
            await tracker.drawn(place, candidate, 3 - place)

    asyncio.run(draw())
    assert weighed == ["0", "1", "2", "3"]
    last = told[-1]
    assert isinstance(last, Drawn)
    assert last.votes[0].weight == 8.0
