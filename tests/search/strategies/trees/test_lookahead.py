"""Lookahead search on trees that are known: a step is worth what its greedy rollout ends at."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.budget import Budget
from search.errors import PlanError
from search.ledger import Ledger
from search.plan import Plan
from search.run import run_plan
from search.sync import run_sync
from search.testing.bench import make_bench

TURN = "\x1e"

#: the broad road looks better at its first step, the narrow one from the second on
VALUES = {"broad 0": 0.9, "broad 1": 0.2, "broad 2": 0.6, "narrow 0": 0.3, "narrow 1": 0.7, "narrow 2": 0.1}


def written(text: str) -> str:
    return text.partition(TURN)[2]


def roads(text: str, rng: Random) -> str:
    """``broad`` or ``narrow``, three steps of it, and the answer."""
    lines = written(text).split("\n")[:-1]
    road = lines[0].split()[0] if lines else rng.choice(["broad", "narrow"])
    return "\n".join([*(f"{road} {step}" for step in range(len(lines), 3)), f"# {road}"])


def judge(question: str, steps: tuple[str, ...]) -> float:
    return VALUES.get(steps[-1], 0.5)


def expanded(b: Any) -> list[str]:
    """The texts that sampled requests went on from, after the first."""
    drawn = [r for r in b.engine.requests if r.sampling.temperature > 0]
    return [written("".join(map(chr, r.prompt))) for r in drawn[1:]]


@pytest.mark.parametrize(("depth", "road"), [(1, "narrow"), (2, "broad")])
async def test_a_step_is_worth_the_reward_after_depth_greedy_steps(depth: int, road: str, bench: Any) -> None:
    """After one step narrow stands at 0.7 and broad at 0.2; after two broad at 0.6 and narrow at 0.1."""
    b = bench(roads, judge)
    await run_plan(b.problem, Plan.parse(f"lookahead(n=8, width=8, depth={depth})"), b.setting, seed=1)
    assert expanded(b)[0] == f"{road} 0\n"


async def test_without_looking_ahead_the_first_step_decides(bench: Any) -> None:
    b = bench(roads, judge)
    await run_plan(b.problem, Plan.parse("beam_search(n=8, width=8)"), b.setting, seed=1)
    assert expanded(b)[0] == "broad 0\n"


async def test_rollouts_are_greedy_one_step_a_request_and_no_candidates(bench: Any) -> None:
    b = bench(roads, judge)
    result = await run_plan(b.problem, Plan.parse("lookahead(n=8, width=8, depth=2)"), b.setting, seed=1)
    ahead = [r for r in b.engine.requests if r.sampling.temperature == 0]
    # two distinct first steps, each two steps on; from then on one distinct beam, and nothing to choose
    assert [r.n for r in ahead] == [1] * 4
    assert {r.stop for r in ahead} == {("\n",)}
    assert sorted(written("".join(map(chr, r.prompt))) for r in ahead) == [
        "broad 0\n",
        "broad 0\nbroad 1\n",
        "narrow 0\n",
        "narrow 0\nnarrow 1\n",
    ]
    assert {candidate.answer for candidate in result.candidates} == {"broad"}
    assert len(result.candidates) == 8


async def test_rollouts_are_charged_in_full(bench: Any) -> None:
    b = bench(roads, judge)
    result = await run_plan(b.problem, Plan.parse("lookahead(n=8, width=4, depth=2)"), b.setting, seed=1)
    assert result.spend.policy_tokens == b.prompt + b.engine.generated
    assert result.spend.prm_tokens == b.prm_prompt + b.reward.scored
    plain = bench(roads, judge)
    beams = await run_plan(plain.problem, Plan.parse("beam_search(n=8, width=4)"), plain.setting, seed=1)
    assert result.spend.policy_tokens > beams.spend.policy_tokens
    # a step that a rollout has scored is not scored again when a beam takes it
    calls = [(*prefix, *new) for prefix, new in b.reward.calls]
    assert len(calls) == len(set(calls))


async def test_rollouts_stop_where_the_solution_ends(bench: Any) -> None:
    b = bench(roads, judge)
    await run_plan(b.problem, Plan.parse("lookahead(n=8, width=8, depth=64)"), b.setting, seed=1)
    ahead = [r for r in b.engine.requests if r.sampling.temperature == 0]
    assert len(ahead) == 2 * 3  # two roads, three more requests each


async def test_a_tree_of_one_beam_looks_at_nothing(bench: Any) -> None:
    """All first steps are alike: there is nothing to choose, so it is beam search."""
    one, other = (
        bench(lambda text, rng: "same\n# 1"[len(written(text)) :]),
        bench(lambda text, rng: "same\n# 1"[len(written(text)) :]),
    )
    first = await run_plan(one.problem, Plan.parse("lookahead(n=4, width=2)"), one.setting, seed=3)
    second = await run_plan(other.problem, Plan.parse("beam_search(n=4, width=2)"), other.setting, seed=3)
    assert first.candidates == second.candidates
    assert first.spend.tokens == second.spend.tokens


@settings(deadline=None, max_examples=40)
@given(tokens=st.integers(0, 900), seed=st.integers(0, 1000), depth=st.integers(1, 3))
def test_no_budget_is_passed_by_rollouts(tokens: int, seed: int, depth: int) -> None:
    b = make_bench(roads, judge)
    ledger = Ledger(Budget(tokens=tokens), b.engine.card, b.reward.card)
    plan = Plan.of("lookahead", n=8, width=2, depth=depth)
    run_sync(run_plan(b.problem, plan, b.setting, seed=seed, ledger=ledger))
    assert ledger.spend.tokens <= tokens
    assert ledger.spend.policy_tokens == (b.prompt if b.engine.requests else 0) + b.engine.generated
    assert ledger.committed_tokens == ledger.spend.tokens


def test_its_plans() -> None:
    assert (
        str(Plan.parse("lookahead()"))
        == "lookahead(n=16, width=4, depth=2, prune=last, score=last, vote=max)"
    )
    with pytest.raises(PlanError, match="n must be divisible by width, got n=10, width=4"):
        Plan.parse("lookahead(n=10)")
    with pytest.raises(PlanError, match="depth must be a whole number from 1 to 65536, got depth=0"):
        Plan.parse("lookahead(depth=0)")
