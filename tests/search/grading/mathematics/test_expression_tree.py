from __future__ import annotations

from fractions import Fraction

import pytest

from search.grading.mathematics.expression_tree import (
    Call,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    exact,
    letters,
    parts,
)


def whole(value: int) -> Number:
    return Number(Fraction(value))


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (Sum((whole(1), whole(2))), 3),
        (Product((whole(2), whole(3))), 6),
        (Power(whole(2), whole(-2)), Fraction(1, 4)),
        (Power(whole(27), Number(Fraction(2, 3))), 9),
        (Power(whole(2), Number(Fraction(1, 2))), None),
        (Power(whole(-1), Number(Fraction(1, 2))), None),
        (Power(whole(0), whole(0)), None),
        (Power(whole(-1), whole(10**9)), 1),
        (Power(whole(2), whole(10**9)), None),  # too long
        (Call("factorial", (whole(5),)), 120),
        (Call("factorial", (whole(10**6),)), None),
        (Call("binomial", (whole(5), whole(2))), 10),
        (Call("floor", (Number(Fraction(-1, 2)),)), -1),
        (Call("abs", (whole(-3),)), 3),
        (Call("gcd", (whole(12), whole(18))), 6),
        (Call("ln", (whole(1),)), 0),
        (Call("pi"), None),
        (Symbol("x"), None),
        (Sum((whole(1), Symbol("x"))), None),
    ],
)
def test_exact_values(node: Node, value: int | Fraction | None) -> None:
    assert exact(node) == value


def test_letters_and_parts() -> None:
    node = Sum((Symbol("x"), Call("f()", (Symbol("y"),)), Power(Call("e"), whole(2))))
    assert letters(node) == {"x", "y", "f()"}
    assert parts(node) == node.terms
    assert parts(whole(1)) == ()
