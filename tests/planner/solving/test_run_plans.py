"""Plans that must be run and ask no PRM, from a log's runs to decisions and answers."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import polars as pl
import pytest
from synthetic import POLICIES, PRMS, Log, make_log

from planner.artefact import load, save
from planner.evidence.labels import costs_of, draw_probes, values_of
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from planner.solving.solver import solve
from search.budget import Budget
from search.choice import Choice
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import ArtefactError, GradingError
from search.grading.programs.sandbox import SandboxLimits
from search.log.numbering import unread_codes
from search.log.tables import TABLES
from search.plan import Plan
from search.problem import Problem
from search.result import Outcome
from search.strategies.protocol import Setting
from training.costs import fit_costs
from training.study import fit_training_data

PLANS = [Plan.parse(text) for text in ("aggregate(n=4)", "program(n=4)", "refine()")]
CHOICES = [Choice("small", None, plan) for plan in PLANS]


def log_with_runs(problems: int = 64) -> Log:
    """Programs solve whatever the policy's own votes do not, at three times their tokens."""
    log = make_log(problems, prms=())
    rng = np.random.default_rng(1)
    rows = []
    for row in log.frames["problems"].iter_rows(named=True):
        for plan in PLANS:
            for run in range(2):
                right = plan.strategy == "program" and rng.random() < 0.9
                answer = "1" if right else "7"
                rows.append(
                    {
                        **{"problem_id": row["problem_id"], "policy": "small", "sampling": "temperature=1"},
                        **{"prm": "", "plan": str(plan), "run": run, "seed": run, "answer": answer},
                        "candidates": [
                            {
                                "text": "",
                                "answer": answer,
                                "step_rewards": [],
                                "step_tokens": [20],
                                "finish_reason": "end",
                            }
                        ],
                        **{"correct": right, "outcome": "answered", "policy_tokens": 300, "prm_tokens": 0},
                        **{"physical_policy_tokens": 300, "physical_prm_tokens": 0},
                        **{"flops": 300.0, "seconds": 0.1},
                        "calls": [{"kind": "run", "text": answer, "prompt_tokens": 0, "tokens": 0}],
                        "jail_seconds": 0.05,
                    }
                )
    outcomes = [
        {
            **dict.fromkeys(TABLES["outcomes"].columns),
            **{"problem_id": name, "policy": "small", "prm": "", "plan": str(plan), "accuracy": 0.5},
        }
        for name in log.frames["problems"]["problem_id"]
        for plan in PLANS
    ]
    schema = dict(TABLES["outcomes"].columns)
    log.frames["runs"] = pl.DataFrame(rows, schema=dict(TABLES["runs"].columns))
    log.frames["outcomes"] = pl.concat([log.frames["outcomes"], pl.DataFrame(outcomes, schema=schema)])
    return log


@pytest.fixture(scope="module")
def learned() -> TrainingData:
    return read_training_data(log_with_runs(), POLICIES, PRMS)


@pytest.fixture(scope="module")
def fitted(learned: TrainingData) -> Planner:
    return replace(fit_training_data(learned, trials=0), words={"program.write": "{question} in Python"})


def test_they_are_choices_like_any_other(learned: TrainingData) -> None:
    assert set(CHOICES) <= set(learned.choices)
    assert set(learned.trees) == set(CHOICES)
    assert unread_codes(np.zeros(1)).tolist() == [-1]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("probe", [Probe("small", 0), Probe("small", 2)], ids=str)
def test_they_are_worth_and_cost_what_their_runs_were(
    learned: TrainingData, choice: Choice, probe: Probe
) -> None:
    draws = draw_probes(len(learned), 40, held=2, probes=3, resamples=1, seed=0, longest=4)
    alone = learned.graded(learned.trees[choice].code).mean(axis=1)
    assert (values_of(learned, choice, probe, draws) == alone[:, None]).all()
    pool = learned.pools["small"]
    tokens, flops = costs_of(learned, choice, probe, draws)
    spared = choice.plan.described.fresh(0) - choice.plan.described.fresh(probe.samples)
    assert spared == {"aggregate": 2, "program": 0, "refine": 1}[choice.plan.strategy] * (probe.samples > 0)
    prompt = pool.prompt if probe.samples else 0.0
    expected = 300.0 - prompt - spared * pool.tokens.mean(axis=1)
    assert tokens == pytest.approx(np.repeat(expected[:, None], 3, axis=1))
    assert flops == pytest.approx(tokens * POLICIES["small"].flops(1.0))
    (cost,) = fit_costs(learned, [choice], probe, {"small": 0.1}, np.arange(len(learned)))
    rate = (300.0 - pool.prompt.mean()) / pool.tokens.mean() - spared
    assert cost.policy_rate == pytest.approx(rate)
    assert cost.prm_rate == 0.0


def writes(text: str, rng: Random) -> str:
    is_program = "Python" in text.partition(TURN)[0]
    return "```python\nprint(40 + 11)\n```" if is_program else f"hm\n# {rng.randint(1, 99)}"


def settings() -> dict[tuple[str, str | None], Setting]:
    return {("small", None): Setting(ScriptedEngine(writes, name="small", parameters=1_000_000))}


PROBLEM = Problem("p1", "f", "text", "work out the sum of 3 + 41 + 7", "51")


@pytest.mark.asyncio
async def test_a_planner_picks_what_pays_and_it_answers(fitted: Planner) -> None:
    found = await solve(PROBLEM, fitted, settings(), budget=Budget(price=0.0), allow_foreign=True, seed=3)
    assert (found.choice.plan.strategy, found.answer, found.outcome) == ("program", "51", Outcome.ANSWERED)


@pytest.mark.asyncio
async def test_what_cannot_run_here_is_not_chosen(fitted: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.strategies.asking.program.jail_fault", lambda: "there is no jail")
    found = await solve(PROBLEM, fitted, settings(), budget=Budget(price=0.0), allow_foreign=True, seed=3)
    assert found.choice.plan.strategy != "program"
    assert found.outcome is Outcome.ANSWERED


@pytest.mark.asyncio
async def test_a_jail_that_fails_on_the_way_makes_it_decide_again(
    fitted: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(code: str, limits: SandboxLimits) -> None:
        raise GradingError("the jail is gone")

    monkeypatch.setattr("search.strategies.asking.program.printed", gone)
    found = await solve(PROBLEM, fitted, settings(), budget=Budget(price=0.0), allow_foreign=True, seed=3)
    assert found.choice.plan.strategy != "program"
    assert found.outcome is Outcome.ANSWERED
    assert any(stage.advice.choice.plan.strategy == "program" for stage in found.stages)


def test_the_words_travel_with_the_planner(fitted: Planner, tmp_path) -> None:  # type: ignore[no-untyped-def]
    save(fitted, tmp_path / "planner")
    assert load(tmp_path / "planner").words == fitted.words
    broken = replace(fitted, words={"program.write": "no question"})
    save(broken, tmp_path / "broken")
    with pytest.raises(ArtefactError, match="a planner's words must be such as a grid takes"):
        load(tmp_path / "broken")
