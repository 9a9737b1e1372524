"""A PRM behind a server: the family's own rewards, each prefix asked for once, every failure named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from search.errors import (
    BrokenError,
    CheckpointError,
    GarbledError,
    RefusedError,
    RewardError,
    UnreachableError,
)
from search.remote.fake_server import FakeServer, Fault
from search.rewards.families import open_reward
from search.rewards.served.http import HttpReward
from search.rewards.served.http_prm_clients import Asking, ChoicePrmClient, PoolingPrmClient

QUESTION = "what is 1 + 2"
STEPS = ["1+2=3", "3+4=7", "so 7"]

PrmServer = Callable[..., FakeServer]


@pytest.mark.parametrize("family", ["qwen", "rlhflow", "math_shepherd"])
async def test_the_rewards_are_those_of_the_family_here(
    family: str, published: dict[str, Path], prm_server: PrmServer
) -> None:
    folder = published[family]
    async with HttpReward.connect(prm_server(folder).url, folder) as far, open_reward(folder) as near:
        assert far.card == near.card
        for question, steps in ((QUESTION, STEPS), ("<extra_0> or not?", ["", "<extra_0>", "so"])):
            one = await far.extend(far.open(question), steps)
            two = await near.extend(near.open(question), steps)
            assert one.rewards == pytest.approx(two.rewards, abs=1e-5)
            assert one.usage.logical_tokens == two.usage.logical_tokens


async def test_both_kinds_of_pooling_are_understood(
    published: dict[str, Path], prm_server: PrmServer
) -> None:
    folder = published["qwen"]
    found = []
    for pooling in ("STEP", "ALL"):
        async with HttpReward.connect(prm_server(folder, pooling).url, folder) as reward:
            found.append((await reward.extend(reward.open(QUESTION), STEPS)).rewards)
    assert found[0] == pytest.approx(found[1], abs=1e-6)


async def test_each_prefix_is_asked_for_once(published: dict[str, Path], prm_server: PrmServer) -> None:
    folder = published["qwen"]
    server = prm_server(folder)
    async with HttpReward.connect(server.url, folder) as reward:
        asked = [(QUESTION, STEPS), (QUESTION, STEPS), (QUESTION, STEPS[:2]), ("other?", STEPS[:1])]
        scored = await asyncio.gather(*(reward.extend(reward.open(q), steps) for q, steps in asked))
        bodies = [came.body for came in server.asked if came.path == "/pooling"]
        assert [len(body["input"]) for body in bodies] == [2]  # one request for all, equal ones once
        prompt, steps = reward.count(QUESTION, STEPS)
        assert sorted(each.usage.physical_tokens for each in scored[:3]) == [0, 0, prompt + steps]
        assert scored[2].rewards == scored[0].rewards[:2]
        assert {each.usage.logical_tokens for each in scored[:2]} == {steps}

        again = await reward.extend(reward.open(QUESTION), STEPS)  # a living handle holds it
        assert (again.rewards, again.usage.physical_tokens) == (scored[0].rewards, 0)
        longer = await reward.extend(again.handle, ["# 7"])  # nothing is kept there: all of it once more
        assert longer.usage.physical_tokens == prompt + steps + longer.usage.logical_tokens


async def test_many_prefixes_are_parted(published: dict[str, Path], prm_server: PrmServer) -> None:
    folder = published["qwen"]
    server = prm_server(folder)
    async with HttpReward.connect(server.url, folder) as reward:
        await asyncio.gather(*(reward.extend(reward.open(f"{i}?"), ["so"]) for i in range(70)))
    assert sorted(len(c.body["input"]) for c in server.asked if c.path == "/pooling") == [6, 32, 32]


async def test_work_that_was_lost_is_counted(published: dict[str, Path], prm_server: PrmServer) -> None:
    folder = published["qwen"]
    server = prm_server(folder)
    async with HttpReward.connect(server.url, folder, patience=30.0) as reward:
        server.fail("/pooling", Fault.busy(), Fault.drop())
        scored = await reward.extend(reward.open(QUESTION), STEPS)
        prompt, steps = reward.count(QUESTION, STEPS)
        assert scored.usage.physical_tokens == 2 * (prompt + steps)  # refused: nothing; broken: all
        assert scored.usage.logical_tokens == steps


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.busy(), UnreachableError),
        (Fault.answer(404, b"Not Found"), RefusedError),
        (Fault.answer(400, b'{"error": {"message": "maximum context length is 3"}}'), RewardError),
        (Fault.answer(200, b"<html>"), GarbledError),
        (Fault.answer(200, b'{"data": []}'), GarbledError),
        (Fault.answer(200, b'{"data": [{"index": 0, "data": [[0.5, 0.5]]}]}'), GarbledError),
        (Fault.answer(200, b'{"data": [{"index": 0, "data": [[0.5], [0.5], [1]]}]}'), GarbledError),
        (Fault.answer(200, b'{"data": [{"index": 0, "data": [[7, -3], [7, -3], [7, -3]]}]}'), GarbledError),
    ],
    ids=str,
)
async def test_failures_are_named_and_the_next_call_is_asked_anew(
    published: dict[str, Path], prm_server: PrmServer, fault: Fault, error: type[RewardError]
) -> None:
    folder = published["qwen"]
    server = prm_server(folder)
    async with HttpReward.connect(server.url, folder, patience=0.0) as reward:
        server.fail("/pooling", fault)
        with pytest.raises(error) as caught:
            await reward.extend(reward.open(QUESTION), STEPS)
        assert isinstance(caught.value, RewardError)
        assert len((await reward.extend(reward.open(QUESTION), STEPS)).rewards) == 3


async def test_a_server_that_breaks_off_again_and_again(
    published: dict[str, Path], prm_server: PrmServer
) -> None:
    folder = published["rlhflow"]
    server = prm_server(folder)
    async with HttpReward.connect(server.url, folder, patience=0.0) as reward:
        server.fail("/v1/completions", *[Fault.answer(500, b"oops")] * 4)
        with pytest.raises(BrokenError, match="a server must answer, got 500"):
            await reward.extend(reward.open(QUESTION), STEPS[:1])
        server.fail("/v1/completions", Fault.answer(200, b'{"choices": [{}]}'))
        with pytest.raises(GarbledError, match="must tell the logprobs of"):
            await reward.extend(reward.open(QUESTION), STEPS[:1])


def test_what_cannot_be_asked_is_refused(published: dict[str, Path], prm_server: PrmServer) -> None:
    server = prm_server(published["qwen"])
    with pytest.raises(CheckpointError, match=r"asked for the families classifier, .* got 'orm'"):
        HttpReward.connect(server.url, published["orm"])
    with pytest.raises(RefusedError, match=r"a model must be one that .*, got 'gpt'"):
        HttpReward.connect(server.url, published["qwen"], model="gpt")
    with pytest.raises(UnreachableError):
        HttpReward.connect("http://127.0.0.1:9", published["qwen"], patience=0.0)


def test_judges_know_what_they_ask_for() -> None:
    assert PoolingPrmClient(7).batch == 32
    rows = [[0.9, 0.1], [0.2, 0.8]]
    asked = Asking((7, 1, 7), (2,))  # a separator in the question: not a step's
    assert PoolingPrmClient(7).read(rows, asked) == (0.8,)
    with pytest.raises(GarbledError, match=r"a row per separator \(2: .*\) or per token \(3: .* got 1 rows"):
        PoolingPrmClient(7).read(rows[:1], asked)
    assert (ChoicePrmClient(3, 4).good, ChoicePrmClient(3, 4).bad) == (3, 4)
