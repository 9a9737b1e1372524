"""The rules before there is a log: within every cap, never fewer samples for more budget, cheapest first."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.deciding.analytic_rules import (
    Cap,
    by_price,
    cascaded,
    chain,
    most_samples,
    relative_costs,
    steps,
    stop_at,
    worth_it,
)
from search.budget import Prices
from search.cards import ModelCard
from search.plan import Plan
from search.strategies.adaptive.sure import certainty

NAMES = ("small", "middle", "large")
ratios = st.lists(st.floats(1.0, 500.0), min_size=0, max_size=2).map(lambda more: [1.0, *sorted(more)])


def cap(limit: float, relative: list[float], prompt: float = 0.0, sample: float = 1.0) -> Cap:
    return Cap(limit, tuple(prompt * one for one in relative), tuple(sample * one for one in relative))


@given(ratios)
def test_no_number_falls_from_one_step_to_the_next(relative: list[float]) -> None:
    found = steps(relative)
    assert found[0] == (1, *(0 for _ in relative[1:]))
    for earlier, later in pairwise(found):
        assert all(a <= b for a, b in zip(earlier, later, strict=True))
        assert sum(earlier) < sum(later)


@given(ratios)
def test_every_step_is_a_plan_that_can_be_read_back(relative: list[float]) -> None:
    names = NAMES[: len(relative)]
    for step in steps(relative):
        choice = cascaded(names, step, [0.0] * len(names))
        assert Plan.parse(str(choice.plan)) == choice.plan
        assert (choice.policy, choice.prm) == (names[0], None)
        used = dict.fromkeys([choice.policy, *(part.policy for part in choice.plan.walk())])
        assert tuple(used) == names[: len(used)]
        assert choice.plan.n == sum(step)


@given(ratios, st.floats(0.1, 1e4), st.floats(0.0, 5.0), st.floats(0.1, 9.0))
def test_no_cap_is_passed(relative: list[float], limit: float, prompt: float, sample: float) -> None:
    one = cap(limit, relative, prompt, sample)
    found = most_samples(relative, [one])
    assert one.holds(found) or found == steps(relative)[0]


@given(ratios, st.floats(0.1, 1e4), st.floats(0.1, 1e4), st.floats(0.1, 1e4))
def test_more_budget_never_means_fewer_samples(
    relative: list[float], first: float, second: float, other: float
) -> None:
    low, high = sorted((first, second))
    beside = cap(other, relative, 1.0, 0.5)
    less = most_samples(relative, [cap(low, relative), beside])
    more = most_samples(relative, [cap(high, relative), beside])
    assert all(a <= b for a, b in zip(less, more, strict=True))
    assert more <= most_samples(relative, [])


@given(ratios, st.floats(0.0, 2.0), st.floats(0.0, 2.0))
def test_a_higher_price_never_means_more(relative: list[float], first: float, second: float) -> None:
    low, high = sorted((first, second))
    samples = most_samples(relative, [])
    cheap = worth_it(samples, [low * one for one in relative])
    dear = worth_it(samples, [high * one for one in relative])
    assert all(a >= b for a, b in zip(cheap, dear, strict=True))
    assert dear[0] >= 1
    assert stop_at(low) >= stop_at(high)
    assert 0.5 <= stop_at(high) <= 0.95


def test_a_vote_that_would_end_with_its_first_sample_is_a_greedy_answer() -> None:
    assert certainty(1.0, 0.0) == pytest.approx(0.75)
    assert worth_it((8,), (0.25,)) == (1,)
    assert worth_it((8,), (0.2499,)) == (8,)


def test_a_dearer_policy_comes_in_once_the_votes_have_cost_as_much() -> None:
    for ratio in (1.0, 7.0, 22.0):
        entry = next(step for step in steps([1.0, ratio]) if step[1])
        assert entry == (max(5, ratio), 1)


cards = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3), st.integers(10**6, 10**12), min_size=1, max_size=5
).map(lambda sizes: {name: ModelCard(name, size, name, 4096) for name, size in sizes.items()})


@given(cards, st.data())
def test_policies_come_in_order_of_price(known: dict[str, ModelCard], data: st.DataObject) -> None:
    amount = st.floats(0.0, 100.0)
    prices = {name: Prices(data.draw(amount), data.draw(amount)) for name in known}
    ordered = by_price(known, prices)
    assert sorted(ordered) == sorted(known)
    assert all(prices[a].generated <= prices[b].generated for a, b in pairwise(ordered))
    plain = by_price(known)
    assert all(known[a].parameters <= known[b].parameters for a, b in pairwise(plain))
    missing = data.draw(st.sampled_from(sorted(known)))
    partly = {name: one for name, one in prices.items() if name != missing}
    assert by_price(known, partly) == plain
    assert min(relative_costs(ordered, known, prices)) >= 1.0


def test_what_is_free_is_counted_in_flops() -> None:
    known = {name: ModelCard(name, size, name, 99) for name, size in (("a", 10), ("b", 40))}
    free = {"a": Prices(0.0, 0.0), "b": Prices(0.0, 0.0)}
    assert relative_costs(("a", "b"), known, free) == (1.0, 4.0)
    assert relative_costs(("a", "b"), known, {"a": Prices(0, 1), "b": Prices(0, 3)}) == (1.0, 3.0)


@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=8, unique=True))
def test_any_names_give_a_plan_that_can_be_kept(names: list[str]) -> None:
    chained = chain(names)
    assert chained[0] == names[0]
    assert len(chained) <= 3
    choice = cascaded(chained, [5] * len(chained), [0.0] * len(chained))
    assert Plan.parse(str(choice.plan)) == choice.plan
