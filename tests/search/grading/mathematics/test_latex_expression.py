from __future__ import annotations

from fractions import Fraction

import pytest

from search.grading.mathematics.latex_expression import BeyondError, Product, Symbol, exact, parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*4", 14),
        ("-2^2", -4),
        ("(-2)^2", 4),
        ("2^3^2", 512),
        ("1/2/2", Fraction(1, 4)),
        (r"\frac12", Fraction(1, 2)),
        (r"{7 \over 12}", Fraction(7, 12)),
        (r"2\frac12", Fraction(5, 2)),
        (r"\sqrt[3]{8}", 2),
        (r"5!", 120),
        (r"\binom52", 10),
        (r"|{-3}|", 3),
        (r"\lfloor 2.5\rfloor", 2),
        ("2(3)(4)", 24),
        (r"6\div2", 3),
    ],
)
def test_values(text: str, value: int | Fraction) -> None:
    assert exact(parsed(text)) == value


def test_letters_side_by_side_are_a_product() -> None:
    assert parsed("ab") == Product((Symbol("a"), Symbol("b")))
    assert parsed("x_1") != parsed("x_2")
    assert parsed("a") != parsed("A")


@pytest.mark.parametrize(
    "text", ["", "(1", "1)", "2+", r"\frac{1}", r"\int_0^1x", r"\nosuchcommand", "(" * 99]
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(BeyondError):
        parsed(text)
