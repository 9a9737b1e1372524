"""The page of controls: what is shown, and that an empty cell says why."""

from __future__ import annotations

from typing import Any

from evaluation_controls import page

GAIN = {"value": 0.0125, "low": -0.002, "high": 0.03}
CURVE = {
    "cost": [1.0, 2.0],
    "accuracy": [0.5, 0.6],
    "aiq": {"value": 0.55, "low": 0.5, "high": 0.6},
    "above": GAIN,
    "quality_neutral_cost": None,
}


def log(**parts: Any) -> dict[str, Any]:
    return {
        "log": "lab",
        "command": "python c.py",
        "problems": 10,
        "problems_in_log": 20,
        "families": 5,
        "folds": 3,
        "verdict": "no better than knn",
        "above": {"chosen_rule": GAIN, "best_rule": GAIN},
        "deferral": {"low": 1.0, "high": 2.0, "curves": {"planner": CURVE, "mixture": CURVE}},
        "notes": ["a note"],
        **parts,
    }


def test_parts_that_were_measured_are_shown() -> None:
    control = {"control": "rewards", "above_rule": None, "rule": None, "why": "no PRM scored the samples"}
    point = {"problems": 60, "above_rule": GAIN, "rule": "knn", "why": ""}
    refits = {"per_seed": [0.01, None], "spread": None, "above_rule": None}
    text = page({"logs": [log(controls=[control], refits=refits, learning_curve=[point])]})
    assert "| the rule that folds chose | +1.25 | -0.20 to 3.00 |" in text
    assert "| rewards |  |  | no PRM scored the samples |" in text
    assert "Seeds: +1.00, -; mean empty: at some seed no budget can be spent." in text
    assert "| 60 | +1.25 | -0.20 to 3.00 | knn |" in text
    assert "| planner | 55.0 |  |  | never as accurate |" in text
    assert "- a note." in text
    assert "```\npython c.py\n```" in text


def test_parts_that_were_not_are_left_out() -> None:
    text = page({"logs": [log()]})
    assert "Controls:" not in text
    assert "Seeds:" not in text
    assert "Learning curve:" not in text
    assert "None" not in text
