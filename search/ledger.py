"""The ledger of a request: reserve the worst case, spend, give back the rest.

    >>> from search.budget import Budget
    >>> ledger = Ledger(Budget(tokens=100), ModelCard("policy", 1000, "f", 256))
    >>> ledger.affordable(8, policy_tokens=30, policy_prompt=10)
    3
    >>> held = ledger.reserve(policy_tokens=30, policy_prompt=10)
    >>> held.settle(policy_tokens=12)
    >>> ledger.spend.policy_tokens, ledger.spend.flops
    (22, 44000.0)

A ledger belongs to one request and one event loop: between two awaits nothing interleaves, so a reservation
that ``affordable`` promised is granted. It knows nothing of engines, rewards or plans.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field

from search.budget import Budget, Prices
from search.cards import ModelCard
from search.errors import BudgetError
from search.result import Spend

__all__ = ["Ledger", "Reservation"]


@dataclass(slots=True)
class _Account:
    """Tokens of one model in one role, policy or PRM.

    ``spent`` and ``held`` are logical, without prompts. Each of the ``prompts`` counts once, while
    reservations hold it (``holders``) and for good after it was sent (``paid``). Money counts ``sent``
    instead, ``cached`` of it: each prompt as often as it was sent, a solution that is gone on with, what a
    PRM reads. A PRM itself wrote ``written`` of those spent. ``physical``: what the backend processed.
    """

    spent: int = 0
    held: int = 0
    written: int = 0
    held_written: int = 0
    sent: int = 0
    held_sent: int = 0
    cached: int = 0
    physical: int = 0
    prompts: dict[Hashable, int] = field(default_factory=dict)
    holders: Counter[Hashable] = field(default_factory=Counter)
    paid: set[Hashable] = field(default_factory=set)

    @property
    def total(self) -> int:
        """Logical tokens spent."""
        return self.spent + sum(self.prompts[key] for key in self.paid)

    @property
    def committed(self) -> int:
        """Logical tokens spent and held."""
        return self.spent + self.held + sum(self.prompts.values())

    def hold(self, tokens: int, sent: int, written: int = 0) -> None:
        """Hold so much more; below 0: less."""
        self.held += tokens
        self.held_sent += sent
        self.held_written += written

    def hold_prompt(self, key: Hashable, length: int) -> None:
        """One more reservation holds a prompt."""
        self.prompts[key] = length
        self.holders[key] += 1

    def let_go(self, key: Hashable, *, is_sent: bool) -> None:
        """One reservation less holds a prompt."""
        self.holders[key] -= 1
        if is_sent:
            self.paid.add(key)
        elif not self.holders[key] and key not in self.paid:
            del self.prompts[key]


@dataclass(slots=True, eq=False)
class Reservation:
    """The worst case of one piece of work, held until it is settled or released, once.

    Made by ``Ledger.reserve`` only, which says what is held.
    """

    ledger: Ledger = field(repr=False)
    policy_tokens: int
    prm_tokens: int
    policy_prompt: int
    prm_prompt: int
    prompt: Hashable
    prm_written: int
    policy_sent: int
    prm_sent: int

    @property
    def is_open(self) -> bool:
        """Whether it still holds something."""
        return self in self.ledger.open

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
        if min(policy_tokens, prm_tokens, prm_written, policy_sent or 0, policy_cached, prm_sent or 0) < 0:
            raise BudgetError(f"a spend cannot be negative, got policy={policy_tokens}, prm={prm_tokens}")
        self._close(is_sent=True)
        policy, prm = self.ledger._policy, self.ledger._prm
        scored, written = min(prm_tokens, self.prm_tokens), min(prm_written, self.prm_written)
        sent = self.policy_sent if policy_sent is None else policy_sent
        if prm_sent is None:
            unscored = self.prm_tokens - scored - (self.prm_written - written)
            prm_sent = max(0, self.prm_sent - unscored)
        policy.spent += min(policy_tokens, self.policy_tokens)
        policy.sent += sent
        policy.cached += min(policy_cached, sent)
        prm.spent += scored
        prm.sent += prm_sent
        prm.written += written
        if policy_tokens > self.policy_tokens or prm_tokens > scored or prm_written > written:
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
        self._close(is_sent=False)

    def _close(self, *, is_sent: bool) -> None:
        ledger = self.ledger
        if self not in ledger.open:
            raise BudgetError(
                "a reservation is settled or released once, got a second time for "
                f"policy={self.policy_tokens}, prm={self.prm_tokens}"
            )
        ledger.open.discard(self)
        ledger.changed.set()
        ledger._policy.hold(-self.policy_tokens, -self.policy_sent)
        ledger._prm.hold(-self.prm_tokens, -self.prm_sent, -self.prm_written)
        if self.policy_prompt:
            ledger._policy.let_go(self.prompt, is_sent=is_sent)
        if self.prm_prompt:
            ledger._prm.let_go(None, is_sent=is_sent)


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
    share the budget and the accounts, and each reads the request's totals. ``open`` are the reservations that
    were made by this one and are not closed; ``changed`` is set whenever one of them is.

    Sums are kept in whole tokens, and FLOPs and money are computed from the sums, so totals do not
    depend on the order of work, and what fits at once also fits piece by piece, however floats are rounded.
    Raises BudgetError when money is capped without prices.
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
        self.budget = budget
        self.prices = prices
        self._clock = clock
        self._start = clock() if start is None else start
        self._policies: dict[ModelCard, _Account] = {}
        self._prms: dict[ModelCard, _Account] = {}
        self._begin(policy, prm)

    def _begin(self, policy: ModelCard, prm: ModelCard | None) -> None:
        self.policy = policy
        self.prm = prm
        self._policy = self._policies.setdefault(policy, _Account())
        self._prm = _Account() if prm is None else self._prms.setdefault(prm, _Account())
        self.open: set[Reservation] = set()
        self.changed = asyncio.Event()

    def beside(self, policy: ModelCard, prm: ModelCard | None = None) -> Ledger:
        """A ledger for a pair of models, within the same budget and deadline."""
        ledger = copy(self)
        ledger._begin(policy, prm)
        return ledger

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
        read = prm_prompt + prm_tokens - prm_written if prm_sent is None else prm_sent

        def fits(count: int) -> bool:
            return self._fits(
                policy_tokens=count * policy_tokens,
                prm_tokens=count * prm_tokens,
                policy_prompt=0 if prompt in self._policy.prompts else policy_prompt,
                prm_prompt=0 if None in self._prm.prompts else prm_prompt,
                prm_written=count * prm_written,
                policy_sent=count * policy_prompt if policy_sent is None else policy_sent(count),
                prm_sent=count * read,
            )

        low, high = 0, max(0, most)
        if fits(high):
            return high
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
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
        known, known_prm = self._policy.prompts.get(prompt, 0), self._prm.prompts.get(None, 0)
        if not self._fits(
            policy_tokens=policy_tokens,
            prm_tokens=prm_tokens,
            policy_prompt=0 if known else policy_prompt,
            prm_prompt=0 if known_prm else prm_prompt,
            prm_written=prm_written,
            policy_sent=sent,
            prm_sent=read,
        ):
            raise BudgetError(
                f"a reservation must fit the budget, got policy={policy_tokens}+{policy_prompt}, "
                f"prm={prm_tokens}+{prm_prompt} beside {self.committed_tokens} tokens under {self.budget}"
            )
        for there, length in ((known, policy_prompt), (known_prm, prm_prompt)):
            if length and there not in (0, length):
                raise BudgetError(
                    f"a ledger serves one problem, with a prompt of {there} tokens, got {length}"
                )
        self._policy.hold(policy_tokens, sent)
        self._prm.hold(prm_tokens, read, prm_written)
        if policy_prompt:
            self._policy.hold_prompt(prompt, policy_prompt)
        if prm_prompt:
            self._prm.hold_prompt(None, prm_prompt)
        held = Reservation(
            ledger=self,
            policy_tokens=policy_tokens,
            prm_tokens=prm_tokens,
            policy_prompt=policy_prompt,
            prm_prompt=prm_prompt,
            prompt=prompt,
            prm_written=prm_written,
            policy_sent=sent,
            prm_sent=read,
        )
        self.open.add(held)
        return held

    def release_all(self) -> None:
        """Give back whatever is still held here: it was never sent."""
        for held in list(self.open):
            held.release()

    def record_work(self, *, policy_tokens: int = 0, prm_tokens: int = 0) -> None:
        """Count physical tokens: what a backend really processed, cache hits left out."""
        self._policy.physical += policy_tokens
        self._prm.physical += prm_tokens

    # -- what has been spent ------------------------------------------------------------------

    @property
    def spend(self) -> Spend:
        """What the request has spent so far, as a snapshot. What is only held is not in it."""
        policies, prms = self._policies.values(), self._prms.values()
        return Spend(
            policy_tokens=sum(account.total for account in policies),
            prm_tokens=sum(account.total for account in prms),
            physical_policy_tokens=sum(account.physical for account in policies),
            physical_prm_tokens=sum(account.physical for account in prms),
            flops=sum(card.flops(account.total) for card, account in self._accounts()),
            seconds=self.seconds,
        )

    def since(self, before: Spend) -> Spend:
        """What was spent after the snapshot ``before`` of this request."""
        return self.spend - before

    @property
    def committed_tokens(self) -> int:
        """Logical tokens spent and held, policies and PRMs together: what a token budget caps."""
        return sum(account.committed for _, account in self._accounts())

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
            card.name in prices for card, account in self._policies.items() if account.total or account.sent
        )

    @property
    def seconds(self) -> float:
        """Seconds since the request's first ledger was made."""
        return self._clock() - self._start

    @property
    def seconds_left(self) -> float:
        """Until the deadline: infinite without one, 0.0 once it has passed."""
        return math.inf if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)

    # -- inside ---------------------------------------------------------------------------------

    def _accounts(self) -> Iterator[tuple[ModelCard, _Account]]:
        yield from self._policies.items()
        yield from self._prms.items()

    def _fits(
        self,
        *,
        policy_tokens: int,
        prm_tokens: int,
        policy_prompt: int,
        prm_prompt: int,
        prm_written: int,
        policy_sent: int,
        prm_sent: int,
    ) -> bool:
        """Whether so much more of this ledger's models fits; prompts are those that do not count yet."""
        budget = self.budget
        policy, prm = policy_tokens + policy_prompt, prm_tokens + prm_prompt
        if budget.tokens is not None and self.committed_tokens + policy + prm > budget.tokens:
            return False
        if budget.flops is not None:
            more = {id(self._policy): policy, id(self._prm): prm}
            flops = sum(
                card.flops(account.committed + more.get(id(account), 0)) for card, account in self._accounts()
            )
            if flops > budget.flops:
                return False
        if budget.usd is None:
            return True
        return budget.usd >= self._usd(
            held=True, generated=policy_tokens, sent=policy_sent, read=prm_sent, written=prm_written
        )

    def _usd(
        self, *, held: bool, generated: int = 0, sent: int = 0, read: int = 0, written: int = 0
    ) -> float:
        """Money for all that counts, with so much more of this ledger's models. What is held is reserved at
        the full price: nobody promises that a server has kept a prompt."""
        total = 0.0
        for card, account in self._policies.items():
            wrote, was_sent = account.spent, account.sent
            if held:
                wrote, was_sent = wrote + account.held, was_sent + account.held_sent
            if account is self._policy:
                wrote, was_sent = wrote + generated, was_sent + sent
            if wrote or was_sent:
                prices = self._prices_of(card)
                total += prices.usd(prompt=was_sent, cached=account.cached, generated=wrote)
        for card, account in self._prms.items():
            wrote, was_read = account.written, account.sent
            if held:
                wrote, was_read = wrote + account.held_written, was_read + account.held_sent
            if account is self._prm:
                wrote, was_read = wrote + written, was_read + read
            if was_read or wrote:
                # a PRM's own prices, or what the policy's table says of PRMs
                is_told = not isinstance(self.prices, Mapping) or card.name in self.prices
                prices = self._prices_of(card if is_told else self.policy)
                to_write = prices.prm if prices.prm_written is None else prices.prm_written
                total += (prices.prm * was_read + to_write * wrote) / 1e6
        return total

    def _prices_of(self, card: ModelCard) -> Prices:
        """The prices of one model. Raises BudgetError where there are none."""
        prices = self.prices.get(card.name) if isinstance(self.prices, Mapping) else self.prices
        if prices is None:
            raise BudgetError(f"money needs the prices of every model, got none for {card.name!r}")
        return prices
