"""A plan: a strategy with all its numbers, in one canonical form that parses and prints round-trip.

    >>> str(Plan.parse("best_of_n( score = min, n=16 )"))
    'best_of_n(n=16, score=min)'
    >>> str(Plan.parse("beam_search(n=16)"))
    'beam_search(n=16, width=4, prune=last, score=last, vote=max)'
    >>> Plan.parse("dvts(n=10, width=4)")
    Traceback (most recent call last):
    search.errors.PlanError: n must be divisible by width, got n=10, width=4
    >>> str(Plan.parse("cascade(first=m: majority(n=4), then=l: cot())"))
    'cascade(first=m: majority(n=4), tau=0.75, then=l: cot())'

What a strategy's parameters are, and what follows from them, the strategy itself says
(``search.strategies.protocol``). A plan knows nothing of policies and PRMs: with those it becomes a choice
(``search.choice``); only a plan of several policies names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from search.errors import PlanError
from search.registry import is_path
from search.strategies.fields import THINKING, Parameter, grammar_of
from search.strategies.kinds import Replay
from search.strategies.registry import STRATEGIES
from search.thinking_budget import ThinkingBudget

if TYPE_CHECKING:
    from search.choice import Choice
    from search.strategies.protocol import Strategy

__all__ = ["Plan"]

#: characters of a plan: what was read is kept, and clients of a server write plans
_LONGEST = 500
#: plans inside plans
_DEEPEST = 4
_CALL = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9.:]*)\s*(?:\((.*)\))?\s*", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Plan:
    """A strategy with all its numbers. Equal plans are equal objects and print alike, without the quiet
    parameters that are as usual.

    ``parameters`` holds every parameter of the strategy in canonical order, and after them those of
    ``THINKING`` that are given, which every plan may have. Build plans with ``Plan.parse`` or ``Plan.of``;
    both fill in what was left out. Raises PlanError.

    >>> Plan.parse("majority(n=16)") == Plan.of("majority", n=16)
    True
    >>> print(Plan.parse("best_of_n(n=4)"))
    best_of_n(n=4, score=last)
    >>> print(Plan.parse("majority(think=512, n=4)"))
    majority(n=4, think=512)
    """

    strategy: str
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        grammar, own = _full_grammar(self.strategy), _grammar(self.strategy)
        names = tuple(name for name, _ in self.parameters)
        if names != tuple(name for name in grammar if name in own or name in names):
            raise PlanError(
                f"{self.strategy} takes ({', '.join(own)}) in this order, got ({', '.join(names)})"
            )
        for name, value in self.parameters:
            grammar[name].check(name, value)
        _described(self)  # rules between parameters

    @classmethod
    def of(cls, strategy: str, **given: Any) -> Plan:
        """A plan from keyword arguments; parameters left out take the strategy's own values, and None leaves
        one of ``THINKING`` out."""
        known, every = _grammar(strategy), _full_grammar(strategy)
        given = {name: value for name, value in given.items() if value is not None or name in known}
        for name in given:
            if name not in every:
                takes = ", ".join(known) if known else "no parameters"
                raise PlanError(f"{strategy} takes {takes}, got {name!r}")
        missing = [name for name, one in known.items() if one.is_required and name not in given]
        if missing:
            raise PlanError(f"{strategy} needs {', '.join(missing)}, got none")
        told = {name: one.default for name, one in known.items()} | given
        return cls(_name(strategy), tuple((name, told[name]) for name in every if name in told))

    @classmethod
    def parse(cls, text: str, *, follow_path: bool = False) -> Plan:
        """The plan that ``text`` spells. Spaces, order and left-out parameters do not matter.

        ``follow_path``: the strategy may be a dotted path to a class (``my.module:Trio(n=3)``), which is
        imported and registered. Only for texts of whoever runs this process: requests and logs name
        strategies that are known.
        """
        if follow_path:
            head = _CALL.fullmatch(text)
            if head is not None and is_path(head.group(1)):
                name = STRATEGIES.get(head.group(1)).name
                return cls.parse(f"{name}({head.group(2) or ''})")
        return _parse(text, STRATEGIES.generation)

    def __str__(self) -> str:
        return _written(self, STRATEGIES.generation)

    @property
    def brief(self) -> str:
        """The plan without the numbers that it takes anyway, n apart. It parses back.

        >>> Plan.parse("beam_search(n=16, width=4, prune=last, score=last, vote=max)").brief
        'beam_search(n=16)'
        """
        return f"{self.strategy}({', '.join(self.numbers)})"

    @property
    def numbers(self) -> tuple[str, ...]:
        """``name=value`` of n and of each parameter that is not as usual."""
        grammar = _full_grammar(self.strategy)
        return tuple(
            f"{name}={grammar[name].write(value)}"
            for name, value in self.parameters
            if name == "n" or grammar[name].is_required or value != grammar[name].default
        )

    def with_(self, **changed: Any) -> Plan:
        """The same plan with other values. Raises PlanError.

        >>> str(Plan.parse("majority(n=4)").with_(n=8))
        'majority(n=8)'
        """
        return Plan.of(self.strategy, **{**dict(self.parameters), **changed})

    @property
    def described(self) -> Strategy:
        """The strategy with these numbers: what it says of itself, and what runs it."""
        return _described(self)

    @property
    def thinking(self) -> ThinkingBudget | None:
        """How much its policy is told to think; None: as it does."""
        return _thinking(self)

    @property
    def n(self) -> int:
        """Samples drawn at most (1 for ``cot``); beams kept in flight for a tree search."""
        return _described(self).samples

    @property
    def width(self) -> int:
        """Children per surviving beam; 1 for strategies without a tree."""
        return int(dict(self.parameters).get("width", 1))

    @property
    def prune(self) -> str | None:
        """The score that steers the tree, None without one."""
        return dict(self.parameters).get("prune")

    @property
    def score(self) -> str | None:
        """The score that picks the answer, None where no PRM is asked."""
        return dict(self.parameters).get("score") if self.needs_prm else None

    @property
    def vote(self) -> str:
        """How it picks its answer, one of ``search.voting.votes.VOTES``."""
        return _described(self).vote

    @property
    def must_run(self) -> bool:
        """Whether nothing that a log holds of single samples can replay it (tree searches)."""
        return _described(self).replays is Replay.NEVER

    @property
    def tree(self) -> Plan:
        """The plan with the usual values of what only picks the answer: equal for plans that share runs.

        >>> str(Plan.parse("dvts(n=4, width=2, score=min, vote=weighted)").tree)
        'dvts(n=4, width=2, prune=last, score=last, vote=max)'
        """
        grammar, picking = _full_grammar(self.strategy), _described(self).picking
        usual = {
            name: grammar[name].default
            for name, _ in self.parameters
            if name in picking and not grammar[name].is_required
        }
        return self.with_(**usual) if usual else self

    @property
    def is_greedy(self) -> bool:
        """Whether it is the greedy answer."""
        return _described(self).replays is Replay.GREEDY

    @property
    def is_pooled(self) -> bool:
        """Whether any n samples of a pool replay it, by its vote."""
        return _described(self).replays is Replay.VOTE

    @property
    def is_ordered(self) -> bool:
        """Whether samples of one or more policies, in an order, replay it."""
        return _described(self).replays is Replay.ORDER

    @property
    def needs_prm(self) -> bool:
        """Whether a PRM must score anything."""
        return _described(self).needs_reward

    @property
    def parts(self) -> tuple[Choice, ...]:
        """The choices that it is made of; () for a plan of one policy."""
        return _parts(self)

    def walk(self) -> Iterator[Choice]:
        """Every choice inside, however deep."""
        for part in self.parts:
            yield part
            yield from part.plan.walk()


def _grammar(strategy: str) -> Mapping[str, Parameter]:
    return grammar_of(STRATEGIES.get(strategy))


def _full_grammar(strategy: str) -> Mapping[str, Parameter]:
    """With what every plan may have; a strategy's own parameter of such a name is its own."""
    return {
        **_grammar(strategy),
        **{name: one for name, one in THINKING.items() if name not in _grammar(strategy)},
    }


def _thinking(plan: Plan) -> ThinkingBudget | None:
    own = _grammar(plan.strategy)
    words = {name: value for name, value in plan.parameters if name in THINKING and name not in own}
    return ThinkingBudget(**words) if words else None


def _name(strategy: str) -> str:
    """A strategy's own name: a dotted path leads to a class that names itself."""
    return strategy if strategy in STRATEGIES else STRATEGIES.get(strategy).name


def _described(plan: Plan) -> Strategy:
    return _built(plan, STRATEGIES.generation)


# what is kept is of one generation of the registry: a class may be registered in place of another


@lru_cache(maxsize=8192)
def _built(plan: Plan, generation: int) -> Strategy:
    own = _grammar(plan.strategy)
    strategy = STRATEGIES.get(plan.strategy)(
        **{name: value for name, value in plan.parameters if name in own}
    )
    thinking = _thinking(plan)
    if thinking is None:
        return strategy
    from search.strategies.thoughtful import Thoughtful

    return Thoughtful(strategy, thinking)


@lru_cache(maxsize=8192)
def _parts(plan: Plan) -> tuple[Choice, ...]:
    from search.choice import Choice

    return tuple(value for _, value in plan.parameters if isinstance(value, Choice))


@lru_cache(maxsize=8192)
def _written(plan: Plan, generation: int) -> str:
    grammar = _full_grammar(plan.strategy)
    inside = ", ".join(
        f"{name}={grammar[name].write(value)}"
        for name, value in plan.parameters
        if not (grammar[name].is_quiet and value == grammar[name].default)
    )
    return f"{plan.strategy}({inside})"


@lru_cache(maxsize=4096)
def _parse(text: str, generation: int) -> Plan:
    if len(text) > _LONGEST:
        raise PlanError(f"a plan is written in at most {_LONGEST} characters, got {len(text)}")
    wrong = f"a plan is written strategy(name=value, ...), got {text!r}"
    match = _CALL.fullmatch(text)
    if match is None:
        raise PlanError(wrong)
    strategy, inside = match.group(1), (match.group(2) or "").strip()
    if inside.count("(") >= _DEEPEST * 4 or _depth(inside) >= _DEEPEST:
        raise PlanError(f"plans are nested at most {_DEEPEST} deep, got {text!r}")
    if strategy not in STRATEGIES:
        raise STRATEGIES.unknown(strategy)
    grammar, given = _full_grammar(strategy), dict[str, Any]()
    for part in _split(inside) if inside else ():
        name, equals, raw = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not raw:
            raise PlanError(wrong)
        if name in given:
            raise PlanError(f"a parameter is given once, got {name!r} twice in {text!r}")
        given[name] = grammar[name].parse(name, raw) if name in grammar else raw
    return Plan.of(strategy, **given)


def _split(inside: str) -> list[str]:
    """The parts between commas that stand outside parentheses."""
    parts, depth, begin = [], 0, 0
    for place, character in enumerate(inside):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            raise PlanError(f"parentheses of a plan must match, got {inside!r}")
        if character == "," and depth == 0:
            parts.append(inside[begin:place])
            begin = place + 1
    if depth:
        raise PlanError(f"parentheses of a plan must match, got {inside!r}")
    return [*parts, inside[begin:]]


def _depth(inside: str) -> int:
    depth = deepest = 0
    for character in inside:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return deepest
