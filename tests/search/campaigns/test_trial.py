from __future__ import annotations

from random import Random

import pytest

from search.campaigns.estimate import estimate
from search.campaigns.grid import Grid
from search.campaigns.trial import measure
from search.engines.scripted import ScriptedEngine
from search.loader import ReadyLoader
from search.problem import Problem
from search.rewards.scripted import ScriptedReward

PROBLEMS = [Problem(f"p{i}", "f", "text", f"question {i}?", "1") for i in range(40)]


def grid(**changes: object) -> Grid:
    return Grid.of(
        {
            "pair": [{"policy": "m", "prm": "r"}],
            "strategies": ["cot", "majority", "best_of_n"],
            "n": [1, 4],
            "samples": 8,
            "block": 8,
            **changes,
        }
    )


def write(text: str, rng: Random) -> str:
    return "12345678\n# 1" if rng.random() < 0.5 else "\n"


class Loose(ScriptedEngine):
    equal_bits = False
    concurrency = 24


def loader(engine: ScriptedEngine | None = None) -> ReadyLoader:
    engine = ScriptedEngine(write, name="m") if engine is None else engine
    return ReadyLoader([engine], [ScriptedReward(lambda question, steps: 0.5, name="r")])


async def test_a_trial_measures_lengths_prompts_and_readability() -> None:
    found = (await measure(PROBLEMS, grid(), loader()))["m"]
    assert 256 <= found.solutions < 256 + 8  # as large as a unit: 32 problems of 8 draws
    assert found.solution == pytest.approx(7.5, abs=1.0)  # 12 or 1 characters and the end
    assert 12 <= found.prompt <= 14
    assert found.unreadable == pytest.approx(0.5, abs=0.2)
    assert found.cut == 0.0
    assert found.speed > 0.0
    assert 0.0 < found.scorings["r"].solution < found.solution
    assert found.scorings["r"].speed > 0.0
    assert found.tokens > found.solutions * found.solution


async def test_a_trial_is_no_larger_than_what_the_engine_decodes_at_a_time() -> None:
    found = (await measure(PROBLEMS, grid(), loader(Loose(write, name="m"))))["m"]
    assert found.solutions == 24


async def test_what_reaches_the_limit_is_counted_and_told() -> None:
    short = grid(max_tokens=5)
    found = await measure(PROBLEMS, short, loader())
    assert found["m"].cut == pytest.approx(0.5, abs=0.2)
    told = estimate(PROBLEMS, short, loader(), measured=found)
    assert any("% of the solutions of m reached max_tokens" in line for line in told.assumptions)


async def test_an_estimate_rests_on_the_trial() -> None:
    found = await measure(PROBLEMS, grid(), loader())
    told = estimate(PROBLEMS, grid(), loader(), measured=found)
    trial = found["m"]
    greedy, samples, scores = told.stages
    assert samples.policy_tokens == pytest.approx(40 * (trial.prompt + 8 * trial.solution))
    assert samples.hours == pytest.approx(40 * 8 * trial.solution / trial.speed / 3600)
    assert greedy.hours == pytest.approx(samples.hours / 8)
    scoring = trial.scorings["r"]
    assert scores.prm_tokens == pytest.approx(40 * (scoring.prompt + 8 * scoring.solution))
    assert scores.hours == pytest.approx(scores.prm_tokens / scoring.speed / 3600)
    assert told.usd is None


async def test_few_problems_are_enough() -> None:
    found = (await measure(PROBLEMS[:1], grid(), loader()))["m"]
    assert found.solutions == 8
