"""Strategies that ask about their own answers, over every kind of engine: a server that completes text, one
that knows chats and no more, and a model in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from search.budget import Budget
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.prompted import PromptedEngine
from search.engines.protocol import Engine
from search.engines.scripted import TURN, ScriptedEngine
from search.loader import FolderLoader
from search.plan import Plan
from search.problem import Problem
from search.prompts import PROMPTINGS
from search.remote.fake_server import FakeServer
from search.result import Outcome
from search.run import run_plan
from search.strategies.protocol import Limits, Setting

QUESTION = "what is 40 + 2?"
PLANS = [
    Plan.parse(text)
    for text in ("aggregate(n=3)", "aggregate(n=3, how=merge)", "refine(rounds=1)", "program(n=2)")
]


def write(text: str, rng: Random) -> str:
    """Answers of all kinds, by what is asked."""
    asked = text.partition(TURN)[0]
    if "Reply with the number" in asked:
        return "Response 1"
    if "Python program" in asked:
        return "```python\nprint(40 + 2)\n```"
    if "Check this solution" in asked:
        return "The sum is wrong."
    is_revised = "Several responses" in asked or "An earlier solution" in asked
    return f"so\n# {42 if is_revised else rng.randrange(40, 45)}"


Make = Callable[[str], Engine]


@pytest.fixture
async def made() -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        def make(kind: str) -> Engine:
            behind = ScriptedEngine(write, context=4096)
            if kind == "embedded":
                models = Path(__file__).parents[3] / "models"
                loader = FolderLoader({"lab-policy-s": models / "lab-policy-s"}, {})
                stack.push_async_callback(loader.close)
                return loader.engine("lab-policy-s")
            plays: dict[str, Any] = {
                "tokens": {},
                "text": {"takes": ("text",)},
                "chat": {"plays": "hosted", "takes": ("chat",)},
            }[kind]
            server = stack.enter_context(FakeServer(FakeOpenAI(behind, **plays)))
            options: dict[str, Any] = {"parameters": 1000, "patience": 0.0}
            if kind == "text":
                options |= {"dialect": "text", "context": 4096}
            engine = OpenAIEngine.connect(server.url, **options)
            stack.push_async_callback(engine.close)
            return engine

        yield make


@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize("kind", ["tokens", "chat", "embedded"])
async def test_it_answers_within_its_budget(made: Make, kind: str, plan: Plan) -> None:
    engine = made(kind)
    problem = Problem("p", "f", "text", QUESTION, "42")
    setting = Setting(engine, limits=Limits(60, 9))
    for tokens in (10**5, 400):
        result = await run_plan(problem, plan, setting, seed=3, budget=Budget(tokens=tokens))
        assert result.spend.tokens <= tokens
        assert (result.answer is None) == all(one.answer is None for one in result.candidates)
        if tokens > 400 and kind != "embedded":
            assert result.outcome is Outcome.ANSWERED
            assert result.calls
            if plan.strategy != "aggregate" or plan.n == 4:
                assert result.answer == "42"


async def test_solutions_are_asked_for_in_the_prompting_and_remarks_in_none() -> None:
    asked: list[str] = []

    def note(text: str, rng: Random) -> str:
        asked.append(text.partition(TURN)[0])
        return write(text, rng)

    engine = PromptedEngine(ScriptedEngine(note), PROMPTINGS["generic"])
    for plan in PLANS:
        await run_plan(Problem("p", "f", "text", QUESTION, "42"), plan, Setting(engine), seed=3)
    words = PROMPTINGS["generic"].ask("")
    for text in asked:
        is_solution = text.startswith(QUESTION) and "Python program" not in text
        assert text.endswith(words) == is_solution
    assert sum(text.endswith(words) for text in asked) > 4
