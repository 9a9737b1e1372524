"""Every exception of this project has one root, and the module's drawing shows the real tree."""

from __future__ import annotations

import re

import pytest

from search import errors


def test_every_exception_derives_from_the_root() -> None:
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.PlannerError)


def test_the_drawing_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    above = ["PlannerError"]
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[|] {3}| {4})*)[|`]-- (\w+)", line):
            depth = len(match.group(1)) // 4
            drawn[match.group(2)] = above[depth]
            above[depth + 1 :] = [match.group(2)]
    real = {
        name: getattr(errors, name).__bases__[0].__name__ for name in errors.__all__ if name != "PlannerError"
    }
    assert drawn == real


@pytest.mark.parametrize(("name", "builtin"), [("PlanError", ValueError), ("EngineError", RuntimeError)])
def test_errors_are_also_the_builtin_that_callers_expect(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)
