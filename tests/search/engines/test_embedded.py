from __future__ import annotations

import asyncio
import gc
import threading

import pytest
import torch
from transformers import AutoModelForCausalLM

from search.engines.batch import Batch
from search.engines.confidence import of_token, reduce
from search.engines.embedded import EmbeddedEngine
from search.engines.protocol import ChildFinished, FinishReason, Request, Sampling
from search.errors import CheckpointError, EngineError


def request(prompt, n=4, max_tokens=30, seed=3, stop=(), **wanted) -> Request:
    return Request(tuple(prompt), n, max_tokens, Sampling(), seed, stop, **wanted)


async def collect(engine, asked):
    return [event async for event in engine.submit(asked)]


def found(events):
    return sorted((e for e in events if isinstance(e, ChildFinished)), key=lambda e: e.child)


async def test_a_grown_prompt_is_not_prefilled_again(policy):
    async with (
        EmbeddedEngine.load(policy) as engine,
        EmbeddedEngine.load(policy, prefix_bytes=0) as forgetful,
    ):
        prompt = engine.prompt("what is 1 + 2")
        first = await collect(engine, request(prompt, n=8, max_tokens=300, stop=("\n",)))
        child = next(c for c in found(first) if c.finish_reason == FinishReason.STOP)
        grown = prompt + child.token_ids
        cached = await collect(engine, request(grown, logprobs=True))
        fresh = await collect(forgetful, request(grown, logprobs=True))
        assert first[-1].usage.cached_prompt_tokens == 0
        assert cached[-1].usage.cached_prompt_tokens == len(grown) - 1
        assert fresh[-1].usage.cached_prompt_tokens == 0
        for one, two in zip(found(cached), found(fresh), strict=True):
            assert one.token_ids == two.token_ids
            assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)


async def test_prompts_that_share_a_turn_are_prefilled_once(policy):
    async with EmbeddedEngine.load(policy) as engine:
        prompt = engine.prompt("what is 1 + 2")
        ended = await asyncio.gather(*(collect(engine, request(prompt, seed=i)) for i in range(3)))
        assert sorted(e[-1].usage.cached_prompt_tokens for e in ended) == [
            0,
            len(prompt) - 1,
            len(prompt) - 1,
        ]


async def test_children_beyond_max_rows_wait_and_come_out_the_same(policy):
    async with EmbeddedEngine.load(policy, max_rows=3) as narrow, EmbeddedEngine.load(policy) as wide:
        asked = [request(wide.prompt("what is 1"), n=70, seed=s, logprobs=True) for s in (1, 2)]
        few = await asyncio.gather(*(collect(narrow, one) for one in asked))
        many = await asyncio.gather(*(collect(wide, one) for one in asked))
        for one, two in zip(few, many, strict=True):
            assert [c.token_ids for c in found(one)] == [c.token_ids for c in found(two)]


async def test_a_group_submitted_together_gives_the_same_bits(policy):
    async def group():
        async with EmbeddedEngine.load(policy) as engine:
            asked = [
                request(engine.prompt(f"what is {i}"), n=1 + i, seed=i, max_tokens=20 + i, logprobs=True)
                for i in range(6)
            ]
            return [
                found(events) for events in await asyncio.gather(*(collect(engine, one) for one in asked))
            ]

    assert await group() == await group()


async def test_bits_do_not_depend_on_traffic(policy, same_bits):
    async with EmbeddedEngine.load(policy) as quiet, EmbeddedEngine.load(policy) as busy:
        asked = request(quiet.prompt("what is 3"), n=5, seed=8, max_tokens=60, logprobs=True)
        alone = found(await collect(quiet, asked))
        others = [
            request(quiet.prompt(f"what is {i}"), n=1 + 9 * i, seed=i, max_tokens=10 + 12 * i)
            for i in range(5)
        ]
        early = [asyncio.ensure_future(collect(busy, one)) for one in others]
        first = [event async for event in busy.submit(request(quiet.prompt("what"), n=1, max_tokens=9))]
        assert len(first) == 2  # by now the others are under way
        assert found(await collect(busy, asked)) == alone
        await asyncio.gather(*early)


async def test_waiting_children_are_cancelled_too(policy):
    async with EmbeddedEngine.load(policy, max_rows=2) as engine:
        asked = request(engine.prompt("what"), n=5, max_tokens=1500, stream=True)
        events = []
        async for event in engine.submit(asked):
            if not events:
                await engine.cancel(asked.request_id)
            events.append(event)
        ended = found(events)
        assert [c.child for c in ended] == [0, 1, 2, 3, 4]
        assert all(c.token_ids == () for c in ended[3:])


async def test_a_failing_worker_is_heard_by_everyone_and_recovers(policy, monkeypatch):
    async with EmbeddedEngine.load(policy) as engine:
        prompt = engine.prompt("what is")

        def fail(self):
            raise MemoryError("no room")

        with monkeypatch.context() as patched:
            patched.setattr(Batch, "advance", fail)
            ended = await asyncio.wait_for(
                asyncio.gather(*(collect(engine, request(prompt)) for _ in range(3)), return_exceptions=True),
                60,
            )
        assert all(isinstance(error, EngineError) and "MemoryError: no room" in str(error) for error in ended)
        assert len(found(await collect(engine, request(prompt)))) == 4


async def test_bad_requests_are_refused_before_they_reach_the_worker(policy):
    async with EmbeddedEngine.load(policy) as engine:
        with pytest.raises(EngineError, match=r"prompt token ids must be in \[0, 28\), got \(1, 99\)"):
            engine.submit(request((1, 99)))
        with pytest.raises(EngineError, match="a stop string cannot be empty"):
            engine.submit(request((1,), stop=("",)))


def test_one_engine_serves_one_loop_after_another(policy):
    engine = EmbeddedEngine.load(policy)
    prompt = engine.prompt("what is 2")
    one, two = (found(asyncio.run(collect(engine, request(prompt)))) for _ in range(2))
    assert one == two
    asyncio.run(engine.close())


def test_an_engine_that_is_forgotten_ends_its_thread(policy):
    before = set(threading.enumerate())
    engine = EmbeddedEngine.load(policy)
    (thread,) = set(threading.enumerate()) - before
    del engine
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


def test_load_refuses_what_it_cannot_run(policy, prm):
    with pytest.raises(CheckpointError, match="a policy must be a causal language model"):
        EmbeddedEngine.load(prm)
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        EmbeddedEngine.load(policy, threads=0)


async def test_confidence_is_that_of_the_logits(policy):
    """Every candidate's logprob comes from a model of transformers' own."""
    model = AutoModelForCausalLM.from_pretrained(policy)
    async with EmbeddedEngine.load(policy) as engine:
        prompt = engine.prompt("what is 1 + 2")
        together = await asyncio.gather(
            collect(engine, request(prompt, n=2, max_tokens=80, top_logprobs=5)),
            collect(engine, request(prompt, n=2, max_tokens=20, seed=4)),
        )
    plain = found(together[1])
    assert [child.mean_entropy for child in plain] == [None, None]
    for child in found(together[0]):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *child.token_ids]])).logits[0, len(prompt) - 1 : -1]
        rows = logits.log_softmax(-1).topk(5).values.tolist()
        expected = reduce([of_token(row) for row in rows])
        assert child.mean_entropy == pytest.approx(expected.mean_entropy, abs=1e-4)
        assert child.mean_confidence == pytest.approx(expected.mean_confidence, abs=1e-4)
        assert child.lowest_confidence == pytest.approx(expected.lowest_confidence, abs=1e-4)
