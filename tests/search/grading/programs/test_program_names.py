from __future__ import annotations

import ast

import pytest

from search.grading.programs.program_names import (
    attributes,
    bound,
    changed,
    flat,
    global_names,
    imports_all,
    is_definition,
    missing_names,
)


def only(code: str) -> ast.stmt:
    (node,) = ast.parse(code).body
    return node


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f(x):\n    y = x", {"f"}),
        ("class A:\n    b = 1", {"A"}),
        ("import os.path, sys as s", {"os", "s"}),
        ("a, (b, *c) = 1, (2, 3)", {"a", "b", "c"}),
        ("for i in x:\n    def g(): pass", {"i", "g"}),
        ("print(x)", set()),
    ],
)
def test_what_a_statement_binds(code: str, names: set[str]) -> None:
    assert set(bound(only(code))) == names


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("memo[0] = 1", {"memo"}),
        ("seen.add(one)", {"seen", "one"}),
        ("a.b[1].append(2)", {"a"}),
        ("x = 1", set()),
        ("def f():\n    memo[0] = 1", set()),
        ("import os", set()),
    ],
)
def test_what_a_statement_changes(code: str, names: set[str]) -> None:
    assert changed(only(code)) == names


def test_attributes_that_are_set() -> None:
    assert attributes(only("f.calls = 0")) == {"f"}
    assert attributes(only("def g():\n    f.calls = 0")) == set()


def test_names_of_a_module() -> None:
    body = ast.parse("def f(x):\n    y = g(x)\n    return y + z\nz = len([1])").body
    used, own = global_names(body)
    assert own == {"f", "z"}
    assert used == {"g", "z", "len"}
    assert missing_names(body) == {"g"}


def test_names_of_what_cannot_be_compiled() -> None:
    used, own = global_names(ast.parse("def f(a):\n    global a\n    return x").body)
    assert used == own == {"x"}


def test_statements_under_others() -> None:
    found = list(flat(ast.parse("try:\n    a\nexcept E:\n    b\nelse:\n    if c:\n        d").body))
    assert [
        one.value.id for one in found if isinstance(one, ast.Expr) and isinstance(one.value, ast.Name)
    ] == [*("a", "d", "b")]


def test_kinds_of_statements() -> None:
    assert is_definition(only("async def f(): pass"))
    assert not is_definition(only("f = 1"))
    assert imports_all(only("from math import *"))
    assert not imports_all(only("from math import pi"))
