"""Budgets and the ledger that keeps them: reserve the worst case, spend, give back the rest.

    >>> from search.cards import ModelCard
    >>> ledger = Ledger(Budget(tokens=100), ModelCard("policy", 1000, "f", 256))
    >>> ledger.affordable(8, policy_tokens=30, policy_prompt=10)
    3
    >>> held = ledger.reserve(policy_tokens=30, policy_prompt=10)
    >>> held.settle(policy_tokens=12)
    >>> ledger.spend.policy_tokens, ledger.spend.flops
    (22, 44000.0)
    >>> Budget(tokens=-1)
    Traceback (most recent call last):
    search.errors.BudgetError: a budget cannot be negative, got tokens=-1

Caps on tokens and FLOPs are on *logical* cost: the prompt once per model, every generated token, every
scored step once. Money counts what is paid for: a prompt for every request that sends it. Seconds are a
deadline that strategies keep as well as a backend can cancel. A ledger belongs to one request and one event
loop: between two awaits nothing interleaves, so a reservation that ``affordable`` promised is granted. It
knows nothing of engines, rewards or plans.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, Literal, TypedDict

from search.cards import ModelCard
from search.errors import BudgetError
from search.result import Spend

__all__ = ["AIMS", "CAPS", "UNLIMITED", "Budget", "BudgetWords", "Ledger", "Prices", "Reservation", "Unit"]

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


@dataclass(slots=True)
class _Prompt:
    """One prompt of a model: its length, whether it was sent, and how many open reservations send it."""

    tokens: int
    is_spent: bool = False
    holders: int = 0


@dataclass(slots=True)
class _Account:
    """Tokens of one model: what is spent, what is held, and its prompts, each of which counts once.

    Money counts what all requests sent instead (``sent``, ``cached`` of it): each prompt as often as it was
    sent, a solution that is gone on with, and what a PRM reads.
    """

    spent: int = 0  # without prompts
    held: int = 0  # without prompts
    written: int = 0  # of those spent, what a PRM wrote itself
    held_written: int = 0
    sent: int = 0
    cached: int = 0
    held_sent: int = 0
    prompts: dict[Hashable, _Prompt] = field(default_factory=dict)

    def committed(self, key: Hashable) -> int:
        """Tokens of the prompt ``key`` that count already."""
        prompt = self.prompts.get(key)
        return prompt.tokens if prompt is not None and (prompt.is_spent or prompt.holders) else 0

    @property
    def prompts_committed(self) -> int:
        return sum(one.tokens for one in self.prompts.values() if one.is_spent or one.holders)

    @property
    def prompts_spent(self) -> int:
        return sum(one.tokens for one in self.prompts.values() if one.is_spent)

    @property
    def total_spent(self) -> int:
        return self.spent + self.prompts_spent


@dataclass(slots=True)
class _Book:
    """What all ledgers of one request share: the budget, and an account per model and role."""

    budget: Budget
    prices: Mapping[str, Prices] | Prices | None
    clock: Callable[[], float]
    start: float
    policies: dict[ModelCard, _Account] = field(default_factory=dict)
    prms: dict[ModelCard, _Account] = field(default_factory=dict)
    physical_policy: int = 0
    physical_prm: int = 0

    def price(self, card: ModelCard) -> Prices:
        """The prices of one model. Raises BudgetError where there are none."""
        prices = self.prices.get(card.name) if isinstance(self.prices, Mapping) else self.prices
        if prices is None:
            raise BudgetError(f"money needs the prices of every model, got none for {card.name!r}")
        return prices


@dataclass(frozen=True, slots=True)
class _Amounts:
    """What one piece of work takes, or has taken, of its ledger's models. The first two and the prompts are
    logical tokens; money counts the policy's without ``policy_prompt`` as generated, what was sent, and what
    the PRM wrote."""

    policy_tokens: int = 0
    prm_tokens: int = 0
    prm_written: int = 0
    policy_sent: int = 0
    prm_sent: int = 0
    policy_cached: int = 0
    policy_prompt: int = 0
    prm_prompt: int = 0


_NOTHING = _Amounts()


class Reservation:
    """The worst case of one piece of work, held until it is settled or released, once.

    Made by ``Ledger.reserve`` only.
    """

    __slots__ = (
        "_ledger",
        "_open",
        "policy_prompt",
        "policy_sent",
        "policy_tokens",
        "prm_prompt",
        "prm_sent",
        "prm_tokens",
        "prm_written",
        "prompt",
    )

    def __init__(
        self,
        ledger: Ledger,
        *,
        policy_tokens: int,
        prm_tokens: int,
        policy_prompt: bool,
        prm_prompt: bool,
        prompt: Hashable,
        prm_written: int,
        policy_sent: int,
        prm_sent: int,
    ) -> None:
        self._ledger = ledger
        self._open = True
        self.policy_tokens = policy_tokens
        self.prm_tokens = prm_tokens
        self.policy_prompt = policy_prompt
        self.prm_prompt = prm_prompt
        self.prm_written = prm_written
        self.prompt = prompt
        self.policy_sent = policy_sent
        self.prm_sent = prm_sent

    @property
    def is_open(self) -> bool:
        """Whether it still holds something."""
        return self._open

    def settle(
        self,
        *,
        policy_tokens: int = 0,
        prm_tokens: int = 0,
        prm_written: int = 0,
        policy_sent: int | None = None,
        policy_cached: int = 0,
        prm_sent: int | None = None,
    ) -> None:
        """The work was sent and took this much; the rest is given back.

        A prompt that was reserved along counts as spent, since it was sent. ``policy_sent``, of which
        ``policy_cached`` had been kept, and ``prm_sent``: what was sent by the count of who bills it; None:
        what was held, of a PRM's without the tokens that were not scored. A server that counts more than was
        held is paid for that.

        Raises BudgetError when settled before, and when more was spent than held (what was held is then
        charged in full: a backend has broken its word).
        """
        self._close()
        over = (
            policy_tokens > self.policy_tokens
            or prm_tokens > self.prm_tokens
            or prm_written > self.prm_written
        )
        if min(policy_tokens, prm_tokens, prm_written, policy_sent or 0, policy_cached, prm_sent or 0) < 0:
            raise BudgetError(f"a spend cannot be negative, got policy={policy_tokens}, prm={prm_tokens}")
        prm_tokens_paid = min(prm_tokens, self.prm_tokens)
        prm_written_paid = min(prm_written, self.prm_written)
        if prm_sent is None:
            unscored = self.prm_tokens - prm_tokens_paid - (self.prm_written - prm_written_paid)
            prm_sent = max(0, self.prm_sent - unscored)
        sent = self.policy_sent if policy_sent is None else policy_sent
        self._ledger._settle(
            self,
            _Amounts(
                min(policy_tokens, self.policy_tokens),
                prm_tokens_paid,
                prm_written_paid,
                sent,
                prm_sent,
                min(policy_cached, sent),
            ),
            sent=True,
        )
        if over:
            raise BudgetError(
                f"a spend must stay within its reservation of policy={self.policy_tokens}, "
                f"prm={self.prm_tokens}, got policy={policy_tokens}, prm={prm_tokens}"
            )

    def forfeit(self) -> None:
        """The work was sent and nobody knows what it took: all of it is charged."""
        self.settle(
            policy_tokens=self.policy_tokens, prm_tokens=self.prm_tokens, prm_written=self.prm_written
        )

    def release(self) -> None:
        """The work was never sent: everything is given back. Raises BudgetError when settled before."""
        self._close()
        self._ledger._settle(self, _NOTHING, sent=False)

    def _close(self) -> None:
        if not self._open:
            raise BudgetError(
                "a reservation is settled or released once, got a second time for "
                f"policy={self.policy_tokens}, prm={self.prm_tokens}"
            )
        self._open = False


class Ledger:
    """What one request has spent and holds, against its budget.

    Parameters
    ----------
    budget:
        The hard caps.
    policy, prm:
        Cards that turn tokens into FLOPs. ``prm`` is None where no PRM can be asked.
    prices:
        Of every model, or by the model's name. Needed for a money budget, and for ``usd``.
    clock:
        Seconds, monotonic.
    start:
        When the deadline began to count; None: now.

    A request that asks several models has a ledger for each pair of policy and PRM, made by ``beside``. They
    share the budget, and each reads the request's totals.

    Sums are kept in whole tokens, and FLOPs and money are computed from the sums, so totals do not
    depend on the order of work. Raises BudgetError when money is capped without prices.
    """

    def __init__(
        self,
        budget: Budget,
        policy: ModelCard,
        prm: ModelCard | None = None,
        prices: Mapping[str, Prices] | Prices | None = None,
        clock: Callable[[], float] = time.monotonic,
        start: float | None = None,
    ) -> None:
        if budget.usd is not None and prices is None:
            raise BudgetError(f"a budget in money needs prices, got usd={budget.usd} without")
        if budget.samples is not None:
            raise BudgetError(
                "a ledger keeps caps on tokens, flops, seconds and usd: samples are counted by a planner, "
                f"got samples={budget.samples}"
            )
        self._open(
            _Book(budget=budget, prices=prices, clock=clock, start=clock() if start is None else start),
            policy,
            prm,
        )

    def _open(self, book: _Book, policy: ModelCard, prm: ModelCard | None) -> None:
        self._book = book
        self.policy = policy
        self.prm = prm
        self._policy = book.policies.setdefault(policy, _Account())
        self._prm = _Account() if prm is None else book.prms.setdefault(prm, _Account())

    def beside(self, policy: ModelCard, prm: ModelCard | None = None) -> Ledger:
        """A ledger for another pair of models, within the same budget and deadline."""
        ledger = Ledger.__new__(Ledger)
        ledger._open(self._book, policy, prm)
        return ledger

    @property
    def budget(self) -> Budget:
        """The hard caps of the whole request."""
        return self._book.budget

    @property
    def prices(self) -> Mapping[str, Prices] | Prices | None:
        """As given."""
        return self._book.prices

    # -- asking and holding -------------------------------------------------------------------

    def affordable(
        self,
        most: int,
        *,
        policy_tokens: int = 0,
        prm_tokens: int = 0,
        policy_prompt: int = 0,
        prm_prompt: int = 0,
        prompt: Hashable = None,
        prm_written: int = 0,
        policy_sent: Callable[[int], int] | None = None,
        prm_sent: int | None = None,
    ) -> int:
        """How many pieces of work, ``most`` at most, of this worst case each fit beside what is held.

        The prompts are needed once for all of them, and not at all when they count already. Money knows what
        is sent: ``policy_sent`` tells it for so many pieces together, ``prm_sent`` for each; without them
        each piece sends its prompts itself (``reserve``).
        """
        low, high = 0, max(0, most)
        new_policy, new_prm = self._new_prompts(policy_prompt, prm_prompt, prompt)
        read = prm_prompt + prm_tokens - prm_written if prm_sent is None else prm_sent

        def fits(count: int) -> bool:
            return self._fits(
                _Amounts(
                    policy_tokens=count * policy_tokens,
                    prm_tokens=count * prm_tokens,
                    prm_written=count * prm_written,
                    policy_sent=count * policy_prompt if policy_sent is None else policy_sent(count),
                    prm_sent=count * read,
                    policy_prompt=new_policy,
                    prm_prompt=new_prm,
                )
            )

        if fits(high):
            return high
        while low < high:
            middle = (low + high + 1) // 2
            if fits(middle):
                low = middle
            else:
                high = middle - 1
        return low

    def reserve(
        self,
        *,
        policy_tokens: int = 0,
        prm_tokens: int = 0,
        policy_prompt: int = 0,
        prm_prompt: int = 0,
        prompt: Hashable = None,
        prm_written: int = 0,
        policy_sent: int | None = None,
        prm_sent: int | None = None,
    ) -> Reservation:
        """Hold a worst case. Raises BudgetError when it does not fit: ask ``affordable`` first.

        ``policy_prompt`` / ``prm_prompt`` are the lengths of the prompt for work that sends it (0: it does
        not). Whoever sends it first pays; for the others it is free. ``prompt`` tells the policy's prompts
        apart where a strategy asks more than the problem's question (None). ``prm_written`` of the
        ``prm_tokens`` are written by the PRM itself: money tells them apart.

        ``policy_sent``: tokens that the work sends to the policy, for which money is paid whether or not
        they were sent before; None: ``policy_prompt``. ``prm_sent``: those that the PRM reads; None: its
        prompt and what is scored.
        """
        sent = policy_prompt if policy_sent is None else policy_sent
        read = prm_prompt + prm_tokens - prm_written if prm_sent is None else prm_sent
        if min(policy_tokens, prm_tokens, policy_prompt, prm_prompt, prm_written, sent, read) < 0:
            raise BudgetError(
                f"a reservation cannot be negative, got policy={policy_tokens}+{policy_prompt}, "
                f"prm={prm_tokens}+{prm_prompt}"
            )
        if self.prm is None and (prm_tokens or prm_prompt):
            raise BudgetError(f"a ledger without a PRM reserves no PRM tokens, got {prm_tokens + prm_prompt}")
        new_policy, new_prm = self._new_prompts(policy_prompt, prm_prompt, prompt)
        needed = _Amounts(
            policy_tokens=policy_tokens,
            prm_tokens=prm_tokens,
            prm_written=prm_written,
            policy_sent=sent,
            prm_sent=read,
            policy_prompt=new_policy,
            prm_prompt=new_prm,
        )
        if not self._fits(needed):
            raise BudgetError(
                f"a reservation must fit the budget, got policy={policy_tokens}+{policy_prompt}, "
                f"prm={prm_tokens}+{prm_prompt} beside {self.committed_tokens} tokens under {self.budget}"
            )
        for account, length, key in ((self._policy, policy_prompt, prompt), (self._prm, prm_prompt, None)):
            if length and account.committed(key) not in (0, length):
                raise BudgetError(
                    f"a ledger serves one problem, with a prompt of {account.committed(key)} tokens, "
                    f"got {length}"
                )
        for account, tokens, length, key in (
            (self._policy, policy_tokens, policy_prompt, prompt),
            (self._prm, prm_tokens, prm_prompt, None),
        ):
            account.held += tokens
            if length:
                held = account.prompts.setdefault(key, _Prompt(length))
                held.tokens = length
                held.holders += 1
        self._prm.held_written += prm_written
        self._policy.held_sent += sent
        self._prm.held_sent += read
        return Reservation(
            self,
            policy_tokens=policy_tokens,
            prm_tokens=prm_tokens,
            policy_prompt=policy_prompt > 0,
            prm_prompt=prm_prompt > 0,
            prompt=prompt,
            prm_written=prm_written,
            policy_sent=sent,
            prm_sent=read,
        )

    def record_work(self, *, policy_tokens: int = 0, prm_tokens: int = 0) -> None:
        """Count physical tokens: what a backend really processed, cache hits left out."""
        self._book.physical_policy += policy_tokens
        self._book.physical_prm += prm_tokens

    # -- what has been spent ------------------------------------------------------------------

    @property
    def spend(self) -> Spend:
        """What the request has spent so far, as a snapshot. What is only held is not in it."""
        book = self._book
        policy = prm = 0
        flops = 0.0
        for card, account in book.policies.items():
            policy += account.total_spent
            flops += card.flops(account.total_spent)
        for card, account in book.prms.items():
            prm += account.total_spent
            flops += card.flops(account.total_spent)
        return Spend(policy, prm, book.physical_policy, book.physical_prm, flops, self.seconds)

    def since(self, before: Spend) -> Spend:
        """What was spent after the snapshot ``before`` of this request."""
        return self.spend - before

    @property
    def committed_tokens(self) -> int:
        """Logical tokens spent and held, policies and PRMs together: what a token budget caps."""
        return sum(
            account.spent + account.held + account.prompts_committed
            for accounts in (self._book.policies, self._book.prms)
            for account in accounts.values()
        )

    @property
    def usd(self) -> float:
        """Money spent by the price table: every prompt as often as it was sent. Raises BudgetError without
        one."""
        if self.prices is None:
            raise BudgetError("money needs prices, got a ledger without")
        return self._usd(held=False)

    @property
    def knows_usd(self) -> bool:
        """Whether all that was spent has a price."""
        prices = self.prices
        if not isinstance(prices, Mapping):
            return prices is not None
        return all(
            card.name in prices
            for card, account in self._book.policies.items()
            if account.total_spent or account.sent
        )

    @property
    def seconds(self) -> float:
        """Seconds since the request's first ledger was made."""
        return self._book.clock() - self._book.start

    @property
    def seconds_left(self) -> float:
        """Until the deadline: infinite without one, 0.0 once it has passed."""
        return math.inf if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)

    # -- inside ---------------------------------------------------------------------------------

    def _new_prompts(self, policy_prompt: int, prm_prompt: int, prompt: Hashable) -> tuple[int, int]:
        """Tokens of the prompts that do not count yet."""
        return (
            0 if self._policy.committed(prompt) else policy_prompt,
            0 if self._prm.committed(None) else prm_prompt,
        )

    def _fits(self, more: _Amounts) -> bool:
        """Whether so much more fits."""
        budget = self.budget
        policy_tokens = more.policy_tokens + more.policy_prompt
        prm_tokens = more.prm_tokens + more.prm_prompt
        if budget.tokens is not None and self.committed_tokens + policy_tokens + prm_tokens > budget.tokens:
            return False
        if budget.flops is not None and self._flops(policy_tokens, prm_tokens) > budget.flops:
            return False
        # of whole tokens, so that what fits at once also fits piece by piece, however floats are rounded
        return budget.usd is None or self._usd(held=True, more=more) <= budget.usd

    def _flops(self, policy_tokens: int, prm_tokens: int) -> float:
        """FLOPs of all that counts, with so much more of this ledger's models."""
        total = 0.0
        for accounts, own, more in (
            (self._book.policies, self._policy, policy_tokens),
            (self._book.prms, self._prm, prm_tokens),
        ):
            for card, account in accounts.items():
                tokens = account.spent + account.held + account.prompts_committed
                total += card.flops(tokens + more if account is own else tokens)
        return total

    def _usd(self, *, held: bool, more: _Amounts = _NOTHING) -> float:
        """Money for all that counts, with so much more of this ledger's models. What is held is reserved at
        the full price: nobody promises that a server has kept a prompt."""
        total = 0.0
        for card, account in self._book.policies.items():
            own = account is self._policy
            generated = account.spent + (account.held if held else 0) + (more.policy_tokens if own else 0)
            sent = account.sent + (account.held_sent if held else 0) + (more.policy_sent if own else 0)
            if generated or sent:
                prices = self._book.price(card)
                total += prices.usd(prompt=sent, cached=account.cached, generated=generated)
        for card, account in self._book.prms.items():
            own = account is self._prm
            read = account.sent + (account.held_sent if held else 0) + (more.prm_sent if own else 0)
            written = account.written + (account.held_written if held else 0)
            written += more.prm_written if own else 0
            if read or written:
                to_read, to_write = self._prm_prices(card)
                total += (to_read * read + to_write * written) / 1e6
        return total

    def _prm_prices(self, card: ModelCard) -> tuple[float, float]:
        """Per million tokens that a PRM reads and writes: its own, or what the policy's table says."""
        prices = self.prices
        is_told = not isinstance(prices, Mapping) or card.name in prices
        found = self._book.price(card if is_told else self.policy)
        return found.prm, found.prm if found.prm_written is None else found.prm_written

    def _settle(self, reservation: Reservation, paid: _Amounts, *, sent: bool) -> None:
        self._prm.held_written -= reservation.prm_written
        self._prm.written += paid.prm_written
        self._policy.cached += paid.policy_cached
        own = reservation.policy_tokens, paid.policy_tokens, reservation.policy_prompt
        judged = reservation.prm_tokens, paid.prm_tokens, reservation.prm_prompt
        for account, key, (held, spent, has_prompt), (held_sent, paid_sent) in (
            (self._policy, reservation.prompt, own, (reservation.policy_sent, paid.policy_sent)),
            (self._prm, None, judged, (reservation.prm_sent, paid.prm_sent)),
        ):
            account.held -= held
            account.spent += spent
            account.held_sent -= held_sent
            account.sent += paid_sent
            if has_prompt:
                prompt = account.prompts[key]
                prompt.holders -= 1
                prompt.is_spent = prompt.is_spent or sent
