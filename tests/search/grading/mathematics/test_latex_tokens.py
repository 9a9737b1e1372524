from __future__ import annotations

from fractions import Fraction

import pytest

from search.grading.mathematics.latex_tokens import BeyondError, tokens


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("1,234", 1234),
        ("1 234 567", 1_234_567),
        (".5", Fraction(1, 2)),
        ("1.5e3", 1500),
        ("3 1/4", Fraction(13, 4)),
        (r"0.\overline{12}", Fraction(12, 99)),
        ("0.1(6)", Fraction(1, 6)),
        ("0.1666...", Fraction(1, 6)),
        (r"0.1\dot{6}", Fraction(1, 6)),
        (r"0.\dot{1}2\dot{3}", Fraction(123, 999)),
    ],
)
def test_numbers(text: str, value: int | Fraction) -> None:
    assert [token.value for token in tokens(text)] == [value]


def test_kinds() -> None:
    assert [token.kind for token in tokens(r"2\pi x^{-1}")] == [
        *("number", "command", "letter", "mark", "mark", "mark", "number", "mark"),
    ]
    assert [token.is_whole for token in tokens("2+2.0")] == [True, False, False]


@pytest.mark.parametrize("text", ["#", "1 1/0", "0.123...", "1e9999", "1" * 1001, "x" * 401])
def test_beyond(text: str) -> None:
    with pytest.raises(BeyondError):
        tokens(text)
