"""Plain text: the last line, whatever its case and spacing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.text import TextDomain
from search.problem import Problem

DOMAIN, PROBLEM = TextDomain(), Problem("p", "f", "text", "Capital?", "New  York")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so\n# New YORK", "new york"),
        ("new york \n\n", "new york"),
        ("a # b # c", "c"),
        ("", None),
        ("a\n# ", None),
    ],
)
def test_reading(text: str, answer: str | None) -> None:
    assert DOMAIN.read(PROBLEM, text) == answer


@given(st.text())
def test_reading_never_raises_and_is_canonical(text: str) -> None:
    answer = DOMAIN.read(PROBLEM, text)
    if answer is not None:
        assert DOMAIN.read(PROBLEM, answer) == answer != ""
        assert DOMAIN.equal(PROBLEM, answer, f" {answer}\t")


def test_grading() -> None:
    assert DOMAIN.grade(PROBLEM, "new york")
    assert not DOMAIN.grade(PROBLEM, "york")
    assert not DOMAIN.grade(PROBLEM, None)
    with pytest.raises(GradingError, match="a reference is some text, got None in 'q'"):
        DOMAIN.grade(Problem("q", "f", "text", "?"), "a")


def test_text_claims_nothing() -> None:
    assert not DOMAIN.claims("Capital of France?")
