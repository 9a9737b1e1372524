"""What graders say of bare questions, where a planner from before domain models must ask them."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.grading.registry import DOMAINS, domain


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
def test_open_ended_chat_is_claimed_by_no_grader(question: str) -> None:
    assert [name for name in DOMAINS if domain(name).claims(question)] == []


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("What is (13+64)+80?", "arithmetic"),
        ("Find ((8+5)*(9-2))+(6*7)", "arithmetic"),
        ("With the numbers 12,9,20,5 you must reach 18 where only +,- is allowed", "puzzle"),
        ("Combine all of the numbers 2,8,6,4 and reach 72", "puzzle"),
    ],
)
def test_the_questions_of_the_docs_belong_to_their_domains(question: str, name: str) -> None:
    root = Path(__file__).parents[4]
    pages = [root / "README.md", root / "docs" / "python.md"]
    assert any(question in page.read_text(encoding="utf-8") for page in pages)
    assert [known for known in DOMAINS if domain(known).claims(question)] == [name]


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
    assert [name for name in DOMAINS if domain(name).claims(question)] == ["arithmetic"]
