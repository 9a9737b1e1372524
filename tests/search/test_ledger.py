"""Caps are never exceeded, what is not spent comes back, totals do not depend on the order."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.budget import UNLIMITED, Budget, Prices
from search.cards import ModelCard
from search.errors import BudgetError
from search.ledger import Ledger, Reservation
from search.result import Spend
from search.testing import Clock

POLICY = ModelCard("policy", 1000, "p", 256)


PRM = ModelCard("prm", 300, "r", 256, flops_per_token=700.0)


PRICES = Prices(prompt=1.0, generated=4.0, prm=0.5)


def test_a_ledger_counts_no_samples() -> None:
    with pytest.raises(BudgetError, match="samples are counted by a planner, got samples=4"):
        Ledger(Budget(samples=4), POLICY)


def test_an_unlimited_budget_never_binds() -> None:
    ledger = Ledger(Budget.unlimited(), POLICY, PRM)
    assert ledger.affordable(10**6, policy_tokens=10**9, prm_tokens=10**9) == 10**6
    assert ledger.seconds_left == math.inf
    assert Budget.unlimited() == UNLIMITED


def test_the_prompt_counts_once_per_model() -> None:
    ledger = Ledger(Budget(tokens=1000), POLICY, PRM)
    first = ledger.reserve(policy_tokens=10, policy_prompt=7)
    second = ledger.reserve(policy_tokens=10, policy_prompt=7)
    third = ledger.reserve(prm_tokens=5, prm_prompt=8)
    assert ledger.committed_tokens == 7 + 10 + 10 + 8 + 5
    first.settle(policy_tokens=4)
    second.settle(policy_tokens=6)
    third.settle(prm_tokens=5)
    assert ledger.spend.policy_tokens == 7 + 4 + 6
    assert ledger.spend.prm_tokens == 8 + 5
    assert ledger.spend.flops == POLICY.flops(17) + PRM.flops(13)


def test_a_prompt_that_was_never_sent_is_given_back() -> None:
    ledger = Ledger(Budget(tokens=20), POLICY)
    ledger.reserve(policy_tokens=10, policy_prompt=7).release()
    assert ledger.committed_tokens == 0
    assert ledger.spend.tokens == 0
    ledger.reserve(policy_tokens=11, policy_prompt=9).forfeit()
    assert ledger.spend.tokens == 20


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    ledger = Ledger(Budget(tokens=20), POLICY)
    ledger.reserve(policy_tokens=15)
    with pytest.raises(BudgetError, match="a reservation must fit the budget, got policy=6"):
        ledger.reserve(policy_tokens=6)
    assert ledger.committed_tokens == 15


def test_a_ledger_serves_one_problem() -> None:
    ledger = Ledger(UNLIMITED, POLICY)
    ledger.reserve(policy_tokens=1, policy_prompt=7)
    with pytest.raises(BudgetError, match="with a prompt of 7 tokens, got 8"):
        ledger.reserve(policy_tokens=1, policy_prompt=8)
    assert ledger.committed_tokens == 8


def test_a_reservation_is_settled_once() -> None:
    held = Ledger(UNLIMITED, POLICY).reserve(policy_tokens=5)
    held.settle(policy_tokens=2)
    for again in (held.release, held.forfeit, lambda: held.settle(policy_tokens=1)):
        with pytest.raises(BudgetError, match="settled or released once"):
            again()


def test_a_backend_that_spends_more_than_was_held_is_an_error_and_charged() -> None:
    ledger = Ledger(UNLIMITED, POLICY)
    with pytest.raises(
        BudgetError, match="stay within its reservation of policy=5, prm=0, got policy=6, prm=0"
    ):
        ledger.reserve(policy_tokens=5).settle(policy_tokens=6)
    assert (ledger.spend.tokens, ledger.committed_tokens) == (5, 5)


def test_negative_figures_are_refused() -> None:
    ledger = Ledger(UNLIMITED, POLICY)
    with pytest.raises(BudgetError, match="a reservation cannot be negative"):
        ledger.reserve(policy_tokens=-1)
    with pytest.raises(BudgetError, match="a spend cannot be negative"):
        ledger.reserve(policy_tokens=1).settle(policy_tokens=-1)


def test_a_ledger_without_a_prm_reserves_none() -> None:
    with pytest.raises(BudgetError, match="a ledger without a PRM reserves no PRM tokens, got 3"):
        Ledger(UNLIMITED, POLICY).reserve(prm_tokens=3)


def test_money_needs_prices() -> None:
    with pytest.raises(BudgetError, match=r"needs prices, got usd=0\.5 without"):
        Ledger(Budget(usd=0.5), POLICY)
    with pytest.raises(BudgetError, match="money needs prices"):
        _ = Ledger(UNLIMITED, POLICY).usd


def test_money_counts_prompt_generated_and_scored_tokens_apart() -> None:
    ledger = Ledger(Budget(usd=41e-6), POLICY, PRM, PRICES)
    assert ledger.affordable(9, policy_tokens=5, policy_prompt=10) == 1
    ledger.reserve(policy_tokens=5, policy_prompt=10).settle(policy_tokens=5)
    ledger.reserve(prm_tokens=6, prm_prompt=4).settle(prm_tokens=6)
    assert ledger.usd == pytest.approx((10 * 1.0 + 5 * 4.0 + 10 * 0.5) / 1e6)


def test_seconds_are_a_deadline() -> None:
    clock = Clock()
    ledger = Ledger(Budget(seconds=2.0), POLICY, clock=clock)
    clock.now += 1.5
    assert (ledger.seconds, ledger.seconds_left) == (1.5, 0.5)
    clock.now += 1.0
    assert ledger.seconds_left == 0.0
    assert ledger.spend.seconds == 2.5


def test_since_is_what_came_after_a_snapshot() -> None:
    clock = Clock()
    ledger = Ledger(UNLIMITED, POLICY, PRM, clock=clock)
    ledger.reserve(policy_tokens=5, policy_prompt=3).settle(policy_tokens=5)
    ledger.record_work(policy_tokens=8)
    before = ledger.spend
    clock.now += 1.0
    ledger.reserve(policy_tokens=4, policy_prompt=3).settle(policy_tokens=4)
    ledger.reserve(prm_tokens=2, prm_prompt=6).settle(prm_tokens=2)
    ledger.record_work(policy_tokens=7, prm_tokens=8)
    assert ledger.since(before) == Spend(4, 8, 7, 8, POLICY.flops(4) + PRM.flops(8), 1.0)


need = st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans())


budgets = st.builds(
    Budget,
    tokens=st.none() | st.integers(0, 300),
    flops=st.none() | st.floats(0, 5e5),
    seconds=st.just(math.inf),
    usd=st.none() | st.floats(0, 1e-3),
)


def caps_hold(ledger: Ledger, budget: Budget) -> None:
    spend = ledger.spend
    assert budget.tokens is None or ledger.committed_tokens <= budget.tokens
    assert budget.tokens is None or spend.tokens <= budget.tokens
    assert budget.flops is None or spend.flops <= budget.flops
    assert budget.usd is None or ledger.usd <= budget.usd


@given(budgets, st.lists(need, max_size=30), st.randoms(use_true_random=False))
def test_no_interleaving_exceeds_a_cap(
    budget: Budget, needs: list[tuple[int, int, bool]], rng: random.Random
) -> None:
    ledger = Ledger(budget, POLICY, PRM, PRICES)
    open_: list[Reservation] = []
    policy = prm = 0
    for policy_tokens, prm_tokens, prompts in needs:
        given_ = {
            "policy_tokens": policy_tokens,
            "prm_tokens": prm_tokens,
            "policy_prompt": 5 if prompts else 0,
            "prm_prompt": 6 if prompts else 0,
        }
        if ledger.affordable(1, **given_):
            open_.append(ledger.reserve(**given_))
        else:
            with pytest.raises(BudgetError, match="must fit the budget"):
                ledger.reserve(**given_)
        caps_hold(ledger, budget)
        while open_ and rng.random() < 0.5:
            held = open_.pop(rng.randrange(len(open_)))
            if rng.random() < 0.3:
                held.release()
            else:
                spent = rng.randint(0, held.policy_tokens), rng.randint(0, held.prm_tokens)
                held.settle(policy_tokens=spent[0], prm_tokens=spent[1])
                policy, prm = policy + spent[0], prm + spent[1]
            caps_hold(ledger, budget)
    for held in open_:
        held.release()
    assert ledger.spend.policy_tokens in (policy, policy + 5)
    assert ledger.spend.prm_tokens in (prm, prm + 6)
    assert ledger.committed_tokens == ledger.spend.tokens


@given(st.integers(0, 500), st.integers(0, 40), st.integers(0, 40), st.integers(0, 30), st.integers(0, 20))
def test_affordable_is_the_largest_number_that_fits(
    cap: int, policy: int, prm: int, prompt: int, most: int
) -> None:
    def fits(count: int) -> bool:
        ledger = Ledger(Budget(tokens=cap), POLICY, PRM)
        try:
            for _ in range(count):
                ledger.reserve(policy_tokens=policy, prm_tokens=prm, policy_prompt=prompt)
        except BudgetError:
            return False
        return True

    found = Ledger(Budget(tokens=cap), POLICY, PRM).affordable(
        most, policy_tokens=policy, prm_tokens=prm, policy_prompt=prompt
    )
    assert fits(found)
    assert found == most or not fits(found + 1)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_totals_do_not_depend_on_the_order(work: list[tuple[int, int]], rng: random.Random) -> None:
    def total(order: list[tuple[int, int]]) -> Spend:
        ledger = Ledger(UNLIMITED, POLICY, PRM, clock=lambda: 0.0)
        held = [
            (ledger.reserve(policy_tokens=p, prm_tokens=q, policy_prompt=9, prm_prompt=4), p, q)
            for p, q in order
        ]
        rng.shuffle(held)
        for each, p, q in held:
            each.settle(policy_tokens=p, prm_tokens=q)
        return ledger.spend

    shuffled = rng.sample(work, len(work))
    assert total(work) == total(shuffled)


@given(
    st.floats(1e-6, 1e-2),
    st.floats(0.0, 20.0),
    st.floats(0.0, 20.0),
    st.integers(1, 60),
    st.integers(0, 60),
    st.integers(0, 40),
)
def test_what_money_affords_at_once_it_affords_piece_by_piece(
    usd: float, generated: float, prm: float, policy_tokens: int, prm_tokens: int, prompt: int
) -> None:
    """Rounding of floats must not refuse a part of what was found to fit."""
    cards = ModelCard("p", 1000, "p", 512), ModelCard("r", 500, "r", 512)
    ledger = Ledger(Budget(usd=usd), *cards, Prices(prompt=1.0, generated=generated, prm=prm))
    each = {"policy_tokens": policy_tokens, "prm_tokens": prm_tokens}
    count = ledger.affordable(16, **each, policy_prompt=prompt, prm_prompt=prompt)
    for _ in range(count):
        ledger.reserve(policy_tokens=policy_tokens, policy_prompt=prompt)
    for _ in range(count):
        ledger.reserve(prm_tokens=prm_tokens, prm_prompt=prompt)


def test_a_ledger_beside_shares_the_accounts_and_has_reservations_of_its_own() -> None:
    ledger = Ledger(Budget(tokens=100), POLICY, PRM)
    other = ledger.beside(POLICY, PRM)
    held, apart = ledger.reserve(policy_tokens=30, policy_prompt=9), other.reserve(policy_tokens=40)
    assert (ledger.open, other.open) == ({held}, {apart})
    assert ledger.committed_tokens == other.committed_tokens == 79
    other.release_all()
    assert (held.is_open, apart.is_open, other.changed.is_set()) == (True, False, True)
    assert not ledger.changed.is_set()
    assert ledger.committed_tokens == 39
