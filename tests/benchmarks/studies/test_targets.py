from __future__ import annotations

import copy
from typing import Any

import pytest
from studies.page import page
from studies.targets import averaged, targets

COMPARISON = {"samples": 4.0, "planner": 0.5, "rival": 0.49, "above": 0.01, "low": -0.005, "high": 0.025}


def interval(value: float | None, low: float | None, high: float | None, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high} | more


def run() -> dict[str, Any]:
    """An evaluation in the form of its JSON, every target just met."""
    point = {"accuracy": 0.5, "tokens": 1.0, "flops": 1.0, "low": 0.4, "high": 0.6}
    above = {"planner_above": 0.1, "above_low": 0.05, "above_high": 0.15}
    cell = {
        "policy": "p",
        "prm": "r",
        "gain_over_cot_percent": 20.0,
        "gain_low": 10.0,
        "gain_high": 30.0,
        "multiple_over_majority": 40.0,
        "censored": True,
        "low": 30.0,
        "high": 50.0,
        "at_best": 2.0,
        "at_best_censored": False,
    }
    kept = {"flops_promised": 1.9, "flops_met": 2.0, "flops_error_percent": -5.0}
    kept |= {"accuracy_promised": 0.5, "accuracy_met": 0.6}
    stream = {"asked": 0.8, "reached": True, "value": 0.785, "low": 0.75, "high": 0.82, "expected": 0.8}
    stream |= {"flops_expected": 1.0, "flops_met": 1.1, "domains": {"code": 0.7}}
    return {
        "sample_flops": 1.0,
        "budgets": [
            {
                "name": "4 samples",
                "flops": 4.0,
                "detectable": 0.02,
                "planner": point | above,
                "majority": point | above,
                "best_of_n": None,
            }
        ],
        "areas": {"planner": {"value": 0.5}},
        "gap_closed": interval(0.61, 0.52, 0.7),
        "gap_closed_steady": interval(0.5, 0.4, 0.6),
        "multiples": {
            "majority": interval(9.0, 8.0, 10.0),
            "best_of_n": interval(4.0, 3.0, 5.0),
            "adaptive_consistency": interval(2.0, 1.0, 3.0),
            "control": interval(1.0, 1.0, 1.0),
        },
        "headline": [cell],
        "headline_mean": interval(40.0, 30.0, 50.0),
        "definitions": ["Gain: so.", "Multiple: so."],
        "calibration": {"ece": 0.03, "ece_low": 0.02, "ece_high": 0.04, "resolution": 0.1, "brier": 0.2},
        "budget_error_percent": 1.9,
        "decision_ms": {"p50": 0.3, "p99": 1.5},
        "promises": {"4 samples": kept | {"domains": {"code": kept | {"problems": 9}}}},
        "target_accuracy": [stream, stream | {"asked": 0.99, "reached": False}],
        "made": {"4 samples": {"p x - x cot()": 1.0}},
        "fixed": [{"name": "p x - x cot()", "accuracy": [0.5], "low": [0.4], "high": [0.6], "flops": [1.0]}],
        "notes": ["a note"],
    }


def everything() -> dict[str, Any]:
    live = {"problems": 200, "accuracy": interval(0.5, 0.4, 0.6), "accuracy_promised": 0.51}
    return {
        "about": {"command": "run", "problems": 9, "families": 3, "learned_from": 8, "seeds": 2},
        "evaluation": [run(), run()],
        "parity": {"decisions": 10, "agreed": 10},
        "live": live | {"difference": interval(-0.01, -0.03, 0.01), "flops_ratio": interval(1.0, 0.9, 1.1)},
        "safety": [
            {"prm": "random", "told": told, "duels": [COMPARISON], "safe": True}
            for told in ("probe", "calibration")
        ],
        "transfer": [
            {
                "kind": "domain",
                "name": "code",
                "told": "nothing",
                "problems": 7,
                "duels": {"majority": [COMPARISON]},
            }
        ],
    }


def test_all_targets_met() -> None:
    rows = targets(everything())
    assert len(rows) == 18
    assert all(row["met"] in (True, None) for row in rows)
    assert [row["name"] for row in rows if row["met"] is None] == [
        "the same, the oracle less by luck",
        "compute of majority over the planner's",
    ]


def test_planners_of_a_pair_each_stand_for_their_cells() -> None:
    cell = everything()["evaluation"][0]["headline"][0]
    cells = [cell | {"multiple_over_majority": multiple} for multiple in (0.5, 90.0)]
    found = everything() | {"cells": {"cells": cells, "mean": interval(6.7, 5.0, 9.0)}}
    told = {row["name"]: (row["value"], row["met"]) for row in targets(found)}
    assert told["compute of majority, mean over policy x PRM"] == (6.7, False)
    assert told["the least of those"] == (0.5, False)
    assert "## Planners of one policy and one PRM" in page(found | {"targets": targets(found)})


def test_policies_alone_stand_on_the_page() -> None:
    one = run()
    budget = one["budgets"][0]
    for name in ("best_fixed", "mixture", "knn", "oracle"):
        budget[name] = budget["majority"]
    found = everything() | {"alone": {"small": one}}
    text = page(found | {"targets": targets(found)})
    assert "## One policy at a time" in text
    assert "| `small` | 61 (52 to 70) | 4.0 (3.0 to 5.0) | 2.0 (1.0 to 3.0) | 0.03 |" in text


@pytest.mark.parametrize(
    ("path", "value", "row"),
    [
        (("gap_closed", "low"), 0.49, 0),
        (("gap_closed", "value"), 0.59, 0),
        (("multiples", "best_of_n", "value"), 3.9, 2),
        (("multiples", "adaptive_consistency", "value"), 1.9, 3),
        (("multiples", "control", "value"), 0.9, 5),
        (("headline_mean", "value"), 34.0, 10),
        (("headline", 0, "multiple_over_majority"), 0.9, 11),
        (("calibration", "ece"), 0.04, 6),
        (("budget_error_percent",), 2.1, 7),
        (("decision_ms", "p50"), 0.6, 8),
        (("decision_ms", "p99"), 2.1, 9),
    ],
)
def test_one_that_falls_short_is_told(path: tuple[Any, ...], value: float, row: int) -> None:
    found = everything()
    for one in found["evaluation"]:
        for name in path[:-1]:
            one = one[name]
        one[path[-1]] = value
    unmet = [at for at, one in enumerate(targets(found)) if one["met"] is False]
    assert unmet == [row]


@pytest.mark.parametrize(
    ("part", "change", "row"),
    [
        ("parity", {"agreed": 9}, 12),
        ("live", {"difference": interval(0.05, 0.01, 0.09)}, 13),
        ("promises", {"4 samples": {"flops_error_percent": 5.5}}, 14),
        ("target_accuracy", [{"asked": 0.8, "reached": True, "value": 0.822}], 15),
    ],
)
def test_trials_that_fail_are_told(part: str, change: dict[str, Any], row: int) -> None:
    found = everything()
    if part in found:
        found[part] |= change
    for one in found["evaluation"]:
        one[part] = change
    assert [at for at, one in enumerate(targets(found)) if one["met"] is False] == [row]


def test_harm_is_told() -> None:
    found = everything()
    found["safety"][1] |= {"safe": False, "duels": [COMPARISON | {"low": -0.02}]}
    rows = targets(found)
    assert [one["met"] for one in rows[-2:]] == [True, False]
    assert rows[-1]["value"] == pytest.approx(-2.0)


def test_without_a_gap_nothing_is_claimed() -> None:
    found = everything()
    found["evaluation"][1]["gap_closed"] = interval(None, None, None)
    first = targets(found)[0]
    assert (first["value"], first["met"]) == (None, None)
    assert targets({}) == []


def test_means_are_over_seeds() -> None:
    two = [run(), copy.deepcopy(run())]
    two[1]["gap_closed"]["value"] = 0.81
    assert averaged(two, "gap_closed")["value"] == pytest.approx(0.71)


def test_the_page_holds_every_part() -> None:
    found = everything()
    found["targets"] = targets(found)
    text = page(found)
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == [
        "# Decision quality",
        "## Targets",
        "## Accuracy at equal mean FLOPs",
        "## Per policy and PRM",
        "## Promises",
        "## Choices made",
        "## Every fixed choice",
        "## Live",
        "## Bad PRMs",
        "## Left out",
    ]
    assert (
        "| share of the oracle gap closed | at least 60%, above 50% for sure | 61.0 % | 52.0 to 70.0 | yes |"
        in text
    )
    assert "> 40.0 (30.0 to 50.0)" in text
    assert "- Multiple: so." in text
    assert "`best_of_n`" not in text  # the log had nothing for it
    # tables are tables: every row has as many cells as its head
    rows = [line for line in text.splitlines() if line.startswith("|")]
    at = 0
    while at < len(rows):
        size = rows[at].count("|")
        at += 1
        while at < len(rows) and not (at + 1 < len(rows) and set(rows[at + 1]) <= {"|", "-"}):
            assert rows[at].count("|") == size, rows[at]
            at += 1
    only = {"about": found["about"], "targets": []}
    assert "## Live" not in page(only)
