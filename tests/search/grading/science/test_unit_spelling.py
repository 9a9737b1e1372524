from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.grading.science.unit_spelling import SLIPS, plain_unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\mathrm{kJ}", "kJ"),
        (r"\frac{m}{s^2}", "(m)/(s^2)"),
        (r"\SI{3}{m}", "3 m"),
        ("µm", "um"),
        ("Ω", "ohm"),
        (r"m^{-1}", "m^-1"),
        (r"{}^{\circ}C", "degC"),
    ],
)
def test_without_latex(text: str, expected: str) -> None:
    assert plain_unit(text) == expected


def test_slips_lead_to_other_words() -> None:
    assert all(slip != word for slip, word in SLIPS.items())
    assert plain_unit("KJ") == "kJ"


@given(st.text("\\frac{}^-123 kgmsJ/·°µ$"))
def test_it_never_raises(text: str) -> None:
    assert plain_unit(text) == " ".join(plain_unit(text).split())
