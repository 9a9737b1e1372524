"""Runs a small list program without ever handing it to Python.

A program is a few lines over one variable ``x``, a list of whole numbers: assignments
``x=<expression>`` and, as its last line, ``return <expression>``. A line is parsed by
:func:`ast.parse` and turned into closures over a whitelist of node types; ``exec``, ``eval`` and
``compile`` are never called. What is allowed:

- whole numbers, ``x``, list displays, ``+ - * // %``, unary minus, comparisons, ``and or not``;
- ``x[i]`` and ``x[a:b:c]``; ``[... for v in ... if ...]`` with one ``for``;
- the calls ``sum len max min sorted abs reversed list range`` with plain positional arguments.

Everything is bounded: length of a line and of a program, steps, length of a list, size of a
number. A program that breaks a rule gives an :class:`Outcome` with an ``error``; no text and no
input makes this module raise or hang.

>>> run("x=[v+1 for v in x]\\nreturn x", [1, 2])
Outcome(value=(2, 3), error=None)
>>> run("x=x*99999999\\nreturn x", [1, 2]).error
'a list may hold 1000 numbers'
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

__all__ = ["Outcome", "is_return", "parses", "run", "trace"]

MAX_LINES = 40
MAX_LINE = 120
MAX_STEPS = 20_000
MAX_LIST = 1000
MAX_NUMBER = 10**12

#: the one variable of a program
VARIABLE = "x"

Value: TypeAlias = "int | bool | list[int]"
Closure: TypeAlias = "Callable[[_Frame], Value]"

# No quotes, dots, backslashes, comments or semicolons; ``1if`` would make the parser warn.
_ALLOWED = re.compile(r"[A-Za-z0-9_ \[\](),+\-*/%<>=!:]+\Z")
_GLUED = re.compile(r"[0-9][A-Za-z_]")


class _Refusal(Exception):
    """The program breaks a rule; the message says which."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program gave: a list of whole numbers, or the reason why none."""

    value: tuple[int, ...] | None = None
    error: str | None = None


class _Frame:
    """The names of one execution and the steps it may still take."""

    __slots__ = ("names", "steps")

    def __init__(self, values: Sequence[int], steps: int) -> None:
        self.names: dict[str, Value] = {VARIABLE: list(values)}
        self.steps = steps

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise _Refusal(f"a program may take {MAX_STEPS} steps")


def parses(line: str) -> bool:
    """Whether one line, without surrounding spaces, lies in the subset."""
    return _compiled(line) is not None if len(line) <= MAX_LINE else False


def is_return(line: str) -> bool:
    """Whether a line is a ``return`` of the subset: the end of a program."""
    found = _compiled(line) if len(line) <= MAX_LINE else None
    return found is not None and found[0]


def run(program: str, values: Sequence[int]) -> Outcome:
    """What a program returns for an input list.

    ``program`` holds lines separated by newlines. An error if a line does not parse, if a rule is
    broken on the way, or if the program does not end with ``return``.
    """
    lines = [line for line in map(str.strip, program.split("\n")) if line]
    if not lines or not is_return(lines[-1]):
        return Outcome(error="a program ends with return")
    return trace(lines, values)[-1]


def trace(lines: Sequence[str], values: Sequence[int]) -> tuple[Outcome, ...]:
    """The value of ``x`` after each line (the returned value after ``return``).

    From the first line that fails on, every entry is that failure. Lines after a ``return`` fail.
    """
    outcomes: list[Outcome] = []
    if len(lines) > MAX_LINES:
        return (Outcome(error=f"a program may hold {MAX_LINES} lines"),) * len(lines)
    frame = _Frame(values, MAX_STEPS)
    returned = False
    for line in lines:
        try:
            found = _compiled(line) if len(line) <= MAX_LINE else None
            if found is None:
                raise _Refusal("a line must lie in the subset")
            if returned:
                raise _Refusal("nothing may follow return")
            returned, closure = found
            value = closure(frame)
            if not isinstance(value, list):
                raise _Refusal("x must stay a list")
            frame.names[VARIABLE] = value
            outcomes.append(Outcome(value=tuple(value)))
        except (_Refusal, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            failure = Outcome(error=str(error) or type(error).__name__)
            outcomes.extend([failure] * (len(lines) - len(outcomes)))
            break
    return tuple(outcomes)


@lru_cache(maxsize=20_000)
def _compiled(line: str) -> tuple[bool, Closure] | None:
    """``(is it a return, closure)``, or ``None`` if the line is outside the subset."""
    if not line or line[0] == " " or not _ALLOWED.match(line) or _GLUED.search(line):
        return None
    try:
        body = ast.parse(line).body
        if len(body) != 1:
            return None
        statement = body[0]
        if isinstance(statement, ast.Return) and statement.value is not None:
            return True, _expression(statement.value, frozenset((VARIABLE,)))
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if isinstance(target, ast.Name) and target.id == VARIABLE:
                return False, _expression(statement.value, frozenset((VARIABLE,)))
    except (SyntaxError, ValueError, MemoryError, RecursionError, _Refusal):
        return None
    return None


def _number(value: Value) -> int:
    if type(value) is not int:
        raise _Refusal("a whole number was expected")
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise _Refusal(f"a number may not exceed {MAX_NUMBER}")
    return value


def _list(value: Value) -> list[int]:
    if not isinstance(value, list):
        raise _Refusal("a list was expected")
    if len(value) > MAX_LIST:
        raise _Refusal(f"a list may hold {MAX_LIST} numbers")
    return value


def _flag(value: Value) -> bool:
    if not isinstance(value, bool):
        raise _Refusal("a comparison was expected")
    return value


def _add(left: Value, right: Value) -> Value:
    if isinstance(left, list) or isinstance(right, list):
        return _list(_list(left) + _list(right))
    return _number(_number(left) + _number(right))


def _multiply(left: Value, right: Value) -> Value:
    if isinstance(left, list):
        return _repeat(left, _number(right))
    if isinstance(right, list):
        return _repeat(right, _number(left))
    return _number(_number(left) * _number(right))


def _repeat(values: list[int], times: int) -> list[int]:
    if times > 0 and len(values) * times > MAX_LIST:
        raise _Refusal(f"a list may hold {MAX_LIST} numbers")
    return values * max(times, 0)


def _numeric(operation: Callable[[int, int], int]) -> Callable[[Value, Value], Value]:
    return lambda left, right: _number(operation(_number(left), _number(right)))


def _range(*bounds: Value) -> Value:
    if not 1 <= len(bounds) <= 3:
        raise _Refusal("range takes 1 to 3 numbers")
    found = range(*map(_number, bounds))
    if len(found) > MAX_LIST:
        raise _Refusal(f"a list may hold {MAX_LIST} numbers")
    return list(found)


def _extreme(pick: Callable[[Sequence[int]], int]) -> Callable[..., Value]:
    def extreme(*values: Value) -> Value:
        numbers = _list(values[0]) if len(values) == 1 else [_number(value) for value in values]
        return pick(numbers)

    return extreme


_OPERATORS: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: _add,
    ast.Sub: _numeric(operator.sub),
    ast.Mult: _multiply,
    ast.FloorDiv: _numeric(operator.floordiv),
    ast.Mod: _numeric(operator.mod),
}

_COMPARISONS: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_CALLS: dict[str, Callable[..., Value]] = {
    "sum": lambda values: _number(sum(_list(values))),
    "len": lambda values: len(_list(values)),
    "max": _extreme(max),
    "min": _extreme(min),
    "sorted": lambda values: sorted(_list(values)),
    "abs": lambda value: abs(_number(value)),
    "reversed": lambda values: _list(values)[::-1],
    "list": lambda values: list(_list(values)),
    "range": _range,
}


def _expression(node: ast.expr, names: frozenset[str]) -> Closure:
    """The closure of one expression; ``names`` may be read in it."""
    match node:
        case ast.Constant(value=value) if type(value) is int:
            number = _number(value)
            return lambda frame: number
        case ast.Name(id=name) if name in names:
            return lambda frame: frame.names[name]
        case ast.List(elts=elements):
            return _display([_expression(element, names) for element in elements])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _binary(_OPERATORS[type(op)], _expression(left, names), _expression(right, names))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _expression(operand, names)
            return lambda frame: -_number(inner(frame))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _expression(operand, names)
            return lambda frame: not _flag(inner(frame))
        case ast.Compare(left=left, ops=ops, comparators=comparators) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            sides = [_expression(side, names) for side in (left, *comparators)]
            return _comparison([_COMPARISONS[type(op)] for op in ops], sides)
        case ast.BoolOp(op=op, values=values):
            parts = [_expression(value, names) for value in values]
            fold = all if isinstance(op, ast.And) else any
            return lambda frame: fold(_flag(part(frame)) for part in parts)
        case ast.Subscript(value=value, slice=index):
            return _subscript(_expression(value, names), index, names)
        case ast.ListComp(elt=element, generators=[generator]):
            return _comprehension(element, generator, names)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _CALLS:
            return _call(_CALLS[name], [_expression(argument, names) for argument in arguments])
    raise _Refusal(f"{type(node).__name__} is outside the subset")


def _display(elements: list[Closure]) -> Closure:
    return lambda frame: [_number(element(frame)) for element in elements]


def _binary(operation: Callable[[Value, Value], Value], left: Closure, right: Closure) -> Closure:
    def binary(frame: _Frame) -> Value:
        frame.spend(1)
        return operation(left(frame), right(frame))

    return binary


def _comparison(operations: list[Callable[[int, int], bool]], sides: list[Closure]) -> Closure:
    def comparison(frame: _Frame) -> Value:
        values = [_number(side(frame)) for side in sides]
        return all(
            compare(left, right) for compare, left, right in zip(operations, values, values[1:], strict=False)
        )

    return comparison


def _subscript(values: Closure, index: ast.expr, names: frozenset[str]) -> Closure:
    if not isinstance(index, ast.Slice):
        at = _expression(index, names)
        return lambda frame: _list(values(frame))[_number(at(frame))]
    bounds = [
        None if bound is None else _expression(bound, names)
        for bound in (index.lower, index.upper, index.step)
    ]

    def section(frame: _Frame) -> Value:
        ends = [None if bound is None else _number(bound(frame)) for bound in bounds]
        return _list(values(frame))[slice(*ends)]

    return section


def _comprehension(element: ast.expr, generator: ast.comprehension, names: frozenset[str]) -> Closure:
    target = generator.target
    if generator.is_async or not isinstance(target, ast.Name) or target.id in names or target.id in _CALLS:
        raise _Refusal("a comprehension needs one new name")
    name = target.id
    source = _expression(generator.iter, names)
    inside = names | {name}
    conditions = [_expression(condition, inside) for condition in generator.ifs]
    result = _expression(element, inside)

    def comprehension(frame: _Frame) -> Value:
        values = _list(source(frame))
        frame.spend(len(values))
        found = []
        for value in values:
            frame.names[name] = value
            if all(_flag(condition(frame)) for condition in conditions):
                found.append(_number(result(frame)))
        return found

    return comprehension


def _call(function: Callable[..., Value], arguments: list[Closure]) -> Closure:
    def call(frame: _Frame) -> Value:
        values = [argument(frame) for argument in arguments]
        frame.spend(1 + sum(len(value) for value in values if isinstance(value, list)))
        return function(*values)

    return call
