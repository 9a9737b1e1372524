from __future__ import annotations

import pytest

from search.grading.science.units import unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("J/mol K", "J*K^-1*mol^-1"),
        ("J mol^-1 K^-1", "J*K^-1*mol^-1"),
        ("J per gram", "J*g^-1"),
        ("m2", "m^2"),
        ("m/(s^2)", "m*s^-2"),
        ("1/s", "s^-1"),
        ("°C", "°C"),
        ("J/°C", "J*K^-1"),  # in a product a difference
        ("N upward", "N up"),
        ("photons per second", "photons*s^-1"),
        ("g NaCl", "g"),
        ("x+2", None),
        ("m 3", None),
    ],
)
def test_canonical(text: str, expected: str | None) -> None:
    assert unit(text) == expected


@pytest.mark.parametrize("text", ["J/mol K", "kg m s-2", "photons per second", "J/°C"])
def test_what_is_canonical_stays(text: str) -> None:
    once = unit(text)
    assert once is not None
    assert unit(once) == once
