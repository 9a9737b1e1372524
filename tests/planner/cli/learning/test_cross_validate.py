"""``planner evaluate LOG --cross-validate``: tables, a sentence, JSON, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import synthetic
from typer.testing import CliRunner

from planner.cli.main import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of pools, and one with a single draw of each question."""
    folder = tmp_path_factory.mktemp("cross-validate")
    synthetic.write_log(folder / "pools", synthetic.make_log(124, draws=6, ns=(2,), prms=("good",)))
    one = synthetic.make_log(124, draws=1, ns=(), prms=(), policies=("small", "large"), seed=3)
    synthetic.write_log(folder / "single", one)
    return folder


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def asked(log: Path) -> tuple[str | Path, ...]:
    return (log, "--cross-validate", "--folds", "2", "--trials", "0")


def test_json_for_programs(folder: Path) -> None:
    code, out, said = run(*asked(folder / "pools"), "--budgets", "1,4", "--seed", "2", "--json")
    assert code == 0, said
    body = json.loads(out)
    assert {"folds": 2, "trials": 0, "seed": 2}.items() <= body.items()
    assert [row["budget"] for row in body["rows"]] == pytest.approx([1.0, 4.0])
    assert set(body["above_rule"]) == {"value", "low", "high"}
    assert body["above_rule"]["low"] <= body["above_rule"]["value"] <= body["above_rule"]["high"]
    assert re.match(r"(no )?better than|worse than", body["verdict"])
    assert body["deployable"] | {"oracle": False, "knn": True} == body["deployable"]


def test_tables_for_people(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    code, out, said = run(*asked(folder / "pools"))
    assert code == 0, said
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    for name in ("planner ", "rule of the folds", "best rule (bound)", "best fixed", "neighbours", "oracle"):
        assert any(line.strip().startswith(name) for line in lines), name
    assert re.search(r"^The planner is (no better|better|worse) than ", out, re.MULTILINE)
    assert "Folds chose: " in out
    assert "nan" not in out
    # budgets of the log's own range
    assert (
        len(next(line for line in lines if line.startswith(" mean budget:")).replace("*", "").split())
        == 2 + 6
    )
    every = run(*asked(folder / "pools"), "--all", "--budgets", "2")[1]
    assert "early stopping" in every
    assert "early stopping" not in out


def test_a_log_of_one_draw_leaves_out_what_it_cannot_support_and_says_why(folder: Path) -> None:
    code, out, said = run(*asked(folder / "single"), "--all")
    assert code == 0, said
    assert "nan" not in out
    told = " ".join(out.split())
    assert "Left out, majority, best_of_n, adaptive_consistency" in told
    assert "it needs several samples of a question" in told
    assert "one draw per question of large, small" in told
    assert not any(line.strip().startswith("adaptive consistency") for line in out.splitlines())


def test_curves_and_sizes_on_request(folder: Path) -> None:
    code, out, said = run(*asked(folder / "pools"), "--curves", "--learning-curve", "1000,61", "--json")
    assert code == 0, said
    body = json.loads(out)
    assert {"refits", "controls"}.isdisjoint(body)
    curve = body["deferral"]["curves"]["planner"]
    assert len(curve["cost"]) == len(curve["accuracy"]) == 25
    assert curve["aiq"]["low"] <= curve["aiq"]["value"] <= curve["aiq"]["high"]
    for name, one in body["deferral"]["curves"].items():
        assert (one["quality_neutral_cost"] is None) == (name in body["deferral"]["empty"])
    few, many = body["learning_curve"]
    assert (few["problems"], many["problems"]) == (61, 1000)
    assert few["above_rule"]["low"] <= few["above_rule"]["value"] <= few["above_rule"]["high"]
    assert many["above_rule"] is None
    assert re.fullmatch(r"folds leave \d\d problems to learn from", many["why"])


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (
            ("--cross-validate", "--planner", "x"),
            "--cross-validate learns everything from LOG itself, got --planner",
        ),
        (("--cross-validate", "--training", "x"), "learns everything from LOG itself, got --training 'x'"),
        (("--folds", "3"), "--folds belongs to --cross-validate, got 3 without it"),
        (("--trials", "0"), "--trials belongs to --cross-validate, got 0 without it"),
        (("--seeds", "2"), "--seeds belongs to --cross-validate, got 2 without it"),
        (("--curves",), "--curves belongs to --cross-validate, got --curves without it"),
        (("--controls",), "--controls belongs to --cross-validate, got --controls without it"),
        (("--learning-curve", "60"), "--learning-curve belongs to --cross-validate, got 60 without it"),
        (
            ("--cross-validate", "--learning-curve", "60,many"),
            "whole numbers parted by commas, got",
        ),
        (("--cross-validate", "--learning-curve", "60,0"), "sizes of at least 1 problem, got 0"),
        (("--cross-validate", "--learning-curve", "60,60"), "are given once, got 60, 60"),
        (("--cross-validate", "--budgets", "0"), "budgets are above 0, got '0'"),
        (("--cross-validate", "--folds", "1"), "greater than or equal to 2"),
        (("--cross-validate", "--trials", "0", "--folds", "2", "--models", "no.toml"), "no.toml"),
    ],
)
def test_what_makes_no_sense_is_one_line(folder: Path, arguments: tuple[str, ...], rule: str) -> None:
    code, _, said = run(folder / "pools", *arguments)
    assert code == 2
    assert rule in said
    assert said.count("\n") == 1
