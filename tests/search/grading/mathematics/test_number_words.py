from __future__ import annotations

from fractions import Fraction

import pytest

from search.grading.mathematics.number_words import spoken


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zero", 0),
        ("twenty-five", 25),
        ("one hundred and five", 105),
        ("two thousand three hundred", 2300),
        ("a million", 10**6),
        ("a dozen", 12),
        ("half a dozen", 6),
        ("two thirds", Fraction(2, 3)),
        ("a quarter", Fraction(1, 4)),
        ("three and a half", Fraction(7, 2)),
        ("two five", None),
        ("five hundred trees", None),
        ("tense", None),
        ("12", None),
        ("", None),
    ],
)
def test_words(text: str, value: int | Fraction | None) -> None:
    assert spoken(text) == value
