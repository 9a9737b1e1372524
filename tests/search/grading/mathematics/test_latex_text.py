from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.grading.mathematics.latex_text import braced_end, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"$\dfrac{1}{2}$", r"\frac{1}{2}"),
        (r"\boxed{7}", "7"),
        (r"\mathbf{x}", "x"),
        (r"\left(1,2\right)", "(1,2)"),
        (r"12{,}345", "12345"),
        (r"x \leq 3", r"x\le3"),
        (r"90^{\circ}", r"90^\circ"),
        (r"\textcolor{red}{5}", "5"),
        (" ", ""),
    ],
)
def test_one_spelling(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(st.text("\\frac{}()[]0123.,/-+=x$% textboxed~!"))
def test_it_ends_where_it_ends(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("text", "end"), [(r"\text{a{b}c}d", 11), (r"\text{a\}b}", 10), (r"\text{a", -1), (r"\text{}", 6)]
)
def test_the_end_of_a_group(text: str, end: int) -> None:
    assert braced_end(text, text.index("{")) == end
