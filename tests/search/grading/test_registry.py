"""Every domain is found by its name; an unknown one says which are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.errors import GradingError
from search.grading.protocol import Domain
from search.grading.registry import DOMAINS, domain, guess_domain


@pytest.mark.parametrize("name", DOMAINS)
def test_every_domain_is_found_by_its_name(name: str) -> None:
    found = domain(name)
    assert isinstance(found, Domain)
    assert found.name == name
    assert domain(name) is found


def test_an_unknown_domain_says_which_are_known() -> None:
    with pytest.raises(GradingError, match=r"domain must be one of .*arithmetic.*, got 'poetry'"):
        domain("poetry")


@pytest.mark.parametrize(
    "question",
    [
        "Write me a poem about the sea.",
        "hello",
        "Who are you and why?",
        "Write a poem about the year 1984",
        "Summarise the war of 1914-1918 in 3 sentences.",
        "Plan 2 days in Rome for 4 people, and tell me how many museums we should see.",
        "What is 24/7 support?",
        "What is 4-H?",
        "What is a 401k?",
        "Find a 3-star hotel for 2026-11-26.",
        "Explain C++11 to me",
        "Is GPT-4 better than Llama 3.2?",
        "Translate into French: I have 2 cats and 1 dog.",
        "How many planets are there?",
        "1984",
        "Let x be a poem. Find x",
    ],
)
def test_open_ended_chat_belongs_to_no_domain(question: str) -> None:
    assert guess_domain(question) is None


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("What is (13+64)+80?", "arithmetic"),
        ("Find ((8+5)*(9-2))+(6*7)", "arithmetic"),
        ("With the numbers 12,9,20,5 you must reach 18 where only +,- is allowed", "puzzle"),
        ("Combine all of the numbers 2,8,6,4 and reach 72", "puzzle"),
    ],
)
def test_the_questions_of_the_readme_belong_to_their_domains(question: str, name: str) -> None:
    assert question in (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    found = guess_domain(question)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "question",
    [
        "1 + 2 =",
        "3+4",
        "(2 + 3) * 4 = ?",
        "work out the sum of 3 + 41 + 7",
        "What is 3 plus 4?",
        "Please compute 12 divided by 4.",
        "what is 6 \u00d7 7?",
        "what is 7 - 12? Show every step.",
        "If x = 3 and y = 4, what is x + y?",
        "Tom buys 3 pens at $2 each, how much does he pay?",
        "Take the number 7. Add 3. What is the result?",
    ],
)
def test_calculations_are_arithmetic(question: str) -> None:
    found = guess_domain(question)
    assert found is not None
    assert found.name == "arithmetic"
