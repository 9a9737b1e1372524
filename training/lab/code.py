"""Generated programming problems: write a list program, one operation a line.

Two kinds of family. *Described* families say in words what to do and differ in how they say it: in
order, in synonyms, backwards, shuffled, with numbers in words, with corrections, with repetition.
*Induced* families show examples ``2 5 1 -> 4 10 2`` and nothing else: a program is hard to find and
easy to check. The reference program travels in ``meta["reference"]``.

What ``right_so_far`` calls right. A solution that grades right is right at every prefix. Otherwise
a prefix ending in ``return`` is right iff its program grades right, and a prefix without ``return``

- of a described problem is right iff its lines walk through the reference program: after each line,
  ``x`` on all test inputs (hidden and public) equals ``x`` after some number of reference lines, and
  that number never falls;
- of an induced problem is right iff some completion of at most
  ``len(reference) - len(prefix) + 1`` operations of the family's own set gives the expected outputs
  on all test inputs.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from search.problem import Problem
from training.lab.family import Family, Worked
from training.lab.graders.code import CodeDomain, hidden_tests, program_lines
from training.lab.graders.interpreter import MAX_LINES, is_return, trace

__all__ = ["FAMILIES", "LOCKED_FAMILIES", "RETURN", "DescribedCode", "InducedCode", "Operation"]

#: the last line of every program
RETURN = "return x"

Numbers: TypeAlias = "tuple[int, ...]"
State: TypeAlias = "tuple[Numbers, ...]"

_HIDDEN, _PUBLIC = 6, 4
_LONGEST, _LARGEST = 16, 999

#: number words of the families that write numbers out
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of operation: its line, its meaning and its wordings, the plain one first.

    ``parameters`` are the values of ``k``; an empty range means there is none.
    """

    line: str
    apply: Callable[[Sequence[int], int], list[int]]
    wordings: tuple[str, ...]
    parameters: range = range(0)


_KINDS: dict[str, _Kind] = {
    "add": _Kind(
        "x=[v+{k} for v in x]",
        lambda x, k: [v + k for v in x],
        ("add {k} to each", "increase all by {k}", "make each {k} larger"),
        range(1, 10),
    ),
    "subtract": _Kind(
        "x=[v-{k} for v in x]",
        lambda x, k: [v - k for v in x],
        ("subtract {k} from each", "lower all by {k}", "make each {k} smaller"),
        range(1, 10),
    ),
    "multiply": _Kind(
        "x=[v*{k} for v in x]",
        lambda x, k: [v * k for v in x],
        ("multiply each by {k}", "scale all by {k}", "make each {k} times larger"),
        range(2, 6),
    ),
    "square": _Kind(
        "x=[v*v for v in x]",
        lambda x, k: [v * v for v in x],
        ("square each", "multiply each by itself", "scale each by its own value"),
    ),
    "even": _Kind(
        "x=[v for v in x if v%2==0]",
        lambda x, k: [v for v in x if v % 2 == 0],
        ("keep the even numbers", "remove the odd numbers", "discard what is odd"),
    ),
    "odd": _Kind(
        "x=[v for v in x if v%2==1]",
        lambda x, k: [v for v in x if v % 2 == 1],
        ("keep the odd numbers", "remove the even numbers", "discard what is even"),
    ),
    "over": _Kind(
        "x=[v for v in x if v>{k}]",
        lambda x, k: [v for v in x if v > k],
        ("keep numbers over {k}", "remove all up to {k}", "discard what is not over {k}"),
        range(1, 100),
    ),
    "under": _Kind(
        "x=[v for v in x if v<{k}]",
        lambda x, k: [v for v in x if v < k],
        ("keep numbers under {k}", "remove all from {k} up", "discard what is not under {k}"),
        range(1, 100),
    ),
    "sort": _Kind(
        "x=sorted(x)",
        lambda x, k: sorted(x),
        ("sort", "put in rising order", "order by size"),
    ),
    "reverse": _Kind(
        "x=x[::-1]",
        lambda x, k: list(x[::-1]),
        ("reverse", "flip the order", "turn around"),
    ),
    "drop": _Kind(
        "x=x[{k}:]",
        lambda x, k: list(x[k:]),
        ("drop the first {k}", "remove {k} at the front", "discard {k} from the front"),
        range(1, 4),
    ),
    "take": _Kind(
        "x=x[:{k}]",
        lambda x, k: list(x[:k]),
        ("keep the first {k}", "leave only {k} at the front", "discard all but the first {k}"),
        range(2, 6),
    ),
    "drop_last": _Kind(
        "x=x[:-{k}]",
        lambda x, k: list(x[:-k]),
        ("drop the last {k}", "remove {k} at the end", "discard {k} from the end"),
        range(1, 4),
    ),
    "take_last": _Kind(
        "x=x[-{k}:]",
        lambda x, k: list(x[-k:]),
        ("keep the last {k}", "leave only {k} at the end", "discard all but the last {k}"),
        range(2, 6),
    ),
    "append": _Kind(
        "x=x+[{k}]",
        lambda x, k: [*x, k],
        ("append {k}", "put {k} at the end", "add {k} behind the last"),
        range(1, 10),
    ),
    "prepend": _Kind(
        "x=[{k}]+x",
        lambda x, k: [k, *x],
        ("prepend {k}", "put {k} at the front", "add {k} before the first"),
        range(1, 10),
    ),
    "repeat": _Kind(
        "x=x+x",
        lambda x, k: [*x, *x],
        ("write it twice", "append a copy of itself", "put a copy at the end"),
    ),
    "sum": _Kind(
        "x=[sum(x)]",
        lambda x, k: [sum(x)],
        ("take the sum", "total all", "add all up"),
    ),
    "max": _Kind(
        "x=[max(x)]",
        lambda x, k: [max(x)],
        ("take the largest", "leave only the largest", "discard all but the largest"),
    ),
    "min": _Kind(
        "x=[min(x)]",
        lambda x, k: [min(x)],
        ("take the smallest", "leave only the smallest", "discard all but the smallest"),
    ),
}

_EASY = ("add", "subtract", "multiply", "sort", "reverse", "drop", "take", "append")
_MEDIUM = (*_EASY, "even", "odd", "over", "under", "drop_last", "prepend")
_ALL = (*_MEDIUM, "square", "take_last", "repeat")
#: they leave one number, so only the last line may be one
_CLOSING = ("sum", "max", "min")
_NUMBERED = tuple(name for name in _MEDIUM if _KINDS[name].parameters)


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of a program: a kind and its number ``k`` (0 if the kind has none)."""

    kind: str
    k: int = 0

    @property
    def line(self) -> str:
        """The program line."""
        return _KINDS[self.kind].line.format(k=self.k)

    def say(self, wording: int = 0, number: str | None = None) -> str:
        """The operation in words; ``number`` replaces the digits of ``k``."""
        return _KINDS[self.kind].wordings[wording].format(k=self.k if number is None else number)

    def __call__(self, values: Sequence[int]) -> list[int]:
        return _KINDS[self.kind].apply(values, self.k)


Teller: TypeAlias = "Callable[[random.Random, int, list[Operation]], str]"

_LEADS = ("Change the list x:", "Write a program for the list x:", "Given the list x,")


class DescribedCode(Family):
    """Problems whose question says what to do; ``tell`` turns operations into that description.

    Parameters
    ----------
    name:
        The family's name.
    counts:
        Ten numbers: operations at difficulty 1 to 10.
    tell:
        From generator, difficulty and operations to the description, without its lead.
    numbered:
        Use only kinds with a number.
    cycles:
        Whether the operations are run twice (and described once).
    """

    domain = "code"

    def __init__(
        self,
        name: str,
        counts: tuple[int, ...],
        tell: Teller,
        *,
        numbered: bool = False,
        cycles: bool = False,
    ) -> None:
        self.name = name
        self._counts = counts
        self._tell = tell
        self._numbered = numbered
        self._cycles = cycles

    def draw(self, rng: random.Random, difficulty: int) -> Worked:
        """A description and its program. Every operation changes ``x`` on some test input."""
        count = self._counts[difficulty - 1]
        kinds: tuple[str, ...] = _EASY if difficulty <= 3 else _MEDIUM if difficulty <= 6 else _ALL
        if self._numbered:
            kinds = tuple(name for name in kinds if name in _NUMBERED)
        while True:
            inputs = [rng.choices(range(16), k=rng.randrange(6, 9)) for _ in range(_HIDDEN + _PUBLIC)]
            chain = _chain(rng, kinds, count, inputs, closing=difficulty >= 4 and not self._cycles)
            if chain is None:
                continue
            said, states = chain
            operations = said
            if self._cycles:
                operations = said + said
                if not _extend(said, states):
                    continue
            outputs = states[-1]
            question = f"{rng.choice(_LEADS)} {self._tell(rng, difficulty, said)}"
            return _worked(self.name, question, operations, inputs, outputs)

    def right_so_far(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        """See the module: a prefix walks through the states of the reference program."""
        inputs, _ = _tests(problem)
        reference = _reference_states(tuple(problem.meta["reference"]), inputs)
        position = 0

        def right(used: int, state: State) -> bool:
            nonlocal position
            while position < len(reference):
                if reference[position] == state:
                    return True
                position += 1
            return False

        return _walk(problem, steps, inputs, right)


class InducedCode(Family):
    """Problems that show examples only. The program is drawn from all programs of 1 to 3 operations
    of a small set, and the examples leave no other meaning of the same length or a shorter one."""

    domain = "code"

    def __init__(self, name: str, operations: tuple[Operation, ...], counts: tuple[int, ...]) -> None:
        self.name = name
        self._operations = operations
        self._counts = counts

    def draw(self, rng: random.Random, difficulty: int) -> Worked:
        """Two or three examples and the shortest program behind them."""
        atlas = _atlas(self._operations)
        length = self._counts[difficulty - 1]
        for _ in range(200):
            outputs, program = rng.choice(atlas.by_length[length])
            shown = rng.sample(atlas.short, 2)
            for _ in range(3):
                if atlas.decides(outputs, shown, length):
                    break
                shown = rng.sample(atlas.short, 3)
            else:
                continue
            hidden = rng.sample(atlas.long, _HIDDEN)
            chosen = hidden + shown
            examples = "\n".join(f"{_spell(atlas.bank[i])} -> {_spell(outputs[i])}" for i in shown)
            question = f"{rng.choice(_INDUCE)}\n{examples}"
            return _worked(
                self.name,
                question,
                list(program),
                [list(atlas.bank[i]) for i in chosen],
                [list(outputs[i]) for i in chosen],
            )
        raise AssertionError("no example set decides a program")  # pragma: no cover

    def right_so_far(self, problem: Problem, steps: Sequence[str]) -> tuple[bool, ...]:
        """See the module: a short completion in the family's own operations exists."""
        inputs, outputs = _tests(problem)
        spare = len(problem.meta["reference"]) + 1

        def right(used: int, state: State) -> bool:
            return _reaches(self._operations, state, outputs, spare - used)

        return _walk(problem, steps, inputs, right)


_INDUCE = ("Find the program:", "What does it do?", "Which steps?")


def _walk(
    problem: Problem, steps: Sequence[str], inputs: State, right: Callable[[int, State], bool]
) -> tuple[bool, ...]:
    """The truth of every prefix, given the truth of the state after each program line."""
    domain = CodeDomain()
    whole = domain.read(problem, "\n".join(steps))
    if whole is not None and domain.grade(problem, whole):
        return (True,) * len(steps)
    lines = program_lines("\n".join(steps))
    runs = [trace(lines[:MAX_LINES], values) for values in inputs]
    truths: list[bool] = []
    truth, done = True, 0
    for step in steps:
        for line in program_lines(step):
            if done >= MAX_LINES:
                truth = False
            if truth:
                state = tuple(run[done].value for run in runs)
                if is_return(line):
                    body = "\n".join(lines[: done + 1])
                    truth = domain.grade(problem, domain.read(problem, body))
                else:
                    known = tuple(value for value in state if value is not None)
                    truth = len(known) == len(state) and right(done + 1, known)
            done += 1
        truths.append(truth)
    return tuple(truths)


def _tests(problem: Problem) -> tuple[State, State]:
    """Inputs and expected outputs: the hidden ones, then the public ones."""
    hidden = hidden_tests(problem.answer or "")
    public = tuple(tuple(values) for values in problem.meta["public"])
    expected = _reference_states(tuple(problem.meta["reference"]), public)[-1]
    inputs = tuple(given for given, _ in hidden) + public
    return inputs, tuple(output for _, output in hidden) + expected


@lru_cache(maxsize=4096)
def _reference_states(reference: tuple[str, ...], inputs: State) -> tuple[State, ...]:
    """The state on all inputs before the program and after each of its lines."""
    runs = [trace(reference, values) for values in inputs]
    after = (tuple(run[i].value or () for run in runs) for i in range(len(reference)))
    return (inputs, *after)


@lru_cache(maxsize=50_000)
def _reaches(operations: tuple[Operation, ...], state: State, goal: State, depth: int) -> bool:
    """Whether at most ``depth`` operations lead from one state to another."""
    if state == goal:
        return depth >= 0
    return depth > 0 and _search(_functions(operations), state, goal, depth)


def _search(
    functions: tuple[Callable[[Sequence[int]], list[int]], ...], state: State, goal: State, depth: int
) -> bool:
    """Depth first on the first test; the other tests only where the first one fits."""
    first, wanted = state[0], goal[0]
    stack: list[tuple[Sequence[int], tuple[int, ...]]] = [(first, ())]
    while stack:
        values, path = stack.pop()
        for number, function in enumerate(functions):
            try:
                found = tuple(function(values))
            except ValueError:
                continue
            if len(found) > 4 * _LONGEST:
                continue
            taken = (*path, number)
            if found == wanted and _fits([functions[i] for i in taken], state, goal):
                return True
            if len(taken) < depth:
                stack.append((found, taken))
    return False


def _fits(functions: Sequence[Callable[[Sequence[int]], list[int]]], state: State, goal: State) -> bool:
    for given, wanted in zip(state, goal, strict=True):
        values: Sequence[int] = given
        try:
            for function in functions:
                values = function(values)
        except ValueError:
            return False
        if tuple(values) != wanted:
            return False
    return True


@lru_cache(maxsize=16)
def _functions(operations: tuple[Operation, ...]) -> tuple[Callable[[Sequence[int]], list[int]], ...]:
    """The bare functions of operations: one call less in the inner loop of the search."""

    def bind(operation: Operation) -> Callable[[Sequence[int]], list[int]]:
        apply, k = _KINDS[operation.kind].apply, operation.k
        return lambda values: apply(values, k)

    return tuple(map(bind, operations))


@dataclass(frozen=True, slots=True)
class _Atlas:
    """Every meaning that at most three operations of a set have, on a bank of input lists.

    A meaning is its outputs on the bank. ``by_length[n]`` holds ``(outputs, shortest program)`` of
    the meanings whose shortest program has ``n`` operations; ``short`` and ``long`` are the bank
    indices of lists fit to be shown and fit to be hidden; ``places[i][output]`` are the
    ``(meaning, length)`` that give this output on list ``i``.
    """

    bank: tuple[Numbers, ...]
    short: tuple[int, ...]
    long: tuple[int, ...]
    by_length: dict[int, list[tuple[State, tuple[Operation, ...]]]]
    places: tuple[dict[Numbers, dict[int, int]], ...]

    def decides(self, outputs: State, shown: Sequence[int], length: int) -> bool:
        """Whether the shown lists leave one meaning among those of at most ``length`` operations."""
        found = [self.places[i][outputs[i]] for i in shown]
        smallest = min(found, key=len)
        fitting = 0
        for meaning, shortest in smallest.items():
            if shortest <= length and all(meaning in place for place in found):
                fitting += 1
                if fitting > 1:
                    return False
        return True


@lru_cache(maxsize=16)
def _atlas(operations: tuple[Operation, ...]) -> _Atlas:
    rng = random.Random("lists of the induced code families")
    bank = tuple(tuple(rng.choices(range(10), k=size)) for size in (3, 4, 4, 5, 6, 7) * 14)
    levels: dict[int, list[tuple[State, tuple[Operation, ...]]]] = {0: [(bank, ())]}
    seen = {bank}
    for length in (1, 2, 3):
        levels[length] = []
        for state, program in levels[length - 1]:
            for operation in operations:
                try:
                    after = tuple(tuple(operation(values)) for values in state)
                except ValueError:
                    continue
                if after not in seen and _sound(after):
                    seen.add(after)
                    levels[length].append((after, (*program, operation)))
    places: tuple[dict[Numbers, dict[int, int]], ...] = tuple({} for _ in bank)
    number = 0
    for length, level in levels.items():
        for outputs, _ in level:
            for place, output in zip(places, outputs, strict=True):
                place.setdefault(output, {})[number] = length
            number += 1
    return _Atlas(
        bank=bank,
        short=tuple(i for i, values in enumerate(bank) if len(values) <= 5),
        long=tuple(i for i, values in enumerate(bank) if len(values) >= 5),
        by_length=levels,
        places=places,
    )


def _chain(
    rng: random.Random, kinds: Sequence[str], count: int, inputs: list[list[int]], *, closing: bool
) -> tuple[list[Operation], list[list[list[int]]]] | None:
    """Operations of which each gives a state not seen before, and all states; None if stuck."""
    state = inputs
    seen = [inputs]
    operations: list[Operation] = []
    for index in range(count):
        pool = (*kinds, *_CLOSING) if closing and index == count - 1 else kinds
        for _ in range(8):
            kind = rng.choice(pool)
            if operations and kind == operations[-1].kind:
                continue
            operation = _operation(rng, kind, state)
            if operation is None:
                continue
            try:
                after = [operation(values) for values in state]
            except ValueError:
                continue
            if after not in seen and _sound(after):
                break
        else:
            return None
        operations.append(operation)
        seen.append(after)
        state = after
    return operations, seen


def _extend(operations: Sequence[Operation], states: list[list[list[int]]]) -> bool:
    """Runs operations on the last state and appends what they give; False if a state returns."""
    for operation in operations:
        after = [operation(values) for values in states[-1]]
        if after in states or not _sound(after):
            return False
        states.append(after)
    return True


def _operation(rng: random.Random, kind: str, state: Sequence[Sequence[int]]) -> Operation | None:
    """An operation of a kind; thresholds are numbers that really occur."""
    parameters = _KINDS[kind].parameters
    if not parameters:
        return Operation(kind)
    if kind not in ("over", "under"):
        return Operation(kind, rng.choice(parameters))
    values = rng.choice(state)
    k = rng.choice(values) if values else 0
    return Operation(kind, k) if k in parameters else None


def _sound(state: Sequence[Sequence[int]]) -> bool:
    """Short lists of small numbers, most of them not empty, not all of them the same."""
    empty = 0
    for values in state:
        if not values:
            empty += 1
        elif len(values) > _LONGEST or max(values) > _LARGEST or min(values) < -_LARGEST:
            return False
    return 4 * empty <= len(state) and any(values != state[0] for values in state)


def _worked(
    family: str,
    question: str,
    operations: Sequence[Operation],
    inputs: Sequence[list[int]],
    outputs: Sequence[list[int]],
) -> Worked:
    """The problem; the first ``_HIDDEN`` inputs are the hidden ones."""
    steps = (*(operation.line for operation in operations), RETURN)
    tests = [list(pair) for pair in zip(inputs[:_HIDDEN], outputs[:_HIDDEN], strict=True)]
    problem = Problem(
        problem_id=f"{family}-{hashlib.sha256(question.encode()).hexdigest()[:12]}",
        family=family,
        domain="code",
        question=question,
        answer=json.dumps(tests, separators=(",", ":")),
        meta={"public": [list(values) for values in inputs[_HIDDEN:]], "reference": list(steps[:-1])},
    )
    return Worked(problem, steps)


def _spell(values: Sequence[int]) -> str:
    return " ".join(map(str, values)) or "none"


def _in_order(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    return ", then ".join(operation.say() for operation in operations) + "."


def _in_synonyms(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    return "; ".join(operation.say(rng.randrange(3)) for operation in operations) + "."


def _backwards(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    """The last operation first."""
    said = [operation.say() for operation in reversed(operations)]
    return ", but before that ".join(said) + "."


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def _shuffled(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    """Each operation with its place, in any order."""
    said = [f"{_ORDINALS[i]} {operation.say()}" for i, operation in enumerate(operations)]
    rng.shuffle(said)
    return ", ".join(said) + "."


def _in_number_words(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    """Numbers as words or as small sums of words."""
    return (
        ", then ".join(
            operation.say(number=_number_words(rng, operation.k, difficulty)) for operation in operations
        )
        + "."
    )


def _number_words(rng: random.Random, number: int, difficulty: int) -> str:
    if number > 10:
        return str(number)
    style = rng.randrange(4) if difficulty > 3 else 0
    if style == 1 and number < 10:
        return f"one less than {_WORDS[number + 1]}"
    if style == 2 and number >= 3:
        part = rng.randrange(1, number)
        return f"{_WORDS[part]} plus {_WORDS[number - part]}"
    if style == 3 and number % 2 == 0 and number:
        return f"twice {_WORDS[number // 2]}"
    return _WORDS[number]


def _corrected(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    """Some operations are preceded by one that is taken back or forbidden."""
    said = []
    noise = 1 + difficulty // 4
    places = set(rng.sample(range(len(operations)), min(noise, len(operations))))
    for index, operation in enumerate(operations):
        text = operation.say()
        if index in places:
            kind = rng.choice(_EASY)
            parameters = _KINDS[kind].parameters
            other = Operation(kind, rng.choice(parameters) if parameters else 0).say()
            text = f"{other}, no, {text}" if rng.random() < 0.5 else f"do not {other}, {text}"
        said.append(text)
    return ", then ".join(said) + "."


def _twice(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    said = ", then ".join(operation.say() for operation in operations)
    return f"{said}, and do all of this again."


def _backwards_in_synonyms(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    said = [operation.say(rng.randrange(3)) for operation in reversed(operations)]
    return ", but before that ".join(said) + "."


def _shuffled_in_synonyms(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    said = [f"{_ORDINALS[i]} {operation.say(rng.randrange(3))}" for i, operation in enumerate(operations)]
    rng.shuffle(said)
    return ", ".join(said) + "."


def _corrected_in_number_words(rng: random.Random, difficulty: int, operations: list[Operation]) -> str:
    """One operation has another number first, which is taken back."""
    said = [operation.say(number=_number_words(rng, operation.k, 1)) for operation in operations]
    place = rng.randrange(len(operations))
    other = rng.choice([number for number in _WORDS[1:] if number not in said[place]])
    said[place] = f"{operations[place].say(number=other)}, no, {said[place]}"
    return ", then ".join(said) + "."


_MAPS = (
    *(Operation("add", k) for k in range(1, 5)),
    *(Operation("subtract", k) for k in range(1, 4)),
    *(Operation("multiply", k) for k in (2, 3)),
    Operation("square"),
)
_SHAPES = (
    Operation("sort"),
    Operation("reverse"),
    Operation("drop", 1),
    Operation("drop_last", 1),
    Operation("take", 2),
    Operation("repeat"),
    Operation("even"),
    Operation("odd"),
    Operation("sum"),
    Operation("max"),
)
_MIXED = (
    Operation("add", 1),
    Operation("add", 2),
    Operation("multiply", 2),
    Operation("multiply", 3),
    Operation("sort"),
    Operation("reverse"),
    Operation("drop", 1),
    Operation("drop_last", 1),
    Operation("even"),
    Operation("odd"),
    Operation("over", 4),
)

FAMILIES: tuple[Family, ...] = (
    DescribedCode("code-in-order", (1, 1, 2, 2, 3, 3, 4, 4, 5, 6), _in_order),
    DescribedCode("code-synonyms", (1, 1, 2, 2, 3, 3, 4, 4, 5, 6), _in_synonyms),
    DescribedCode("code-backwards", (1, 2, 2, 2, 3, 3, 4, 4, 5, 5), _backwards),
    DescribedCode("code-shuffled", (1, 2, 2, 3, 3, 4, 4, 5, 5, 6), _shuffled),
    DescribedCode("code-number-words", (1, 1, 2, 2, 2, 3, 3, 4, 4, 5), _in_number_words, numbered=True),
    DescribedCode("code-corrected", (1, 1, 2, 2, 2, 3, 3, 3, 4, 4), _corrected),
    DescribedCode("code-twice", (1, 1, 1, 2, 2, 2, 2, 3, 3, 3), _twice, cycles=True),
    InducedCode("code-induced-maps", _MAPS, (1, 1, 1, 2, 2, 2, 2, 3, 3, 3)),
    InducedCode("code-induced-shapes", _SHAPES, (1, 1, 1, 2, 2, 2, 2, 3, 3, 3)),
    InducedCode("code-induced-mixed", _MIXED, (1, 1, 1, 2, 2, 2, 2, 3, 3, 3)),
)

_ENDS = (
    *(Operation("drop", k) for k in (1, 2)),
    *(Operation("drop_last", k) for k in (1, 2)),
    Operation("take", 3),
    Operation("append", 1),
    Operation("prepend", 2),
    Operation("reverse"),
    Operation("sort"),
)
_FILTERS = (
    Operation("even"),
    Operation("odd"),
    Operation("over", 2),
    Operation("over", 4),
    Operation("under", 6),
    Operation("under", 8),
    Operation("add", 1),
    Operation("multiply", 2),
    Operation("sort"),
)

#: no model was trained on them: ``training.lab.held_out``
LOCKED_FAMILIES: tuple[Family, ...] = (
    DescribedCode("code-backwards-synonyms", (1, 1, 2, 2, 2, 3, 3, 4, 4, 5), _backwards_in_synonyms),
    DescribedCode("code-shuffled-synonyms", (1, 2, 2, 2, 3, 3, 4, 4, 5, 5), _shuffled_in_synonyms),
    DescribedCode(
        "code-corrected-words", (1, 1, 1, 2, 2, 2, 3, 3, 3, 4), _corrected_in_number_words, numbered=True
    ),
    InducedCode("code-induced-ends", _ENDS, (1, 1, 1, 2, 2, 2, 2, 3, 3, 3)),
    InducedCode("code-induced-filters", _FILTERS, (1, 1, 1, 2, 2, 2, 2, 3, 3, 3)),
)
