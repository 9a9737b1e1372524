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

All caps are on *logical* cost: the prompt once per model, every generated token, every scored step
once. Seconds are a deadline that strategies keep as well as a backend can cancel. A ledger belongs
to one problem and one event loop: between two awaits nothing interleaves, so a reservation that
``affordable`` promised is granted. It knows nothing of engines, rewards or plans.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from search.cards import ModelCard
from search.errors import BudgetError
from search.result import Spend

__all__ = ["UNLIMITED", "Budget", "Ledger", "Prices", "Reservation"]


@dataclass(frozen=True, slots=True)
class Budget:
    """Hard caps on what one request may spend. A field left out caps nothing.

    Parameters
    ----------
    tokens:
        Logical tokens of policy and PRM together.
    flops:
        Logical FLOPs of policy and PRM together.
    seconds:
        Wall clock from the ledger's making; a deadline.
    usd:
        Money by a price table (``Prices``).

    Raises BudgetError for negative caps, NaN, and when nothing is capped: ``Budget.unlimited()``
    says that on purpose.
    """

    tokens: int | None = None
    flops: float | None = None
    seconds: float | None = None
    usd: float | None = None

    def __post_init__(self) -> None:
        caps = (("tokens", self.tokens), ("flops", self.flops), ("seconds", self.seconds), ("usd", self.usd))
        if all(value is None for _, value in caps):
            raise BudgetError(
                "a budget caps tokens, flops, seconds or usd, got none (Budget.unlimited() caps nothing)"
            )
        for name, value in caps:
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
                raise BudgetError(f"a budget is a number, got {name}={value!r}")
            if value < 0:
                raise BudgetError(f"a budget cannot be negative, got {name}={value}")
            if name == "tokens" and not isinstance(value, int):
                raise BudgetError(f"a budget in tokens is a whole number, got tokens={value!r}")

    @classmethod
    def unlimited(cls) -> Budget:
        """The budget that never binds: a deadline infinitely far away."""
        return cls(seconds=math.inf)


#: what a run takes when nobody names a budget
UNLIMITED = Budget.unlimited()


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million logical tokens. Raises BudgetError for negative or non-finite prices.

    ``generated`` covers thoughts. ``cached_prompt``: of prompt tokens that a server has kept; as ``prompt``
    where it is None. Logical cost knows each prompt once, so only ``usd`` makes use of it.

        >>> Prices(prompt=1.0, generated=4.0, cached_prompt=0.5).usd(prompt=3000, cached=2000, generated=1000)
        0.006
    """

    prompt: float
    generated: float
    prm: float = 0.0
    cached_prompt: float | None = None

    def __post_init__(self) -> None:
        for name in ("prompt", "generated", "prm", "cached_prompt"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise BudgetError(f"a price is a finite number of at least 0, got {name}={value}")

    def usd(self, *, prompt: int = 0, cached: int = 0, generated: int = 0, scored: int = 0) -> float:
        """US dollars for tokens that were really sent; ``cached`` of ``prompt`` had been kept."""
        cheap = self.prompt if self.cached_prompt is None else self.cached_prompt
        sent = (prompt - cached) * self.prompt + cached * cheap
        return (sent + generated * self.generated + scored * self.prm) / 1e6


@dataclass(slots=True)
class _Account:
    """Tokens of one model: what is spent, what is held, and its prompt, which counts once."""

    spent: int = 0  # without the prompt
    held: int = 0  # without the prompt
    prompt: int = 0
    prompt_spent: bool = False
    prompt_holders: int = 0

    @property
    def prompt_committed(self) -> int:
        return self.prompt if self.prompt_spent or self.prompt_holders else 0

    @property
    def total_spent(self) -> int:
        return self.spent + (self.prompt if self.prompt_spent else 0)


class Reservation:
    """The worst case of one piece of work, held until it is settled or released, once.

    Made by ``Ledger.reserve`` only.
    """

    __slots__ = ("_ledger", "_open", "policy_prompt", "policy_tokens", "prm_prompt", "prm_tokens")

    def __init__(
        self, ledger: Ledger, policy_tokens: int, prm_tokens: int, policy_prompt: bool, prm_prompt: bool
    ) -> None:
        self._ledger = ledger
        self._open = True
        self.policy_tokens = policy_tokens
        self.prm_tokens = prm_tokens
        self.policy_prompt = policy_prompt
        self.prm_prompt = prm_prompt

    @property
    def is_open(self) -> bool:
        """Whether it still holds something."""
        return self._open

    def settle(self, *, policy_tokens: int = 0, prm_tokens: int = 0) -> None:
        """The work was sent and took this much; the rest is given back.

        A prompt that was reserved along counts as spent, since it was sent. Raises BudgetError when
        settled before, and when more was spent than held (what was held is then charged in full:
        a backend has broken its word).
        """
        self._close()
        over = policy_tokens > self.policy_tokens or prm_tokens > self.prm_tokens
        if policy_tokens < 0 or prm_tokens < 0:
            raise BudgetError(f"a spend cannot be negative, got policy={policy_tokens}, prm={prm_tokens}")
        self._ledger._settle(
            self, min(policy_tokens, self.policy_tokens), min(prm_tokens, self.prm_tokens), sent=True
        )
        if over:
            raise BudgetError(
                f"a spend must stay within its reservation of policy={self.policy_tokens}, "
                f"prm={self.prm_tokens}, got policy={policy_tokens}, prm={prm_tokens}"
            )

    def forfeit(self) -> None:
        """The work was sent and nobody knows what it took: all of it is charged."""
        self.settle(policy_tokens=self.policy_tokens, prm_tokens=self.prm_tokens)

    def release(self) -> None:
        """The work was never sent: everything is given back. Raises BudgetError when settled before."""
        self._close()
        self._ledger._settle(self, 0, 0, sent=False)

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
        Needed for a money budget, and for ``usd``.
    clock:
        Seconds, monotonic. The deadline counts from the making of the ledger.

    Sums are kept in whole tokens, and FLOPs and money are computed from the sums, so totals do not
    depend on the order of work. Raises BudgetError when money is capped without prices.
    """

    def __init__(
        self,
        budget: Budget,
        policy: ModelCard,
        prm: ModelCard | None = None,
        prices: Prices | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if budget.usd is not None and prices is None:
            raise BudgetError(f"a budget in money needs prices, got usd={budget.usd} without")
        self.budget = budget
        self.policy = policy
        self.prm = prm
        self.prices = prices
        self._clock = clock
        self._start = clock()
        self._policy = _Account()
        self._prm = _Account()
        self._physical_policy = 0
        self._physical_prm = 0

    # -- asking and holding -------------------------------------------------------------------

    def affordable(
        self,
        most: int,
        *,
        policy_tokens: int = 0,
        prm_tokens: int = 0,
        policy_prompt: int = 0,
        prm_prompt: int = 0,
    ) -> int:
        """How many pieces of work, ``most`` at most, of this worst case each fit beside what is held.

        The prompts are needed once for all of them, and not at all when they count already.
        """
        low, high = 0, max(0, most)
        if self._fits(high * policy_tokens, high * prm_tokens, policy_prompt, prm_prompt):
            return high
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(middle * policy_tokens, middle * prm_tokens, policy_prompt, prm_prompt):
                low = middle
            else:
                high = middle - 1
        return low

    def reserve(
        self, *, policy_tokens: int = 0, prm_tokens: int = 0, policy_prompt: int = 0, prm_prompt: int = 0
    ) -> Reservation:
        """Hold a worst case. Raises BudgetError when it does not fit: ask ``affordable`` first.

        ``policy_prompt`` / ``prm_prompt`` are the lengths of the problem's prompt for work that sends
        it (0: it does not). Whoever sends it first pays; for the others it is free.
        """
        if min(policy_tokens, prm_tokens, policy_prompt, prm_prompt) < 0:
            raise BudgetError(
                f"a reservation cannot be negative, got policy={policy_tokens}+{policy_prompt}, "
                f"prm={prm_tokens}+{prm_prompt}"
            )
        if self.prm is None and (prm_tokens or prm_prompt):
            raise BudgetError(f"a ledger without a PRM reserves no PRM tokens, got {prm_tokens + prm_prompt}")
        if not self._fits(policy_tokens, prm_tokens, policy_prompt, prm_prompt):
            raise BudgetError(
                f"a reservation must fit the budget, got policy={policy_tokens}+{policy_prompt}, "
                f"prm={prm_tokens}+{prm_prompt} beside {self.committed_tokens} tokens under {self.budget}"
            )
        for account, prompt in ((self._policy, policy_prompt), (self._prm, prm_prompt)):
            if prompt and account.prompt_committed not in (0, prompt):
                raise BudgetError(
                    f"a ledger serves one problem, with a prompt of {account.prompt} tokens, got {prompt}"
                )
        for account, tokens, prompt in (
            (self._policy, policy_tokens, policy_prompt),
            (self._prm, prm_tokens, prm_prompt),
        ):
            account.held += tokens
            if prompt:
                account.prompt = prompt
                account.prompt_holders += 1
        return Reservation(self, policy_tokens, prm_tokens, policy_prompt > 0, prm_prompt > 0)

    def record_work(self, *, policy_tokens: int = 0, prm_tokens: int = 0) -> None:
        """Count physical tokens: what a backend really processed, cache hits left out."""
        self._physical_policy += policy_tokens
        self._physical_prm += prm_tokens

    # -- what has been spent ------------------------------------------------------------------

    @property
    def spend(self) -> Spend:
        """What is spent so far, as a snapshot. What is only held is not in it."""
        return self._spend(
            self._policy.total_spent,
            self._prm.total_spent,
            self._physical_policy,
            self._physical_prm,
            self.seconds,
        )

    def since(self, before: Spend) -> Spend:
        """What was spent after the snapshot ``before`` of this ledger."""
        return self._spend(
            self._policy.total_spent - before.policy_tokens,
            self._prm.total_spent - before.prm_tokens,
            self._physical_policy - before.physical_policy_tokens,
            self._physical_prm - before.physical_prm_tokens,
            self.seconds - before.seconds,
        )

    @property
    def committed_tokens(self) -> int:
        """Logical tokens spent and held, policy and PRM together: what a token budget caps."""
        return sum(
            account.spent + account.held + account.prompt_committed for account in (self._policy, self._prm)
        )

    @property
    def usd(self) -> float:
        """Money spent by the price table. Raises BudgetError without one."""
        if self.prices is None:
            raise BudgetError("money needs prices, got a ledger without")
        prompt = self._policy.prompt if self._policy.prompt_spent else 0
        return _usd(self.prices, prompt, self._policy.spent, self._prm.total_spent)

    @property
    def seconds(self) -> float:
        """Seconds since the ledger was made."""
        return self._clock() - self._start

    @property
    def seconds_left(self) -> float:
        """Until the deadline: infinite without one, 0.0 once it has passed."""
        return math.inf if self.budget.seconds is None else max(0.0, self.budget.seconds - self.seconds)

    # -- inside ---------------------------------------------------------------------------------

    def _fits(self, policy_tokens: int, prm_tokens: int, policy_prompt: int, prm_prompt: int) -> bool:
        prompt = self._policy.prompt_committed or policy_prompt
        generated = self._policy.spent + self._policy.held + policy_tokens
        scored = self._prm.spent + self._prm.held + prm_tokens + (self._prm.prompt_committed or prm_prompt)
        budget = self.budget
        if budget.tokens is not None and prompt + generated + scored > budget.tokens:
            return False
        if budget.flops is not None and self._flops(prompt + generated, scored) > budget.flops:
            return False
        return not (
            budget.usd is not None
            and self.prices is not None
            and _usd(self.prices, prompt, generated, scored) > budget.usd
        )

    def _flops(self, policy_tokens: int, prm_tokens: int) -> float:
        prm = 0.0 if self.prm is None else self.prm.flops(prm_tokens)
        return self.policy.flops(policy_tokens) + prm

    def _spend(self, policy: int, prm: int, physical_policy: int, physical_prm: int, seconds: float) -> Spend:
        return Spend(policy, prm, physical_policy, physical_prm, self._flops(policy, prm), seconds)

    def _settle(self, reservation: Reservation, policy_tokens: int, prm_tokens: int, *, sent: bool) -> None:
        for account, held, spent, prompt in (
            (self._policy, reservation.policy_tokens, policy_tokens, reservation.policy_prompt),
            (self._prm, reservation.prm_tokens, prm_tokens, reservation.prm_prompt),
        ):
            account.held -= held
            account.spent += spent
            if prompt:
                account.prompt_holders -= 1
                account.prompt_spent = account.prompt_spent or sent


def _usd(prices: Prices, prompt: int, generated: int, scored: int) -> float:
    return prices.usd(prompt=prompt, generated=generated, scored=scored)
