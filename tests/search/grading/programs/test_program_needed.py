from __future__ import annotations

import ast

import pytest

from search.grading.programs.program_needed import needed


def kept(code: str, name: str | None = "f") -> list[str]:
    """The statements that stay, each on one line."""
    return [" ".join(ast.unparse(node).split()) for node in needed(ast.parse(code).body, name)]


F = "def f(): return g()"


@pytest.mark.parametrize(
    ("code", "stays"),
    [
        ("import os\ndef g(): return 1\ndef h(): return 2\n" + F, ["def g(): return 1", F]),
        ("from math import *\ndef f(): return pi", ["from math import *", "def f(): return pi"]),
        ("memo = {}\nmemo[0] = 1\ndef f(): return memo",
         ["memo = {}", "memo[0] = 1", "def f(): return memo"]),
        ("t = []\ndef fill(): t.append(1)\nfill()\ndef f(): return t",
         ["t = []", "def fill(): t.append(1)", "fill()", "def f(): return t"]),
        ("def f(): pass\nf.calls = 0", ["def f(): pass", "f.calls = 0"]),
        ("import sys\nsys.setrecursionlimit(9)\ndef f(): pass",
         ["import sys", "sys.setrecursionlimit(9)", "def f(): pass"]),
        ("a = 1\ndef f(): return eval('a')", ["a = 1", "def f(): return eval('a')"]),
    ],
)  # fmt: skip
def test_what_the_entry_point_needs_stays(code: str, stays: list[str]) -> None:
    assert kept(code) == stays


@pytest.mark.parametrize(
    "shown",
    [
        "print(f())",
        "assert f() == 1",
        "if __name__ == '__main__':\n    f()",
        "for i in (1, 2):\n    print(f())",
        "import doctest\ndoctest.testmod()",
        "pass",
    ],
)
def test_what_shows_its_use_goes(shown: str) -> None:
    assert kept(f"def f(): return 1\n{shown}") == ["def f(): return 1"]


def test_without_a_name_all_definitions_stay() -> None:
    code = "def f(): return 1\nclass A: b = 1\ng = lambda: 2\nprint(1)"
    assert kept(code, None) == ["def f(): return 1", "class A: b = 1", "g = lambda: 2"]


def test_docstrings_go_unless_they_are_read() -> None:
    assert kept("def f():\n    'what it does'") == ["def f(): pass"]
    assert kept("def f():\n    'text'\n    return f.__doc__") == ['def f(): """text""" return f.__doc__']
