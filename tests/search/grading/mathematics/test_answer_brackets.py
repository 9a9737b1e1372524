from __future__ import annotations

import pytest

from search.grading.mathematics.answer_brackets import comma_parts, enclosed, inside_brackets, is_short_list


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("a(b)c", ".xx.."),
        (r"\{1\}2", "xxx..."),
        (r"\langle1\rangle2", "xxxxxxxx........"),
        ("[[1]]2", "xxxx.."),
    ],
)
def test_what_stands_inside(text: str, marks: str) -> None:
    assert inside_brackets(text) == [mark == "x" for mark in marks]


def test_an_environment_is_one_bracket() -> None:
    text = r"\begin{pmatrix}1,2\end{pmatrix},3"
    inside = inside_brackets(text)
    assert inside[text.index(",")]
    assert not inside[text.rindex(",")]
    assert comma_parts(text) == [r"\begin{pmatrix}1,2\end{pmatrix}", "3"]


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("(1,2)", "()"),
        ("(1,2]", "(]"),
        ("[1,2)", "[)"),
        ("]1,2[", "()"),  # as the French write open intervals
        (r"\{1,2\}", "{}"),
        (r"\langle1,2\rangle", "()"),
        ("(1)(2)", ""),
        ("(1)+2", ""),
        ("()", ""),
        ("", ""),
    ],
)
def test_the_pair_around_the_whole(text: str, pair: str) -> None:
    assert enclosed(text) == pair


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1,2;3", ["1", "2", "3"]),
        ("(1,2),3", ["(1,2)", "3"]),
        (r"1\,2", [r"1\,2"]),  # a thin space
        ("", [""]),
    ],
)
def test_parts_between_commas(text: str, parts: list[str]) -> None:
    assert comma_parts(text) == parts


@pytest.mark.parametrize(("text", "is_list"), [("1,25,300", True), ("2,100,300", False), ("1,2000", True)])
def test_commas_of_thousands_part_nothing(text: str, is_list: bool) -> None:
    assert is_short_list(text) is is_list
