"""Arithmetic families: nested expressions, and the same computations told as stories.

Every problem is an expression tree (``training.lab.expression``); a story is a tree that grows by
one sentence a step. Difficulty sets the number of operations and the size of the numbers.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from search.problem import Problem
from training.lab.expression import Tree, balanced, chain, render, replay, solve
from training.lab.family import Family, Worked
from training.lab.graders.puzzle import apply
from training.lab.identity import identify

__all__ = ["FAMILIES", "LOCKED_FAMILIES"]

#: operations at each difficulty 1..10
_OPERATIONS = (1, 2, 2, 3, 4, 5, 6, 7, 8, 10)

_ASK_LETTERS = ("What is {}?", "Find {}", "Give the value of {}")
_ASK = ("Compute {}", "What is {}?", "Find {}", "Evaluate {} now", "Work out {}", "Give the value of {}")


class _Arithmetic(Family):
    """A family whose problems are trees with a wording."""

    domain = "arithmetic"

    def draw(self, rng: random.Random, difficulty: int) -> Worked:
        question, tree = self.compose(rng, difficulty)
        steps = solve(tree)
        problem = Problem(
            problem_id=identify(self.name, question),
            family=self.name,
            domain=self.domain,
            question=question,
            answer=steps[-1][1:],
            meta={"tree": tree, "difficulty": difficulty},
        )
        return Worked(problem, tuple(steps))

    def right_so_far(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        return tuple(replay(problem.meta["tree"], steps))

    @abstractmethod
    def compose(self, rng: random.Random, difficulty: int) -> tuple[str, Tree]:
        """The question and its tree."""


def _numbers(rng: random.Random, count: int, digits: float) -> list[int]:
    """Numbers whose digits are about ``digits``: 1.5 means one or two."""
    sizes = [int(digits) + (rng.random() < digits - int(digits)) for _ in range(count)]
    return [rng.randrange(2 if size == 1 else 10 ** (size - 1), 10**size) for size in sizes]


@dataclass(frozen=True)
class _Nested(_Arithmetic):
    """An expression in full brackets."""

    name: str
    operations: tuple[str, ...]
    shape: Callable[[random.Random, Sequence[str], Sequence[int]], Tree]
    digits: tuple[float, float]  # at difficulty 1 and 10

    def compose(self, rng: random.Random, difficulty: int) -> tuple[str, Tree]:
        low, high = self.digits
        count = _OPERATIONS[difficulty - 1] + 1
        numbers = _numbers(rng, count, low + (high - low) * (difficulty - 1) / 9)
        tree = self.shape(rng, self.operations, numbers)
        return rng.choice(_ASK).format(render(tree)), tree


#: a story: (who and what it begins with, how it goes on per operation, what is asked)
_Story = tuple[tuple[str, ...], dict[str, tuple[str, ...]], tuple[str, ...]]

_NAMES = ("Ann", "Ben", "Eva", "Tom", "Mia", "Leo", "Zoe", "Max")

_STORIES: dict[str, _Story] = {
    "shop": (
        ("{who} has {n} coins.", "In a purse are {n} coins.", "{who} starts the day with {n} coins."),
        {
            "+": ("{who} earns {n} more.", "Then {n} coins are found.", "A friend gives {n}."),
            "-": ("{who} spends {n}.", "Then {n} coins are lost.", "A book costs {n} of them."),
            "*": ("A game makes it {n} times as many.", "Luck gives {n} times as many."),
        },
        ("How many coins are there now?", "How many coins does {who} have?"),
    ),
    "bus": (
        ("A bus leaves with {n} people.", "On a train there are {n} people."),
        {
            "+": ("At a stop {n} people get on.", "Then {n} more get on."),
            "-": ("At a stop {n} people get off.", "Then {n} leave."),
            "*": ("At a big station it becomes {n} times as full.",),
        },
        ("How many people are on it?", "How many people ride on?"),
    ),
    "farm": (
        ("A farm has {n} hens.", "{who} keeps {n} hens.", "There are {n} hens on a field."),
        {
            "+": ("The farm buys {n} hens.", "Then {n} hens come home."),
            "-": ("The farm sells {n} hens.", "A fox takes {n} hens."),
            "*": ("In a year there are {n} times as many.",),
        },
        ("How many hens are left?", "How many hens does the farm have?"),
    ),
    "recipe": (
        ("Start with {n}.", "Take the number {n}.", "Begin at {n}."),
        {
            "+": ("Add {n}.", "Increase it by {n}."),
            "-": ("Subtract {n}.", "Take away {n}.", "Decrease it by {n}."),
            "*": ("Multiply by {n}.", "Make it {n} times as large."),
        },
        ("What is the result?", "Which number do you get?"),
    ),
}

#: sentences with a number that has nothing to do with the question
_ASIDES = ("{who} is {n} years old.", "It is day {n} of the year.", "The road is {n} miles long.")

#: sentences that bring a product of two numbers: boxes of things
_BOXES = {
    "+": ("Then {m} boxes of {n} come in.", "{who} gets {m} bags with {n} each."),
    "-": ("Then {m} boxes of {n} go out.", "{who} gives away {m} bags with {n} each."),
}


@dataclass(frozen=True)
class _Told(_Arithmetic):
    """A story that changes one number, sentence by sentence."""

    name: str
    story: str
    operations: tuple[str, ...]
    digits: tuple[float, float]
    boxes: float = 0.0  # how likely a sentence brings a product
    asides: float = 0.0  # how likely a sentence that does not matter comes between

    def compose(self, rng: random.Random, difficulty: int) -> tuple[str, Tree]:
        opening, going, asking = _STORIES[self.story]
        who = rng.choice(_NAMES)
        low, high = self.digits
        digits = low + (high - low) * (difficulty - 1) / 9
        (current,) = _numbers(rng, 1, min(digits + 1, 3))
        tree: Tree = current
        told = [rng.choice(opening).format(who=who, n=current)]
        left = _OPERATIONS[difficulty - 1]
        while left > 0:
            operation = rng.choice(self.operations)
            (n,) = _numbers(rng, 1, 1 if operation == "*" else digits)
            part: Tree = n
            sentences = going[operation]
            size = n
            if operation != "*" and left > 1 and rng.random() < self.boxes:
                m = rng.randrange(2, 10)
                part, size, left, sentences = ["*", m, n], m * n, left - 1, _BOXES[operation]
                text = rng.choice(sentences).format(who=who, n=n, m=m)
            else:
                text = rng.choice(sentences).format(who=who, n=n)
            result = apply(current, operation, size)
            if result is None:
                if isinstance(part, list):
                    left += 1
                continue
            tree, current, left = [operation, tree, part], result, left - 1
            told.append(text)
            if rng.random() < self.asides:
                told.append(rng.choice(_ASIDES).format(who=who, n=rng.randrange(2, 100)))
        told.append(rng.choice(asking).format(who=who))
        return " ".join(told), tree


@dataclass(frozen=True)
class _Letters(_Arithmetic):
    """Letters that stand for numbers, each built from earlier ones; the sentences may be shuffled."""

    name: str
    shuffled: bool
    digits: tuple[float, float]

    def compose(self, rng: random.Random, difficulty: int) -> tuple[str, Tree]:
        low, high = self.digits
        digits = low + (high - low) * (difficulty - 1) / 9
        letters = rng.sample("abcdefghkmnpqrstuwyz", _OPERATIONS[difficulty - 1] + 1)
        (current,) = _numbers(rng, 1, digits)
        tree: Tree = current
        told = [f"{letters[0]}={current}"]
        for before, letter in pairwise(letters):
            while True:
                operation = rng.choice("++--*")
                (n,) = _numbers(rng, 1, 1 if operation == "*" else digits)
                result = apply(current, operation, n)
                if result is not None:
                    break
            told.append(f"{letter}={before}{operation}{n}")
            tree, current = [operation, tree, n], result
        if self.shuffled:
            rng.shuffle(told)
        return f"Let {', '.join(told)}. {rng.choice(_ASK_LETTERS).format(letters[-1])}", tree


@dataclass(frozen=True)
class _Given(_Arithmetic):
    """An expression of letters whose values come first; a letter may stand in it more than once."""

    name: str
    operations: tuple[str, ...]
    letters: int
    digits: tuple[float, float]

    def compose(self, rng: random.Random, difficulty: int) -> tuple[str, Tree]:
        low, high = self.digits
        digits = low + (high - low) * (difficulty - 1) / 9
        count = _OPERATIONS[difficulty - 1] + 1
        values = dict(
            zip(
                rng.sample("abcdefghkmnpqrstuwyz", min(self.letters, count)),
                _numbers(rng, self.letters, digits),
                strict=False,
            )
        )
        leaves = _numbers(rng, count, digits)
        for place, letter in zip(rng.sample(range(count), len(values)), values, strict=True):
            leaves[place] = values[letter]
        tree = balanced(rng, self.operations, leaves)
        names = {value: letter for letter, value in values.items()}
        told = ", ".join(f"{letter}={value}" for letter, value in values.items())
        return f"Let {told}. {rng.choice(_ASK_LETTERS).format(_written(tree, names))}", tree


def _written(tree: Tree, names: Mapping[int, str], outer: bool = True) -> str:
    """The tree in full brackets, with letters for the numbers that have one."""
    if isinstance(tree, int):
        return names.get(tree, str(tree))
    inside = f"{_written(tree[1], names, False)}{tree[0]}{_written(tree[2], names, False)}"
    return inside if outer else f"({inside})"


FAMILIES: tuple[Family, ...] = (
    _Nested("arithmetic-nested-add", ("+", "-"), balanced, (1.5, 2.5)),
    _Nested("arithmetic-nested-deep", ("+", "-"), chain, (2.0, 3.0)),
    _Nested("arithmetic-nested-mul", ("+", "-", "*"), balanced, (1.0, 1.6)),
    _Nested("arithmetic-nested-chain", ("+", "-", "*"), chain, (1.0, 2.0)),
    _Nested("arithmetic-nested-large", ("+", "-"), balanced, (2.5, 3.4)),
    _Told("arithmetic-told-shop", "shop", ("+", "-"), (1.2, 2.4), asides=0.15),
    _Told("arithmetic-told-bus", "bus", ("+", "-", "-", "+", "*"), (1.0, 2.0)),
    _Told("arithmetic-told-farm", "farm", ("+", "-"), (1.0, 1.6), boxes=0.4),
    _Told("arithmetic-told-recipe", "recipe", ("+", "-", "*"), (1.2, 2.2)),
    _Letters("arithmetic-letters-order", False, (1.2, 2.2)),
    _Letters("arithmetic-letters-shuffled", True, (1.0, 2.0)),
)

#: no model was trained on them: ``training.lab.held_out``
LOCKED_FAMILIES: tuple[Family, ...] = (
    _Nested("arithmetic-nested-minus", ("-", "-", "+"), balanced, (2.0, 2.8)),
    _Nested("arithmetic-nested-products", ("*", "+", "*"), balanced, (1.0, 1.3)),
    _Told("arithmetic-told-market", "shop", ("+", "-"), (1.0, 2.0), boxes=0.4, asides=0.2),
    _Told("arithmetic-told-crates", "recipe", ("+", "-"), (1.0, 1.8), boxes=0.5),
    _Given("arithmetic-given-one", ("+", "-", "*"), 1, (1.0, 1.8)),
    _Given("arithmetic-given-two", ("+", "-"), 2, (1.4, 2.4)),
)
