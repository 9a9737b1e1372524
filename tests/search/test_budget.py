"""A budget says what breaks its rules; a ceiling and a share only lower its caps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.budget import Budget, BudgetWords, Prices
from search.errors import BudgetError


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, "a budget needs one of tokens, flops, seconds, usd, samples, .*, got none"),
        ({"tokens": -1}, "a budget cannot be negative, got tokens=-1"),
        ({"flops": -0.5}, "a budget cannot be negative, got flops=-0.5"),
        ({"seconds": math.nan}, "a budget is a number, got seconds=nan"),
        ({"usd": "1"}, "a budget is a number, got usd='1'"),
        ({"tokens": 2.5}, r"a budget in tokens is a whole number, got tokens=2\.5"),
        ({"tokens": True}, "a budget is a number, got tokens=True"),
        ({"samples": 1.5}, r"a budget in samples is a whole number, got samples=1\.5"),
        ({"mean_flops": 0}, "a mean budget must be above 0 and finite, got mean_flops=0"),
        ({"mean_tokens": math.inf}, "a mean budget must be above 0 and finite, got mean_tokens=inf"),
        ({"accuracy": 1.5}, r"an accuracy must be in \(0, 1\], got accuracy=1\.5"),
        ({"accuracy": 0}, r"an accuracy must be in \(0, 1\], got accuracy=0"),
        ({"price": -1}, "a price is a finite number of at least 0, got price=-1"),
        ({"price": math.nan}, "a budget is a number, got price=nan"),
        ({"price": 1, "price_unit": "usd"}, "a price unit is flops or tokens, got 'usd'"),
        ({"tokens": 9, "price_unit": "tokens"}, "a price unit goes with a price, got price_unit='tokens'"),
        ({"accuracy": 0.9, "confidence": 1}, r"a confidence must be in \[0\.5, 1\), got confidence=1"),
        ({"accuracy": 0.9, "confidence": 0.4}, r"in \[0\.5, 1\), got confidence=0\.4"),
        ({"tokens": 9, "confidence": 0.9}, r"a confidence goes with an accuracy, got confidence=0\.9"),
        ({"accuracy": 0.9, "price": 1}, r"one of a mean, .*, got accuracy=0\.9 and price=1"),
        ({"mean_flops": 9, "mean_tokens": 9}, "one of a mean, .*, got mean_flops=9 and mean_tokens=9"),
        ({"mean_flops": 9, "accuracy": 0.5}, r"one of a mean, .*, got mean_flops=9 and accuracy=0\.5"),
    ],
)
def test_a_bad_budget_says_the_rule_and_the_value(given_: dict[str, object], message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        Budget(**given_)  # type: ignore[arg-type]


WORDS = st.fixed_dictionaries(
    {},
    optional={
        "samples": st.integers(1, 1000),
        "tokens": st.integers(1, 10**9),
        "flops": st.floats(1.0, 1e18),
        "seconds": st.floats(0.001, 1e6),
        "usd": st.floats(1e-9, 1e6),
        "accuracy": st.floats(0.01, 1.0),
    },
).filter(bool)


@given(WORDS, WORDS, st.floats(0.01, 1.0))
def test_a_ceiling_and_a_share_only_lower_caps(
    said: dict[str, Any], above: dict[str, Any], share: float
) -> None:
    budget = Budget(**said)
    assert budget.given == said
    assert repr(budget) == repr(Budget.of(None, BudgetWords(**said)))
    bound, less = budget.within(Budget(**above)).given, budget.scaled(share).given
    assert bound.get("accuracy") == less.get("accuracy") == said.get("accuracy")
    for name in {*said, *above} - {"accuracy"}:
        assert bound[name] == min(words[name] for words in (said, above) if name in words)
    assert less.keys() == said.keys()
    assert all(0 < less[name] <= value for name, value in said.items())
    assert less.get("seconds") == said.get("seconds")


def test_numbers_of_numpy_are_numbers() -> None:
    budget = Budget(tokens=np.int64(7), flops=np.float32(2.0))  # type: ignore[arg-type]
    assert (type(budget.tokens), type(budget.flops)) == (int, float)
    assert budget == Budget(tokens=7, flops=2.0)


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_a_bad_price_says_the_rule_and_the_value(value: float) -> None:
    with pytest.raises(BudgetError, match=f"a price is a finite number of at least 0, got generated={value}"):
        Prices(prompt=1.0, generated=value)
