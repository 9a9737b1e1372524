"""A right program passes its tests, however it is presented; one with a fault does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from search.grading.programs.python import PythonDomain
from search.grading.verdict import Verdict
from search.problem import Problem

PYTHON = PythonDomain()
#: name -> a right program, arguments and results that tell it from programs with one fault
PROBLEMS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "count_above": (
        "def count_above(values, limit):\n    count = 0\n"
        "    for value in values:\n        if value > limit:\n"
        "            count += 1\n    return count\n",
        [("[1, 5, 7], 4", "2"), ("[4, 4], 4", "0"), ("[], 0", "0"), ("[-3, 0], -1", "1"), ("[9], 2", "1")],
    ),
    "clamp": (
        "def clamp(x, low, high):\n    if x < low:\n        return low\n"
        "    if x > high:\n        return high\n    return x\n",
        [("5, 0, 3", "3"), ("-2, 0, 3", "0"), ("2, 0, 3", "2"), ("2.5, 1, 3", "2.5"), ("0, 0, 3", "0")],
    ),
    "triangle": (
        "def triangle(n):\n    total = 0\n    for i in range(1, n + 1):\n"
        "        total += i\n    return total\n",
        [("1", "1"), ("2", "3"), ("4", "10"), ("0", "0"), ("10", "55")],
    ),
    "is_leap": (
        "def is_leap(year):\n    if year % 400 == 0:\n        return True\n"
        "    if year % 100 == 0:\n        return False\n"
        "    return year % 4 == 0\n",
        [
            ("2000", "True"),
            ("1900", "False"),
            ("2024", "True"),
            ("2023", "False"),
            ("2100", "False"),
            ("1600", "True"),
            ("401", "False"),
            ("2004", "True"),
            ("2001", "False"),
            ("500", "False"),
            ("5", "False"),
            ("101", "False"),
            ("99", "False"),
            ("104", "True"),
            ("399", "False"),
            ("96", "True"),
        ],
    ),
    "dot": (
        "def dot(a, b):\n    total = 0\n    for i in range(len(a)):\n"
        "        total += a[i] * b[i]\n    return total\n",
        [("[1, 2], [3, 4]", "11"), ("[], []", "0"), ("[5], [-2]", "-10"), ("[1, 2, 3], [1, 0, 2]", "7")],
    ),
}
_SWAPS: dict[type[ast.AST], ast.AST] = {
    ast.Lt: ast.GtE(),
    ast.Gt: ast.LtE(),
    ast.Eq: ast.NotEq(),
    ast.Add: ast.Sub(),
    ast.Mult: ast.Add(),
    ast.Mod: ast.Mult(),
}


@dataclass
class _Mutation(ast.NodeTransformer):
    """Changes the n-th place that can be changed."""

    left: int

    def _is_it(self) -> bool:
        self.left -= 1
        return self.left == -1

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bool):
            return ast.Constant(not node.value) if self._is_it() else node
        return ast.Constant(node.value + 1) if isinstance(node.value, int) and self._is_it() else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if type(node.ops[0]) in _SWAPS and self._is_it():
            node.ops = [_SWAPS[type(node.ops[0])]]  # type: ignore[list-item]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) in _SWAPS and self._is_it():
            node.op = _SWAPS[type(node.op)]  # type: ignore[assignment]
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) in _SWAPS and self._is_it():
            node.op = _SWAPS[type(node.op)]  # type: ignore[assignment]
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        return ast.Return(ast.Constant(None)) if self._is_it() else node


def mutants(code: str) -> Iterator[str]:
    for place in range(100):
        mutation = _Mutation(place)
        tree = mutation.visit(ast.parse(code))
        if mutation.left >= 0:
            return
        yield ast.unparse(ast.fix_missing_locations(tree))


def posed(name: str) -> Problem:
    cases = "".join(f"    assert candidate({given}) == {result}\n" for given, result in PROBLEMS[name][1])
    prompt = f"{PROBLEMS[name][0].partition(chr(10))[0]}\n    '''Do it.'''\n"
    return Problem(
        name,
        "f",
        "python",
        prompt,
        f"def check(candidate):\n{cases}",
        {"entry_point": name, "prompt": prompt},
    )


def presented(code: str, name: str) -> Iterator[str]:
    yield code
    yield f"Here it is:\n```python\n{code}```\nUse it:\n```python\nprint({name}())\n```"
    yield f"{code}\n\nif __name__ == '__main__':\n    print({name}())"
    yield "\n".join(code.split("\n")[1:])


@pytest.mark.parametrize("name", PROBLEMS)
def test_right_programs_are_one_right_answer_and_mutants_are_wrong(name: str) -> None:
    problem, code = posed(name), PROBLEMS[name][0]
    read = {PYTHON.read(problem, text) for text in presented(code, name)}
    assert len(read) == 1
    assert PYTHON.judge(problem, read.pop()) is Verdict.RIGHT
    made = list(mutants(code))
    assert len(made) > 3
    for mutant in made:
        answers = {PYTHON.read(problem, text) for text in presented(mutant, name)}
        assert len(answers) == 1
        assert PYTHON.judge(problem, answers.pop()) is not Verdict.RIGHT, mutant
