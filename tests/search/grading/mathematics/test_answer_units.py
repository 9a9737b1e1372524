from __future__ import annotations

from fractions import Fraction

import pytest

from search.grading.mathematics.answer_units import canonical_unit, factor, is_known


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("centimeters", "cm"),
        ("square centimeters", "cm^2"),
        ("cm squared", "cm^2"),
        ("cubic feet", "ft^3"),
        ("cm^{2}", "cm^2"),
        ("miles per hour", "mph"),
        ("apples", "apple"),
    ],
)
def test_one_spelling(text: str, unit: str) -> None:
    found = canonical_unit(text)
    assert found == unit
    assert canonical_unit(found) == found


@pytest.mark.parametrize(
    ("unit", "other", "expected"),
    [
        ("m", "cm", Fraction(100)),
        ("cm", "m", Fraction(1, 100)),
        ("m^2", "cm^2", Fraction(10_000)),
        ("cm^3", "m^3", Fraction(1, 10**6)),
        ("apple", "apple", Fraction(1)),
        ("m", "kg", None),
        ("m", "m^2", None),
        ("apple", "pear", None),
    ],
)
def test_how_many_of_another(unit: str, other: str, expected: Fraction | None) -> None:
    assert factor(unit, other) == expected


def test_what_is_a_unit() -> None:
    assert is_known("Meters")
    assert not is_known("apples")
