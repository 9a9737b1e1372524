"""Puzzle families: reach a target from given numbers, or from a start by given moves.

Hard to find, easy to check. Each problem is made backwards from a random right way, so every one
has a solution; most have few. ``training.lab.graders.puzzle`` holds the rules and the notation.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from search.problem import Problem
from training.lab.family import Family, Worked
from training.lab.graders.puzzle import Puzzle, State, apply
from training.lab.identity import identify

__all__ = ["FAMILIES", "LOCKED_FAMILIES", "reachable"]

#: numbers at each difficulty 1..10
_COUNTS = (2, 2, 3, 3, 3, 4, 4, 4, 5, 5)
#: moves at each difficulty 1..10
_STEPS = (1, 2, 2, 3, 3, 4, 4, 5, 5, 6)


class _Puzzle(Family):
    """What both kinds share: the exact check."""

    domain = "puzzle"

    def right_so_far(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        return self._marks(problem, steps, ahead=True)

    def true_so_far(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        return self._marks(problem, steps, ahead=False)

    def _marks(self, problem: Problem, steps: Sequence[str], ahead: bool) -> tuple[bool, ...]:
        puzzle = Puzzle.parse(problem.question)
        state: State | None = puzzle.begin
        marks = []
        for step in steps:
            state = None if state is None or state.is_complete(puzzle) else state.step(puzzle, step)
            if state is not None and not (state.honest and (not ahead or reachable(puzzle, state))):
                state = None
            marks.append(state is not None)
        return tuple(marks)


def reachable(puzzle: Puzzle, state: State) -> bool:
    """Whether the target can still be reached. Exhaustive; results are remembered."""
    if puzzle.moves:
        return _moves_reach(state.values[0], puzzle.moves, puzzle.limit - state.used, puzzle.target)
    return _numbers_reach(tuple(sorted(state.values)), puzzle.operations, puzzle.target)


@lru_cache(maxsize=1 << 17)
def _moves_reach(value: int, moves: tuple[str, ...], left: int, target: int) -> bool:
    if left == 0:
        return value == target
    for move in moves:
        result = apply(value, move[0], int(move[1:]))
        if result is not None and _moves_reach(result, moves, left - 1, target):
            return True
    return False


@lru_cache(maxsize=1 << 17)
def _numbers_reach(values: tuple[int, ...], operations: tuple[str, ...], target: int) -> bool:
    if len(values) == 1:
        return values[0] == target
    for i, j in combinations(range(len(values)), 2):
        rest = values[:i] + values[i + 1 : j] + values[j + 1 :]
        a, b = values[i], values[j]  # sorted: a <= b
        for operation in operations:
            result = apply(b, operation, a)
            if result is not None and _numbers_reach(tuple(sorted((*rest, result))), operations, target):
                return True
    return False


_WORDS = (
    "Use the numbers {numbers} once each to reach {target}",
    "With the numbers {numbers} you must reach {target}",
    "Here are numbers {numbers} and you should reach {target} with all",
    "Combine all of the numbers {numbers} and reach {target}",
)
_ONLY = (" using only {only}", " and only {only} may be used", " where only {only} is allowed")

_WALKS = (
    "Go from {start} with moves {moves} and reach {target} in {limit} moves",
    "Start from {start}. With the moves {moves} you must reach {target} after {limit} moves",
    "A robot goes from {start} and has moves {moves} to reach {target} in exactly {limit} moves",
)


@dataclass(frozen=True)
class _Numbers(_Puzzle):
    """Use every number once."""

    name: str
    operations: tuple[str, ...]
    low: int
    high: int
    target: int | None = None  # the same in every problem, or free
    extra: tuple[int, ...] = ()  # large numbers that may come in

    def draw(self, rng: random.Random, difficulty: int) -> Worked:
        count, high = _COUNTS[difficulty - 1], self.high
        if self.target is None:
            high = self.low + max(4, (self.high - self.low) * (difficulty + 2) // 12)
        else:
            count = max(count, 3)  # two numbers reach a given target in too few ways
        while True:
            numbers = [rng.randrange(self.low, high + 1) for _ in range(count)]
            if self.extra and rng.random() < 0.7:
                numbers[rng.randrange(count)] = rng.choice(self.extra)
            way = self._way(rng, numbers)
            if way is not None:
                break
        steps, target = way
        words = rng.choice(_WORDS)
        if len(self.operations) < 3:
            words += rng.choice(_ONLY)
        question = words.format(
            numbers=",".join(map(str, numbers)), target=target, only=",".join(self.operations)
        )
        return Worked(
            Problem(
                problem_id=identify(self.name, question),
                family=self.name,
                domain=self.domain,
                question=question,
                answer=str(target),
                meta={"difficulty": difficulty},
            ),
            tuple(steps),
        )

    def _way(self, rng: random.Random, numbers: Sequence[int]) -> tuple[list[str], int] | None:
        """Random operations until one number is left; None when that breaks a rule."""
        if self.target is not None:
            return self._way_to(rng, list(numbers), self.target)
        left = list(numbers)
        steps = []
        while len(left) > 1:
            i, j = rng.sample(range(len(left)), 2)
            a, b = left[i], left[j]
            operation = rng.choice(self.operations)
            if operation == "-" and a < b:
                a, b = b, a
            result = apply(a, operation, b)
            if result is None or result == 0 or (operation == "*" and min(a, b) == 1):
                return None
            left = [value for k, value in enumerate(left) if k not in (i, j)] + [result]
            steps.append(f"{a}{operation}{b}={result}:{','.join(map(str, left))}")
        return steps, left[0]

    def _way_to(self, rng: random.Random, left: list[int], target: int) -> tuple[list[str], int] | None:
        """A random way to a given target, None when there is none."""
        if not _numbers_reach(tuple(sorted(left)), self.operations, target):
            return None
        steps = []
        while len(left) > 1:
            pairs = [(i, j) for i in range(len(left)) for j in range(len(left)) if i != j]
            options = [(i, j, operation) for i, j in pairs for operation in self.operations]
            rng.shuffle(options)
            for i, j, operation in options:
                result = apply(left[i], operation, left[j])
                if result is None:
                    continue
                after = [value for k, value in enumerate(left) if k not in (i, j)] + [result]
                if _numbers_reach(tuple(sorted(after)), self.operations, target):
                    steps.append(f"{left[i]}{operation}{left[j]}={result}:{','.join(map(str, after))}")
                    left = after
                    break
        return steps, target


@dataclass(frozen=True)
class _Walk(_Puzzle):
    """Apply exactly so many moves."""

    name: str
    kinds: tuple[str, ...]  # the operations that the moves have
    high: int

    def draw(self, rng: random.Random, difficulty: int) -> Worked:
        limit = _STEPS[difficulty - 1]
        while True:
            start = rng.randrange(1, self.high)
            moves = []
            for kind in self.kinds:
                size = rng.randrange(2, 4) if kind == "*" else rng.randrange(1, 10 + 2 * difficulty)
                moves.append(f"{kind}{size}")
            if len(set(moves)) < len(moves):
                continue
            value, steps = start, []
            for _ in range(limit):
                move = rng.choice(moves)
                result = apply(value, move[0], int(move[1:]))
                if result is None:
                    break
                steps.append(f"{value}{move}={result}")
                value = result
            if len(steps) == limit and value != start:
                break
        question = rng.choice(_WALKS).format(start=start, moves=",".join(moves), target=value, limit=limit)
        return Worked(
            Problem(
                problem_id=identify(self.name, question),
                family=self.name,
                domain=self.domain,
                question=question,
                answer=str(value),
                meta={"difficulty": difficulty},
            ),
            tuple(steps),
        )


FAMILIES: tuple[Family, ...] = (
    _Numbers("puzzle-numbers-plain", ("+", "-"), 1, 40),
    _Numbers("puzzle-numbers-small", ("+", "-", "*"), 1, 13),
    _Numbers("puzzle-numbers-mixed", ("+", "-", "*"), 1, 40),
    _Numbers("puzzle-numbers-large", ("+", "-", "*"), 2, 20, extra=(25, 50, 75, 100)),
    _Numbers("puzzle-numbers-products", ("*", "+"), 2, 15),
    _Numbers("puzzle-numbers-24", ("+", "-", "*"), 1, 13, target=24),
    _Walk("puzzle-walk-plain", ("+", "+", "-"), 60),
    _Walk("puzzle-walk-double", ("+", "-", "*"), 30),
    _Walk("puzzle-walk-wide", ("+", "+", "-", "-", "*"), 30),
)

#: no model was trained on them: ``training.lab.held_out``
LOCKED_FAMILIES: tuple[Family, ...] = (
    _Numbers("puzzle-numbers-teens", ("+", "-"), 11, 19),
    _Numbers("puzzle-numbers-tens", ("+", "-", "*"), 1, 9, extra=(10, 20, 30, 40)),
    _Numbers("puzzle-numbers-36", ("+", "-", "*"), 1, 13, target=36),
    _Numbers("puzzle-numbers-12", ("+", "-"), 1, 20, target=12),
    _Walk("puzzle-walk-down", ("-", "-", "*"), 60),
    _Walk("puzzle-walk-far", ("+", "*", "*"), 20),
)
