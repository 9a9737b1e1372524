r"""The program that a solution gives: the code that defines the entry point, and what that code needs.

Of several blocks the last that defines it counts; helpers and imports that it needs come from the other
blocks, then from the prompt. What it does not need is left out: calls that show its use, prints, assertions,
``if __name__ == "__main__"``, docstrings. So one function is one program however it is presented.

>>> helper = "def g(x):\n    return x\nprint(f(1))"
>>> print(program(f"```python\ndef f(x):\n    return g(x)\n```\nwith\n```\n{helper}\n```", "f"))
def g(x):
    return x
<BLANKLINE>
def f(x):
    return g(x)
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeGuard

from search.grading.blocks import blocks, parsed, salvaged, without_thoughts

__all__ = ["defines", "program"]

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
_KNOWN = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}
#: the first line of a statement that holds others
_HEADER = re.compile(
    r"(?:async|def|class|if|elif|else|for|while|with|try|except|finally|match)\b.*:\s*(?:#.*)?$"
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def program(text: str, entry_point: str | None = None, prompt: str = "") -> str | None:
    """The source of the program, layout normalised; None where no code defines the entry point.

    Parameters
    ----------
    text:
        A whole solution.
    entry_point:
        The name that is asked for; without one any function will do.
    prompt:
        The beginning of a program, with which a solution may simply go on.

    Never raises.
    """
    found = blocks(without_thoughts(text))
    pieces = [*found.fenced, found.outside]
    trees = [tree for tree in map(salvaged, found.fenced) if tree is not None]
    beside = salvaged(found.outside)
    if beside is None or not defines(beside, entry_point):
        beside = _indented(found.outside, entry_point) or beside
    asked = [tree for tree in trees if defines(tree, entry_point)]
    if not asked and beside is not None and defines(beside, entry_point):
        asked = [beside]
    whole = [tree for tree in asked if not _is_stub(tree, entry_point)]
    if not whole and prompt:
        going_on = _going_on(pieces, entry_point, prompt)
        if going_on is not None:
            whole = [going_on]
    if not whole and not asked:
        return None
    main = (whole or asked)[-1]
    others = [tree for tree in trees if tree is not main]
    start = salvaged(prompt) if prompt.strip() else None
    try:
        body = _needed(_completed(main, others, start), entry_point)
        return ast.unparse(ast.Module(body, [])) if body else None
    except (RecursionError, ValueError):
        return None


def defines(tree: ast.Module, name: str | None) -> bool:
    """Whether a module binds the name to something that may be called, or defines any function."""
    for node in _flat(tree.body):
        if isinstance(node, _FUNCTIONS):
            if name is None or node.name == name:
                return True
        elif name is not None and name in _bound(node):
            if isinstance(node, ast.ClassDef):
                return not _is_empty(node.body)
            if not isinstance(node, ast.Assign | ast.AnnAssign) or _may_be_called(node.value):
                return True
        elif name is None and isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            return True
    return False


def _may_be_called(value: ast.expr | None) -> bool:
    return value is not None and not isinstance(value, ast.Constant | ast.List | ast.Dict | ast.JoinedStr)


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is read, those under ``if``, ``try`` and ``with`` too."""
    for node in body:
        yield node
        for inner in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                yield from _flat(getattr(node, inner, ()))
        for handler in getattr(node, "handlers", ()):
            yield from _flat(handler.body)


def _is_stub(tree: ast.Module, name: str | None) -> bool:
    """Whether all that defines the function is its signature."""
    found = [
        node
        for node in _flat(tree.body)
        if isinstance(node, _FUNCTIONS) and (name is None or node.name == name)
    ]
    return bool(found) and all(_is_empty(node.body) for node in found)


def _is_empty(body: Sequence[ast.stmt]) -> bool:
    return all(
        isinstance(node, ast.Pass)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (
            isinstance(node, ast.Raise) and node.exc is not None and "NotImplemented" in ast.unparse(node.exc)
        )
        for node in body
    )


def _indented(text: str, name: str | None) -> ast.Module | None:
    """Code that prose sets off by indenting it."""
    runs: list[list[str]] = [[]]
    header = False
    for line in text.split("\n"):
        if not line.strip():
            runs[-1].append(line)
        elif not line[0].isspace():
            header = _HEADER.match(line) is not None
            runs.append([])
        elif not header:  # what a statement at the margin holds is no block of its own
            runs[-1].append(line)
    for run in reversed(runs):
        tree = salvaged(textwrap.dedent("\n".join(run)))
        if tree is not None and defines(tree, name):
            return tree
    return None


def _going_on(pieces: Sequence[str], name: str | None, prompt: str) -> ast.Module | None:
    """The program of the prompt and a piece that goes on with it, whatever the piece's margin."""
    for piece in pieces:
        own = salvaged(piece)
        if not piece.strip() or (own is not None and defines(own, name)):
            continue
        first = f"{prompt}\n    {piece.lstrip()}"
        body = textwrap.indent(textwrap.dedent(piece), "    ")
        found = [parsed(prompt + piece), parsed(f"{prompt}\n{piece}"), _up_to_prose(f"{prompt}\n{piece}")]
        if not piece[0].isspace():  # the margin was lost; so that use is not taken for a body, it returns
            found += [
                tree
                for tree in (parsed(first), parsed(f"{prompt}\n{body}"), _up_to_prose(first))
                if tree is not None and _returns(tree, name)
            ]
        for tree in found:
            if tree is not None and defines(tree, name) and not _is_stub(tree, name):
                return tree
    return None


def _returns(tree: ast.Module, name: str | None) -> bool:
    waiting: list[ast.AST] = [
        node for node in tree.body if isinstance(node, _FUNCTIONS) and name in (None, node.name)
    ]
    while waiting:
        for inner in ast.iter_child_nodes(waiting.pop()):
            if isinstance(inner, ast.Return | ast.Yield):
                return True
            if not _is_definition(inner):
                waiting.append(inner)
    return False


def _up_to_prose(source: str) -> ast.Module | None:
    """A text up to a line at the margin from which on it is no code."""
    lines = source.split("\n")
    ends = [place for place, line in enumerate(lines) if place and line[:1].strip()]
    for end in ends[:0:-1][:40]:
        tree = parsed("\n".join(lines[:end]))
        if tree is not None:
            return tree
    return None


def _completed(main: ast.Module, others: Sequence[ast.Module], start: ast.Module | None) -> list[ast.stmt]:
    """The statements of the main block after those of others that define what it lacks."""
    body = list(main.body)
    sources = [*reversed(others), *([] if start is None else [start])]
    for _ in range(len(sources) + 1):
        missing = _missing(body)
        if not missing:
            break
        for source in sources:
            if any(missing & set(_bound(node)) or _imports_all(node) for node in source.body):
                # all of it: what the missing name needs may stand there too
                there = {name for node in body if _is_definition(node) for name in _bound(node)}
                new = [
                    node for node in source.body if not (_is_definition(node) and {*_bound(node)} <= there)
                ]
                body = [*new, *body]
                sources.remove(source)
                break
        else:
            break
    return body


def _missing(body: Sequence[ast.stmt]) -> set[str]:
    """Names that are used somewhere and bound nowhere."""
    used, bound = _globals(body)
    return used - bound - _KNOWN


def _globals(body: Sequence[ast.stmt]) -> tuple[set[str], set[str]]:
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


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement binds where it stands."""
    if _is_definition(node):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    else:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
                yield inner.id
            elif inner is not node and isinstance(
                inner, (*_FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom)
            ):
                yield from _bound(inner)


def _is_definition(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _imports_all(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)


def _needed(body: Sequence[ast.stmt], name: str | None) -> list[ast.stmt]:
    """The statements that the entry point needs, docstrings dropped."""
    candidates = [node for node in body if not _is_use(node)]
    names = [set.union(*_globals([node])) for node in candidates]
    by_text = any(mentioned & _BY_TEXT for mentioned in names)
    functions = {
        node.name: mentioned
        for node, mentioned in zip(candidates, names, strict=True)
        if isinstance(node, _FUNCTIONS)
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
    if isinstance(node, ast.ImportFrom) and (node.module == "__future__" or _imports_all(node)):
        return True
    if isinstance(node, ast.Expr):
        return _is_setting(node) or bool(_changed(node) & (wanted - asked))
    if not asked and (
        _is_definition(node) or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda))
    ):
        return True
    return bool({*_bound(node)} & wanted or _changed(node) & (wanted - asked) or _attributes(node) & wanted)


def _prepares(node: ast.stmt, wanted: set[str], asked: set[str], functions: Mapping[str, set[str]]) -> bool:
    """Whether a statement calls a function that touches what is wanted: it fills a table, say."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    called = node.value.func
    if not isinstance(called, ast.Name) or called.id in asked:
        return False
    touched = functions.get(called.id, set())
    return not touched & asked and bool(touched & wanted - {*functions, *_KNOWN})


def _is_setting(node: ast.Expr) -> bool:
    call = node.value
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _SETTINGS


def _changed(node: ast.stmt) -> set[str]:
    """The names whose values a statement at the margin may change: ``memo[0] = 1``, ``seen.add(1)``."""
    if _is_definition(node) or isinstance(node, ast.Import | ast.ImportFrom):
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


def _attributes(node: ast.stmt) -> set[str]:
    """The names of which a statement at the margin sets attributes: ``f.calls = 0``."""
    if _is_definition(node):
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
