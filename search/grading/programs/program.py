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
import re
import textwrap
from collections.abc import Sequence

from search.grading.blocks import blocks, parsed, salvaged, without_thoughts
from search.grading.programs.program_names import (
    FUNCTIONS,
    bound,
    flat,
    imports_all,
    is_definition,
    missing_names,
)
from search.grading.programs.program_needed import needed

__all__ = ["defines", "program"]

#: the first line of a statement that holds others
_HEADER = re.compile(
    r"(?:async|def|class|if|elif|else|for|while|with|try|except|finally|match)\b.*:\s*(?:#.*)?$"
)


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
        body = needed(_completed(main, others, start), entry_point)
        return ast.unparse(ast.Module(body, [])) if body else None
    except (RecursionError, ValueError):
        return None


def defines(tree: ast.Module, name: str | None) -> bool:
    """Whether a module binds the name to something that may be called, or defines any function."""
    for node in flat(tree.body):
        if isinstance(node, FUNCTIONS):
            if name is None or node.name == name:
                return True
        elif name is not None and name in bound(node):
            if isinstance(node, ast.ClassDef):
                return not _is_empty(node.body)
            if not isinstance(node, ast.Assign | ast.AnnAssign) or _may_be_called(node.value):
                return True
        elif name is None and isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            return True
    return False


def _may_be_called(value: ast.expr | None) -> bool:
    return value is not None and not isinstance(value, ast.Constant | ast.List | ast.Dict | ast.JoinedStr)


def _is_stub(tree: ast.Module, name: str | None) -> bool:
    """Whether all that defines the function is its signature."""
    found = [
        node
        for node in flat(tree.body)
        if isinstance(node, FUNCTIONS) and (name is None or node.name == name)
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
        node for node in tree.body if isinstance(node, FUNCTIONS) and name in (None, node.name)
    ]
    while waiting:
        for inner in ast.iter_child_nodes(waiting.pop()):
            if isinstance(inner, ast.Return | ast.Yield):
                return True
            if not is_definition(inner):
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
        missing = missing_names(body)
        if not missing:
            break
        for source in sources:
            if any(missing & set(bound(node)) or imports_all(node) for node in source.body):
                # all of it: what the missing name needs may stand there too
                there = {name for node in body if is_definition(node) for name in bound(node)}
                new = [node for node in source.body if not (is_definition(node) and {*bound(node)} <= there)]
                body = [*new, *body]
                sources.remove(source)
                break
        else:
            break
    return body
