"""JSON whose digits, characters and keys are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.plain_json import Twice, json_value, mended, plain_number, text_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_values_are_those_of_json(value: Any) -> None:
    assert json_value(json.dumps(value)) == mended(json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1e-07", "0.0000001"),
        ("1E-7", "0.0000001"),
        ("0.10", "0.10"),
        ("27.0", "27"),
        ("-0.5", "-0.5"),
        ("12345678901234567.25", "12345678901234567.25"),
        ("2.5e3", "2500"),
        ("1e22", "10000000000000000000000"),
        ("6.02e230", "6.02e230"),
        ("7", "7"),
        ("NaN", ""),
        ("null", ""),
        ("true", "True"),
        ('" 1e-07 "', "1e-07"),
    ],
)
def test_numbers_keep_their_digits(written: str, read: str) -> None:
    assert text_of(json_value(written)) == read


def test_a_float_that_was_never_written_is_plain_too() -> None:
    assert [plain_number(x) for x in (1e-07, 0.1, 3.0, float("inf"))] == ["0.0000001", "0.1", "3", "inf"]


def test_half_an_emoji_becomes_the_replacement_character_and_a_whole_one_stays() -> None:
    assert json_value('{"\\ud83d": ["\\ud83d\\ude00", "a\\ude00"]}') == {"\ufffd": ["\U0001f600", "a\ufffd"]}


def test_a_key_that_is_given_twice_is_an_error() -> None:
    with pytest.raises(Twice, match="a key of an object is given once, got 'answer' twice"):
        json_value('{"q": {"answer": 1, "answer": 2}}')
