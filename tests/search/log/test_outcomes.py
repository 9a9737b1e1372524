from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from search.errors import LogError
from search.log.outcomes import build_outcomes, default_plans, rebuild_outcomes
from search.log.records import table_frame
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan

MakeLog = Callable[..., SearchLog]
TREE = "beam_search(n=4, width=4, prune=last, score=min, vote=max)"


def run(problem: str, number: int, correct: bool, tokens: int) -> dict[str, object]:
    def candidate(answer: str, rewards: list[float]) -> dict[str, object]:
        return {
            "text": answer,
            "answer": answer,
            "step_rewards": rewards,
            "step_tokens": [3],
            "finish_reason": "end",
        }

    return {
        "problem_id": problem,
        "policy": "m",
        "sampling": "temperature=1, top_p=1, top_k=0",
        "prm": "r",
        "plan": TREE,
        "run": number,
        "seed": number,
        "candidates": [candidate("y" if correct else "n", [0.5, 0.25]), candidate("other", [0.9, 0.9])],
        "answer": "y" if correct else "n",
        "correct": correct,
        "outcome": "answered",
        "policy_tokens": tokens,
        "prm_tokens": 10,
        "physical_policy_tokens": tokens,
        "physical_prm_tokens": 30,
        "flops": 2000.0 * tokens + 10000.0,
        "seconds": 0.5,
    }


def row(frame: pl.DataFrame, problem: str, plan: str) -> dict[str, object]:
    return frame.filter(pl.col("problem_id") == problem, pl.col("plan") == plan).row(0, named=True)


def test_every_choice_has_a_row_with_logical_costs(make_log: MakeLog) -> None:
    log = make_log("yyn-", "nnnn")
    plans = [
        Plan.of("cot"),
        Plan.of("majority", n=2),
        Plan.of("best_of_n", n=2, score="min"),
        Plan.of("majority", n=64),
    ]
    frame = build_outcomes(log, plans)
    assert dict(frame.schema) == dict(TABLES["outcomes"].columns)
    assert frame.height == 2 * 3  # nothing for an n beyond the pool
    greedy = row(frame, "p1", "cot()")
    assert (greedy["accuracy"], greedy["accuracy_se"], greedy["draws"], greedy["reward"]) == (
        1.0,
        0.0,
        1,
        None,
    )
    assert (greedy["tokens"], greedy["flops"]) == (4 + 12, 2 * 1000 * 16.0)
    vote = row(frame, "p0", "majority(n=2)")
    assert (vote["prm"], vote["tokens"], vote["flops"], vote["reward"]) == ("", 4 + 20.0, 2000 * 24.0, None)
    assert vote["tokens_p90"] == pytest.approx(24.0)
    best = row(frame, "p0", "best_of_n(n=2, score=min)")
    assert best["prm"] == "r"
    # of six pairs only those of the wrong and the unreadable sample have no right one
    assert best["accuracy"] == pytest.approx(5 / 6)
    assert best["reward"] == pytest.approx((5 * 0.8 + 0.3) / 6)
    assert best["tokens"] == 4 + 2 * 10 + 6 + 2 * 5
    assert best["flops"] == 2000 * 24.0 + 1000 * 16.0
    assert best["draws"] == 4


def test_tree_plans_are_means_over_runs(make_log: MakeLog) -> None:
    log = make_log("yyn-", "nnnn")
    log.append("runs", table_frame("runs", [run("p0", 0, True, 40), run("p0", 1, False, 60)]), unit="a")
    got = row(build_outcomes(log, []), "p0", TREE)
    assert (got["accuracy"], got["draws"], got["tokens"], got["seconds"]) == (0.5, 2, 60.0, 0.5)
    assert got["accuracy_se"] == pytest.approx((0.25 / 2) ** 0.5)
    assert got["tokens_p90"] == pytest.approx(68.0)
    assert got["reward"] == pytest.approx(0.25)  # of the answer that was given, under the plan's score


def test_an_answerless_run_has_no_reward(make_log: MakeLog) -> None:
    log = make_log("yyn-")
    nothing = {**run("p0", 0, False, 40), "answer": None, "candidates": [], "outcome": "step_limit"}
    log.append("runs", table_frame("runs", [nothing]), unit="a")
    got = row(build_outcomes(log, []), "p0", TREE)
    assert got["reward"] is None
    assert got["accuracy"] == 0.0
    assert 0.0 < float(str(got["accuracy_se"])) < 0.5


def test_rebuilding_replaces_and_repeats(make_log: MakeLog) -> None:
    log = make_log("yyn-yyn-", "nnnnyyyn")
    first = rebuild_outcomes(log, default_plans(8))
    assert log.read("outcomes").equals(first)
    assert rebuild_outcomes(log, default_plans(8)).equals(first)
    rebuild_outcomes(log, [Plan.of("cot")])
    assert log.rows("outcomes") == 2


def test_default_plans_stay_within_half_a_pool() -> None:
    assert {plan.n for plan in default_plans(136)} == {1, 4, 16, 64}
    assert [str(plan) for plan in default_plans(1)] == ["cot()", "majority(n=1)"]


def test_an_empty_log_has_no_outcomes_and_ungraded_rows_say_so(make_log: MakeLog) -> None:
    assert build_outcomes(make_log(), [Plan.of("cot")]).height == 0
    log = make_log("yy", name="ungraded")
    log.append("runs", table_frame("runs", [{**run("p0", 0, True, 4), "correct": None}]), unit="a")
    with pytest.raises(LogError, match="runs must be graded, got one without a grade"):
        build_outcomes(log, [])
