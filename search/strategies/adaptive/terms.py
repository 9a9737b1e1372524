"""Terms: what several signals say together of one solution, as plans spell it.

    >>> terms_of("mean*3.1@-0.42/length*0.002@-180")[0]
    Term(signal='mean', slope=3.1, centre=-0.42)

Their sum, slope x (signal - centre) over all terms, is the part of a log odds that differs from one solution
to the next. A signal that is not known says nothing: its term is 0.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from search.errors import PlanError
from search.strategies.fields import Parameter

__all__ = ["SignalTerms", "Term", "summed", "terms_of"]


class Term(NamedTuple):
    """One signal: its name, what a unit of it adds to the log odds, and its mean over a search log."""

    signal: str
    slope: float
    centre: float


@dataclass(frozen=True, slots=True)
class SignalTerms(Parameter):
    """Terms of some signals, written ``signal*slope@centre`` and parted by slashes."""

    signals: tuple[str, ...] = ()

    def parse(self, name: str, text: str) -> Any:
        try:
            return terms_of(text)
        except ValueError:
            return text

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, tuple) or not all(isinstance(term, Term) for term in value):
            raise PlanError(f"{name} are written signal*slope@centre/..., got {value!r}")
        named = [term.signal for term in value]
        unknown = [signal for signal in named if signal not in self.signals]
        if unknown:
            raise PlanError(f"{name} are of {', '.join(self.signals)}, got {unknown[0]!r}")
        if len(set(named)) < len(named):
            raise PlanError(f"{name} name a signal once, got {', '.join(named)}")
        if not all(math.isfinite(number) for term in value for number in term[1:]):
            raise PlanError(f"{name} hold finite numbers, got {self.write(value)}")

    def write(self, value: Any) -> str:
        return "/".join(f"{signal}*{_number(slope)}@{_number(centre)}" for signal, slope, centre in value)


def summed(signals: Collection[str]) -> Any:
    """A field that holds terms of these signals, none as a rule."""
    parameter = SignalTerms((), is_quiet=True, signals=tuple(signals))
    return dataclasses.field(default=(), metadata={"parameter": parameter}, kw_only=True)


def terms_of(text: str) -> tuple[Term, ...]:
    """The terms that a text spells. Raises ValueError."""
    found = []
    for part in text.split("/"):
        signal, _, numbers = part.strip().partition("*")
        slope, _, centre = numbers.partition("@")
        found.append(Term(signal, float(slope), float(centre)))
    return tuple(found)


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(float(value))
