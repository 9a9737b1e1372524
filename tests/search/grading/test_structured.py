"""Answers that are JSON, and calls of tools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.registry import domain
from search.grading.structured import NO_CALL
from search.problem import Problem

PROBLEM = Problem("p", "f", "tool_call", "What is the weather in Rome?", '{"sum": 5}')


def message(*calls: tuple[str, Any], content: str | None = None) -> str:
    made = [{"function": {"name": name, "arguments": arguments}} for name, arguments in calls]
    return json.dumps({"content": content, "tool_calls": made})


def test_calls_are_equal_by_name_and_arguments() -> None:
    read = domain("tool_call").read
    first = read(PROBLEM, message(("look", '{"at": "Rome", "days": 2}')))
    assert first == read(
        PROBLEM, message(("look", '{"days": 2.0, "at": "Rome"}'), ("more", "{}"), content="hm")
    )
    assert first != read(PROBLEM, message(("seek", '{"at": "Rome", "days": 2}')))
    assert first != read(PROBLEM, message(("look", '{"at": "Paris", "days": 2}')))
    assert read(PROBLEM, message(("look", ""))) == read(PROBLEM, message(("look", "{}")))


def test_messages_without_a_call() -> None:
    read = domain("tool_call").read
    assert read(PROBLEM, message(content="Which day?")) == read(PROBLEM, message(content="When?")) == NO_CALL
    assert read(PROBLEM, message(content='{"b": 1, "a": 2}')) == '{"a":2,"b":1}'
    assert read(PROBLEM, message(("look", '{"at": "Ro'))) is None


@given(
    st.text()
    | st.recursive(
        st.none() | st.text(max_size=3),
        lambda i: (
            st.lists(i)
            | st.dictionaries(st.sampled_from(["tool_calls", "function", "name", "arguments", "content"]), i)
        ),
    ).map(json.dumps)
)
def test_any_text_can_be_read(text: str) -> None:
    for name in ("json", "tool_call"):
        answer = domain(name).read(PROBLEM, text)
        assert answer is None or isinstance(answer, str)


def test_json_is_graded_by_value() -> None:
    json_domain = domain("json")
    assert json_domain.grade(PROBLEM, json_domain.read(PROBLEM, '{"sum":5.0}'))
    assert not json_domain.grade(PROBLEM, json_domain.read(PROBLEM, '{"sum":6}'))
    assert not json_domain.grade(PROBLEM, None)
    with pytest.raises(GradingError, match="a reference is JSON"):
        json_domain.grade(Problem("p", "f", "json", "?", "none"), "5")
