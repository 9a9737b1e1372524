from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import scripted_campaign as scripted

from search.campaigns.campaign import Campaign, Progress
from search.campaigns.grid import Grid
from search.cards import ModelCard
from search.engines.protocol import Engine
from search.errors import (
    ContextError,
    FingerprintError,
    GradingError,
    GridError,
    LogError,
    ProblemError,
    RewardError,
)
from search.grading.registry import domain
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.merge import merge_logs
from search.log.outcomes import build_outcomes
from search.log.pool import read_pools
from search.log.store import SearchLog
from search.problem import Problem
from search.rewards.protocol import Handle, Reward, Scored
from search.rewards.scripted import ScriptedReward
from search.seeds import seed_of


def campaign(
    log: SearchLog,
    count: int = 8,
    first: int = 0,
    tick: Callable[[], Awaitable[object]] | None = None,
    **changes: Any,
) -> Campaign:
    grid = Grid.of({**scripted.GRID, **changes})
    prms = {pair.prm for pair in grid.pair if pair.prm is not None}
    loader = ReadyLoader(
        [scripted.engine(name=name) for name in grid.policies],
        [scripted.reward(name) for name in sorted(prms)],
    )
    options: dict[str, Any] = {} if tick is None else {"tick": tick}
    return Campaign(scripted.problems(count, first), grid, log, loader, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    log = SearchLog.at(tmp_path_factory.mktemp("campaign") / "log")
    campaign(log).run()
    return log


def test_a_campaign_fills_every_table(finished: SearchLog) -> None:
    assert finished.rows("problems") == 8
    assert finished.rows("samples") == 8 * (8 + 1)
    assert finished.rows("scores") == 8 * 8
    assert finished.rows("runs") == 8 * 2
    assert len(finished.units("problems")) == 3
    assert finished.manifest.settings["campaign seed"] == "5"
    frame = finished.read("samples")
    assert frame["draw"].unique().sort().to_list() == list(range(-1, 8))
    assert (frame["step_tokens"].list.sum() == frame["tokens"]).all()


def test_parts_tell_what_computed_them_and_merging_keeps_that(finished: SearchLog, tmp_path: Path) -> None:
    merged = merge_logs([finished], tmp_path / "merged")
    for log in (finished, merged):
        for table, backend in (("samples", "ScriptedEngine"), ("runs", "ScriptedEngine"), ("scores", "")):
            assert {log.backend(table, unit) for unit in log.units(table)} == {backend}


def test_grades_and_answers_are_those_of_the_domain(finished: SearchLog) -> None:
    reader = domain("text")
    problems = {problem.problem_id: problem for problem in scripted.problems(8)}
    for row in finished.read("samples").iter_rows(named=True):
        problem = problems[row["problem_id"]]
        assert row["answer"] == reader.read(problem, row["text"])
        assert row["correct"] == reader.grade(problem, row["answer"])
    assert 0.3 < finished.read("samples")["correct"].mean() < 0.9  # type: ignore[operator]


def test_prompts_count_once_and_are_told_apart_from_samples(finished: SearchLog) -> None:
    loader = scripted.engine()
    for row in finished.read("samples").iter_rows(named=True):
        question = next(p.question for p in scripted.problems(8) if p.problem_id == row["problem_id"])
        assert row["prompt_tokens"] == len(loader.prompt(question))
        assert row["tokens"] == len(row["text"]) + 1


def test_seeds_follow_the_contract(finished: SearchLog) -> None:
    card = scripted.engine().card
    row = (
        finished.read("samples").filter(pl.col("problem_id") == "p03", pl.col("draw") == 6).row(0, named=True)
    )
    assert row["seed"] == seed_of(5, card.fingerprint, row["sampling"], "p03", 4)
    plan = "beam_search(n=4, width=4, prune=last, score=last, vote=max)"
    run = finished.read("runs").filter(pl.col("problem_id") == "p03", pl.col("run") == 1).row(0, named=True)
    assert run["seed"] == seed_of(5, f"m x r x {plan}", "p03", 1)
    seeds = finished.read("samples").group_by("problem_id").agg(pl.col("seed").n_unique())
    assert seeds["seed"].unique().to_list() == [3]  # two blocks and the greedy draw


def test_scores_are_those_of_the_prm_and_equal_solutions_are_sent_once(finished: SearchLog) -> None:
    samples = finished.read("samples").filter(pl.col("draw") >= 0)
    joined = finished.read("scores").join(
        samples, on=["problem_id", "policy", "sampling", "draw"], suffix="_policy"
    )
    assert joined.height == 64
    for (_, _), group in joined.with_columns(block=pl.col("draw") // 4).group_by("problem_id", "block"):
        assert (group["physical_prm_tokens"] > 0).sum() == group["text"].n_unique()
        for same in group.partition_by("text"):
            assert same["step_rewards"].n_unique() == 1
    assert (joined["prm_tokens"] == joined["text"].str.len_chars() + 1).all()


def test_running_again_does_nothing_and_loads_nothing(finished: SearchLog) -> None:
    class Unloadable(ReadyLoader):
        def engine(self, name: str) -> Engine:
            raise AssertionError("loaded a policy without work for it")

        def reward(self, name: str) -> Reward:
            raise AssertionError("loaded a PRM without work for it")

        def policy_card(self, name: str) -> ModelCard:
            return scripted.engine().card  # type: ignore[no-any-return]

        def prm_card(self, name: str) -> ModelCard:
            return scripted.reward().card  # type: ignore[no-any-return]

    before = sorted((path, path.stat().st_mtime_ns) for path in finished.path.rglob("*"))
    states: list[Progress] = []
    grid = Grid.of(scripted.GRID)
    last = Campaign(scripted.problems(8), grid, finished, Unloadable([])).run(states.append)
    assert (last.done, last.total, last.tokens) == (last.total, last.total, 0)
    assert [state.stage for state in states] == ["resumed"]
    assert sorted((path, path.stat().st_mtime_ns) for path in finished.path.rglob("*")) == before


@pytest.mark.parametrize("ticks", [0, 2])
async def test_it_runs_inside_a_loop_and_tells_how_far_it_is(tmp_path: Path, ticks: int) -> None:
    states: list[Progress] = []
    running = campaign(SearchLog.at(tmp_path / "log"), 3, tick=asyncio.Semaphore(ticks).acquire)
    last = await running.run_async(states.append)
    assert len(states) == last.total + 1 + ticks
    assert [state.done for state in states] == sorted(state.done for state in states)
    states = list({state.done: state for state in reversed(states)}.values())[::-1]
    assert [state.done for state in states] == list(range(last.total + 1))
    assert last.total == 1 + 2 + 2 + 2  # greedy, blocks, scores, runs of one group
    tokens = [state.tokens for state in states]
    assert tokens == sorted(tokens)
    assert states[-1].stage == "m: beam_search(n=4, width=4, prune=last, score=last, vote=max) under r, run 1"
    assert campaign(SearchLog.open(tmp_path / "log"), 3).run().done == last.total


@pytest.mark.parametrize("stop_after", [0, 1, 4, 8, 13])
def test_a_failure_keeps_what_was_logged_and_resumes_to_the_same_log(
    tmp_path: Path, finished: SearchLog, stop_after: int
) -> None:
    log = SearchLog.at(tmp_path / "log")

    def stop(state: Progress) -> None:
        if state.done == stop_after:
            raise KeyError("stopped by the test")

    with pytest.raises(KeyError, match="stopped by the test"):
        campaign(log).run(stop)
    assert sum(len(log.units(table)) for table in ("samples", "scores", "runs")) == stop_after
    states: list[Progress] = []
    campaign(log).run(states.append)
    assert states[0].done == stop_after
    assert difference(log, finished) is None


def test_more_problems_make_new_groups_and_touch_no_old_unit(tmp_path: Path, finished: SearchLog) -> None:
    log = SearchLog.at(tmp_path / "log")
    campaign(log, 4).run()  # a full group and one of a single problem
    old = {table: log.units(table) for table in ("problems", "samples", "scores", "runs")}
    times = {path: path.stat().st_mtime_ns for path in log.path.rglob("*.parquet")}
    campaign(log, 8).run()
    for table, units in old.items():
        assert units < log.units(table)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    groups = sorted(len(log.read_unit("problems", unit)) for unit in log.units("problems"))
    assert groups == [1, 1, 3, 3]
    assert difference(log, finished) is None  # scripted models do not mind what shares a batch


def test_another_prm_a_larger_pool_and_another_plan_extend_a_log(tmp_path: Path) -> None:
    log = SearchLog.at(tmp_path / "log")
    campaign(log, 3).run()
    before = {table: log.read(table) for table in ("samples", "scores", "runs")}
    pairs = [{"policy": "m", "prm": "r"}, {"policy": "m", "prm": "r2"}]
    campaign(
        log, 3, pair=pairs, samples=12, strategies=["cot", "majority", "best_of_n", "beam_search", "dvts"]
    ).run()
    assert log.rows("samples") == 3 * 13
    assert log.rows("scores") == 3 * 12 * 2
    assert log.rows("runs") == 3 * 2 * 2 * 2
    for table, frame in before.items():
        assert log.read(table).join(frame, on=frame.columns[:4], how="semi").height >= frame.height
    assert set(read_pools(log, "m")["p01"].scores) == {"r", "r2"}
    frame = build_outcomes(log, Grid.of(scripted.GRID).plans())
    assert frame.filter(pl.col("plan").str.starts_with("dvts"))["draws"].unique().to_list() == [2]


def test_a_pool_that_ends_within_a_block_grows(tmp_path: Path) -> None:
    log, whole = SearchLog.at(tmp_path / "log"), SearchLog.at(tmp_path / "whole")
    campaign(log, 3, samples=6).run()
    assert log.rows("samples") == 3 * 7
    assert log.rows("scores") == 3 * 6
    before = log.read("samples")
    campaign(log, 3, samples=12).run()
    campaign(whole, 3, samples=12).run()
    assert log.read("samples").join(before, on=["problem_id", "draw"], how="semi").equals(before)
    assert difference(log, whole) is None


def test_policies_may_be_sampled_by_their_own_defaults(tmp_path: Path) -> None:
    class Opinionated(ReadyLoader):
        def generation_defaults(self, name: str) -> dict[str, object]:
            return {"a": {"temperature": 0.5}, "b": {"temperature": 2.0, "top_k": 3}}[name]

    log = SearchLog.at(tmp_path / "log")
    pairs = [{"policy": "a"}, {"policy": "b"}]
    loader = Opinionated([scripted.engine(name="a"), scripted.engine(name="b")])
    grid = {**scripted.GRID, "pair": pairs, "strategies": ["cot", "majority"]}
    Campaign(scripted.problems(2), Grid.of(grid), log, loader).run()
    pool = log.read("samples").filter(pl.col("draw") >= 0)
    assert dict(pool.select("policy", "sampling").unique().iter_rows()) == {
        "a": "temperature=0.5, top_p=1, top_k=0",
        "b": "temperature=2, top_p=1, top_k=3",
    }
    assert log.manifest.settings["sampling of b"] == "temperature=2, top_p=1, top_k=3"
    with pytest.raises(FingerprintError, match="sampling must be the same in a log and what is added"):
        Campaign(scripted.problems(2), Grid.of({**grid, "temperature": 1.0, "top_k": 0}), log, loader).run()


def test_a_merged_log_is_resumed_without_repeating(tmp_path: Path, finished: SearchLog) -> None:
    one, two = SearchLog.at(tmp_path / "one"), SearchLog.at(tmp_path / "two")
    campaign(one, 4).run()
    campaign(two, 6, first=2, group=4).run()  # overlaps in two problems, other groups
    merged = merge_logs([one, two], tmp_path / "both")
    assert merged.rows("samples") == 8 * 9
    states: list[Progress] = []
    campaign(merged).run(states.append)
    assert (states[0].done, states[0].tokens) == (states[0].total, 0)
    assert difference(merged, finished) is None
    campaign(merged, 10).run()
    assert merged.rows("samples") == 10 * 9


def test_other_models_and_settings_are_refused_by_name(tmp_path: Path) -> None:
    log = SearchLog.at(tmp_path / "log")
    campaign(log, 2).run()
    rows = log.rows("samples")

    class Renamed(ReadyLoader):
        def policy_card(self, name: str) -> ModelCard:
            return ModelCard("m", 1000, "retrained", 65536)

    loader = Renamed([scripted.engine()], [scripted.reward()])
    with pytest.raises(
        FingerprintError, match="policy 'm' must have the same fingerprint in a log and what is added"
    ):
        Campaign(scripted.problems(3), Grid.of(scripted.GRID), log, loader).run()
    for changes, name in (
        ({"temperature": 0.5}, "sampling"),
        ({"seed": 6}, "campaign seed"),
        ({"max_tokens": 99}, "limits"),
        ({"block": 8}, "block"),
    ):
        with pytest.raises(
            FingerprintError, match=f"{name} must be the same in a log and what is added to it, got "
        ):
            campaign(log, 3, **changes).run()
    changed = [Problem("p00", "f0", "text", "which is 7?", "7")]
    with pytest.raises(FingerprintError, match="a problem must be the same as in the log, got another 'p00'"):
        Campaign(
            changed, Grid.of(scripted.GRID), log, ReadyLoader([scripted.engine()], [scripted.reward()])
        ).run()
    assert (log.rows("samples"), log.rows("problems")) == (rows, 2)


def test_what_would_stop_it_halfway_stops_it_at_once(tmp_path: Path) -> None:
    log, grid = SearchLog.at(tmp_path / "log"), Grid.of(scripted.GRID)
    loader = ReadyLoader([scripted.engine()], [scripted.reward()])
    good = scripted.problems(1)[0]
    with pytest.raises(ProblemError, match="a campaign needs at least one problem, got none"):
        Campaign([], grid, log, loader)
    with pytest.raises(ProblemError, match="a problem id is given once, got 'p00' twice"):
        Campaign([good, good], grid, log, loader)
    with pytest.raises(ProblemError, match="a problem needs an answer, got none for 'x'"):
        Campaign([Problem("x", "f", "text", "q")], grid, log, loader)
    with pytest.raises(GradingError, match="domain must be one of"):
        Campaign([Problem("x", "f", "poetry", "q", "1")], grid, log, loader)
    with pytest.raises(GradingError, match="problem 'x': "):
        Campaign([Problem("x", "f", "arithmetic", "q", "no number")], grid, log, loader)

    class Misnamed(ReadyLoader):
        def policy_card(self, name: str) -> ModelCard:
            return ModelCard("other", 1, "x", 9)

    misnamed = Campaign([good], grid, log, Misnamed([scripted.engine()], [scripted.reward()]))
    with pytest.raises(GridError, match="a grid names a model as its card does, got 'm' for 'other'"):
        misnamed.run()
    assert log.rows("problems") == 0


def test_a_question_beyond_the_context_names_the_problem(tmp_path: Path) -> None:
    log = SearchLog.at(tmp_path / "log")
    long = Problem("long", "f", "text", "x" * 70_000, "1")
    loader = ReadyLoader([scripted.engine()], [scripted.reward()])
    with pytest.raises(ContextError, match="problem 'long': a prompt must leave room"):
        Campaign([*scripted.problems(1), long], Grid.of(scripted.GRID), log, loader).run()
    assert log.rows("samples") == 0


def test_a_failing_prm_loses_nothing_that_was_drawn(tmp_path: Path, finished: SearchLog) -> None:
    class Broken(ScriptedReward):
        async def extend(self, handle: Handle, steps: Any) -> Scored:
            raise RewardError("the PRM's server is gone")

    log, grid = SearchLog.at(tmp_path / "log"), Grid.of(scripted.GRID)
    broken = ReadyLoader([scripted.engine()], [Broken(lambda question, steps: 1.0, name="r")])
    with pytest.raises(RewardError, match="the PRM's server is gone"):
        Campaign(scripted.problems(8), grid, log, broken).run()
    assert log.read("samples").equals(finished.read("samples"))
    campaign(log).run()
    assert difference(log, finished) is None


def test_a_solution_beyond_the_prms_context_has_no_rewards(tmp_path: Path) -> None:
    log = SearchLog.at(tmp_path / "log")
    short = ScriptedReward(lambda question, steps: 0.5, name="r", context=20)
    grid = Grid.of({**scripted.GRID, "strategies": ["majority", "best_of_n"]})
    Campaign(scripted.problems(2), grid, log, ReadyLoader([scripted.engine()], [short])).run()
    assert log.read("scores")["step_rewards"].list.len().sum() == 0
    assert log.read("scores")["prm_tokens"].sum() == 0


def test_two_campaigns_do_not_write_one_log(tmp_path: Path) -> None:
    log = SearchLog.at(tmp_path / "log")
    with log.writing(), pytest.raises(LogError, match="one process writes a search log at a time"):
        campaign(SearchLog.open(log.path), 1).run()
