"""The particle filter on steps whose rewards are known."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.budget import Budget
from search.ledger import Ledger
from search.plan import Plan
from search.run import run_plan
from search.seeds import seed_of
from search.strategies.observer import BeamEvent, Observer
from search.strategies.protocol import Setting
from search.strategies.trees.particle_filter import resampled, shares
from search.sync import run_sync
from search.testing.bench import make_bench

PLAN = Plan.parse("particle_filter(n=8)")
TURN = "\x1e"


def written(text: str) -> str:
    return text.partition(TURN)[2]


def two_roads(text: str, rng: Random) -> str:
    """``a`` or ``b``, another line of the same, and an answer."""
    lines = written(text).split("\n")[:-1]
    road = lines[0][0] if lines else rng.choice("ab")
    return "\n".join([*(f"{road}{step}" for step in range(len(lines), 2)), f"# {road}"])


def prefers_a(question: str, steps: tuple[str, ...]) -> float:
    return 0.8 if steps[-1].endswith("a") or steps[-1].startswith("a") else 0.5


def test_shares_are_the_softmax_of_the_logits() -> None:
    rewards = [0.5, 0.8, 0.2]
    logits = [math.log(r / (1.0 - r)) for r in rewards]
    total = sum(map(math.exp, logits))
    assert shares(rewards) == pytest.approx([math.exp(each) / total for each in logits])
    # odds of 1, 4 and 1/4
    assert shares(rewards) == pytest.approx([1.0 / 5.25, 4.0 / 5.25, 0.25 / 5.25])


def test_rewards_of_nought_and_one_are_shares_too() -> None:
    assert shares([0.0, 0.0]) == [0.5, 0.5]
    assert shares([1.0, 1.0, 0.0]) == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_shares_sum_to_one_and_follow_the_rewards(rewards: list[float]) -> None:
    found = shares(rewards)
    assert sum(found) == pytest.approx(1.0)
    ranked = sorted(range(len(rewards)), key=lambda i: rewards[i])
    assert all(found[low] <= found[high] for low, high in pairwise(ranked))


def test_particles_are_drawn_as_often_as_their_shares_say() -> None:
    rewards = [0.5, 0.8, 0.2, 0.5]
    drawn = Counter(place for seed in range(4000) for place in resampled(rewards, seed))
    for place, share in enumerate(shares(rewards)):
        assert drawn[place] / 16000 == pytest.approx(share, abs=0.015)  # four standard errors
    assert resampled(rewards, 7) == resampled(rewards, 7)


async def test_after_a_step_the_particles_are_drawn_anew(bench: Any) -> None:
    """By hand: the first steps of this seed, their rewards, and who is drawn how often."""
    b = bench(two_roads, prefers_a)
    await run_plan(b.problem, PLAN, b.setting, seed=1)
    first = [child.text for child in sorted(b.engine.children[:8], key=lambda child: child.child)]
    rewards = [0.8 if text == "a0\n" else 0.5 for text in first]
    drawn = Counter(first[place] for place in resampled(rewards, seed_of(1, "resample", 1)))
    assert set(first) == {"a0\n", "b0\n"}
    second = b.engine.requests[1 : 1 + len(drawn)]
    assert {written("".join(map(chr, r.prompt))): r.n for r in second} == dict(drawn)
    assert sum(r.n for r in second) == 8


async def test_particles_that_have_ended_take_part(bench: Any) -> None:
    """A good solution of one line is drawn more than once, a bad one not: copies are charged once."""

    def script(text: str, rng: Random) -> str:
        if written(text):
            return "# 9"
        return rng.choice(["# 5", "go on\n# 9"])

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return 0.95 if steps[0] == "# 5" else 0.05

    b = bench(script, judge)
    result = await run_plan(b.problem, PLAN, b.setting, seed=2)
    at_once = sum(child.text == "# 5" for child in b.engine.children[:8])
    kept = sum(candidate.text == "# 5" for candidate in result.candidates)
    assert 0 < at_once < kept <= 8
    assert len(result.candidates) == 8
    assert result.answer == "5"
    assert result.spend.policy_tokens == b.prompt + b.engine.generated


async def test_good_roads_take_over(bench: Any) -> None:
    """Both roads are as likely; after two resamplings with odds of 4 to 1 nearly all are on one."""
    kept = 0
    for seed in range(20):
        b = bench(two_roads, prefers_a)
        result = await run_plan(b.problem, PLAN, b.setting, seed=seed)
        kept += sum(candidate.answer == "a" for candidate in result.candidates)
    assert kept / 160 > 0.8


async def test_the_weight_is_of_the_reward_that_prune_says(bench: Any) -> None:
    """``a`` ends badly after a good start; its least and its last reward differ from its product."""
    rewards = {"a0": 0.9, "a1": 0.9, "b0": 0.1, "b1": 0.9}

    def judge(question: str, steps: tuple[str, ...]) -> float:
        return rewards.get(steps[-1], 0.5)

    chosen = {}
    for prune in ("last", "prod"):
        b = bench(two_roads, judge)
        await run_plan(b.problem, Plan.parse(f"particle_filter(n=8, prune={prune})"), b.setting, seed=1)
        chosen[prune] = sum(r.n for r in b.engine.requests if "b1" in "".join(map(chr, r.prompt)))
    assert chosen["prod"] <= chosen["last"]


class Ended(Observer):
    """Counts the beams that have ended."""

    count = 0

    async def grown(self, event: BeamEvent) -> None:
        self.count += event.finish_reason != ""


@settings(deadline=None, max_examples=60)
@given(tokens=st.integers(0, 400), seed=st.integers(0, 1000))
def test_cut_off_by_a_budget_it_answers_with_what_has_ended(tokens: int, seed: int) -> None:
    """Also where it had not been drawn any more."""

    def script(text: str, rng: Random) -> str:
        return "# 9" if written(text) else rng.choice(["# 5", "a longer line\n# 9"])

    b, ended = make_bench(script, lambda question, steps: 0.1 if steps == ("# 5",) else 0.9), Ended()
    setting = Setting(b.engine, b.reward, limits=b.setting.limits, observer=ended)
    ledger = Ledger(Budget(tokens=tokens), b.engine.card, b.reward.card)
    result = run_sync(run_plan(b.problem, PLAN, setting, seed=seed, ledger=ledger))
    assert ledger.spend.tokens <= tokens
    assert ledger.committed_tokens == ledger.spend.tokens
    assert bool(result.candidates) == bool(ended.count)
    assert len(result.candidates) <= 8
