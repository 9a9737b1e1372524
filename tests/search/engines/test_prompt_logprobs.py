"""Logprobs of tokens that nobody has written: exact, cancelled, refused where they cannot be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from search.checkpoint import read_checkpoint
from search.engines.embedded import EmbeddedEngine
from search.engines.named import NamedEngine
from search.engines.openai.echo import echoed
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import ChildFinished, Engine, Request, Sampling
from search.engines.scripted import ScriptedEngine
from search.engines.tokenizer import CheckpointTokenizer
from search.engines.vllm import VllmEngine
from search.errors import ContextError, EngineError, GarbledError, RefusedError
from search.remote.fake_server import FakeServer

MARKS = (pytest.mark.slow, pytest.mark.vllm)
Open = Callable[[str], Engine]


def reference(policy: Path, tokens: tuple[int, ...]) -> list[float]:
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(policy)(torch.tensor([tokens])).logits[0]
    return logits[:-1].log_softmax(-1).gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].tolist()


@pytest.fixture
def opened(policy: Path, request: pytest.FixtureRequest) -> Iterator[Open]:
    with ExitStack() as running:

        def make(member: str) -> Engine:
            if member == "embedded":
                return EmbeddedEngine.load(policy)
            if member == "named":
                inner = EmbeddedEngine.load(policy)
                return NamedEngine(inner, inner.card)
            checkpoint = read_checkpoint(policy)
            tokens = CheckpointTokenizer(checkpoint)
            if member == "vllm":
                host = request.getfixturevalue("vllm_host")(policy, lambda: VllmEngine.CHOSEN)
                return VllmEngine(checkpoint, tokens, host)
            takes = ("tokens", "text") if member == "tokens" else ("text",)
            fake = FakeOpenAI(
                EmbeddedEngine.load(policy), encode=tokens.encode, decode=spelled(tokens), takes=takes
            )
            server = running.enter_context(FakeServer(fake))
            return OpenAIEngine.connect(server.url, tokenizer=policy, dialect=member, patience=0.0)

        yield make


def spelled(tokens: CheckpointTokenizer) -> Callable[[Any], str]:
    """Text with special tokens written out, as servers that take text need it."""
    return lambda ids: str(tokens._bare.decode(list(ids), skip_special_tokens=False))


@pytest.mark.parametrize("member", ["embedded", "named", "tokens", "text", pytest.param("vllm", marks=MARKS)])
async def test_they_are_those_of_transformers(member: str, opened: Open, policy: Path) -> None:
    async with opened(member) as engine:
        assert engine.tells_prompts
        tokens = (*engine.prompt("what is 1 + 2"), *engine.written("1+2=3\nso 3\n"))
        expected = reference(policy, tokens)
        for start in (1, 5, len(tokens) - 1):
            told = await engine.prompt_logprobs(tokens, start)
            assert told.values == pytest.approx(expected[start - 1 :], abs=1e-4)
            assert told.usage.prompt_tokens == len(tokens)
        together = await asyncio.gather(
            *(engine.prompt_logprobs(tokens[:end], 2) for end in range(3, len(tokens) + 1))
        )
        for end, told in enumerate(together, start=3):
            assert told.values == pytest.approx(expected[1 : end - 1], abs=1e-4)


async def test_what_was_read_or_written_is_not_computed_again(policy: Path) -> None:
    async with EmbeddedEngine.load(policy) as engine:
        prompt = engine.prompt("what is 1 + 2")
        request = Request(prompt, 8, 300, Sampling(), seed=3, stop=("\n",), logprobs=True)
        ended = [event async for event in engine.submit(request) if isinstance(event, ChildFinished)]
        child = next(one for one in ended if one.finish_reason == "stop")
        tokens = prompt + child.token_ids
        told = await engine.prompt_logprobs(tokens, len(prompt))
        assert told.values == pytest.approx(child.logprobs, abs=1e-4)
        assert told.usage.cached_prompt_tokens == len(prompt) - 1
        longer = tokens + engine.written("so 3")
        again = await engine.prompt_logprobs(longer, len(tokens))
        assert again.usage.cached_prompt_tokens == len(tokens) - 1


async def test_reading_and_writing_side_by_side(policy: Path) -> None:
    async with EmbeddedEngine.load(policy) as engine:
        prompt = engine.prompt("what is 1 + 2")
        tokens = prompt + engine.written("1+2=3\n")
        request = Request(prompt, 8, 60, Sampling(), seed=1)
        alone = (await engine.prompt_logprobs(tokens, 1)).values

        async def write() -> list[tuple[int, ...]]:
            events = [event async for event in engine.submit(request)]
            return sorted(event.token_ids for event in events if isinstance(event, ChildFinished))

        first = await write()
        second, *told = await asyncio.gather(write(), *(engine.prompt_logprobs(tokens, 1) for _ in range(5)))
        assert second == first
        assert all(one.values == alone for one in told)


async def test_whoever_gives_up_disturbs_nobody(policy: Path) -> None:
    async with EmbeddedEngine.load(policy) as engine:
        tokens = engine.prompt("what is 1 + 2")
        impatient = asyncio.create_task(engine.prompt_logprobs(tokens, 1))
        patient = asyncio.create_task(engine.prompt_logprobs(tokens, 1))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).values
        with pytest.raises(asyncio.CancelledError):
            await impatient
    with pytest.raises(EngineError, match="a closed engine takes no requests"):
        await engine.prompt_logprobs(tokens, 1)


async def test_what_cannot_be_asked_is_told(policy: Path) -> None:
    async with EmbeddedEngine.load(policy) as engine:
        tokens = engine.prompt("what is 1 + 2")
        for start in (0, len(tokens)):
            with pytest.raises(EngineError, match=f"start must be from 1 to {len(tokens) - 1}, got {start}"):
                await engine.prompt_logprobs(tokens, start)
        with pytest.raises(ContextError, match="must fit into a context of 2048 tokens, got 2049"):
            await engine.prompt_logprobs((5,) * 2049, 1)
        with pytest.raises(EngineError, match="token ids must be in"):
            await engine.prompt_logprobs((5, 10**6), 1)
    scripted = ScriptedEngine(lambda text, rng: "# 1")
    assert not scripted.tells_prompts
    with pytest.raises(EngineError, match="told by an engine that tells prompts, got ScriptedEngine"):
        await scripted.prompt_logprobs((1, 2), 1)
    with pytest.raises(EngineError, match="spelled by an engine that tells prompts, got ScriptedEngine"):
        scripted.written("so")


def answer(values: list[float | None], texts: list[str], generated: int = 1) -> dict[str, Any]:
    logprobs = {"token_logprobs": values, "tokens": texts}
    usage = {"prompt_tokens": len(values) - generated, "completion_tokens": generated}
    return {"choices": [{"logprobs": logprobs}], "usage": usage}


def test_what_servers_say_of_a_prompt() -> None:
    def decode(tokens: Any) -> str:
        return "".join(map(chr, tokens))

    tokens = tuple(map(ord, "abcd"))
    whole = answer([None, -1.0, -2.0, -3.0, -9.0], ["a", "b", "c", "d", "!"])
    assert echoed(whole, tokens, 2, decode, "here").values == (-2.0, -3.0)
    # a server puts the beginning of a sequence before a text
    begun = answer([None, -5.0, -1.0, -2.0, -3.0, -9.0], ["<s>", *"abcd", "!"])
    assert echoed(begun, tokens, 2, decode, "here").values == (-2.0, -3.0)
    # and one that writes nothing along the way
    bare = answer([None, -1.0, -2.0, -3.0], list("abcd"), generated=0)
    assert echoed(bare, tokens, 1, decode, "here").values == (-1.0, -2.0, -3.0)
    with pytest.raises(RefusedError, match="a server that repeats the prompt"):
        echoed(answer([-9.0], ["!"]), tokens, 2, decode, "here")
    with pytest.raises(RefusedError, match="a server that repeats the prompt"):
        echoed({"choices": [{"logprobs": None}]}, tokens, 2, decode, "here")
    with pytest.raises(GarbledError, match="must read a prompt as it was spelled, got 'xd' for 'cd'"):
        echoed(answer([None, -1.0, -2.0, -3.0, -9.0], ["a", "b", "x", "d", "!"]), tokens, 2, decode, "here")
    with pytest.raises(GarbledError, match="must answer with one choice"):
        echoed({"choices": []}, tokens, 2, decode, "here")
