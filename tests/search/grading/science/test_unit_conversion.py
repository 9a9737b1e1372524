from __future__ import annotations

import pytest

from search.grading.science.unit_conversion import convert


@pytest.mark.parametrize(
    ("value", "one", "other", "expected"),
    [
        (1.0, "kJ", "J", 1000.0),
        (25.0, "°C", "K", 298.15),
        (25.0, "C", "K", 298.15),  # beside a temperature no charge
        (2.0, "m", "mol*kg^-1", 2.0),  # molal
        (60.0, "rpm", "Hz", 1.0),
        (3.0, "photons", "photons", 3.0),
        (3.0, "photons", "s^-1*photons", None),
        (1.0, "kJ", "kW", None),
        (2.0, "Bq", "Hz", None),
        (2.0, "Gy", "Sv", None),
        (1.0, "N up", "N down", None),
        (1.0, "N up", "N", 1.0),
        (1.0, "apples", "pears", None),
    ],
)
def test_values(value: float, one: str, other: str, expected: float | None) -> None:
    assert convert(value, one, other) == (None if expected is None else pytest.approx(expected))
