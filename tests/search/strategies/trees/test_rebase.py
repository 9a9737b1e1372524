"""REBASE: widths by equation (1), and trees whose rewards are known."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import PlanError
from search.plan import Plan
from search.run import run_plan
from search.strategies.trees.rebase import widths

TURN = "\x1e"

_rewards = st.lists(st.floats(0, 1), min_size=1, max_size=32)
_balance = st.floats(0.001, 10)


def written(text: str) -> str:
    return text.partition(TURN)[2]


def share_of(rewards: list[float], places: int, balance: float) -> list[float]:
    top = max(rewards)
    weights = [math.exp((reward - top) / balance) for reward in rewards]
    return [places * weight / sum(weights) for weight in weights]


def test_widths_by_hand() -> None:
    """exp(R / 0.1) of 0.9, 0.8 and 0.5 are as 1 : 0.368 : 0.018, so of ten 7.21, 2.65 and 0.13."""
    assert widths([0.9, 0.8, 0.5], 10, 0.1) == [7, 3, 0]
    assert widths([0.5, 0.5, 0.5, 0.5], 16, 0.1) == [4, 4, 4, 4]
    assert widths([0.5, 0.5, 0.5], 4, 0.1) == [2, 1, 1]  # equal remainders: the earlier
    assert widths([1.0, 0.0], 3, 1000.0) == [2, 1]
    assert widths([], 4, 0.1) == []


@given(_rewards, st.integers(0, 64), _balance)
def test_widths_add_up_and_follow_the_softmax(rewards: list[float], places: int, balance: float) -> None:
    found, shares = widths(rewards, places, balance), share_of(rewards, places, balance)
    assert sum(found) == places
    assert all(abs(width - share) < 1.0 + 1e-6 for width, share in zip(found, shares, strict=True))
    best = max(range(len(rewards)), key=lambda j: rewards[j])
    assert found[best] == max(found) or found[best] == max(found) - 1


@given(_rewards, st.integers(1, 64), _balance)
def test_where_rounding_adds_up_it_is_the_equation(rewards: list[float], places: int, balance: float) -> None:
    shares = share_of(rewards, places, balance)
    near = any(abs(share - math.floor(share) - 0.5) < 1e-6 for share in shares)
    rounded = [round(share) for share in shares]
    expected = rounded if sum(rounded) == places and not near else widths(rewards, places, balance)
    assert widths(rewards, places, balance) == expected


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 4)), min_size=1, max_size=8), st.integers(1, 32))
def test_copies_have_the_shares_of_all(nodes: list[tuple[float, int]], places: int) -> None:
    rewards, copies = [reward for reward, _ in nodes], [many for _, many in nodes]
    apart = share_of([reward for reward, many in nodes for _ in range(many)], places, 0.1)
    found = widths(rewards, places, 0.1, copies)
    begin = 0
    for width, many in zip(found, copies, strict=True):
        assert abs(width - sum(apart[begin : begin + many])) < 1.0 + 1e-6
        begin += many


def lines(text: str, rng: Random) -> str:
    """One of four first steps, then another line, then an answer."""
    done = written(text).split("\n")[:-1]
    road = done[0] if done else rng.choice("abcd")
    return "\n".join([road, f"{road}{rng.randrange(1000)}", f"# {road}"][len(done) :])


REWARDS = {"a": 0.9, "b": 0.8, "c": 0.5, "d": 0.1}


def judge(question: str, steps: tuple[str, ...]) -> float:
    return REWARDS.get(steps[-1], 0.5)


async def test_places_are_shared_out_by_the_first_steps_rewards(bench: Any) -> None:
    b = bench(lines, judge)
    result = await run_plan(b.problem, Plan.parse("rebase(n=16)"), b.setting, seed=1)
    first = [child.text.strip() for child in sorted(b.engine.children[:16], key=lambda child: child.child)]
    names = list(dict.fromkeys(first))
    expected = widths([REWARDS[name] for name in names], 16, 0.1, [first.count(name) for name in names])
    second = [r for r in b.engine.requests[1:] if written("".join(map(chr, r.prompt))).count("\n") == 1]
    assert {written("".join(map(chr, r.prompt))).strip(): r.n for r in second} == {
        name: width for name, width in zip(names, expected, strict=True) if width
    }
    assert sum(r.n for r in second) == 16
    assert len(result.candidates) == 16


async def test_finished_solutions_take_their_places_from_the_budget(bench: Any) -> None:
    """B_i = B_i-1 - C_i: what is left is shared out over what has not ended."""

    def script(text: str, rng: Random) -> str:
        if written(text):
            return "# 7"
        return "# 5" if rng.random() < 0.4 else f"go {rng.randrange(3)}\n# 7"

    b = bench(script, lambda question, steps: 0.5)
    result = await run_plan(b.problem, Plan.parse("rebase(n=16)"), b.setting, seed=3)
    ended = sum(child.text == "# 5" for child in b.engine.children[:16])
    assert 0 < ended < 16
    assert sum(r.n for r in b.engine.requests[1:]) == 16 - ended
    assert sorted(c.answer for c in result.candidates) == ["5"] * ended + ["7"] * (16 - ended)


async def test_a_high_balance_prunes_nothing_and_a_low_one_all_but_the_best(bench: Any) -> None:
    expanded = {}
    for balance in (0.001, 1000):
        b = bench(lines, judge)
        await run_plan(b.problem, Plan.parse(f"rebase(n=16, balance={balance})"), b.setting, seed=1)
        expanded[balance] = {
            written("".join(map(chr, r.prompt))).split("\n")[0] for r in b.engine.requests[1:]
        }
    assert expanded[0.001] == {"a"}
    assert expanded[1000] == {"a", "b", "c", "d"}


def test_its_plans() -> None:
    assert str(Plan.parse("rebase()")) == "rebase(n=16, prune=last, score=last, vote=weighted)"
    assert str(Plan.parse("rebase(n=4, balance=0.5)")).endswith("vote=weighted, balance=0.5)")
    with pytest.raises(PlanError, match=r"balance must be a number from 0.001 to 1000, got balance=0.0"):
        Plan.parse("rebase(n=4, balance=0)")
