"""What work costs while it is done: tokens and money, solutions still being written included.

A ``Meter`` belongs to one run of a campaign. It counts every token that is sent, generated or scored, by
engines and PRMs that are wrapped in ``MeteredEngine`` and ``MeteredReward``, and says when a limit is near.
Money is tokens times prices, those of a PRM's tokens being the price of its prompts; a model without a price
costs nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from search.budget import Prices
from search.errors import BudgetError

__all__ = ["Meter", "SpendLimit", "Usage"]

#: tokens that each open solution may grow by before a backend hears that it was cancelled
_LATE = 8


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """What a run may spend at most: ``tokens`` (prompts included, policies and PRMs together) or ``usd``.

    >>> SpendLimit.parse("tokens=100000")
    SpendLimit(tokens=100000, usd=None)
    """

    tokens: int | None = None
    usd: float | None = None

    def __post_init__(self) -> None:
        if (self.tokens is None) == (self.usd is None):
            raise BudgetError(f"a spend is limited in tokens or in usd, got {self.tokens} and {self.usd}")
        value = self.tokens if self.usd is None else self.usd
        if value is None or not (value > 0 and math.isfinite(value)):
            raise BudgetError(f"a limit on what is spent must be positive, got {value}")

    @classmethod
    def parse(cls, text: str) -> SpendLimit:
        """``tokens=100000`` or ``usd=5``. Raises BudgetError."""
        name, _, value = text.partition("=")
        try:
            if name.strip() == "tokens":
                return cls(tokens=int(value.replace("_", "")))
            if name.strip() == "usd":
                return cls(usd=float(value))
        except ValueError as error:
            if isinstance(error, BudgetError):
                raise
        raise BudgetError(f"a spend must be tokens=NUMBER or usd=NUMBER, got {text!r}")

    def __str__(self) -> str:
        return f"{self.tokens:,} tokens" if self.usd is None else f"{self.usd:g} USD"


@dataclass(slots=True)
class Usage:
    """Tokens of one model so far.

    ``prompt`` (``cached`` of it) is what all requests sent, which servers are paid for; ``first_prompt``
    counts once per run of a plan, as logs do. ``ended`` counts whole solutions, ``runs`` first prompts.
    """

    prompt: int = 0
    cached: int = 0
    first_prompt: int = 0
    generated: int = 0
    runs: int = 0
    ended: int = 0
    open: int = 0

    @property
    def tokens(self) -> int:
        """Logical tokens: prompts once, and what was generated or scored."""
        return self.first_prompt + self.generated


class Meter:
    """Counts for one run.

    Parameters
    ----------
    prices:
        Model's name -> prices.
    limit:
        What is not to be passed; None: nothing is limited.
    is_live:
        Whether tokens are counted as they come, with a limit they always are; else as solutions end.

    ``exhausted`` is set when what is spent, and what open solutions may still grow by before they are
    stopped, reaches the limit. Whoever started the work then cancels it.
    """

    def __init__(
        self,
        prices: Mapping[str, Prices] = MappingProxyType({}),
        limit: SpendLimit | None = None,
        *,
        is_live: bool = False,
    ) -> None:
        self.is_live = is_live or limit is not None
        self.limit = limit
        self.exhausted = asyncio.Event()
        self._prices = dict(prices)
        self._usage: dict[str, Usage] = {}

    @property
    def is_limited(self) -> bool:
        """Whether there is something that is not to be passed."""
        return self.limit is not None

    @property
    def is_in_money(self) -> bool:
        """Whether the limit is in money."""
        return self.limit is not None and self.limit.usd is not None

    @property
    def tokens(self) -> int:
        """Tokens of all models: prompts, generated, scored."""
        return sum(usage.tokens for usage in self._usage.values())

    @property
    def usd(self) -> float | None:
        """Money so far; None where no price is known."""
        if not self._prices:
            return None
        return math.fsum(
            self._prices[name].usd(prompt=usage.prompt, cached=usage.cached, generated=usage.generated)
            for name, usage in self._usage.items()
            if name in self._prices
        )

    def usages(self) -> dict[str, Usage]:
        """Of every model so far."""
        return {name: replace(usage) for name, usage in self._usage.items()}

    def add(self, usages: Mapping[str, Usage]) -> None:
        """Count what another meter has counted."""
        for name, other in usages.items():
            usage = self.usage(name)
            for field in ("prompt", "cached", "first_prompt", "generated", "runs", "ended"):
                setattr(usage, field, getattr(usage, field) + getattr(other, field))

    def usage(self, model: str) -> Usage:
        """The tokens of a model, to be counted up."""
        return self._usage.setdefault(model, Usage())

    @property
    def left(self) -> float:
        """Tokens or US dollars until the limit is reached; infinite without one."""
        return self._most() - self._spent()

    def cost(self, *works: tuple[str, float, float]) -> float:
        """What work takes of the limit: (model, prompt tokens, generated tokens) of each."""
        return math.fsum(self._cost(*work) for work in works)

    def fits(self, *works: tuple[str, float, float]) -> bool:
        """Whether more work stays within the limit: (model, prompt tokens, generated tokens) of each."""
        if self.limit is None:
            return True
        return self._spent() + math.fsum(self._cost(*work) for work in works) <= self._most()

    def check(self, model: str = "", prompt: int = 0, children: int = 0) -> bool:
        """Whether the limit is not near, were a prompt sent for so many more; else ``exhausted`` is set."""
        if self.limit is None:
            return True
        late = math.fsum(self._cost(name, 0, _LATE * one.open) for name, one in self._usage.items())
        more = self._cost(model, prompt, _LATE * children)
        if self._spent() + late + more > self._most():
            self.exhausted.set()
        return not self.exhausted.is_set()

    def _most(self) -> float:
        if self.limit is None:
            return math.inf
        return float(self.limit.tokens or 0) if self.limit.usd is None else self.limit.usd

    def _spent(self) -> float:
        return float(self.tokens) if self.limit is None or self.limit.usd is None else self.usd or 0.0

    def _cost(self, model: str, prompt: float, generated: float) -> float:
        if self.limit is None or self.limit.usd is None:
            return prompt + generated
        prices = self._prices.get(model)
        return 0.0 if prices is None else prices.usd(prompt=math.ceil(prompt), generated=math.ceil(generated))
