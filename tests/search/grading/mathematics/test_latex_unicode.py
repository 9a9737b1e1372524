# ruff: noqa: RUF001 (answers hold the characters that models write)
from __future__ import annotations

import pytest

from search.grading.mathematics.latex_unicode import from_unicode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("½", r"\frac{1}{2}"),
        ("√2", r"\sqrt{2}"),
        ("∛x", r"\sqrt[3]{x}"),
        ("x²³", "x^{23}"),
        ("x₁", "x_{1}"),
        ("１２", "12"),
        ("plain", "plain"),
    ],
)
def test_characters_become_commands(text: str, expected: str) -> None:
    assert from_unicode(text) == expected


@pytest.mark.parametrize("mark", "π≤≥≠∞×·−∪∈")
def test_no_mathematical_character_is_left(mark: str) -> None:
    assert from_unicode(mark).isascii()
