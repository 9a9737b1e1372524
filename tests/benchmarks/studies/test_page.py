"""The page of decision quality: what it says of the primary endpoint."""

from __future__ import annotations

from typing import Any

from studies.page import page

ABOUT = {"command": "python b.py", "problems": 10, "families": 5, "learned_from": 20, "seeds": 2}


def written(**endpoint: Any) -> str:
    figures = {
        "value": 1.25,
        "low": 0.5,
        "high": 2.0,
        "above_best_on_test": {"value": -0.5, "low": -1.0, "high": 0.25},
        "per_seed": [1.0, None],
        "problems": 7,
        "families": 3,
        "learned_from": 9,
        "command": "python b.py --only endpoint",
    }
    return page({"about": ABOUT, "targets": [], "above_best_rule": figures | endpoint})


def test_the_endpoint_stands_beside_its_bound() -> None:
    text = written()
    assert "| the rule that the learning problems chose | +1.25 | 0.50 to 2.00 |" in text
    assert "(a bound: nobody can deploy it) | -0.50 | -1.00 to 0.25 |" in text
    assert "7 problems of 3 families" in text
    assert "python b.py --only endpoint" in text
    assert "By seed: +1.00, -." in text


def test_an_endpoint_that_is_not_there_says_why() -> None:
    none = {"value": None, "low": None, "high": None, "why": "no budget can be spent"}
    text = written(**none, above_best_on_test=none)
    assert "| the rule that the learning problems chose |  | no budget can be spent |" in text
    assert "None" not in text


def test_without_an_endpoint_there_is_no_section() -> None:
    assert "Primary endpoint" not in page({"about": ABOUT, "targets": []})
