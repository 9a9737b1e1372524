from __future__ import annotations

from collections.abc import Callable

import pytest

from planner.objective import HardCap, MeanBudget, Price, TargetAccuracy
from search.errors import BudgetError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HardCap(), "limits tokens or flops, got neither"),
        (lambda: HardCap(tokens=-1), "cannot be negative, got tokens=-1"),
        (lambda: MeanBudget(0), "above 0, got 0"),
        (lambda: MeanBudget(1, "seconds"), "flops or tokens, got 'seconds'"),  # type: ignore[arg-type]
        (lambda: TargetAccuracy(1.5), r"in \(0, 1\], got 1.5"),
        (lambda: Price(float("nan")), "cannot be negative but got nan"),
    ],
)
def test_says_the_rule_and_the_value(make: Callable[[], object], message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        make()
