"""Differences are found and named."""

from __future__ import annotations

import golden_files as files
import pytest


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"a": [1, 2.0], "b": None}, []),
        ({"a": [1, 2.0 + 1e-9], "b": None}, []),
        ({"a": [1, 2.1], "b": None}, ["a[1]: was 2.0, is 2.1"]),
        ({"a": [1.0, 2.0], "b": None}, ["a[0]: was 1, is 1.0"]),
        ({"a": [True, 2.0], "b": None}, ["a[0]: was 1, is True"]),
        ({"a": [1], "b": None}, ["a: was [1, 2.0], is [1]"]),
        ({"a": [1, 2.0]}, ["b: was None, is gone"]),
        ({"a": [1, 2.0], "b": None, "c": {}}, ["c: is new, {}"]),
        ({"a": [1, 2.0], "b": "x"}, ["b: was None, is 'x'"]),
    ],
)
def test_differences_are_named(made: object, words: list[str]) -> None:
    assert list(files.differences({"a": [1, 2.0], "b": None}, made, rel=1e-6)) == words


def test_a_message_names_the_first_few() -> None:
    found = [f"place {i}: was 1, is 2" for i in range(30)]
    told = files.told(found).splitlines()
    assert told[0] == "30 differences from what was recorded:"
    assert told[1:9] == found[:8]
    assert told[9] == "... and 22 more"
    assert files.told([]) == ""
