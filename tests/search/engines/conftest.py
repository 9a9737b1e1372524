"""The family of engines that the contract suite runs against: add a member here."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from search.engines.embedded import EmbeddedEngine
from search.engines.protocol import Engine
from search.engines.scripted import END, ScriptedEngine

QUESTION = "what is 1 + 2"
SOLUTIONS = {
    f"1+{a}={b}\nso {b}{tail}": weight
    for a, b, weight in ((1, 2, 0.2), (2, 3, 0.3), (3, 4, 0.1), (4, 5, 0.25), (5, 6, 0.15))
    for tail in ("\n# 3" * 40,)
}

Reference = Callable[[Sequence[int], Sequence[int]], list[float]]


@dataclass(frozen=True)
class Case:
    """An engine and the logprobs of its policy, computed by other means."""

    engine: Engine
    question: str
    reference: Reference


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


@pytest.fixture(params=["scripted", "embedded"])
async def case(request: pytest.FixtureRequest, policy: Path) -> AsyncIterator[Case]:
    if request.param == "scripted":
        engine: Engine = ScriptedEngine({QUESTION: SOLUTIONS}, context=2048)
        yield Case(engine, QUESTION, _scripted_reference)
    else:
        engine = EmbeddedEngine.load(policy)
        yield Case(engine, QUESTION, _transformers_reference(policy))
    await engine.close()
