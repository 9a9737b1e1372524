from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.grading.stated import stated


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"\boxed{1} and \boxed{\frac{3}{8}}", r"\frac{3}{8}"),
        (r"\fbox{7}", "7"),
        (r"\boxed{12", None),
        ("#### 1\n#### 2", "2"),
        ("**Answer:** 5 dollars", "5 dollars"),
        ("Final answer: 50.7 atm", "50.7 atm"),
        ("The final answer is: $18$. I hope it is correct.", "18"),
        (r"The answer is $50.7$ $\mathrm{atm}$.", r"$50.7$ $\mathrm{atm}$."),
        (r"the answer is \(x+1\), as was to be shown.", "x+1"),
        ("the answer is **B**", "B"),
        ("the answer is 7. We are done.", "7"),
        (r"the answer is $\$5$", r"\$5"),
        ("It is 18", None),
        ("", None),
    ],
)
def test_what_a_solution_states(text: str, found: str | None) -> None:
    assert stated(text) == found


@settings(deadline=None)  # the first case imports a library
@given(st.one_of(st.text(), st.text("\\boxed{}#A: the answer is$*().\n")))
def test_any_text_is_read_without_an_error(text: str) -> None:
    found = stated(text)
    assert found is None or found in text
