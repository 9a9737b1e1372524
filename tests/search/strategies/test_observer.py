"""An observer hears of everything and changes nothing unless it ends the drawing, charged exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from search.budget import UNLIMITED, Budget
from search.ledger import Ledger
from search.plan import Plan
from search.result import Candidate, Result
from search.run import run_plan
from search.strategies.observer import BeamEvent, Observer


class Ear(Observer):
    def __init__(self, enough: int = 10**6) -> None:
        self.enough = enough
        self.candidates: dict[int, Candidate] = {}
        self.missing: list[int] = []
        self.events: list[BeamEvent] = []
        self.cuts: list[tuple[Sequence[int], Sequence[int]]] = []
        self.saved: list[int] = []

    async def drawn(self, draw: int, candidate: Candidate, missing: int) -> bool:
        self.candidates[draw] = candidate
        self.missing.append(missing)
        return len(self.candidates) >= self.enough

    def cut(self, missing: int) -> None:
        self.saved.append(missing)

    async def grown(self, event: BeamEvent) -> None:
        self.events.append(event)

    def pruned(self, kept: Sequence[int], dropped: Sequence[int]) -> None:
        self.cuts.append((kept, dropped))


async def run(
    b: Any,
    plan: str,
    observer: Observer | None,
    prior: Sequence[Candidate] = (),
    budget: Budget = UNLIMITED,
) -> Result:
    setting = replace(b.setting, observer=observer)
    ledger = Ledger(budget, b.engine.card, b.reward.card)
    return await run_plan(b.problem, Plan.parse(plan), setting, seed=3, ledger=ledger, prior=prior)


@pytest.mark.parametrize("plan", ["majority(n=6)", "weighted_vote(n=6, score=min)", "cot()"])
async def test_hears_of_every_candidate(bench: Any, plan: str) -> None:
    silent, ear = await run(bench(), plan, None), Ear()
    prior = silent.candidates[:2] if "6" in plan else ()
    heard = await run(bench(), plan, ear)
    assert heard.candidates == silent.candidates
    assert heard.spend.tokens == silent.spend.tokens
    assert ear.candidates == dict(enumerate(heard.candidates))
    assert sorted(ear.missing, reverse=True) == list(range(len(heard.candidates)))[::-1]
    if prior:
        again = Ear()
        await run(bench(), plan, again, [replace(candidate, step_rewards=()) for candidate in prior])
        assert len(again.candidates) == 6
        assert min(again.missing) == 0


@pytest.mark.parametrize("plan", ["beam_search(n=4, width=2)", "dvts(n=4, width=2)"])
async def test_sees_a_tree_grow(bench: Any, plan: str) -> None:
    silent, ear = await run(bench(), plan, None), Ear()
    heard = await run(bench(), plan, ear)
    assert heard.candidates == silent.candidates
    nodes = {event.node: event for event in ear.events}
    assert len(nodes) == len(ear.events)

    def text(event: BeamEvent) -> str:
        above = nodes.get(event.parent)
        return (text(above) if above else "") + event.text

    finished = sorted(text(event) for event in ear.events if event.finish_reason)
    assert finished == sorted(candidate.text for candidate in heard.candidates)
    kept = [node for survivors, _ in ear.cuts for node in survivors]
    dropped = [node for _, losers in ear.cuts for node in losers]
    assert {event.parent for event in ear.events if event.parent in nodes} <= set(kept)
    assert not set(kept) & set(dropped)
    assert {s.node for s in ear.events if not s.finish_reason} == set(kept) | set(dropped)
    assert sum(event.tokens for event in ear.events) == heard.spend.policy_tokens - bench().prompt


async def test_ending_the_drawing_cancels_at_the_engine_and_charges_what_was_generated(bench: Any) -> None:
    b = bench(lambda text, rng: "x\n# 5" if rng.random() < 0.5 else "y\n" * rng.randint(100, 200) + "# 6")
    b.setting = replace(b.setting, limits=replace(b.setting.limits, max_tokens=1000))
    ear = Ear(enough=2)
    result = await run(b, "majority(n=8)", ear)
    assert len(result.candidates) < 8
    assert ear.saved == [8 - len(result.candidates)]
    assert result.answer == "5"
    assert "cancelled" in {child.finish_reason for child in b.engine.children}
    assert result.spend.policy_tokens == b.prompt + b.engine.generated < 8 * 200
    assert not b.engine.in_flight


@pytest.mark.parametrize("plan", ["majority(n=6)", "weighted_vote(n=6, score=min)"])
async def test_ending_a_drawing_that_is_done_saves_nothing(bench: Any, plan: str) -> None:
    """All end at the same step of the engine, before the first of them has been heard of."""
    ear = Ear(enough=2)
    result = await run(bench(lambda text, rng: "# 5"), plan, ear)
    assert (len(result.candidates), sum(ear.saved)) == (6, 0)
    silent = Ear()
    await run(bench(lambda text, rng: "# 5"), plan, silent)
    assert silent.saved == []


async def test_samples_that_no_budget_would_have_drawn_are_not_saved(bench: Any) -> None:
    """Four tokens each: 17 hold four of them; ended after the fourth nothing is saved."""
    for enough, saved in ((4, 0), (3, 1)):
        b, ear = bench(lambda text, rng: "# 5"), Ear(enough)
        budget = Budget(tokens=b.prompt + 17)
        one_by_one = replace(
            b.setting.limits, max_tokens=5
        )  # the next is sent as the one before it has ended
        b.setting = replace(b.setting, limits=one_by_one)
        result = await run(b, "majority(n=9)", ear, budget=budget)
        assert (len(result.candidates), ear.saved) == (4 - saved, [saved])
