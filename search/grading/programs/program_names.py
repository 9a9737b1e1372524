"""The names that the statements of a program bind, use and change."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeGuard

__all__ = [
    "FUNCTIONS",
    "KNOWN",
    "attributes",
    "bound",
    "changed",
    "flat",
    "global_names",
    "imports_all",
    "is_definition",
    "missing_names",
]

#: names that need no definition
KNOWN = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is read, those under ``if``, ``try`` and ``with`` too."""
    for node in body:
        yield node
        for inner in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from flat(getattr(node, inner, ()))
        for handler in getattr(node, "handlers", ()):
            yield from flat(handler.body)


def missing_names(body: Sequence[ast.stmt]) -> set[str]:
    """Names that are used somewhere and bound nowhere."""
    used, bound = global_names(body)
    return used - bound - KNOWN


def global_names(body: Sequence[ast.stmt]) -> tuple[set[str], set[str]]:
    """The names of a module that statements use, and those that they bind, functions' own left out."""
    try:
        table = symtable.symtable(ast.unparse(ast.Module([*body], [])), "program", "exec")
    except SyntaxError:  # it parses, but cannot be compiled
        names = {inner.id for node in body for inner in ast.walk(node) if isinstance(inner, ast.Name)}
        return names, names
    used, bound = set(), set()
    waiting = [table]
    while waiting:
        known = waiting.pop()
        waiting += known.get_children()
        for symbol in known.get_symbols():
            if known is not table and not symbol.is_global():
                continue
            if symbol.is_referenced():
                used.add(symbol.get_name())
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                bound.add(symbol.get_name())
    return used, bound


def bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement binds where it stands."""
    if is_definition(node):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    else:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
                yield inner.id
            elif inner is not node and isinstance(
                inner, (*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom)
            ):
                yield from bound(inner)


def is_definition(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def imports_all(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)


def changed(node: ast.stmt) -> set[str]:
    """The names whose values a statement at the margin may change: ``memo[0] = 1``, ``seen.add(1)``."""
    if is_definition(node) or isinstance(node, ast.Import | ast.ImportFrom):
        return set()
    found = set()
    for inner in ast.walk(node):
        target: ast.expr | None = None
        if isinstance(inner, ast.Subscript) and not isinstance(inner.ctx, ast.Load):
            target = inner
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            target = inner.func
            found |= {part.id for part in inner.args if isinstance(part, ast.Name)}
        found |= _root(target)
    return found


def attributes(node: ast.stmt) -> set[str]:
    """The names of which a statement at the margin sets attributes: ``f.calls = 0``."""
    if is_definition(node):
        return set()
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and not isinstance(inner.ctx, ast.Load):
            found |= _root(inner)
    return found


def _root(target: ast.expr | None) -> set[str]:
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value
    return {target.id} if isinstance(target, ast.Name) else set()
