"""DVTS on trees that are known: subtrees keep apart, and none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

from search.engines.protocol import Event, Request
from search.engines.scripted import ScriptedEngine
from search.plan import Plan
from search.problem import Problem
from search.rewards.scripted import ScriptedReward
from search.run import run_plan
from search.strategies.protocol import Setting

PLAN = Plan.parse("dvts(n=16, width=4)")
TURN = "\x1e"


def written(text: str) -> str:
    return text.partition(TURN)[2]


def roads(text: str, rng: Random) -> str:
    """Two roads from the first step on: the broad one looks better and leads nowhere."""
    lines = written(text).split("\n")[:-1]
    road = lines[0].split()[0] if lines else ("broad" if rng.random() < 0.7 else "narrow")
    rest = [f"{road} {rng.randrange(1000)}" for _ in range(2 - len(lines))]
    return "\n".join([*rest, f"# {'wrong' if road == 'broad' else 'right'}"])


def deceived(question: str, steps: tuple[str, ...]) -> float:
    """Prefers the broad road until the answer is seen."""
    return {"#": 0.0, "b": 0.8, "n": 0.4}[steps[-1][0]] + (0.9 if steps[-1] == "# right" else 0.0)


async def test_subtrees_keep_what_beam_search_drops(bench: Any) -> None:
    answers = {"dvts": 0, "beam_search": 0}
    for name in answers:
        for seed in range(12):
            b = bench(roads, deceived)
            plan = Plan.parse(f"{name}(n=16, width=2)")
            answers[name] += (await run_plan(b.problem, plan, b.setting, seed=seed)).answer == "right"
    assert answers["beam_search"] == 0  # eight survivors, all on the broad road
    assert answers["dvts"] >= 4


async def test_it_draws_n_first_steps_at_once_then_width_for_each_subtree(bench: Any) -> None:
    b = bench(roads, deceived)
    result = await run_plan(b.problem, PLAN, b.setting, seed=1)
    assert [r.n for r in b.engine.requests] == [16] + [4] * 8
    assert len(result.candidates) == 16
    expanded = [written("".join(map(chr, r.prompt))) for r in b.engine.requests[1:5]]
    # each subtree expands the best of its own four
    first = {child.child: child.text for child in b.engine.children[:16]}
    for start in range(0, 16, 4):
        own = [first[index] for index in range(start, start + 4)]
        best = next((text for text in own if text.startswith("broad")), own[0])
        assert best in expanded


async def test_one_subtree_is_a_beam_search_of_one_survivor(bench: Any) -> None:
    one, other = bench(roads, deceived), bench(roads, deceived)
    first = await run_plan(one.problem, Plan.parse("dvts(n=4, width=4)"), one.setting, seed=3)
    second = await run_plan(other.problem, Plan.parse("beam_search(n=4, width=4)"), other.setting, seed=3)
    assert (first.candidates, first.chosen) == (second.candidates, second.chosen)


async def test_no_subtree_waits_for_another() -> None:
    """The first step of one child hangs; the other subtrees finish all the same."""
    gate = asyncio.Event()

    class Gated(ScriptedEngine):
        finished = 0

        def submit(self, request: Request) -> AsyncIterator[Event]:
            return self._gated(request, super().submit(request))

        async def _gated(self, request: Request, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
            kept = []
            async for event in events:
                if request.n == 6 and getattr(event, "child", -1) == 0:
                    kept.append(event)
                elif kept and not hasattr(event, "child"):
                    await gate.wait()
                    yield kept[0]
                    yield event
                else:
                    self.finished += getattr(event, "finish_reason", "") == "end"
                    yield event

    engine = Gated(roads)
    setting = Setting(engine, ScriptedReward(deceived))
    run = asyncio.create_task(
        run_plan(Problem("p", "f", "text", "q"), Plan.parse("dvts(n=6, width=2)"), setting, seed=1)
    )
    for _ in range(2000):
        await asyncio.sleep(0)
    assert engine.finished == 4  # two subtrees of two
    assert not run.done()
    gate.set()
    assert len((await run).candidates) == 6


async def test_subtrees_of_equal_texts_draw_different_children(bench: Any) -> None:
    """All first steps are alike: the seeds, not the texts, make subtrees differ."""

    def script(text: str, rng: Random) -> str:
        return "same\n" if not written(text) else f"# {rng.randrange(10**6)}"

    b = bench(script)
    result = await run_plan(b.problem, PLAN, b.setting, seed=1)
    assert len({c.answer for c in result.candidates}) == 16
    assert b.reward.calls.count(((), ("same",))) == 1
