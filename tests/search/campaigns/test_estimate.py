from __future__ import annotations

from pathlib import Path

import pytest

from search.campaigns.campaign import Campaign
from search.campaigns.estimate import estimate
from search.campaigns.grid import Grid
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import CheckpointError
from search.loader import ReadyLoader
from search.log.store import SearchLog
from search.problem import Problem
from search.rewards.scripted import ScriptedReward

PROBLEMS = [Problem(f"p{i}", "f", "text", "which?! ", "1") for i in range(10)]  # 8 characters
GRID = Grid.of(
    {
        "pair": [{"policy": "m", "prm": "r"}, {"policy": "m", "prm": None}],
        "n": [1, 4],
        "samples": 8,
        "block": 8,
        "strategies": ["cot", "majority", "best_of_n", "dvts"],
    }
)


def loader() -> ReadyLoader:
    def write(text: str, rng: object) -> str:
        return "ab\n# 1"[len(text.partition(TURN)[2]) :]

    return ReadyLoader(
        [ScriptedEngine(write, name="m", parameters=100)],
        [ScriptedReward(lambda *_: 0.5, name="r", parameters=10)],
    )


def test_assumed_figures_add_up() -> None:
    got = estimate(PROBLEMS, GRID, loader(), tokens_per_sample=50.0, flops_per_second=1e6)
    greedy, samples, scores, tree = got.stages
    assert greedy.policy_tokens == 10 * (2 + 50)
    assert samples.policy_tokens == 10 * (2 + 8 * 50)
    assert (scores.policy_tokens, scores.prm_tokens) == (0, 10 * (2 + 8 * 50))
    assert (tree.policy_tokens, tree.prm_tokens) == (10 * 2 * (2 + 4 * 50), 10 * 2 * (2 + 4 * 50))
    assert samples.flops == 200 * samples.policy_tokens
    assert tree.flops == 200 * tree.policy_tokens + 20 * tree.prm_tokens
    assert got.flops == sum(stage.flops for stage in got.stages)
    assert got.hours == pytest.approx(got.flops / 1e6 / 3600)
    assert (
        got.tokens
        == greedy.policy_tokens + samples.policy_tokens + scores.prm_tokens + 2 * tree.policy_tokens
    )
    assert "50 tokens per sample of m (not measured)" in got.assumptions
    assert "1e+06 FLOPs per second" in got.assumptions


def test_a_log_replaces_assumptions_and_the_estimate_comes_true(tmp_path: Path) -> None:
    log = SearchLog.at(tmp_path / "log")
    Campaign(PROBLEMS[:3], GRID, log, loader()).run()
    got = estimate(PROBLEMS, GRID, loader(), log)
    assert "7.0 tokens per sample of m (measured on 24 logged samples)" in got.assumptions
    Campaign(PROBLEMS, GRID, log, loader()).run()
    samples, scores, runs = log.read("samples"), log.read("scores"), log.read("runs")
    greedy = samples["draw"] < 0
    per_sample = samples.filter(~greedy)["tokens"].sum()
    assert got.stages[0].policy_tokens == (samples["tokens"] + samples["prompt_tokens"]).filter(greedy).sum()
    assert got.stages[1].policy_tokens == pytest.approx(per_sample + 10 * samples["prompt_tokens"][0])
    assert got.stages[2].prm_tokens == pytest.approx(
        scores["prm_tokens"].sum() + 10 * scores["prompt_tokens"][0]
    )
    assert got.stages[3].policy_tokens == pytest.approx(runs["policy_tokens"].sum())
    assert got.stages[3].prm_tokens == pytest.approx(runs["prm_tokens"].sum())


def test_bad_rates_and_unknown_models() -> None:
    with pytest.raises(ValueError, match="tokens_per_sample must be positive, got 0"):
        estimate(PROBLEMS, GRID, loader(), tokens_per_sample=0)
    with pytest.raises(ValueError, match="flops_per_second must be positive, got -1"):
        estimate(PROBLEMS, GRID, loader(), flops_per_second=-1)
    with pytest.raises(CheckpointError, match="policy must be one of none, got 'm'"):
        estimate(PROBLEMS, GRID, ReadyLoader([]))
