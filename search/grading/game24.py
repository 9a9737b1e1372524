"""Game of 24: reach 24 from four numbers, each used once, with + - * / and brackets.

The question is the numbers, ``4 5 6 10`` (Yao et al., arXiv 2305.10601, whose records write it so).
The answer is the expression on the last line, ``Answer: (4 * 5) + (10 - 6) = 24`` or without the word;
what stands after the equals sign is ignored, as it is there. Two expressions that differ in the order
of sums and products only are one answer; two ways to 24 are two answers, so nobody votes on the target
itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["TARGET", "Game24Domain"]

TARGET = 24

#: characters of an expression; four numbers and their brackets fit well within
_LONGEST = 120

_ANSWER = re.compile(r"\s*(?:answer:)?(.*)", re.IGNORECASE)
_QUESTION = re.compile(r"\s*[0-9]{1,3}(?:[ ,]+[0-9]{1,3}){3}\s*")
_EXPRESSION = re.compile(r"[0-9+\-*/() ]+")
#: two operands side by side, and operators of Python that the game does not have
_GLUED = re.compile(r"[0-9)] +[0-9]|[0-9)] *\(|\)[0-9]|\*\*|//")
_WHOLE = re.compile(r"[0-9]+")

_SIGNS: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_WORTH: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


class Game24Domain(Domain):
    """Answers are expressions; they are parsed, never evaluated as code. Stateless.

    >>> domain, problem = Game24Domain(), Problem("p", "f", "game24", "4 5 6 10", "24")
    >>> domain.read(problem, "Answer: (10 - 6) + 5*4 = 24")
    '((10-6)+(4*5))'
    >>> domain.grade(problem, "((10-6)+(4*5))")
    True
    """

    name = "game24"
    caption = "expressions that make 24"
    exact = True

    def read(self, problem: Problem, text: str) -> str | None:
        """The expression on the last line, canonical; None where it is no expression of whole numbers."""
        lines = [line for line in text.splitlines() if line.strip()]
        said = _ANSWER.fullmatch(lines[-1]) if lines else None
        parsed = None if said is None else _parsed(said[1].split("=")[0])
        return None if parsed is None else parsed[0]

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        """Equal up to the order of sums and products."""
        return first == second

    def grade(self, problem: Problem, answer: str | None) -> bool:
        """Whether the expression uses the numbers of the question once each and is worth 24.

        Raises GradingError when the question is not four numbers.
        """
        if _QUESTION.fullmatch(problem.question) is None:
            raise GradingError(
                f"a game of 24 is four whole numbers, got {problem.question[:60]!r} in {problem.problem_id!r}"
            )
        parsed = None if answer is None else _parsed(answer)
        if answer is None or parsed is None or parsed[1] != TARGET:
            return False
        given = sorted(map(int, _WHOLE.findall(problem.question)))
        return sorted(map(int, _WHOLE.findall(answer))) == given

    def claims(self, question: str) -> bool:
        """Whether a question is four whole numbers and nothing else."""
        return _QUESTION.fullmatch(question) is not None


def _parsed(text: str) -> tuple[str, Fraction | None] | None:
    """(canonical form, its worth or None for a division by zero); None for anything else."""
    text = text.strip()
    return None if len(text) > _LONGEST else _kept(text)


@lru_cache(maxsize=65_536)
def _kept(text: str) -> tuple[str, Fraction | None] | None:
    if not _EXPRESSION.fullmatch(text) or _GLUED.search(text):
        return None
    try:
        return _canonical(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _canonical(node: ast.expr) -> tuple[str, Fraction | None]:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return str(node.value), Fraction(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        text, value = _canonical(node.operand)
        return f"(-{text})", None if value is None else -value
    sign = _SIGNS.get(type(node.op)) if isinstance(node, ast.BinOp) else None
    if sign is None or not isinstance(node, ast.BinOp):
        raise ValueError(f"an expression has + - * / and whole numbers, got {ast.dump(node)[:60]}")
    sides = [_canonical(node.left), _canonical(node.right)]
    if sign in "+*":
        sides.sort(key=lambda side: side[0])
    (first, a), (second, b) = sides
    known = a is not None and b is not None and not (sign == "/" and not b)
    return f"({first}{sign}{second})", _WORTH[sign](
        a, b
    ) if known and a is not None and b is not None else None
