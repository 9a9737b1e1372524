"""What scoring costs: every family pays for new steps alone, for equal ones once, whatever the problem."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from search.rewards.computed.cached import CachedReward
from search.rewards.families import open_reward
from search.rewards.protocol import RewardUsage, Scored

FIRST, SECOND = "Tom has 3 apples and buys 4.", "How many legs have 5 dogs?"
STEPS = ("He starts with 3.", "3 + 4 = 7", "so 7", "The answer is: 7")
FAMILIES = ("qwen", "value_head", "orm", "rlhflow", "math_shepherd")


@pytest.fixture(params=FAMILIES)
async def reward(request: pytest.FixtureRequest, published: dict[str, Path]):
    async with open_reward(published[request.param]) as opened:
        yield opened


def physical(scored: list[Scored]) -> int:
    return sum(one.usage.physical_tokens for one in scored)


def whole(reward: CachedReward, question: str, steps: tuple[str, ...]) -> int:
    """Tokens of a prompt and of steps behind it, each fed once, what is read behind them included."""
    convention = reward.convention
    pieces = [convention.first(steps[0]), *map(convention.step, steps[1:])]
    behind = sum(len(piece.tokens) + len(convention.tail) for piece in pieces)
    return len(convention.prompt(question)) + behind


async def extend(reward: CachedReward, question: str, *steps: str) -> Scored:
    return await reward.extend(reward.open(question), steps)


async def test_a_growing_solution_costs_what_it_costs_at_once(reward) -> None:
    handle, paid = reward.open(FIRST), []
    for step in STEPS:
        scored = await reward.extend(handle, [step])
        handle = scored.handle
        paid.append(scored.usage)
    assert sum(usage.physical_tokens for usage in paid) == whole(reward, FIRST, STEPS)
    for usage, step in list(zip(paid, STEPS, strict=True))[1:]:
        assert usage.physical_tokens == usage.logical_tokens == reward.count(FIRST, [step])[1]


async def test_rescoring_whole_prefixes_would_cost_more(reward) -> None:
    """The yardstick of the other systems: every step pays for all that stands before it."""
    rescored = sum(whole(reward, FIRST, STEPS[: place + 1]) for place in range(len(STEPS)))
    assert rescored > 2 * whole(reward, FIRST, STEPS)


async def test_equal_solutions_asked_together_are_computed_once(reward) -> None:
    scored = await asyncio.gather(*(extend(reward, FIRST, *STEPS) for _ in range(5)))
    assert physical(scored) == whole(reward, FIRST, STEPS)
    assert [one.usage.physical_tokens for one in scored[1:]] == [0] * 4
    assert len({one.rewards for one in scored}) == 1


async def test_beams_share_the_steps_that_they_have_in_common(reward) -> None:
    beams = [(*STEPS[:2], ending) for ending in ("so 8", "so 9", "so 7")]
    scored = await asyncio.gather(*(extend(reward, FIRST, *beam) for beam in beams))
    shared = whole(reward, FIRST, STEPS[:2])
    assert physical(scored) == shared + sum(reward.count(FIRST, beam[2:])[1] for beam in beams)


async def test_a_prefix_of_a_living_handle_is_not_paid_for_again(reward) -> None:
    kept = await extend(reward, FIRST, *STEPS)
    again = await extend(reward, FIRST, *STEPS)
    assert again.usage.physical_tokens == 0
    assert again.rewards == kept.rewards
    longer = await extend(reward, FIRST, *STEPS, "done")
    assert longer.usage.physical_tokens == reward.count(FIRST, ["done"])[1]


async def test_problems_share_a_batch_and_nothing_else(reward, monkeypatch) -> None:
    calls: list[int] = []
    extend_backbone = reward.backbone.extend

    def counted(prefixes, tokens):
        calls.append(len(tokens))
        return extend_backbone(prefixes, tokens)

    monkeypatch.setattr(reward.backbone, "extend", counted)
    work = [(FIRST, STEPS), (SECOND, ("5 * 4 = 20", "so 20")), (FIRST, ("3 - 4 = 1",))]
    together = await asyncio.gather(*(extend(reward, question, *steps) for question, steps in work))
    # both prompts run together, then all solutions, then (an outcome reward) what closes each chat
    assert calls == [2, 3, 7] if reward.convention.tail else calls == [2, 3]
    prompt = len(reward.convention.prompt(FIRST))
    assert physical(together) == sum(whole(reward, *one) for one in work) - prompt
    for (question, steps), scored in zip(work, together, strict=True):
        async with _fresh(reward) as other:
            alone = await extend(other, question, *steps)
        assert scored.rewards == pytest.approx(alone.rewards, abs=1e-5)
        assert isinstance(scored.usage, RewardUsage)


def _fresh(reward: CachedReward) -> CachedReward:
    """The same model with nothing in its caches."""
    return CachedReward("fresh", reward.card, reward.convention, reward.backbone, reward.head)
