"""What is told on request beside a verdict: tables, values for programs, reasons for empty cells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from planner.cli.learning.further_figures import further_to_dict, print_further
from planner.evaluation.folds.deferral import Deferral, DeferralCurve
from planner.evaluation.folds.refits import Refits
from planner.evaluation.intervals import Interval
from training.controls import Control
from training.learning_curve import LearningPoint

GAIN = Interval(0.0125, -0.002, 0.03)


def curve(neutral: float | None) -> DeferralCurve:
    return DeferralCurve(
        cost=(1.0, 2.0),
        accuracy=(0.5, 0.6),
        aiq=Interval(0.55, 0.5, 0.6),
        above=GAIN,
        quality_neutral_cost=neutral,
    )


@pytest.fixture
def further() -> dict[str, Any]:
    return {
        "refits": Refits(
            seeds=(3, 4), above_rule=None, above_best_rule=None, per_seed=(0.02, None), spread=None
        ),
        "deferral": Deferral(
            low=1.0,
            high=2.0,
            best=0.6,
            best_cost=2.0,
            curves={"planner": curve(0.75), "knn": curve(None)},
            empty={"knn": "it is nowhere as accurate"},
        ),
        "learning_curve": (
            LearningPoint(problems=60, verdict=None, why="folds leave 50 problems to learn from"),
        ),
        "controls": (Control(control="rewards", verdict=None, why="no PRM scored the samples"),),
    }


def test_tables_hold_the_figures_and_say_why_cells_are_empty(
    further: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    print_further(further, label=lambda name: name.upper(), unit="small")
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for row in ("seed 3 +2.0", "seed 4", "PLANNER 55.0 0.75", "KNN 55.0 +1.2 -0.2 to 3.0", "60", "rewards"):
        assert row in lines, row
    text = " ".join(lines)
    assert "Empty: at some seed no budget can be spent." in text
    assert "Empty, KNN: it is nowhere as accurate." in text
    assert "Empty at 60: folds leave 50 problems to learn from." in text
    assert "Empty, rewards: no PRM scored the samples." in text
    assert "nan" not in text
    assert "None" not in text
    assert max(map(len, out.splitlines())) <= 100


def test_values_for_programs(further: dict[str, Any]) -> None:
    body = json.loads(json.dumps(further_to_dict(further), allow_nan=False))
    assert body["refits"]["per_seed"] == [0.02, None]
    assert body["deferral"]["curves"]["planner"]["aiq"]["value"] == 0.55
    assert body["learning_curve"][0]["why"] == "folds leave 50 problems to learn from"
    assert body["controls"][0]["control"] == "rewards"


def test_what_was_not_asked_for_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_further({}, label=str, unit="small")
    assert capsys.readouterr().out == ""
    assert further_to_dict({}) == {}
