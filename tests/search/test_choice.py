"""A choice names a PRM exactly when its plan asks one."""

from __future__ import annotations

import pytest

from search.choice import Choice
from search.errors import PlanError
from search.plan import Plan


def test_a_choice_prints_its_three_parts() -> None:
    assert str(Choice("m", "good", Plan.parse("best_of_n(n=4)"))) == "m x good x best_of_n(n=4, score=last)"
    assert str(Choice("m", None, Plan.parse("cot"))) == "m x - x cot()"


@pytest.mark.parametrize(
    ("prm", "plan", "message"),
    [
        (None, "best_of_n", "best_of_n needs a PRM, got none"),
        (None, "dvts", "dvts needs a PRM, got none"),
        ("good", "majority", "majority asks no PRM, got 'good'"),
        ("good", "cot", "cot asks no PRM, got 'good'"),
    ],
)
def test_a_prm_is_named_exactly_when_it_is_asked(prm: str | None, plan: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Choice("m", prm, Plan.parse(plan))
