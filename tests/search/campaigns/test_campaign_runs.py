"""Campaigns of plans that must be run and ask no PRM, or ask about their own answers."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from search.campaigns.campaign import Campaign
from search.campaigns.estimate import estimate
from search.campaigns.grid import Grid
from search.campaigns.regrade import regrade
from search.campaigns.spending import SpendLimit
from search.engines.protocol import Engine
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import EngineError, FingerprintError, GridError, PlanError
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.outcomes import build_outcomes
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem
from search.rewards.scripted import ScriptedReward

PLAN = "aggregate(n=3, how=select)"
GRID = {
    "pair": [{"policy": "m", "prm": "r"}],
    "strategies": ["cot", "majority"],
    "n": [1, 4],
    "plan": [PLAN],
    "samples": 8,
    "block": 4,
    "group": 3,
    "runs": 2,
    "seed": 5,
    "max_tokens": 60,
}


def problems(count: int = 6) -> list[Problem]:
    return [Problem(f"p{i}", f"f{i % 3}", "text", f"which is {i}?", str(i)) for i in range(count)]


def engine() -> ScriptedEngine:
    def write(text: str, rng: Random) -> str:
        question = text.partition(TURN)[0]
        if not question.startswith("which is "):
            return f"Response {rng.randrange(1, 4)}"
        right = question.removeprefix("which is ").removesuffix("?")
        return f"think {rng.randrange(10)}\n# {right if rng.random() < 0.5 else rng.randrange(3)}"

    return ScriptedEngine(write, name="m")


def campaign(log: SearchLog, by: Engine | None = None, **changes: Any) -> Campaign:
    options = {name: changes.pop(name) for name in ("limit",) if name in changes}
    reward = ScriptedReward(lambda question, steps: 0.5, name="r")
    grid = Grid.of({**GRID, **changes})
    return Campaign(problems(), grid, log, ReadyLoader([by or engine()], [reward]), **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    log = SearchLog.at(tmp_path_factory.mktemp("runs") / "log")
    campaign(log).run()
    return log


def test_a_run_is_logged_with_all_that_it_cost(finished: SearchLog) -> None:
    runs = finished.read("runs")
    assert runs.height == 6 * 2
    assert runs["prm"].unique().to_list() == [""]
    assert runs["prm_tokens"].sum() == 0
    asked = 0
    for row in runs.iter_rows(named=True):
        written = sum(sum(candidate["step_tokens"]) for candidate in row["candidates"])
        further = sum(call["prompt_tokens"] + call["tokens"] for call in row["calls"])
        prompt = len(f"which is {row['problem_id'][1:]}?") + 1
        assert row["policy_tokens"] == prompt + written + further
        asked += len(row["calls"])
    assert 0 < asked < runs.height  # where all agree nothing is asked
    assert (runs["jail_seconds"] == 0.0).all()


def test_what_was_asked_in_is_a_setting_of_the_log(finished: SearchLog, tmp_path: Path) -> None:
    words = finished.manifest.words
    assert list(words) == ["aggregate.merge", "aggregate.select"]
    with pytest.raises(FingerprintError, match=r"words of aggregate\.select must be the same"):
        campaign(finished, words={"aggregate.select": "{question} {answers}?"}).run()
    with pytest.raises(GridError, match=r"words of aggregate.select must hold \{answers\}"):
        Grid.of({**GRID, "words": {"aggregate.select": "{question}"}})
    with pytest.raises(GridError, match="words must be of a template"):
        Grid.of({**GRID, "words": {"majority.vote": "x"}})
    other = SearchLog.at(tmp_path / "log")
    campaign(other, words={"aggregate.select": "{question} {answers}?"}).run()
    assert other.manifest.words["aggregate.select"] == "{question} {answers}?"


def test_outcomes_have_no_reward_where_no_prm_was_asked(finished: SearchLog) -> None:
    outcomes = build_outcomes(finished, Grid.of(GRID).plans()).filter(plan=PLAN)
    assert outcomes.height == 6
    assert outcomes["reward"].null_count() == 6
    assert (outcomes["draws"] == 2).all()
    runs = finished.read("runs").group_by("problem_id").agg(pl.col("policy_tokens").mean())
    both = outcomes.join(runs, on="problem_id")
    assert (both["tokens"] == both["policy_tokens"]).all()


class _Failing(ScriptedEngine):
    """Is gone after some requests."""

    def __init__(self, after: int) -> None:
        self._inner, self._left = engine(), after
        super().__init__(lambda text, rng: "", name="m")

    def submit(self, request: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise EngineError("the policy is gone")
        return self._inner.submit(request)


@pytest.mark.parametrize("after", [30, 36])
def test_a_campaign_that_failed_within_a_run_ends_as_an_unbroken_one(
    tmp_path: Path, finished: SearchLog, after: int
) -> None:
    log = SearchLog.at(tmp_path / "log")
    with pytest.raises(EngineError, match="the policy is gone"):
        campaign(log, _Failing(after)).run()
    assert log.rows("runs") < 12
    campaign(log).run()
    assert difference(log, finished) is None


def test_a_limit_on_tokens_counts_what_is_asked_further(tmp_path: Path, finished: SearchLog) -> None:
    log = SearchLog.at(tmp_path / "log")
    samples = finished.read("samples")
    prompts = samples.unique("problem_id")["prompt_tokens"].sum()
    state = campaign(log, limit=SpendLimit(tokens=2500)).run()
    assert state.is_stopped
    assert state.tokens <= 2500
    whole = campaign(SearchLog.at(tmp_path / "whole")).run()
    drawn = samples["tokens"].sum() + 3 * prompts  # greedy, and a prompt for each of two blocks
    assert whole.tokens == drawn + finished.read("runs")["policy_tokens"].sum()


def test_it_is_priced_before_it_is_run(finished: SearchLog) -> None:
    grid = Grid.of({**GRID, "plan": [PLAN, "aggregate(n=3, how=merge)"]})
    found = estimate(problems(), grid, ReadyLoader([engine()], []), finished)
    stages = {stage.name: stage for stage in found.stages}
    ran = stages[f"m: 2 x {PLAN}"]
    assert ran.policy_tokens == finished.read("runs")["policy_tokens"].sum()  # as measured
    assert ran.prm_tokens == 0.0
    assert stages["m: 2 x aggregate(n=3, how=merge)"].policy_tokens > 0.0


def test_grading_again_keeps_what_the_model_picked(finished: SearchLog) -> None:
    found = regrade(finished, dry=True)
    assert found.changed_rows == 0


def test_a_plan_that_cannot_run_here_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(Plan.parse(PLAN).described)
    monkeypatch.setattr(kind, "refuses", lambda self, problem, setting: f"not for {problem.question!r}")
    log = SearchLog.at(tmp_path / "log")
    with pytest.raises(PlanError, match="problem 'p0': not for 'which is 0"):
        campaign(log).run()
    assert log.rows("samples") == 0
