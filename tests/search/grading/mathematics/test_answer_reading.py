from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.grading.mathematics.answer_reading import shaped
from search.grading.mathematics.answer_shape import (
    Clock,
    Items,
    Lettered,
    Matrix,
    Numeral,
    Ratio,
    Relation,
    Residue,
    Scalar,
    Shape,
    Union,
    Words,
)

ONE, TWO, X = Scalar("1"), Scalar("2"), Scalar("x")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1", ONE),
        ("the value is 2", TWO),
        ("approximately 2", TWO),
        ("twelve", Scalar("12")),
        ("1, 2", Items("", (ONE, TWO))),
        ("1 and 2", Items("", (ONE, TWO), "and")),
        (r"1\text{ or }2", Items("", (ONE, TWO), "or")),
        ("(1,2)", Items("()", (ONE, TWO))),
        ("[1,2)", Items("[)", (ONE, TWO))),
        (r"\{1,2\}", Items("{}", (ONE, TWO))),
        ("no solution", Items("{}", ())),
        (r"\emptyset", Items("{}", ())),
        (r"1\pm2", Items("", (Scalar("1+2"), Scalar("1-2")))),
        ("1,234", Scalar("1,234")),
        ("x=2", Relation(("=",), (X, TWO))),
        (r"1<x\leq2", Relation(("<", r"\le"), (ONE, X, TWO))),
        ("=2", TWO),
        (r"[1,2]\cup\{x\}", Union(r"\cup", (Items("[]", (ONE, TWO)), Items("{}", (X,))))),
        (r"\begin{pmatrix}1&2\\x&1\end{pmatrix}", Matrix("", ((ONE, TWO), (X, ONE)))),
        (r"\begin{vmatrix}1\end{vmatrix}", Matrix("v", ((ONE,),))),
        (r"\begin{pmatrix}1&2\end{pmatrix}^T", Matrix("", ((ONE,), (TWO,)))),
        ("(B)", Lettered("B")),
        ("(B) 2", Lettered("B", TWO)),
        ("1011_2", Numeral("1011", 2)),
        ("1011 base two", Numeral("1011", 2)),
        ("3:30 pm", Clock(3, 30, "pm")),
        ("15:30", Clock(3, 30, "pm")),
        ("1 to 2", Ratio((ONE, TWO))),
        (r"x\equiv1\pmod2", Residue(ONE, TWO)),
        ("all real numbers", Scalar(r"\mathbb{R}")),
        ("does not exist", Words("dne")),
        ("a tree", Words("tree")),
        ("", Words("")),
    ],
)
def test_shapes(text: str, shape: Shape) -> None:
    assert shaped(text) == shape


def test_lists_of_lists_end_somewhere() -> None:
    text = "1"
    for _ in range(12):
        text = f"[{text},{text}]"
    assert isinstance(shaped(text), Items)


@given(st.text("123xyAB,;:()[]{}\\=<>^_|& .$%-+"))
def test_it_never_raises(text: str) -> None:
    assert shaped(text) == shaped(text)
