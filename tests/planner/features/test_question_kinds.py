"""Which questions have answers that can be compared, by their words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.features.question_kinds import QuestionKinds
from search.grading.registry import DOMAINS

KINDS = QuestionKinds()


@pytest.mark.parametrize(
    ("question", "domain"),
    [
        ("What is (13+64)+80?", "math"),
        ("3 + 4", "math"),
        ("1 + 2 =", "math"),
        ("What is 3 plus 4?", "math"),
        ("Ann has 12 eggs and finds 30 more. How many eggs has Ann now?", "math"),
        ("A book of 80 pages costs 4 dollars. What is the price of 12 of them?", "math"),
        (r"Find all $x$ with $\sqrt{x} = 3$.", "math"),
        ("Could you compute 17 * 23 for me?", "math"),
        ("Which is prime?\nA) 4\nB) 7\nC) 9", "choice"),
        ("Balance the equation: H2 + O2 -> H2O", "formula"),
        ("4 5 6 10", "game24"),
        ("Write the body.\ndef twice(x):\n    '''Twice x.'''", "python"),
    ],
)
def test_a_question_with_an_answer_has_a_domain(question: str, domain: str) -> None:
    found = KINDS.predict(question)
    assert (found.domain, found.reason) == (domain, "")


@pytest.mark.parametrize(
    "question",
    [
        "Tell me a story about 3 bears.",
        "Write a poem about the year 1984",
        "What is 24/7 support?",
        "What is the capital of France?",
        "Please explain how many 3 times 4 is to a child of 5.",
        "Hello!",
        "Call 555-1234 and ask for Ann",
    ],
)
def test_an_open_question_has_none(question: str) -> None:
    found = KINDS.predict(question)
    assert found.domain is None
    assert "name a domain" in found.reason


@given(st.text(max_size=400))
def test_any_text_gets_a_domain_or_a_reason(text: str) -> None:
    found = KINDS.predict(text)
    assert (found.domain is None) == bool(found.reason)
    assert found.domain is None or found.domain in DOMAINS


def test_a_long_question_is_read_in_no_time() -> None:
    assert KINDS.predict("9 " * 50_000).domain is None
    assert KINDS.predict("what is " * 12_000 + "5").domain is None
