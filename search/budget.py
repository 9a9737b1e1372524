"""Budgets: what one request may spend, what for, and what its tokens cost in money.

    >>> Budget(tokens=-1)
    Traceback (most recent call last):
    search.errors.BudgetError: a budget cannot be negative, got tokens=-1

``search.ledger`` keeps the caps: on tokens and FLOPs by *logical* cost, the prompt once per model, every
generated token, every scored step once. Money counts what is paid for, a prompt for every request that sends
it. Seconds are a deadline that strategies keep as well as a backend can cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Literal, TypedDict

from search.errors import BudgetError

__all__ = ["AIMS", "CAPS", "UNLIMITED", "Budget", "BudgetWords", "Prices", "Unit"]

#: what means and prices are counted in
Unit = Literal["flops", "tokens"]

#: fields of a budget that limit what a request spends
CAPS = ("tokens", "flops", "seconds", "usd", "samples")
#: fields that say what it spends for, of which a budget has one at most
AIMS = ("mean_flops", "mean_tokens", "accuracy", "price")
_FIGURES = (*CAPS, *AIMS)


class BudgetWords(TypedDict, total=False):
    """The words of a budget as keyword arguments: the fields of ``Budget``."""

    tokens: int | None
    flops: float | None
    seconds: float | None
    usd: float | None
    samples: int | None
    mean_flops: float | None
    mean_tokens: float | None
    accuracy: float | None
    confidence: float | None
    price: float | None
    price_unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Budget:
    """What one request may spend, and what for. A field left out says nothing.

    Parameters
    ----------
    tokens:
        Cap: logical tokens of policy and PRM together.
    flops:
        Cap: logical FLOPs of policy and PRM together.
    seconds:
        Cap: wall clock, a deadline.
    usd:
        Cap: money by a price table (``Prices``).
    samples:
        Cap: the FLOPs that so many samples of the planner's first policy take.
    mean_flops, mean_tokens:
        The most accuracy over a stream of requests that take so much on average.
    accuracy:
        The least cost at which requests are expected to be right this often, on average over a stream of
        them: one price of compute for all. A request alone is decided at that price too. Where even the
        cheapest plan is right more often, that plan; where no price gets there, the most accurate one.
    confidence:
        With an accuracy: the least cost at which the mean is at least that with this confidence, in [0.5, 1).
        It costs more than the accuracy alone, which is expected and may be missed by either side.
    price:
        Spend a unit more only where it is expected to add this much accuracy (1.0 is a hundred points).
    price_unit:
        The unit of ``price``: ``flops`` or ``tokens``.

    Without a mean, an accuracy or a price, a budget is for the most accuracy within its caps. Raises
    BudgetError for a value that breaks a rule, for two of these aims at once, and when nothing is given:
    ``Budget.unlimited()`` says that on purpose.

    >>> Budget(tokens=800, seconds=2.5)
    Budget(tokens=800, seconds=2.5)
    >>> Budget(accuracy=0.9, price=1e-12)
    Traceback (most recent call last):
    search.errors.BudgetError: a budget has one of a mean, an accuracy and a price, \
got accuracy=0.9 and price=1e-12
    """

    tokens: int | None = None
    flops: float | None = None
    seconds: float | None = None
    usd: float | None = None
    samples: int | None = None
    mean_flops: float | None = None
    mean_tokens: float | None = None
    accuracy: float | None = None
    confidence: float | None = None
    price: float | None = None
    price_unit: Unit = "flops"

    def __post_init__(self) -> None:
        said = {name: value for name in _FIGURES if (value := getattr(self, name)) is not None}
        if not said:
            raise BudgetError(
                f"a budget needs one of {', '.join(_FIGURES)}, got none (Budget.unlimited() caps nothing)"
            )
        for name, value in said.items():
            object.__setattr__(self, name, _checked(name, value))
        aims = [name for name in AIMS if name in said]
        if len(aims) > 1:
            got = " and ".join(f"{name}={said[name]}" for name in aims)
            raise BudgetError(f"a budget has one of a mean, an accuracy and a price, got {got}")
        if self.price_unit not in ("flops", "tokens"):
            raise BudgetError(f"a price unit is flops or tokens, got {self.price_unit!r}")
        if self.price_unit != "flops" and self.price is None:
            raise BudgetError(f"a price unit goes with a price, got price_unit={self.price_unit!r} without")
        if self.confidence is not None:
            object.__setattr__(self, "confidence", _checked("confidence", self.confidence))
            if self.accuracy is None:
                raise BudgetError(
                    f"a confidence goes with an accuracy, got confidence={self.confidence:g} without"
                )

    @classmethod
    def unlimited(cls) -> Budget:
        """The budget that never binds: a deadline infinitely far away."""
        return cls(seconds=math.inf)

    @classmethod
    def of(cls, budget: Budget | None, words: BudgetWords) -> Budget:
        """The budget of a call that takes it as an object or as keyword arguments.

        >>> Budget.of(None, {"tokens": 800})
        Budget(tokens=800)
        >>> Budget.of(Budget(tokens=800), {"seconds": 2})
        Traceback (most recent call last):
        search.errors.BudgetError: a budget is an object or keyword arguments, \
got budget=Budget(tokens=800) and seconds=2
        """
        for name in words:
            if name not in BudgetWords.__annotations__:
                raise BudgetError(
                    f"a budget has the words {', '.join(BudgetWords.__annotations__)}, got {name!r}"
                )
        if budget is None:
            return cls(**words)
        said = [f"{name}={value}" for name, value in words.items() if value is not None]
        if said:
            raise BudgetError(
                f"a budget is an object or keyword arguments, got budget={budget} and {', '.join(said)}"
            )
        if not isinstance(budget, cls):
            raise BudgetError(f"a budget is a planner.Budget, got {budget!r}")
        return budget

    @property
    def given(self) -> dict[str, Any]:
        """What was given, by field. What never binds (infinity) is left out."""
        found = {
            name: value
            for name in _FIGURES
            if (value := getattr(self, name)) is not None and value != math.inf
        }
        if self.confidence is not None:
            found["confidence"] = self.confidence
        return found | ({} if self.price_unit == "flops" else {"price_unit": self.price_unit})

    @property
    def has_aim(self) -> bool:
        """Whether it says what to spend for: a mean, an accuracy or a price."""
        return any(getattr(self, name) is not None for name in AIMS)

    def within(self, ceiling: Budget | None) -> Budget:
        """The same with the caps of ``ceiling`` beside its own: the lower one binds. Its aim says nothing.

        >>> Budget(tokens=800, accuracy=0.9).within(Budget(tokens=500, seconds=2.0, accuracy=0.5))
        Budget(tokens=500, seconds=2.0, accuracy=0.9)
        """
        if ceiling is None:
            return self
        lower: dict[str, Any] = {}
        for name in CAPS:
            own, cap = getattr(self, name), getattr(ceiling, name)
            if cap is not None and (own is None or cap < own):
                lower[name] = cap
        return replace(self, **lower) if lower else self

    def scaled(self, share: float) -> Budget:
        """A share in (0, 1] of every cap but time, which a request waits for as before.

        >>> Budget(tokens=800, seconds=2.0).scaled(0.25)
        Budget(tokens=200, seconds=2.0)
        """
        if share >= 1.0:
            return self
        less: dict[str, Any] = {}
        for name in ("samples", "tokens"):
            value = getattr(self, name)
            if value is not None:
                less[name] = max(1, int(value * share))
        for name in ("flops", "usd"):
            value = getattr(self, name)
            if value is not None:
                less[name] = value * share
        return replace(self, **less)

    def __repr__(self) -> str:
        said = {name: getattr(self, name) for name in _FIGURES}
        words = [f"{name}={value!r}" for name, value in said.items() if value is not None]
        if self.confidence is not None:
            words.append(f"confidence={self.confidence!r}")
        if self.price_unit != "flops":
            words.append(f"price_unit={self.price_unit!r}")
        return f"Budget({', '.join(words)})"


def _checked(name: str, value: Any) -> int | float:
    """A figure of a budget as a Python number. Raises BudgetError where it breaks a rule."""
    number: int | float = value
    if type(value) not in (int, float):  # numpy's, say
        if isinstance(value, bool) or not isinstance(value, Real):
            raise BudgetError(f"a budget is a number, got {name}={value!r}")
        number = int(value) if isinstance(value, Integral) else float(value)
    if number != number:
        raise BudgetError(f"a budget is a number, got {name}={value!r}")
    if name in CAPS:
        if number < 0:
            raise BudgetError(f"a budget cannot be negative, got {name}={value}")
        if name in ("tokens", "samples") and not isinstance(number, int):
            raise BudgetError(f"a budget in {name} is a whole number, got {name}={value!r}")
    elif name == "accuracy":
        if not 0 < number <= 1:
            raise BudgetError(f"an accuracy must be in (0, 1], got accuracy={value}")
    elif name == "confidence":
        if not 0.5 <= number < 1:
            raise BudgetError(f"a confidence must be in [0.5, 1), got confidence={value}")
    elif name == "price":
        if not 0 <= number < math.inf:
            raise BudgetError(f"a price is a finite number of at least 0, got price={value}")
    elif not 0 < number < math.inf:
        raise BudgetError(f"a mean budget must be above 0 and finite, got {name}={value}")
    return number


#: what a run takes when nobody names a budget
UNLIMITED = Budget.unlimited()


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens. Raises BudgetError for negative or non-finite prices.

    ``prompt`` is paid for every request that sends it. ``generated`` covers thoughts. ``cached_prompt``: of
    prompt tokens that a server has kept, as its usage says; as ``prompt`` where it is None. ``prm_written``:
    of tokens that a PRM writes itself, as a judge does; as ``prm`` where it is None.

        >>> Prices(prompt=1.0, generated=4.0, cached_prompt=0.5).usd(prompt=3000, cached=2000, generated=1000)
        0.006
    """

    prompt: float
    generated: float
    prm: float = 0.0
    cached_prompt: float | None = None
    prm_written: float | None = None

    def __post_init__(self) -> None:
        for name in ("prompt", "generated", "prm", "cached_prompt", "prm_written"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise BudgetError(f"a price is a finite number of at least 0, got {name}={value}")

    def usd(self, *, prompt: int = 0, cached: int = 0, generated: int = 0, scored: int = 0) -> float:
        """US dollars for tokens that were really sent; ``cached`` of ``prompt`` had been kept."""
        cheap = self.prompt if self.cached_prompt is None else self.cached_prompt
        sent = (prompt - cached) * self.prompt + cached * cheap
        return (sent + generated * self.generated + scored * self.prm) / 1e6
