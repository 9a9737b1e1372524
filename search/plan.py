"""A plan: a strategy with all its numbers, in one canonical form that parses and prints round-trip.

    >>> str(Plan.parse("best_of_n( score = min, n=16 )"))
    'best_of_n(n=16, score=min)'
    >>> str(Plan.parse("beam_search(n=16)"))
    'beam_search(n=16, width=4, prune=last, score=last, vote=max)'
    >>> Plan.parse("dvts(n=10, width=4)")
    Traceback (most recent call last):
    search.errors.PlanError: n must be divisible by width, got n=10, width=4

A plan knows nothing of policies and PRMs: with those it becomes a choice (``search.choice``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from search.errors import PlanError
from search.scores import SCORES

__all__ = ["GRAMMAR", "VOTES", "Plan"]

#: how the answer is picked among the finished beams of a tree search
VOTES = ("max", "majority", "weighted")

_TREE: Mapping[str, int | str] = {"n": 16, "width": 4, "prune": "last", "score": "last", "vote": "max"}

#: strategy -> its parameters in canonical order, with the values taken when they are left out
GRAMMAR: Mapping[str, Mapping[str, int | str]] = MappingProxyType(
    {
        "cot": {},
        "majority": {"n": 16},
        "best_of_n": {"n": 16, "score": "last"},
        "weighted_vote": {"n": 16, "score": "last"},
        "beam_search": _TREE,
        "dvts": _TREE,
    }
)

#: largest n and width that parse: a plan beyond it is a slip of the keyboard
_LARGEST = 65536
#: characters of a plan: what was read is kept, and clients of a server write plans
_LONGEST = 500
_CALL = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_ALLOWED: Mapping[str, tuple[str, ...]] = {"score": SCORES, "prune": SCORES, "vote": VOTES}


@dataclass(frozen=True, slots=True, order=True)
class Plan:
    """A strategy with all its numbers. Equal plans are equal objects and print alike.

    ``parameters`` holds every parameter of the strategy in canonical order. Build plans with
    ``Plan.parse`` or ``Plan.of``; both fill in what was left out. Raises PlanError.
    """

    strategy: str
    parameters: tuple[tuple[str, int | str], ...] = ()

    def __post_init__(self) -> None:
        if self.strategy not in GRAMMAR:
            raise PlanError(f"strategy must be one of {', '.join(GRAMMAR)}, got {self.strategy!r}")
        names = tuple(name for name, _ in self.parameters)
        if names != tuple(GRAMMAR[self.strategy]):
            raise PlanError(
                f"{self.strategy} takes ({', '.join(GRAMMAR[self.strategy])}) in this order, "
                f"got ({', '.join(names)})"
            )
        for name, value in self.parameters:
            _check(name, value)
        if self.is_tree and self.n % self.width:
            raise PlanError(f"n must be divisible by width, got n={self.n}, width={self.width}")

    @classmethod
    def of(cls, strategy: str, **given: int | str) -> Plan:
        """A plan from keyword arguments; parameters left out take the grammar's values."""
        if strategy not in GRAMMAR:
            raise PlanError(f"strategy must be one of {', '.join(GRAMMAR)}, got {strategy!r}")
        known = GRAMMAR[strategy]
        for name in given:
            if name not in known:
                takes = ", ".join(known) if known else "no parameters"
                raise PlanError(f"{strategy} takes {takes}, got {name!r}")
        return cls(strategy, tuple((name, given.get(name, default)) for name, default in known.items()))

    @classmethod
    def parse(cls, text: str) -> Plan:
        """The plan that ``text`` spells. Spaces, order and left-out parameters do not matter."""
        return _parse(text)

    def __str__(self) -> str:
        return f"{self.strategy}({', '.join(f'{name}={value}' for name, value in self.parameters)})"

    @property
    def n(self) -> int:
        """Samples drawn (1 for ``cot``); beams kept in flight for a tree search."""
        return int(self._get("n", 1))

    @property
    def width(self) -> int:
        """Children per surviving beam; 1 for strategies without a tree."""
        return int(self._get("width", 1))

    @property
    def prune(self) -> str | None:
        """The score that steers the tree, None without one."""
        return self._name("prune")

    @property
    def score(self) -> str | None:
        """The score that picks the answer, None where no PRM is asked."""
        return self._name("score")

    @property
    def vote(self) -> str | None:
        """How a tree search picks its answer, None for other strategies."""
        return self._name("vote")

    @property
    def is_tree(self) -> bool:
        """Whether the PRM steers generation, so that pool samples cannot replay it."""
        return "width" in GRAMMAR[self.strategy]

    @property
    def needs_prm(self) -> bool:
        """Whether a PRM must score anything."""
        return "score" in GRAMMAR[self.strategy]

    def _get(self, name: str, default: int | str) -> int | str:
        return dict(self.parameters).get(name, default)

    def _name(self, name: str) -> str | None:
        value = dict(self.parameters).get(name)
        return None if value is None else str(value)


def _check(name: str, value: int | str) -> None:
    if name in _ALLOWED:
        if value not in _ALLOWED[name]:
            raise PlanError(f"{name} must be one of {', '.join(_ALLOWED[name])}, got {value!r}")
    elif not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST:
        raise PlanError(f"{name} must be a whole number from 1 to {_LARGEST}, got {name}={value}")


@lru_cache(maxsize=4096)
def _parse(text: str) -> Plan:
    if len(text) > _LONGEST:
        raise PlanError(f"a plan is written in at most {_LONGEST} characters, got {len(text)}")
    match = _CALL.fullmatch(text)
    if match is None:
        raise PlanError(f"a plan is written strategy(name=value, ...), got {text!r}")
    strategy, inside = match.group(1), (match.group(2) or "").strip()
    given: dict[str, int | str] = {}
    for part in inside.split(",") if inside else ():
        name, equals, raw = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not raw:
            raise PlanError(f"a plan is written strategy(name=value, ...), got {text!r}")
        if name in given:
            raise PlanError(f"a parameter is given once, got {name!r} twice in {text!r}")
        given[name] = int(raw) if re.fullmatch(r"[+-]?[0-9]{1,9}", raw) else raw
    return Plan.of(strategy, **given)
