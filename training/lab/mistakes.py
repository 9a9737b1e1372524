"""Wrong solutions with exact labels: one token of a right solution replaced, or a legal way that strays.

What PRMs learn first (``../LOG.md`` says why): a label on every token, half of the solutions right.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from search.grading.puzzle import Puzzle, apply
from training.lab.family import Worked
from training.lab.problems import family_of
from training.lab.vocabulary import Vocabulary

__all__ = ["Marked", "corrupt", "mark", "stray"]


@dataclass(frozen=True, slots=True)
class Marked:
    """Steps as token ids, and for each step whether it can still end right.

    ``slip`` is (step, token) where the first wrong token is known, None otherwise.
    """

    steps: tuple[tuple[int, ...], ...]
    right: tuple[bool, ...]
    slip: tuple[int, int] | None = None


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
    right = family_of(worked.problem).right_so_far(worked.problem, text)
    known = not right[place] and (place == 0 or right[place - 1])
    return Marked(tuple(map(tuple, steps)), right, (place, token) if known else None)


def stray(rng: random.Random, vocabulary: Vocabulary, worked: Worked) -> Marked:
    """A puzzle's way of true equations that leaves the right one at a random step."""
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
    right = family_of(worked.problem).right_so_far(worked.problem, text)
    return Marked(tuple(tuple(vocabulary.encode(step)) for step in text), right)


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
