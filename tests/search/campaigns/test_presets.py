"""Presets: grids by name, for the models and rewards at hand."""

from __future__ import annotations

import pytest

from search.campaigns.estimate import estimate
from search.campaigns.grid import Grid, Pair
from search.campaigns.presets import PRESETS, preset
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.errors import GridError
from search.loader import ReadyLoader
from search.plan import Plan
from search.problem import Problem
from search.remote.fake_server import FakeServer
from search.rewards.scripted import ScriptedReward
from search.strategies.registry import STRATEGIES

SUM = Problem("a", "sums", "arithmetic", "3 + 4?", "7")
NUMBER = Problem("b", "sums", "math", "3 + 4?", "7")


def loader(**policies: object) -> ReadyLoader:
    engines = [ScriptedEngine(lambda text, rng: "#7", name="m")]
    return ReadyLoader(engines, [ScriptedReward(lambda question, steps: 0.5, name="r")])


def names(grid: Grid) -> set[str]:
    return {plan.strategy for plan in grid.plans()}


def test_fast_asks_no_reward_and_runs_nothing() -> None:
    grid, left_out = preset("fast", [Pair(policy="m")], [SUM], loader())
    assert names(grid) == {"cot", "majority", "adaptive_vote"}
    assert not any(choice.plan.must_run or choice.prm for choice in grid.choices())
    assert left_out == ()
    with pytest.raises(GridError, match="the preset fast asks no PRM, got 'r'"):
        preset("fast", [Pair(policy="m", prm="r")], [SUM], loader())


def test_full_tries_all_that_can_run() -> None:
    every = {name for name in STRATEGIES if name != "cascade"}
    grid, left_out = preset("full", [Pair(policy="m", prm="r")], [SUM], loader())
    found = names(grid) | {line.removeprefix("left out ").partition(":")[0] for line in left_out}
    assert found == every
    assert {choice.plan.strategy for choice in grid.choices()} == names(grid)
    alone, _ = preset("full", [Pair(policy="m")], [SUM], loader())
    asked = {choice.plan.strategy for choice in alone.choices()}
    assert asked < names(grid)
    assert all(choice.prm is None for choice in alone.choices())


def test_what_refuses_to_run_is_left_out_and_said() -> None:
    grid, left_out = preset("full", [Pair(policy="m")], [Problem("c", "f", "python", "Why?", "")], loader())
    assert "program" not in names(grid)
    assert any(
        line.startswith("left out program: program answers what a program can print") for line in left_out
    )


def test_thinking_tries_three_budgets() -> None:
    grid, _ = preset("thinking", [Pair(policy="m")], [SUM], loader(), replaced={"max_tokens": 400})
    assert [str(plan) for plan in grid.plans()] == [
        *("cot()", "majority(n=4)"),
        *(f"{plan}think={think})" for think in (50, 100, 200) for plan in ("cot(", "majority(n=4, ")),
    ]


def test_thinking_takes_efforts_where_a_server_takes_no_number() -> None:
    with FakeServer(
        FakeOpenAI(ScriptedEngine(lambda text, rng: "#7", name="m"), plays="hosted", takes=("chat",))
    ) as server:
        engine = OpenAIEngine.connect(server.url, parameters=1000, patience=0.0)
        grid, _ = preset("thinking", [Pair(policy="m")], [SUM], ReadyLoader([engine]))
        thinking = [plan.thinking for plan in grid.plans() if plan.thinking]
        assert {str(one) for one in thinking} == {"effort=low", "effort=medium", "effort=high"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_priced(name: str) -> None:
    pairs = [Pair(policy="m", prm=None if name == "fast" else "r")]
    models = loader()
    grid, _ = preset(name, pairs, [SUM, NUMBER], models)
    found = estimate([SUM, NUMBER], grid, models)
    assert found.tokens > 0
    assert found.flops > 0
    ran = {str(choice.plan.tree) for choice in grid.choices() if choice.plan.must_run}
    assert sum(f": {grid.runs} x " in stage.name for stage in found.stages) == len(ran)
    said = "a plan with think that was never run takes all of its thought"
    assert (said in found.assumptions) == (name == "thinking")


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(GridError, match="a preset must be one of fast, full, thinking, got 'slow'"):
        preset("slow", [Pair(policy="m")], [SUM], loader())


def test_a_grid_tries_its_plans_again_at_each_budget() -> None:
    content = {"pair": [{"policy": "m"}], "strategies": ["majority"], "n": [4], "samples": 8}
    grid = Grid.of({**content, "think": [0, 64], "effort": ["low"], "plan": ["cot()"]})
    assert [str(plan) for plan in grid.plans()] == [
        "majority(n=4)",
        "majority(n=4, think=0)",
        "majority(n=4, think=64)",
        "majority(n=4, effort=low)",
        "cot()",
    ]
    assert {run.plan for run in grid.needs("m").runs} == {plan for plan in grid.plans() if plan.thinking}
    assert grid.needs("m").draws == {"m": 4}
    with pytest.raises(GridError, match=r"effort\.0"):
        Grid.of({**content, "effort": ["much"]})
    assert Plan.parse("majority(n=4, think=0)").must_run
