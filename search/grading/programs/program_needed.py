"""The statements of a program that its entry point needs; those that show its use are left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from search.grading.programs.program_names import (
    FUNCTIONS,
    KNOWN,
    attributes,
    bound,
    changed,
    global_names,
    imports_all,
    is_definition,
)

__all__ = ["needed"]

#: calls at the margin that change how a program runs
_SETTINGS = frozenset(
    {
        "setrecursionlimit",
        "set_int_max_str_digits",
        "seed",
        "filterwarnings",
        "simplefilter",
        "setcontext",
        "stack_size",
    }
)
#: names with which a program may reach its own names by text
_BY_TEXT = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__", "import_module"})


def needed(body: Sequence[ast.stmt], name: str | None) -> list[ast.stmt]:
    """The statements that the entry point needs, docstrings dropped."""
    candidates = [node for node in body if not _is_use(node)]
    names = [set.union(*global_names([node])) for node in candidates]
    by_text = any(mentioned & _BY_TEXT for mentioned in names)
    functions = {
        node.name: mentioned
        for node, mentioned in zip(candidates, names, strict=True)
        if isinstance(node, FUNCTIONS)
    }
    asked = {name} if name is not None else set()
    wanted = set(asked)
    kept: set[int] = set()
    growing = True
    while growing:
        growing = False
        for place, node in enumerate(candidates):
            if place in kept:
                continue
            if by_text or _is_kept(node, wanted, asked) or _prepares(node, wanted, asked, functions):
                kept.add(place)
                wanted |= names[place]
                growing = True
    chosen = [node for place, node in enumerate(candidates) if place in kept]
    if not any("__doc__" in ast.dump(node) for node in chosen):
        chosen = [_WithoutDocstrings().visit(node) for node in chosen]
    return chosen


def _is_kept(node: ast.stmt, wanted: set[str], asked: set[str]) -> bool:
    if isinstance(node, ast.ImportFrom) and (node.module == "__future__" or imports_all(node)):
        return True
    if isinstance(node, ast.Expr):
        return _is_setting(node) or bool(changed(node) & (wanted - asked))
    if not asked and (
        is_definition(node) or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda))
    ):
        return True
    return bool({*bound(node)} & wanted or changed(node) & (wanted - asked) or attributes(node) & wanted)


def _prepares(node: ast.stmt, wanted: set[str], asked: set[str], functions: Mapping[str, set[str]]) -> bool:
    """Whether a statement calls a function that touches what is wanted: it fills a table, say."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    called = node.value.func
    if not isinstance(called, ast.Name) or called.id in asked:
        return False
    touched = functions.get(called.id, set())
    return not touched & asked and bool(touched & wanted - {*functions, *KNOWN})


def _is_setting(node: ast.Expr) -> bool:
    call = node.value
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _SETTINGS


def _is_use(node: ast.stmt) -> bool:
    """Whether a statement at the margin only shows the program's use."""
    if isinstance(node, ast.Assert | ast.Pass):
        return True
    if isinstance(node, ast.If):
        return any(isinstance(inner, ast.Name) and inner.id == "__name__" for inner in ast.walk(node.test))
    if isinstance(node, ast.Expr):
        return not _acts(node.value)
    if isinstance(node, ast.For | ast.While | ast.With | ast.Try):
        return not any(_binds_or_acts(inner) for inner in _inside(node))
    return False


def _inside(node: ast.AST) -> Iterator[ast.stmt]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.stmt) and inner is not node:
            yield inner


def _binds_or_acts(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return _acts(node.value)
    return not isinstance(
        node, ast.Assert | ast.Pass | ast.For | ast.While | ast.If | ast.With | ast.Try | ast.Break
    )


def _acts(value: ast.expr) -> bool:
    """Whether an expression may change a value: a call of a method or of a function that is not printing."""
    if not isinstance(value, ast.Call):
        return False
    if isinstance(value.func, ast.Attribute):
        return value.func.attr not in ("testmod", "main", "exit", "write")
    return not (
        isinstance(value.func, ast.Name)
        and value.func.id in ("print", "main", "exit", "quit", "input", "help")
    )


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops the texts that open functions and classes."""

    def _opened(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        first = node.body[0]
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_FunctionDef = _opened
    visit_AsyncFunctionDef = _opened
    visit_ClassDef = _opened
