"""Wrong solutions with exact labels: one token of a right solution replaced, or a legal way that strays;
and where a policy's own wrong step goes wrong.

What PRMs learn first (``../LOG.md`` says why): a label on every token, half of the solutions right.
"""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from search.problem import Problem
from training.lab.family import Worked
from training.lab.graders.puzzle import Puzzle, apply
from training.lab.problems import family_of
from training.lab.vocabulary import Vocabulary

__all__ = ["Marked", "corrupt", "find_slip", "forced", "mark", "stray"]

_EQUATION = re.compile(r"(.*?)([0-9.]+)([-+*/])([0-9.]+)=([0-9.]+)(.*)")
_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


@dataclass(frozen=True, slots=True)
class Marked:
    """Steps as token ids, and for each step whether it can still end right.

    ``slip`` is (step, token) where the first wrong token is known, None otherwise. ``true`` is
    ``Family.true_so_far`` where it says more than ``right``, empty otherwise.
    """

    steps: tuple[tuple[int, ...], ...]
    right: tuple[bool, ...]
    slip: tuple[int, int] | None = None
    true: tuple[bool, ...] = ()


def mark(vocabulary: Vocabulary, worked: Worked) -> Marked:
    """A right solution."""
    return Marked(tuple(tuple(vocabulary.encode(step)) for step in worked.steps), (True,) * len(worked.steps))


def corrupt(rng: random.Random, vocabulary: Vocabulary, worked: Worked) -> Marked:
    """One token replaced by another of its kind; what follows stays as it was."""
    steps = [vocabulary.encode(step) for step in worked.steps]
    place = rng.randrange(len(steps))
    token = rng.randrange(len(steps[place]))
    old = vocabulary.pieces[steps[place][token]]
    if old.isdigit():
        new = rng.choice([digit for digit in "0123456789" if digit != old])
    else:
        pool = [piece for step in steps for piece in map(vocabulary.pieces.__getitem__, step)]
        others = sorted({piece for piece in pool if piece != old and not piece.isdigit()})
        new = rng.choice(others) if others and rng.random() < 0.8 else rng.choice("+-*")
        if new == old:
            new = "="
    steps[place][token] = vocabulary.ids[new]
    text = ["".join(vocabulary.pieces[token] for token in step) for step in steps]
    family = family_of(worked.problem)
    right = family.right_so_far(worked.problem, text)
    known = not right[place] and (place == 0 or right[place - 1])
    true = family.true_so_far(worked.problem, text)
    return Marked(
        steps=tuple(map(tuple, steps)), right=right, slip=(place, token) if known else None, true=true
    )


def stray(rng: random.Random, vocabulary: Vocabulary, worked: Worked) -> Marked:
    """A puzzle's way of true equations that leaves the right one at a random step."""
    return _marked(vocabulary, worked.problem, _stray(rng, worked))


def _stray(rng: random.Random, worked: Worked) -> list[str]:
    puzzle = Puzzle.parse(worked.problem.question)
    keep = rng.randrange(len(worked.steps))
    text = list(worked.steps[:keep])
    state = puzzle.begin
    for step in text:
        after = state.step(puzzle, step)
        if after is None:
            raise ValueError(f"a worked solution must follow the rules, got {step!r}")
        state = after
    while not state.is_complete(puzzle):
        found = _legal(rng, puzzle, state.values)
        after = None if found is None else state.step(puzzle, found)
        if found is None or after is None:
            break
        text.append(found)
        state = after
    return text


def forced(rng: random.Random, vocabulary: Vocabulary, worked: Worked) -> Marked:
    """A puzzle's way that ends with a false equation, so that it seems to reach the target.

    What policies do most when they are lost, and what one replaced token never looks like: the false
    result stands in every place where the true one would.
    """
    puzzle, text = Puzzle.parse(worked.problem.question), _stray(rng, worked)
    match = _EQUATION.fullmatch(text[-1])
    assert match is not None
    head, claimed = text[-1][: match.start(5)], str(puzzle.target)
    text[-1] = head + (claimed if puzzle.moves else f"{claimed}:{claimed}")
    return _marked(vocabulary, worked.problem, text)


def _marked(vocabulary: Vocabulary, problem: Problem, text: Sequence[str]) -> Marked:
    """Steps of any kind with their exact labels, and the slip where it is known."""
    family = family_of(problem)
    right, true = family.right_so_far(problem, text), family.true_so_far(problem, text)
    character, slip = find_slip(problem, text), None
    if character >= 0:
        first = true.index(False)
        slip = first, len(vocabulary.encode(text[first][:character]))
    return Marked(
        steps=tuple(tuple(vocabulary.encode(step)) for step in text), right=right, slip=slip, true=true
    )


def _legal(rng: random.Random, puzzle: Puzzle, values: Sequence[int]) -> str | None:
    """A random legal step, None when twenty tries find none."""
    for _ in range(20):
        if puzzle.moves:
            move = rng.choice(puzzle.moves)
            result = apply(values[0], move[0], int(move[1:]))
            if result is not None:
                return f"{values[0]}{move}={result}"
            continue
        i, j = rng.sample(range(len(values)), 2)
        operation = rng.choice(puzzle.operations)
        result = apply(values[i], operation, values[j])
        if result is not None:
            left = [value for k, value in enumerate(values) if k not in (i, j)] + [result]
            return f"{values[i]}{operation}{values[j]}={result}:{','.join(map(str, left))}"
    return None


def find_slip(problem: Problem, steps: Sequence[str]) -> int:
    """The character of the first step that is not true (``Family.true_so_far``) where it goes wrong.

    -1 where that is not known. Known for an equation whose only fault is its result: with the true
    result in its place the step passes. A result that is too short goes wrong at the character behind it.
    """
    family = family_of(problem)
    true = family.true_so_far(problem, steps)
    if all(true):
        return -1
    first = true.index(False)
    match = _EQUATION.fullmatch(steps[first])
    if match is None:
        return -1
    before, left, operation, operand, claimed, after = match.groups()
    result = _result(left, operation, operand)
    if result is None or result == claimed:
        return -1
    if after.startswith(":"):  # what is left names the result once more, at its end
        listed = after[1:].split(",")
        after = ":" + ",".join([*listed[:-1], result]) if listed[-1] == claimed else after
    mended = f"{before}{left}{operation}{operand}={result}{after}"
    if not family.true_so_far(problem, [*steps[:first], mended])[-1]:
        return -1
    same = next((k for k, (a, b) in enumerate(zip(result, claimed, strict=False)) if a != b), None)
    return match.start(5) + (min(len(result), len(claimed)) if same is None else same)


def _result(left: str, operation: str, right: str) -> str | None:
    """The true result as the lab writes it; None when it has no finite decimal form."""
    try:
        a, b = Decimal(left), Decimal(right)
        value = _OPERATIONS[operation](a, b)
    except ArithmeticError:
        return None
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
