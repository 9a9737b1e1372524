"""``planner fit --models`` and ``planner evaluate --models``: numbers of weights; and how a log was drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import synthetic
from typer.testing import CliRunner

import planner
from planner.cli.main import app
from search.drawing import Drawing
from search.engines.protocol import Sampling
from search.strategies.protocol import Limits

MODELS = """
[[policy]]
name = "small"
base_url = "http://127.0.0.1:1"
parameters = 3_000_000
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose settings say how it was drawn, and a models file."""
    folder = tmp_path_factory.mktemp("fit")
    made = synthetic.make_log(80, policies=("small", "large"), prms=(), draws=8, ns=(4,), seed=5)
    settings = {"sampling": "temperature=0.7, top_p=0.95, top_k=20", "limits": "max_tokens=512, max_steps=16"}
    synthetic.write_log(folder / "log", made, prms=(), settings=settings)
    (folder / "models.toml").write_text(MODELS)
    return folder


def ran(*arguments: str | Path) -> Any:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def fitted(folder: Path) -> planner.Planner:
    ran("fit", folder / "log", "-o", folder / "mine", "--trials", "0", "--models", folder / "models.toml")
    return planner.load(folder / "mine")


def test_a_target_accuracy_says_what_is_promised(folder: Path, fitted: planner.Planner) -> None:
    question = "work out the sum of 3 + 41 + 7"
    asked = ("recommend", question, "--planner", folder / "mine", "--accuracy", "0.2", "--confidence", "0.9")
    found = ran(*asked)["target"]
    assert (found["asked"], found["confidence"], found["reached"]) == (0.2, 0.9, True)
    assert 0.2 <= found["low"] <= found["accuracy"]
    printed = CliRunner().invoke(app, [*map(str, asked)])
    assert "with a confidence of 0.9" in " ".join(printed.output.split())
    beyond = ran("recommend", question, "--planner", folder / "mine", "--accuracy", "1")
    assert "no price of compute reaches a mean accuracy of 1" in beyond["warnings"][-1]


def test_a_fit_counts_the_weights_of_the_file(folder: Path, fitted: planner.Planner) -> None:
    assert {name: card.parameters for name, card in fitted.policies.items()} == {
        "small": 3_000_000,
        "large": synthetic.POLICIES["large"].parameters,
    }
    plain = planner.fit(folder / "log", trials=0)
    same = planner.fit(folder / "log", trials=0, models=folder / "models.toml")
    assert dict(same.policies) == dict(fitted.policies)
    assert plain.policies["small"].parameters == synthetic.POLICIES["small"].parameters


def test_a_fit_keeps_how_the_log_was_drawn(fitted: planner.Planner) -> None:
    drawn = Drawing(Sampling(0.7, 0.95, 20), Limits(512, 16))
    assert fitted.drawings == {"small": drawn, "large": drawn}


def test_an_evaluation_counts_them_too(folder: Path, fitted: planner.Planner) -> None:
    given = ("evaluate", folder / "log", "--planner", folder / "mine", "--budgets", "4")
    with_file = ran(*given, "--models", folder / "models.toml")
    found = planner.evaluate(folder / "log", fitted, budgets=[4], models=folder / "models.toml")
    assert found.to_json()["budgets"][0]["name"] == with_file["budgets"][0]["name"] == "4 samples"
    assert found.to_json()["multiples"]["majority"] == with_file["multiples"]["majority"]


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_a_missing_file_is_one_line(folder: Path, command: str, tmp_path: Path) -> None:
    more = ["-o", str(tmp_path / "new")] if command == "fit" else []
    asked = [command, str(folder / "log"), "--models", str(tmp_path / "none.toml"), *more]
    done = CliRunner().invoke(app, asked)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "a models file must be readable" in done.stderr
