"""Multiple choice: letters and texts of options, in any order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.choice import ChoiceDomain, listed, shuffled
from search.grading.registry import domain
from search.problem import Problem
from search.voting.votes import group

CHOICE = ChoiceDomain()
TEXTS = ["10", "11", "12", "A dog", r"\frac{1}{2}"]


def posed(answer: str | None = "C", options: object = TEXTS, question: str = "Which?") -> Problem:
    return Problem("p", "f", "choice", question, answer, {} if options is None else {"options": options})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(C)", "12"),
        ("**C**", "12"),
        ("The answer is C.", "12"),
        ("\\boxed{C}", "12"),
        ("\\boxed{\\textbf{(C) }12}", "12"),
        ("\\textbf{(C) }12", "12"),
        ("\\boxed{12}", "12"),
        ("The answer is 12.", "12"),
        ("C", "12"),
        ("c)", "12"),
        ("C) 12", "12"),
        ("C. 12", "12"),
        ("The correct answer is (C) 12.", "12"),
        ("The correct option is C because it is even.", "12"),
        ("I think A is wrong. So I choose B.", "11"),
        ("Answer: B", "11"),
        ("**Answer: (B)**", "11"),
        ("Final Answer: **B**", "11"),
        ("The final answer is $\\boxed{\\text{B}}$", "11"),
        ("The answer is a dog.", "A dog"),
        ("The answer is A dog", "A dog"),
        ("The answer is D", "A dog"),
        ("\\boxed{0.5}", "\\frac{1}{2}"),
        ("\\boxed{(A) 12}", None),
        ("\\boxed{A, C}", None),
        ("\\boxed{A and C}", None),
        ("The answer is not B.", None),
        ("I do not know.", None),
        ("A dog is nice, so it must be considered.", None),
        ("\\boxed{F}", None),
        ("\\boxed{13}", None),
        ("", None),
        ("<think>The answer is A.</think>The answer is B.", "11"),
        ("Thus, B is correct.", "11"),
        ("Option B is the correct answer.", "11"),
        ("#### B", "11"),
        ("The answer is (b).", "11"),
        ("the best answer is **B) 11**", "11"),
        ("The answer is: B", "11"),
        ("Therefore the answer is option B.", "11"),
        ("<answer>B</answer>", "11"),
        ("A is tempting, but the answer is B, not C.", "11"),
        ("The answer is\n\nB", "11"),
        ("So the answer should be B!", "11"),
        ("answer = B", "11"),
        ("(B) 11 is correct.", "11"),
    ],
)
def test_reading(text: str, found: str | None) -> None:
    assert CHOICE.read(posed(), text) == found


@pytest.mark.parametrize("reference", ["C", "(C)", "12", r"\textbf{(C) }12", "c", " 12. "])
def test_a_reference_is_a_letter_or_a_text(reference: str) -> None:
    problem = posed(reference)
    assert CHOICE.grade(problem, "12")
    assert not CHOICE.grade(problem, "11")
    assert not CHOICE.grade(problem, None)


def test_a_reference_that_names_no_option_is_refused() -> None:
    for reference in (None, "", "F", "13", "C or D"):
        with pytest.raises(GradingError, match="must be a letter or an option's text, got"):
            CHOICE.grade(posed(reference), "12")
    with pytest.raises(GradingError, match="which is both, in 'p'"):
        CHOICE.grade(posed("A", ["C", "A", "B"]), "A")


@pytest.mark.parametrize("options", [["1"], "AB", ["1", " 1 "], [""] * 3, list(range(30)), 5, {"A": "x"}])
def test_options_are_several_different_texts(options: object) -> None:
    with pytest.raises(GradingError, match="options must be a list of two to 26 different texts"):
        CHOICE.read(posed("A", options), "A")


def test_options_may_have_their_own_letters_or_stand_in_the_question() -> None:
    numbered = posed("2", {"1": "cat", "2": "dog"})
    assert CHOICE.read(numbered, "The answer is (2).") == CHOICE.read(numbered, "**dog**") == "dog"
    asked = posed("B", None, "Which is prime?\nA) 4\nB) 7\nC) 9")
    assert CHOICE.read(asked, "The answer is B.") == CHOICE.read(asked, "It is\n7") == "7"
    assert CHOICE.grade(asked, "7")
    bare = posed("B", None)
    assert CHOICE.read(bare, "The answer is (B).") == "B"
    assert CHOICE.grade(bare, "B")


def test_votes_are_by_option() -> None:
    answers = [
        CHOICE.read(posed(), text) for text in ("The answer is C.", r"\boxed{12}", "Answer: A", "no idea")
    ]
    assert group(posed(), domain("choice"), answers) == [0, 0, 1, -1]


LISTS = [
    "Which?\nA. 1\nB. 2\nC. 3\nD. 4",
    "Which?\n(A) 1\n(B) 2\n(C) 3\n(D) 4",
    "Which?\n- **A)** 1\n- **B)** 2\n- **C)** 3\n- **D)** 4",
    "Which?\nA: 1\nB: 2\nC: 3\nD: 4",
    "Which? (A) 1 (B) 2 (C) 3 (D) 4",
    r"Which? $\textbf{(A)}\ 1 \qquad \textbf{(B)}\ 2 \qquad \textbf{(C)}\ 3 \qquad \textbf{(D)}\ 4$",
]


@pytest.mark.parametrize("question", LISTS)
def test_listed_options_are_found_and_claimed(question: str) -> None:
    assert listed(question) == {"A": "1", "B": "2", "C": "3", "D": "4"}
    assert domain("choice").claims(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is 2 + 2?",
        "Let (A) be a ring and (B) a field.",
        "A. Smith met B. Jones.",
        "B) 1\nC) 2\nD) 3",
        "A) Prove it.\nB) Why?",
    ],
)
def test_nothing_is_claimed_where_no_options_are_listed(question: str) -> None:
    assert listed(question) == {} or len(listed(question)) == 2
    assert not CHOICE.claims(question)


@pytest.mark.parametrize("question", ["Which is it?", *LISTS])
@given(seed=st.integers(0, 10**9))
def test_a_shuffled_problem_is_the_same_problem(question: str, seed: int) -> None:
    problem = posed("B", ["1", "2", "3", "4"], question)
    other = shuffled(problem, seed)
    assert other == shuffled(problem, seed)
    assert other.problem_id == problem.problem_id
    assert sorted(other.meta["options"].values()) == ["1", "2", "3", "4"]
    assert listed(other.question) == other.meta["options"]
    assert other.question.startswith("Which")
    assert other.question.count("1") == 1
    for letter, text in other.meta["options"].items():
        for said in (f"The answer is ({letter}).", rf"\boxed{{{letter}}}", rf"\boxed{{{text}}}"):
            assert CHOICE.read(other, said) == text
            assert CHOICE.grade(problem, CHOICE.read(other, said)) is (text == "2")
            assert CHOICE.grade(other, CHOICE.read(other, said)) is (text == "2")


def test_orders_differ_between_seeds() -> None:
    assert len({shuffled(posed(), seed).question for seed in range(50)}) > 20


def test_options_that_speak_of_others_stay_where_they_are() -> None:
    problem = posed("D", ["1", "2", "3", "None of the above"])
    assert {tuple(shuffled(problem, seed).meta["options"].values()) for seed in range(9)} == {
        ("1", "2", "3", "None of the above")
    }


def test_what_has_no_options_is_not_shuffled() -> None:
    with pytest.raises(GradingError, match="must have options, got none in 'p'"):
        shuffled(posed("A", None), 1)


@settings(deadline=None)
@given(st.one_of(st.text(), st.text("ABCabc(){}*.: answeris12\\boxed\n$")))
def test_any_text_is_read(text: str) -> None:
    assert CHOICE.read(posed(), text) in (None, *TEXTS)
    assert isinstance(listed(text), dict)
