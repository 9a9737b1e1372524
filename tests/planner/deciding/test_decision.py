from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from planner.deciding.cost import Costs
from planner.deciding.decision import Menu, Rule, decide

VALUES = st.floats(-0.5, 0.5)
COSTS = st.floats(1.0, 100.0)


def menu(values: list[float], costs: list[float], spread: list[float] | None = None) -> Menu:
    cost = np.array([costs])
    dear = cost * np.array([spread or [1.2] * len(costs)])
    return Menu(
        advantage=np.array([values]),
        level=np.array([0.4]),
        costs=Costs(tokens=cost, flops=cost * 10, tokens_p90=dear, flops_p90=dear * 10),
        prices=np.zeros(0),
        advance_net=np.zeros((1, 0)),
        advance_cost=np.zeros((1, 0)),
    )


def with_probe(base: Menu, net: list[float], probe: float) -> Menu:
    one = np.array([[probe]])
    return Menu(
        advantage=base.advantage,
        level=base.level,
        costs=base.costs,
        prices=np.array([0.001, 0.01]),
        advance_net=np.array([net]),
        advance_cost=np.array([[50.0, 20.0]]),
        probe=Costs(tokens=one, flops=one * 10, tokens_p90=one, flops_p90=one * 10),
        keeps=np.ones(base.advantage.shape[1], bool),
        allows=np.ones(base.advantage.shape[1], bool),
    )


OPTIONS = st.lists(st.tuples(VALUES, COSTS, st.floats(1.0, 3.0)), min_size=1, max_size=8)


@given(OPTIONS, st.floats(0, 0.1), st.floats(1.0, 5.0))
def test_a_higher_price_never_costs_more(
    options: list[tuple[float, float, float]], price: float, factor: float
) -> None:
    values, costs, spread = map(list, zip(*options, strict=True))
    lax, tight = (int(decide(menu(values, costs, spread), Rule(price=p))[0]) for p in (price, price * factor))
    assert costs[tight] <= costs[lax] + 1e-9


@given(OPTIONS, st.floats(1.0, 400.0), st.floats(0.1, 1.0))
def test_a_tighter_cap_never_plans_to_cost_more(
    options: list[tuple[float, float, float]], cap: float, factor: float
) -> None:
    values, costs, spread = map(list, zip(*options, strict=True))
    planned = [c * s for c, s in zip(costs, spread, strict=True)]
    lax, tight = (
        int(decide(menu(values, costs, spread), Rule(tokens_left=c))[0]) for c in (cap, cap * factor)
    )
    if lax < 0:
        assert tight < 0
        assert min(planned) > cap
    elif tight >= 0:
        assert (
            planned[tight]
            <= min(cap * factor, planned[lax] if values[tight] == values[lax] else math.inf) + 1e-6
        )
        assert values[tight] <= values[lax]


@given(OPTIONS, st.floats(0, 0.1))
def test_nothing_else_was_worth_more(options: list[tuple[float, float, float]], price: float) -> None:
    values, costs, spread = map(list, zip(*options, strict=True))
    chosen = int(decide(menu(values, costs, spread), Rule(price=price, unit="tokens"))[0])
    net = [v - price * c for v, c in zip(values, costs, strict=True)]
    assert net[chosen] == max(net)


def test_ties_go_to_the_cheaper_choice() -> None:
    assert decide(menu([0.1, 0.1], [9, 3]), Rule())[0] == 1


def test_looks_further_where_that_is_worth_more() -> None:
    probes = with_probe(menu([0.0, 0.1], [1, 16]), [0.15, 0.05], 4)
    assert decide(probes, Rule(price=0.001))[0] == 2
    assert decide(with_probe(menu([0.0, 0.4], [1, 16]), [0.15, 0.05], 4), Rule(price=0.001))[0] == 1
    # beyond the grid the net value goes on falling
    assert decide(probes, Rule(price=1.0))[0] == 0


def test_looks_under_a_cap_when_what_follows_still_fits() -> None:
    probes = with_probe(menu([0.0, 0.2], [1, 16]), [0.0, 0.0], 4)
    assert decide(probes, Rule(tokens_left=25))[0] == 2
    assert decide(probes, Rule(tokens_left=3))[0] == 0
    assert decide(probes, Rule(tokens_left=0.5))[0] == -1
