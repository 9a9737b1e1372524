"""Number puzzles: reach a target from given numbers, or from a start by given moves.

The question itself holds everything that is needed to check a solution, so nothing but the
question is ever parsed. Two kinds, told apart by their clauses (the words around them vary):

* ``numbers 3,5,8 ... reach 24``: use every number exactly once with + - *. A step is
  ``a+b=c:what,is,left`` and the last step leaves the target alone.
* ``from 7 ... moves +3,*2,-5 ... reach 31 ... 4 moves``: apply exactly so many moves. A step is
  ``7+3=10`` and the last result is the target.

Operations stay within whole numbers from 0 to 9999. The answer is the way, not the target: a
canonical expression (operands of + and * sorted) or the list of moves, so that two ways to the
target are two answers and voting on the target itself is impossible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from search.errors import GradingError
from search.grading.protocol import Domain
from search.problem import Problem

__all__ = ["LARGEST", "Puzzle", "PuzzleDomain", "State", "apply", "replay"]

#: results beyond this are not allowed
LARGEST = 9999

_NUMBERS = re.compile(r"numbers ([0-9]+(?:,[0-9]+)+)")
_OPERATIONS = re.compile(r"only ([-+*](?:,[-+*])*)")
_START = re.compile(r"from ([0-9]+)")
_MOVES = re.compile(r"moves ([-+*][0-9]+(?:,[-+*][0-9]+)*)")
_TARGET = re.compile(r"reach ([0-9]+)")
_LIMIT = re.compile(r"([0-9]+) moves")
_STEP = re.compile(r"([0-9]{1,5})([-+*])([0-9]{1,5})=([0-9]{1,5})(?::([0-9]+(?:,[0-9]+)*))?")


def apply(left: int, operation: str, right: int) -> int | None:
    """The result of one operation, None when it leaves 0..LARGEST."""
    value = left + right if operation == "+" else left - right if operation == "-" else left * right
    return value if 0 <= value <= LARGEST else None


@dataclass(frozen=True, slots=True)
class Puzzle:
    """What a question asks. ``numbers`` is empty for the moves kind, ``moves`` for the other."""

    target: int
    numbers: tuple[int, ...] = ()
    operations: tuple[str, ...] = ("+", "-", "*")
    start: int = 0
    moves: tuple[str, ...] = ()
    limit: int = 0

    @classmethod
    def parse(cls, question: str) -> Puzzle:
        """The puzzle in a question. Raises GradingError when there is none."""
        target, numbers, moves = (p.search(question) for p in (_TARGET, _NUMBERS, _MOVES))
        if target is not None and numbers is not None:
            only = _OPERATIONS.search(question)
            return cls(
                int(target.group(1)),
                tuple(int(number) for number in numbers.group(1).split(",")),
                tuple(only.group(1).split(",")) if only else ("+", "-", "*"),
            )
        start, limit = _START.search(question), _LIMIT.search(question)
        if target is None or moves is None or start is None or limit is None:
            raise GradingError(f"a puzzle names numbers or moves and a target, got {question[:80]!r}")
        return cls(
            int(target.group(1)),
            start=int(start.group(1)),
            moves=tuple(moves.group(1).split(",")),
            limit=int(limit.group(1)),
        )

    @property
    def begin(self) -> State:
        """The state before the first step."""
        if self.moves:
            return State(((self.start, ""),), 0, True)
        return State(tuple((number, str(number)) for number in self.numbers), 0, True)


@dataclass(frozen=True, slots=True)
class State:
    """Where a solution stands.

    ``items``: (value, canonical expression) of every number that is left. ``honest``: whether
    every equation so far was true; a false one is carried on with its claimed value.
    """

    items: tuple[tuple[int, str], ...]
    used: int
    honest: bool

    @property
    def values(self) -> tuple[int, ...]:
        """The numbers that are left."""
        return tuple(value for value, _ in self.items)

    def is_complete(self, puzzle: Puzzle) -> bool:
        """Whether nothing is left to do: every number is used, or every move is made."""
        return self.used == puzzle.limit if puzzle.moves else len(self.items) == 1

    def step(self, puzzle: Puzzle, line: str) -> State | None:
        """The state after one step; None when the line breaks the puzzle's rules of writing."""
        match = _STEP.fullmatch(line.strip())
        if match is None:
            return None
        left, operation, right, claimed = int(match[1]), match[2], int(match[3]), int(match[4])
        honest = self.honest and apply(left, operation, right) == claimed
        if puzzle.moves:
            move = f"{operation}{right}"
            legal = match[5] is None and left == self.items[0][0] and move in puzzle.moves
            if not legal:
                return None
            return State(((claimed, f"{self.items[0][1]}{move} "),), self.used + 1, honest)
        if match[5] is None or operation not in puzzle.operations:
            return None
        rest = list(self.items)
        parts = []
        for value in (left, right):
            index = next((i for i, item in enumerate(rest) if item[0] == value), None)
            if index is None:
                return None
            parts.append(rest.pop(index)[1])
        if operation != "-":
            parts.sort()
        rest.append((claimed, f"({parts[0]}{operation}{parts[1]})"))
        if sorted(value for value, _ in rest) != sorted(int(part) for part in match[5].split(",")):
            return None
        return State(tuple(rest), self.used + 1, honest)


class PuzzleDomain(Domain):
    """Answers are ways: ``(3*(5+3))=24``. One with a false equation reads as its lines and is wrong."""

    name = "puzzle"
    caption = "ways to reach a number in the lab's puzzles"
    exact = True

    def read(self, problem: Problem, text: str) -> str | None:
        """The way that a solution takes; None unless it ends with one number and follows the rules."""
        try:
            puzzle = Puzzle.parse(problem.question)
        except GradingError:
            return None
        lines = [line.strip() for line in text.strip().splitlines()]
        state = replay(puzzle, lines)
        if state is None or not state.is_complete(puzzle):
            return None
        value, way = state.items[0]
        return f"{way}={value}" if state.honest else "; ".join(lines)

    def equal(self, problem: Problem, first: str, second: str) -> bool:
        return first == second

    def grade(self, problem: Problem, answer: str | None) -> bool:
        target = Puzzle.parse(problem.question).target
        # a way of true equations begins with a bracket or a move, one with a false equation with a number
        return answer is not None and not answer[0].isdigit() and answer.endswith(f"={target}")

    def claims(self, question: str) -> bool:
        try:
            Puzzle.parse(question)
        except GradingError:
            return False
        return True


def replay(puzzle: Puzzle, lines: Sequence[str]) -> State | None:
    """The state after all lines, None as soon as one breaks the rules."""
    state: State | None = puzzle.begin
    for line in lines:
        if state is None or state.is_complete(puzzle):
            return None
        state = state.step(puzzle, line)
    return state
