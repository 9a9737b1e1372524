"""The commands on the shipped models, at the smallest size: search, bins, fit, recommend, solve."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from search.log.comparison import difference
from search.log.store import SearchLog

GRID = """
samples = 4
block = 4
n = [1, 2]
tree_n = [4]
strategies = ["cot", "majority", "best_of_n", "beam_search"]
score = ["last"]
group = 4
"""
MODELS = ("--policy", "lab-policy-s", "--prm", "lab-prm-weak")


def ran(*arguments: str | Path, stdin: str | None = None) -> str:
    done = CliRunner().invoke(app, [str(part) for part in arguments], input=stdin)
    assert done.exit_code == 0, done.output
    return done.stdout


def json_of(*arguments: str | Path, stdin: str | None = None) -> Any:
    return json.loads(ran(*arguments, "--json", stdin=stdin))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight problems, a grid, and their search log."""
    folder = tmp_path_factory.mktemp("loop")
    (folder / "grid.toml").write_text(GRID)
    ran("train", "problems", "search", "8", "-o", folder / "problems.jsonl", "--seed", "3")
    first = json_of(
        "search", folder / "problems.jsonl", *MODELS, "--grid", folder / "grid.toml", "-o", folder / "log"
    )
    assert first["rows"] == {"problems": 8, "samples": 40, "scores": 32, "runs": 16, "outcomes": 40}
    assert first["tokens"] > 0
    return folder


def test_the_same_command_again_repeats_nothing(folder: Path, tmp_path: Path) -> None:
    command = ("search", folder / "problems.jsonl", *MODELS, "--grid", folder / "grid.toml")
    again = json_of(*command, "-o", folder / "log")
    assert again["tokens"] == 0
    json_of(*command, "-o", tmp_path / "other")
    assert difference(SearchLog.open(folder / "log"), SearchLog.open(tmp_path / "other")) is None


def test_a_dry_run_tells_the_cost_and_makes_nothing(folder: Path, tmp_path: Path) -> None:
    command = (
        "search",
        folder / "problems.jsonl",
        *MODELS,
        "--grid",
        folder / "grid.toml",
        "-o",
        tmp_path / "log",
    )
    cost = json_of(*command, "--dry-run")
    assert cost["tokens"] == pytest.approx(sum(s["policy_tokens"] + s["prm_tokens"] for s in cost["stages"]))
    assert "What this campaign would cost" in ran(*command, "--dry-run")
    assert not (tmp_path / "log").exists()


def test_bins_mark_one_best_plan_a_cell(folder: Path) -> None:
    rows = json_of("bins", folder / "log")
    cells = {(row["policy"], row["prm"], row["bin"]) for row in rows}
    assert sorted((r["policy"], r["prm"], r["bin"]) for r in rows if r["best"]) == sorted(cells)
    assert {row["bin"] for row in json_of("bins", folder / "log", "--quantiles", "2")} == {
        "quantile 1",
        "quantile 2",
    }
    printed = ran("bins", folder / "log")
    assert "lab-policy-s x lab-prm-weak" in printed
    assert "beam_search(n=4)" in printed


def test_a_log_too_small_to_learn_from_says_how_many_would_do(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["fit", str(folder / "log"), "-o", str(tmp_path / "planner")])
    assert done.exit_code == 2
    assert "a planner is learned from at least 60, got 8; a thousand would do well" in done.stderr
    assert not (tmp_path / "planner").exists()


def test_recommend_names_a_plan_within_the_budget() -> None:
    advice = json_of("recommend", "What is (13+64)+80?", "--tokens", "400")
    assert advice["plan"]
    assert advice["tokens_p90"] <= 400
    assert "Expected accuracy" in ran("recommend", "-", "--tokens", "400", stdin="What is (13+64)+80?")


def test_recommend_says_where_nothing_is_likely_to_help() -> None:
    asked = ("recommend", "What is (13+64)+80?", "--tokens", "400")
    assert not json_of(*asked)["abstain"]
    assert json_of(*asked, "--abstain-below", "1")["abstain"]
    assert "Abstain: no affordable plan" in ran(*asked, "--abstain-below", "1")


@pytest.mark.parametrize("objective", [("--tokens", "400"), ("--target", "0.9"), ("--price", "0.01")])
def test_solve_answers_and_tells_what_it_cost(objective: tuple[str, str]) -> None:
    found = json_of("solve", "What is (13+64)+80?", *objective)
    assert found["candidates"]
    assert found["spend"]["tokens"] == found["spend"]["policy_tokens"] + found["spend"]["prm_tokens"] > 0
    most = float(objective[1]) if objective[0] == "--tokens" else math.inf
    assert found["spend"]["tokens"] <= most


FOREIGN = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many?"
)


def test_a_foreign_question_gets_one_plain_answer_and_the_reason() -> None:
    found = json_of("solve", FOREIGN, "--tokens", "2000")
    assert (found["plan"], found["domain"], len(found["candidates"])) == ("cot()", "text", 1)
    assert found["reason"].startswith("not planned: the question is unlike the 1,024 problems")
    assert found["expected"]["accuracy"] is None
    assert "Not planned: the question is unlike" in ran("solve", FOREIGN, "--tokens", "2000")
    assert (
        "not planned: the question is unlike"
        in json_of("recommend", FOREIGN, "--tokens", "2000")["warnings"][0]
    )


def test_a_recommendation_that_is_over_the_budget_says_so() -> None:
    found = json_of("recommend", FOREIGN, "--tokens", "10", "--flops", "1e4")
    assert found["warnings"][1:] == [
        f"{found['tokens']:,.0f} tokens are expected, the budget allows 10",
        f"{found['flops']:,.0f} FLOPs are expected, the budget allows 10,000",
    ]
    assert len(json_of("recommend", FOREIGN, "--tokens", "2000")["warnings"]) == 1


def test_a_named_domain_is_planned_for() -> None:
    found = json_of("solve", FOREIGN, "--tokens", "2000", "--domain", "math")
    assert (found["domain"], found["reason"]) == ("math", None)
    assert found["expected"]["accuracy"] is not None
    advice = json_of(
        "recommend", FOREIGN, "--tokens", "2000", "--domain", "training.lab.graders.puzzle:PuzzleDomain"
    )
    assert advice["accuracy"] is not None
    own = json_of("solve", "What is (13+64)+80?", "--tokens", "400")
    assert (own["domain"], own["reason"]) == ("arithmetic", None)


def test_solve_is_repeatable_and_prints_the_answer() -> None:
    command = ("solve", "What is (13+64)+80?", "--tokens", "400")
    first, second = json_of(*command), json_of(*command)
    assert first["candidates"] == second["candidates"]
    assert f"Answer: {first['answer']}" in ran(*command)
