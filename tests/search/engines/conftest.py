"""The family of engines that the contract suite runs against: add a member here."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from search.checkpoint import read_checkpoint
from search.engines.embedded import EmbeddedEngine
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.prompted import PromptedEngine
from search.engines.protocol import Engine
from search.engines.scripted import END, ScriptedEngine
from search.engines.tokenizer import CheckpointTokenizer
from search.engines.vllm import VllmEngine
from search.prompts import Prompting
from search.remote.fake_server import FakeServer
from search.testing.engine import EngineCase, Reference

QUESTION = "what is 1 + 2"
SOLUTIONS = {
    f"1+{a}={b}\nso {b}{tail}": weight
    for a, b, weight in ((1, 2, 0.2), (2, 3, 0.3), (3, 4, 0.1), (4, 5, 0.25), (5, 6, 0.15))
    for tail in ("\n# 3" * 40,)
}


def _scripted_reference(prompt: Sequence[int], tokens: Sequence[int]) -> list[float]:
    def mass(beginning: str) -> float:
        return math.fsum(weight for text, weight in SOLUTIONS.items() if (text + END).startswith(beginning))

    text = "".join(map(chr, tokens))
    return [math.log(mass(text[: i + 1]) / mass(text[:i])) for i in range(len(text))]


def _transformers_reference(path: Path) -> Reference:
    model = AutoModelForCausalLM.from_pretrained(path)

    @torch.no_grad()
    def reference(prompt: Sequence[int], tokens: Sequence[int]) -> list[float]:
        logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        return logits.log_softmax(-1).gather(1, torch.tensor(tokens)[:, None])[:, 0].tolist()

    return reference


@pytest.fixture
def scripted_server() -> Iterator[FakeServer]:
    """The scripted engine behind a real socket."""
    with FakeServer(FakeOpenAI(ScriptedEngine({QUESTION: SOLUTIONS}, context=2048))) as server:
        yield server


def _open(member: str, policy: Path, request: pytest.FixtureRequest) -> Engine:
    if member == "scripted":
        return ScriptedEngine({QUESTION: SOLUTIONS}, context=2048)
    if member == "prompted":
        asked = Prompting("Solve: {question} Think.", "\n\n")
        return PromptedEngine(ScriptedEngine({asked.ask(QUESTION): SOLUTIONS}, context=2048), asked)
    if member == "openai":
        return OpenAIEngine.connect(request.getfixturevalue("scripted_server").url, parameters=1000)
    if member == "embedded":
        return EmbeddedEngine.load(policy)
    if member == "vllm":
        host = request.getfixturevalue("vllm_host")(policy, lambda: VllmEngine.CHOSEN)
        checkpoint = read_checkpoint(policy)
        return VllmEngine(checkpoint, CheckpointTokenizer(checkpoint), host)
    server = request.getfixturevalue("vllm_server")(policy)
    return OpenAIEngine.connect(server.url, tokenizer=policy)


@pytest.fixture(
    params=[
        "scripted",
        "prompted",
        "embedded",
        "openai",
        pytest.param("vllm", marks=[pytest.mark.slow, pytest.mark.vllm]),
        pytest.param("vllm-serve", marks=[pytest.mark.slow, pytest.mark.vllm]),
    ]
)
async def member(request: pytest.FixtureRequest, policy: Path) -> AsyncIterator[EngineCase]:
    engine = _open(request.param, policy, request)
    reference = (
        _scripted_reference
        if request.param in ("scripted", "prompted", "openai")
        else _transformers_reference(policy)
    )
    yield EngineCase(engine, QUESTION, reference)
    await engine.close()


@pytest.fixture
def same_bits() -> None:
    """Bits are promised with MKL and AVX-512; elsewhere the engine promises less, so nothing is tested."""
    if not torch.backends.mkl.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("bits are promised with MKL and AVX-512 only; this CPU has another")
