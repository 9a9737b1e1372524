"""``planner problems``: problem sets by others are read, accounted for and written as ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.logs.problems import asked_problems
from planner.cli.main import app
from search.problem_sets.problem_set import read_problems

ROWS = [{"question": f"How much is {i} + {i}?", "answer": f"Twice.\n#### {2 * i}"} for i in range(5)]


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gsm8k.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, {"question": "?", "answer": "none"}]))
    return path


def test_a_set_is_converted_and_what_is_left_out_is_said(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "ours.jsonl.gz"
    code, out, said = run("problems", file, "--mapping", "gsm8k", "-o", target, "--json")
    assert code == 0, said
    told = json.loads(out)
    assert (told["problems"], told["domains"]) == (5, {"math": 5})
    assert told["left_out"] == [
        {
            "why": "a worked answer ends with '#### x'",
            "count": 1,
            "first": "gsm8k.jsonl line 6: 'none'",
        }
    ]
    assert [problem.answer for problem in read_problems(target)] == ["0", "2", "4", "6", "8"]
    code, out, _ = run("problems", target)
    assert code == 0
    assert "math 5" in out
    assert "Nothing was left out." in out


def test_a_table_for_people(file: Path) -> None:
    code, out, _ = run("problems", file, "--mapping", "gsm8k")
    assert code == 0
    assert "How much is 0 + 0?" in out
    assert "a worked answer ends with '#### x'" in out


def test_columns_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("text,key\nCapital of France?,Paris\n")
    target = tmp_path / "ours.jsonl"
    columns = ("--column", "question=text", "--column", "answer=key")
    code, _, said = run("problems", path, *columns, "--domain", "text", "-o", target)
    assert code == 0, said
    assert read_problems(target)[0].answer == "Paris"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mapping", "mmlu"), "a mapping must be one of math-500, aime24, amc23"),
        (("--column", "question=q"), "columns need a domain that grades, got no --domain"),
        (("--column", "question", "--domain", "text"), "it is written ROLE=NAME, got 'question'"),
        (("--column", "hint=h", "--domain", "text"), "a role must be one of problem_id, family"),
        (("--mapping", "humaneval"), "holds at least one problem, got none in"),
        (
            ("--column", "answer=nope", "--domain", "math"),
            "gsm8k.jsonl line 1: one of the columns 'nope' is needed",
        ),
        (("--column", "question=question", "--domain", "maths"), "domain must be one of"),
        ((), "column 'problem_id' is missing"),
    ],
)
def test_wrong_arguments_end_with_one_line(file: Path, arguments: tuple[str, ...], message: str) -> None:
    code, _, said = run("problems", file, *arguments)
    assert code == 2
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_commands_that_run_problems_read_them_alike(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(asked_problems(file, "gsm8k")) == 5
    said = " ".join(capsys.readouterr().err.split())
    assert "left out, 1 times: a worked answer ends with '#### x' (gsm8k.jsonl line 6: 'none')" in said


def test_a_campaign_takes_a_mapping(file: Path, tmp_path: Path) -> None:
    asked = ("search", file, "--mapping", "gsm8k", "--policy", "lab-policy-s", "-o", tmp_path / "log")
    code, out, said = run(*asked, "--dry-run", "--json")
    assert code == 0, said
    assert "5 problems" in json.loads(out)["assumptions"]
    assert "left out, 1 times" in said
    code, _, said = run("search", file, *asked[4:], "--dry-run")
    assert code == 2
    assert "column 'problem_id' is missing" in said
