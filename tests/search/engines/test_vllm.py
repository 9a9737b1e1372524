"""What is vLLM's own: where it stops, what it caches, which options it takes, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.checkpoint import Checkpoint, read_checkpoint
from search.engines.protocol import ChildFinished, Event, FinishReason, Request, RequestFinished, Sampling
from search.engines.tokenizer import CheckpointTokenizer
from search.engines.vllm import VllmEngine
from search.engines.vllm_sampling import stops_of
from search.errors import CheckpointError, ContextError, EngineError, MissingExtraError


def request(prompt, n=4, max_tokens=30, seed=3, stop=(), **wanted) -> Request:
    return Request(tuple(prompt), n, max_tokens, Sampling(), seed, stop, **wanted)


async def collect(engine: VllmEngine, asked: Request) -> list[Event]:
    return [event async for event in engine.submit(asked)]


def found(events: list[Event]) -> list[ChildFinished]:
    return sorted((e for e in events if isinstance(e, ChildFinished)), key=lambda e: e.child)


@pytest.fixture(scope="session")
def checkpoint(policy: Path) -> Checkpoint:
    return read_checkpoint(policy)


def test_a_delimiter_that_is_one_token_stops_by_tokens_alone(checkpoint: Checkpoint) -> None:
    tokenizer = CheckpointTokenizer(checkpoint)
    stops = stops_of(tokenizer, ("\n",))
    assert stops.strings == ()
    assert set(stops.tokens) == {*tokenizer.ends, *tokenizer.encode("\n")}
    assert stops_of(tokenizer, ()).tokens == tuple(tokenizer.ends)


def test_a_delimiter_that_tokens_can_make_up_together_stops_by_text(checkpoint: Checkpoint) -> None:
    tokenizer = CheckpointTokenizer(checkpoint)
    for stop in (("\n\n",), ("\n", "so 7")):
        stops = stops_of(tokenizer, stop)
        assert stops.strings == stop
        assert set(tokenizer.ends) <= set(stops.tokens)


def test_load_refuses_what_is_no_policy(prm: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="a policy must be a causal language model"):
        VllmEngine.load(prm)
    with pytest.raises(CheckpointError, match="a checkpoint is a folder"):
        VllmEngine.load(tmp_path / "none")


def test_without_vllm_the_message_says_how_to_get_it(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'test-time-planner\[vllm\]'"):
        VllmEngine.load(policy)


class Host:
    """Stands in for vLLM where only what happens before it is tested."""

    context = 100
    concurrency = 4

    def post(self, call: Callable[..., object], *arguments: object) -> None:
        """Nobody is there."""

    def stop(self) -> None:
        """Nothing runs."""


async def test_bad_requests_are_refused_before_they_reach_vllm(checkpoint: Checkpoint) -> None:
    engine = VllmEngine(checkpoint, CheckpointTokenizer(checkpoint), Host())
    assert engine.card.context == 100  # vLLM was told to take no more
    with pytest.raises(EngineError, match=r"prompt token ids must be in \[0, 28\), got \(1, 99\)"):
        engine.submit(request((1, 99)))
    with pytest.raises(EngineError, match="a stop string cannot be empty"):
        engine.submit(request((1,), stop=("",)))
    with pytest.raises(ContextError, match="in a context of 100, got 100 tokens"):
        engine.submit(request((1,) * 100))


@pytest.fixture
def engine(vllm_host: Callable[..., Any], checkpoint: Checkpoint) -> VllmEngine:
    host = vllm_host(checkpoint.path, lambda: VllmEngine.CHOSEN)
    return VllmEngine(checkpoint, CheckpointTokenizer(checkpoint), host)


@pytest.mark.slow
@pytest.mark.vllm
class TestReal:
    async def test_a_grown_prompt_is_prefilled_from_its_last_block_on(self, engine: VllmEngine) -> None:
        async with engine:
            prompt = engine.prompt("what is 1 + 2 " * 12)
            first = await collect(engine, request(prompt, n=8, max_tokens=300, stop=("\n",), seed=11))
            child = next(c for c in found(first) if c.finish_reason == FinishReason.STOP)
            grown = prompt + child.token_ids
            again = await collect(engine, request(grown))
            assert len(grown) - 33 <= again[-1].usage.cached_prompt_tokens < len(grown)

    async def test_requests_one_seed_apart_do_not_share_draws(self, engine: VllmEngine) -> None:
        """vLLM itself gives child 1 of seed 5 what it gives child 0 of seed 6."""
        async with engine:
            prompt = engine.prompt("what is 1")
            one, two = [found(await collect(engine, request(prompt, seed=seed))) for seed in (5, 6)]
            assert not {c.token_ids for c in one} & {c.token_ids for c in two}

    async def test_the_loop_goes_on_while_vllm_works(self, engine: VllmEngine) -> None:
        async with engine:
            working = asyncio.create_task(
                collect(engine, request(engine.prompt("what is 2"), n=64, max_tokens=400, stream=True))
            )
            turns = 0
            while not working.done():
                await asyncio.sleep(0.001)
                turns += 1
            assert turns > 50
            assert len(found(await working)) == 64

    async def test_what_vllm_does_not_take_is_a_named_error(self, engine: VllmEngine) -> None:
        async with engine:
            hot = Request((1, 2), 1, 5, Sampling(temperature=3.0), 1)
            with pytest.raises(EngineError, match=r"vLLM must take the sampling, .* temperature must be in"):
                engine.submit(hot)

    def test_options_are_vllms_own_and_some_are_not_free(self, vllm: None, policy: Path) -> None:
        for options, message in (
            ({"threads": 1}, "vLLM's options must be among its engine arguments, got 'threads'"),
            ({"trust_remote_code": True}, "vLLM's option trust_remote_code is not free here, got"),
            ({"enable_prefix_caching": False}, "vLLM's option enable_prefix_caching is not free here"),
        ):
            with pytest.raises(EngineError, match=message):
                VllmEngine.load(policy, **options)


@pytest.fixture(scope="module")
def mortal(vllm: None, policy: Path) -> Iterator[tuple[VllmEngine, list[int]]]:
    """An engine of this module's own, as ``load`` makes it, and its processes, which may be killed."""
    before = {pid for pid, _ in descendants(os.getpid())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what vLLM and its libraries say while they are imported
        engine = VllmEngine.load(policy, max_model_len=256, max_num_seqs=8)
    after = descendants(os.getpid())
    yield engine, [pid for pid, title in after if pid not in before and "VLLM" in title]
    asyncio.run(engine.close())


@pytest.mark.slow
@pytest.mark.vllm
def test_one_engine_serves_one_loop_after_another_until_vllm_is_killed(
    mortal: tuple[VllmEngine, list[int]],
) -> None:
    engine, processes = mortal
    assert processes
    assert engine.card.context == 256
    prompt = engine.prompt("what is 2")
    one, two = (found(asyncio.run(collect(engine, request(prompt, n=12)))) for _ in range(2))
    assert [child.token_ids for child in one] == [child.token_ids for child in two]

    async def killed() -> list[BaseException | list[Event]]:
        asked = [request(prompt, n=8, max_tokens=200, stream=True, seed=seed) for seed in range(4)]
        waiting = [asyncio.create_task(collect(engine, one)) for one in asked]
        await asyncio.sleep(0.2)
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 120)

    ended = asyncio.run(killed())
    assert any(isinstance(error, EngineError) for error in ended)
    assert all(isinstance(e, EngineError) or isinstance(e[-1], RequestFinished) for e in ended)
    with pytest.raises(EngineError, match="vLLM failed: EngineDeadError"):
        asyncio.run(collect(engine, request(prompt)))
    asyncio.run(engine.close())
    asyncio.run(engine.close())
    alive = {pid for pid, _ in descendants(os.getpid())}
    assert not alive & set(processes)


def descendants(pid: int) -> list[tuple[int, str]]:
    """(pid, title) of the processes below one."""
    below: list[tuple[int, str]] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one that ends while it is looked at
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                title = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                below += [(int(child), title), *descendants(int(child))]
    return below
