r"""Tests that a question itself shows: ``>>>`` examples with their results, and assertions.

Whoever answers may run these: they are part of the question, not of its reference answer.

>>> shown("def f(x):\n    '''Twice.\n    >>> f(2)\n    4\n    '''\nassert f(3) == 6")
(('f(2)', '4'), ('f(3)', '6'))
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from search.grading.programs.sandbox import Ending, Ran

__all__ = ["report_of", "shown"]

#: failures that are told
_MOST = 3
#: characters of one failure
_LONGEST = 300


def shown(text: str) -> tuple[tuple[str, str], ...]:
    """(expression, what it should give, an expression too) of each test, each once. Never raises."""
    found: dict[tuple[str, str], None] = {}
    lines = text.splitlines()
    for place, line in enumerate(lines):
        stripped = line.strip()
        if stripped.startswith(">>>"):
            following = lines[place + 1].strip() if place + 1 < len(lines) else ""
            pair = (stripped.removeprefix(">>>").strip(), following)
            if not following.startswith((">>>", "...")) and all(map(_is_expression, pair)):
                found.setdefault(pair)
        elif stripped.startswith("assert "):
            for pair in _asserted(stripped):
                found.setdefault(pair)
    return tuple(found)


def report_of(ran: Ran, tests: Sequence[tuple[str, str]]) -> str:
    """A line per failure, of a run whose calls were each test's two expressions in turn."""
    if ran.ending is not Ending.FINISHED:
        ends = {
            Ending.TIME: "The program did not end in time.",
            Ending.DIED: "The program ended without a word.",
        }
        return ends.get(ran.ending, f"The program raised {ran.error} when it was read.")
    failures = []
    for (call, _), got, wanted in zip(tests, ran.outputs[::2], ran.outputs[1::2], strict=True):
        if got != wanted:
            said = f"raises {got[1:]}" if got.startswith("!") else f"gives {got}"
            failures.append(f"{call} {said}, it should give {wanted}."[:_LONGEST])
    more = [f"{len(failures) - _MOST} more fail."] if len(failures) > _MOST else []
    return "\n".join((*failures[:_MOST], *more))


def _asserted(line: str) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        if isinstance(node, ast.Assert):
            test = node.test
            if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
                yield ast.unparse(test.left), ast.unparse(test.comparators[0])
            else:
                yield f"bool({ast.unparse(test)})", "True"


def _is_expression(text: str) -> bool:
    try:
        return bool(text) and ast.parse(text, mode="eval") is not None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
