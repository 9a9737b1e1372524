from __future__ import annotations

from pathlib import Path

import pytest

from search.campaigns.campaign import Campaign, Progress
from search.campaigns.grid import Grid
from search.engines.scripted import ScriptedEngine
from search.errors import CheckpointError
from search.loader import FolderLoader, ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog
from search.problem import Problem
from search.sync import run_sync


def test_a_ready_loader_gives_what_it_was_given() -> None:
    engine = ScriptedEngine(lambda text, rng: "# 1", name="m")
    loader = ReadyLoader([engine])
    assert loader.engine("m") is engine
    assert loader.policy_card("m") == engine.card
    with pytest.raises(CheckpointError, match="policy must be one of m, got 'x'"):
        loader.engine("x")
    with pytest.raises(CheckpointError, match="PRM must be one of none, got 'r'"):
        loader.prm_card("r")


def test_cards_come_without_weights_and_models_once(policy: Path, prm: Path) -> None:
    loader = FolderLoader({policy.name: policy}, {prm.name: prm})
    assert loader.policy_card(policy.name).name == policy.name
    engine, reward = loader.engine(policy.name), loader.reward(prm.name)
    try:
        assert engine.card == loader.policy_card(policy.name)
        assert reward.card == loader.prm_card(prm.name)
        assert loader.engine(policy.name) is engine
        assert loader.reward(prm.name) is reward
    finally:
        run_sync(loader.close())
    assert loader.engine(policy.name) is not engine
    run_sync(loader.close())
    with pytest.raises(CheckpointError, match=r"PRM must be one of .*, got 'nobody'"):
        loader.reward("nobody")
    with pytest.raises(CheckpointError, match="a checkpoint is a folder"):
        FolderLoader({"m": policy / "missing"}).policy_card("m")


@pytest.mark.parametrize("stop_after", [1, 5, 7, 9, 11])
def test_a_resumed_campaign_on_real_models_equals_an_unbroken_one(
    tmp_path: Path, policy: Path, prm: Path, stop_after: int
) -> None:
    problems = [Problem(f"p{i}", "f", "text", f"what is {i} + {i * 7 % 10}?", str(i)) for i in range(6)]
    grid = Grid.of(
        {
            "pair": [{"policy": policy.name, "prm": prm.name}],
            "strategies": ["cot", "majority", "best_of_n", "beam_search"],
            **{
                "n": [1, 4],
                "samples": 8,
                "block": 4,
                "group": 3,
                "runs": 1,
                "max_tokens": 24,
                "max_steps": 4,
            },
        }
    )

    def stop(state: Progress) -> None:
        if state.done == stop_after:
            raise KeyError("stopped by the test")

    logs = []
    for name, breaks in (("broken", True), ("unbroken", False)):
        log = SearchLog.at(tmp_path / name)
        logs.append(log)
        for callback in [stop, None] if breaks else [None]:
            loader = FolderLoader({policy.name: policy}, {prm.name: prm})
            try:
                Campaign(problems, grid, log, loader).run(callback)
            except KeyError:
                assert callback is stop
            finally:
                run_sync(loader.close())
    assert logs[0].rows("samples") == 6 * 9
    assert difference(logs[0], logs[1]) is None
