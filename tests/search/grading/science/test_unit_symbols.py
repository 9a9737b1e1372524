from __future__ import annotations

import sys

import pytest

from search.errors import MissingExtraError
from search.grading.science.unit_symbols import registry, symbols


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("joule", (("J", 1),)),
        ("J", (("J", 1),)),
        ("Meters", (("m", 1),)),
        ("photons", None),
        ("+", None),
    ],
)
def test_names(name: str, expected: tuple[tuple[str, int], ...] | None) -> None:
    assert symbols(name) == expected


def test_there_is_one_registry() -> None:
    assert registry() is registry()


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pint", None)
    with pytest.raises(MissingExtraError, match=r"test-time-planner\[grading\]"):
        registry.__wrapped__()
