"""``planner solve`` and ``planner recommend`` with a models file and no planner: rules decide and say so."""

from __future__ import annotations

import json
from pathlib import Path

from two_servers import QUESTION, TwoServers
from typer.testing import CliRunner

from planner.cli.main import app

TOLD = "no log yet: the rule cascade decides, accuracy and cost are unknown"


def run(command: str, file: Path, *options: str, question: str = QUESTION) -> tuple[int, str]:
    done = CliRunner().invoke(app, [command, question, "--models", str(file), *options])
    return done.exit_code, " ".join(done.output.split())


def test_solve_answers_and_promises_nothing(two: TwoServers) -> None:
    code, said = run("solve", two.file(), "--domain", "arithmetic", "--samples", "16")
    assert code == 0, said
    assert "Answer: " in said
    assert "accuracy % unknown" in said
    assert TOLD in said
    code, said = run("solve", two.file(), "--domain", "arithmetic", "--tokens", "500", "--json")
    assert code == 0, said
    found = json.loads(said)
    assert found["expected"] == {"accuracy": None, "tokens": None, "flops": None}
    assert found["spend"]["tokens"] <= 500
    assert found["stages"][0]["advice"]["warnings"]


def test_recommend_names_the_rule(two: TwoServers) -> None:
    code, said = run("recommend", two.file(), "--samples", "16")
    assert code == 0, said
    assert "Expected accuracy unknown" in said
    assert TOLD in said
    code, said = run("recommend", two.file(), "--samples", "16", "--json")
    found = json.loads(said)
    assert (code, found["accuracy"], found["policy"]) == (0, None, "small")
    assert found["plan"].startswith("cascade(first=small: adaptive_vote(")


def test_an_open_question_gets_one_plain_answer(two: TwoServers) -> None:
    code, said = run("solve", two.file(), "--samples", "16", question="Tell me a story")
    assert code == 0, said
    assert "One plain answer" in said
    assert "small x - x cot()" in said


def test_faults_are_one_line(two: TwoServers, tmp_path: Path) -> None:
    for options, rule in (
        (("--accuracy", "0.9"), "an accuracy can be asked of a planner that was fitted from a log"),
        (("--usd", "1e-9"), "a cap must hold a question and its answer"),
        (("--domain", "poetry", "--samples", "4"), "domain must be one of"),
    ):
        for command in ("solve", "recommend"):
            code, said = run(command, two.file(), *options)
            assert (code, said.count("planner: ")) == (2, 1)
            assert rule in said
    code, said = run("solve", tmp_path / "none.toml", "--samples", "4")
    assert (code, "a models file must be readable" in said) == (2, True)
