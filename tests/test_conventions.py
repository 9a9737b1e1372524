"""What tests do not do: reach into private members, and assert where nothing may be asserted; their order.

The few that may are listed with the reason. A list that names what is gone fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FILES = sorted(path for path in TESTS.rglob("*.py") if "plugin_package" not in path.parts)

#: file -> private names that it may reach into, and why
REACHES: dict[str, tuple[set[str], str]] = {
    "planner/server/protocols/test_messages.py": (
        {"_request_id"},
        "a documented field of Anthropic's client",
    ),
    "planner/server/test_base_url.py": (
        {"_tokenizer", "_finalizer"},
        "plays a server with the engine's parts",
    ),
    "planner/server/test_run.py": ({"_backends"}, "opens no models, which takes the rest of the start apart"),
    "search/engines/openai/test_faults.py": (
        {"_flights", "_live"},
        "a refusal that is read shows nowhere else",
    ),
    "search/engines/test_prompt_logprobs.py": ({"_bare"}, "spells special tokens, as a foreign server would"),
}

#: test that asserts under an if which need not hold, and why
CONDITIONAL: dict[str, str] = {
    "planner/cli/logs/test_search_vllm.py::test_vllms_processes_end_with_a_campaign_that_is_ended": (
        "a killed process says nothing"
    ),
    "search/strategies/test_observer.py::test_hears_of_every_candidate": "by the plan: both kinds run",
    "search/strategies/test_over_engines.py::test_it_answers_within_its_budget": "by the budget, the same",
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def reaches(tree: ast.AST) -> Iterator[str]:
    """Private members of others that a module reads, imports or replaces; a class may use its own."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name("self" | "cls"), _) | ast.Attribute(ast.Call(ast.Name("super")), _):
                pass
            case ast.Attribute(ast.Name("os"), "_exit"):  # which is public
                pass
            case ast.Attribute(_, name) if is_private(name):
                yield name
            case ast.ImportFrom(names=names):
                yield from (one.name for one in names if is_private(one.name))
            case ast.Call(ast.Attribute(_, "setattr"), [_, ast.Constant(str(name)), *_]) if is_private(name):
                yield name
            case ast.Call(ast.Attribute(_, "setattr"), [ast.Constant(str(path)), *_]):
                yield from (name for name in path.split(".") if is_private(name))


def is_property(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether hypothesis draws its examples: those reach both sides of an if."""
    return any("given" in ast.unparse(decorator) for decorator in test.decorator_list)


def conditional(tree: ast.AST) -> Iterator[str]:
    """Tests with an assertion that an if may pass over, those of hypothesis aside."""

    def asserts(node: ast.AST, inside: bool) -> bool:
        return any(
            (inside and isinstance(child, ast.Assert)) or asserts(child, inside or isinstance(child, ast.If))
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        )

    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("test") and not is_property(node) and asserts(node, False):
            yield node.name


@cache
def tree_of(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_tests_do_not_reach_into_private_members() -> None:
    found = {str(path.relative_to(TESTS)): names for path in FILES if (names := set(reaches(tree_of(path))))}
    assert found == {file: names for file, (names, _) in REACHES.items()}


def test_what_is_asserted_is_asserted_always() -> None:
    found = {f"{path.relative_to(TESTS)}::{name}" for path in FILES for name in conditional(tree_of(path))}
    assert found == set(CONDITIONAL)


def test_files_with_slow_tests_begin(request: pytest.FixtureRequest) -> None:
    items = request.session.items
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    begins = [item.path in slow for item in items]
    assert begins == sorted(begins, reverse=True)
    assert not getattr(request.config.option, "loadscopereorder", False)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("a._b", {"_b"}),
        ("self._b.c, super()._b", set()),
        ("a.__class__", set()),
        ("from a import _b, c", {"_b"}),
        ("patch.setattr(a, '_b', 1)", {"_b"}),
        ("patch.setattr('a._b.c', 1)", {"_b"}),
    ],
)
def test_reaches_are_found(code: str, names: set[str]) -> None:
    assert set(reaches(ast.parse(code))) == names


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def test_a():\n    if b:\n        assert c", ["test_a"]),
        ("def test_a():\n    if b:\n        d\n    else:\n        assert e", ["test_a"]),
        ("def test_a():\n    def b():\n        if c:\n            assert d\n    assert e", []),
        ("@given(b)\ndef test_a(b):\n    if b:\n        assert c", []),
        ("def test_a():\n    assert b or c", []),
    ],
)
def test_conditional_assertions_are_found(code: str, found: list[str]) -> None:
    assert [*conditional(ast.parse(code))] == found
