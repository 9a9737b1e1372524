"""Canonical JSON: one text for each value, another for every other."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.grading.canonical_json import canonical

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


def backwards(value: Any) -> Any:
    """The same value with its keys the other way round."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(each) for each in value] if isinstance(value, list) else value


@given(values)
def test_order_and_space_mean_nothing(value: Any) -> None:
    text = canonical(json.dumps(value))
    assert text is not None
    assert canonical(json.dumps(backwards(value), indent=2, ensure_ascii=False)) == text
    assert canonical(text) == text
    assert canonical(f"```json\n{json.dumps(value)}\n```") == text


@given(values, values)
def test_equal_texts_are_equal_values(first: Any, second: Any) -> None:
    def exact(value: Any) -> Any:
        return json.loads(json.dumps(value), parse_float=Decimal, parse_int=Decimal)

    same = canonical(json.dumps(first)) == canonical(json.dumps(second))
    assert same == (tagged(exact(first)) == tagged(exact(second)))


def tagged(value: Any) -> Any:
    """A value that equals no other of another kind, as True and 1 do in Python."""
    if isinstance(value, dict):
        return {key: tagged(each) for key, each in value.items()}
    if isinstance(value, list):
        return [tagged(each) for each in value]
    return type(value).__name__, value


@pytest.mark.parametrize(
    ("spellings", "text"),
    [
        (("1", "1.0", "1e0", "10e-1", "0.1e1"), "1"),
        (("0", "-0", "0.00", "-0.0e5"), "0"),
        (("0.05", "5e-2", "0.0500"), "0.05"),
        (("-120", "-1.2e2"), "-120"),
        (("1e400", "10e399"), "1e400"),
        (("12345678901234567890123", "12345678901234567890123.0"), "12345678901234567890123e0"),
    ],
)
def test_numbers_are_exact_and_of_one_spelling(spellings: tuple[str, ...], text: str) -> None:
    assert {canonical(spelling) for spelling in spellings} == {text}


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "Infinity", "1e9999999999999999999999", "[" * 100_000, "51 apples"]
)
def test_what_is_no_json_has_no_text(text: str) -> None:
    assert canonical(text) is None
