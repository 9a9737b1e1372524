"""A policy's server that fails in the midst of a request: asked again, done without, charged to the token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from random import Random
from typing import Any

import pytest

from planner.planner import Planner
from planner.solving.events import Ended, EndReason, Event, Probed, Started
from planner.solving.solution import Solution
from planner.solving.solver import perform, solve
from search.budget import UNLIMITED, Budget
from search.choice import Choice
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.errors import EngineError, UnreachableError
from search.plan import Plan
from search.remote.fake_server import Asked, FakeServer, Fault, Json, Stream
from search.result import Outcome
from search.rewards.scripted import ScriptedReward
from search.strategies.protocol import Setting
from tests.planner.solving.test_executor import PROBLEM, looking

PATH = "/v1/completions"
VOTE = Choice("small", None, Plan.of("majority", n=8))


def writes(text: str, rng: Random) -> str:
    """Every solution gives its answer early and goes on for long."""
    return "3 + 41 = 44\n# 51" if rng.random() < 0.8 else f"hm\n# {rng.randint(1, 99)}" + " so" * 30


class Counting(FakeOpenAI):
    """Counts the tokens of events that were really sent."""

    sent = 0

    async def __call__(self, asked: Asked) -> Json | Stream:
        answer = await super().__call__(asked)
        return Stream(self._counted(answer.events)) if isinstance(answer, Stream) else answer

    async def _counted(self, events: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        async for event in events:
            yield event
            # the next one is wanted: this one has left
            self.sent += sum(len(choice["token_ids"]) for choice in event["choices"])


class Street:
    """Two policies behind a server each, and what asks them."""

    def __init__(self) -> None:
        self.apps = {
            name: Counting(ScriptedEngine(writes, name=name, parameters=size, context=4096))
            for name, size in (("small", 1_000_000), ("large", 4_000_000))
        }
        self.servers = {name: FakeServer(app) for name, app in self.apps.items()}
        self.engines: dict[str, OpenAIEngine] = {}

    def settings(self, patience: float = 0.05) -> dict[tuple[str, str | None], Setting]:
        out: dict[tuple[str, str | None], Setting] = {}
        for name, server in self.servers.items():
            size = self.apps[name].engine.card.parameters
            engine = OpenAIEngine.connect(server.url, parameters=size, patience=patience)
            engine.prompt(PROBLEM.question)  # remembered: it asks the server for it
            self.engines[name] = engine
            out[name, None] = Setting(engine)
            for prm in ("good", "bad"):
                reward = ScriptedReward(
                    lambda q, steps: 0.9 if "51" in steps[-1] else 0.3, name=prm, parameters=1_000_000
                )
                out[name, prm] = Setting(engine, reward)
        return out

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop()


@pytest.fixture
def street() -> Iterator[Street]:
    street = Street()
    for server in street.servers.values():
        server.start()
    yield street
    street.stop()


async def closed(street: Street, work: Any) -> Any:
    try:
        return await work
    finally:
        for engine in street.engines.values():
            await engine.close()


def written(found: Solution) -> int:
    """Tokens of a policy's candidates, and its prompt."""
    return len(PROBLEM.question) + 1 + sum(candidate.tokens for candidate in found.candidates)


async def test_a_policy_that_goes_after_a_look_leaves_the_looks_answer(
    street: Street, planner: Planner
) -> None:
    events: list[Event] = []

    def stop_after_a_probe(event: Event) -> None:
        events.append(event)
        if isinstance(event, Probed):
            street.stop()

    found = await closed(
        street,
        solve(
            PROBLEM,
            looking(planner),
            street.settings(),
            budget=Budget(price=0.0),
            allow_foreign=True,
            seed=3,
            listener=stop_after_a_probe,
        ),
    )
    [looked] = [event for event in events if isinstance(event, Probed)]
    assert (found.outcome, found.ended) == (Outcome.ANSWERED, EndReason.POLICY_FAILED)
    assert found.answer == "51"
    last = found.stages[-1].advice.probe or found.stages[-1].advice.choice
    assert found.lost == (last.policy,)
    assert len(found.candidates) == looked.candidates
    assert found.spend.policy_tokens == looked.spend.policy_tokens == written(found)
    assert sum(record.spend.tokens for record in found.stages) == found.spend.tokens
    [ended] = [event for event in events if isinstance(event, Ended)]
    assert ended.why == EndReason.POLICY_FAILED
    assert ended.missing >= 1


async def test_a_policy_that_goes_in_the_midst_of_a_vote(street: Street) -> None:
    """Some of eight samples have come, the others are cut off, and nobody takes them up again."""
    server, app = street.servers["small"], street.apps["small"]
    settings = street.settings()
    server.fail(PATH, Fault.end(after=20), *[Fault.answer(404)] * 9)
    found = await closed(street, perform(PROBLEM, VOTE, settings, seed=5))
    assert (found.outcome, found.ended, found.lost) == (Outcome.ANSWERED, EndReason.POLICY_FAILED, ("small",))
    came = len(found.candidates)
    assert 1 <= came < 8
    # all that was sent, and what each child that was cut off may have been ahead of that
    lag = street.engines["small"].lag
    known = len(PROBLEM.question) + 1 + app.sent + (8 - came) * lag
    # the rest was asked for by two requests: one may be called off before its refusal is heard
    assert found.spend.policy_tokens in (known, known + lag)
    assert sum(asked.path == PATH for asked in server.asked) >= 2


async def test_breaks_within_a_deadline_are_mended_and_each_is_paid_once(street: Street) -> None:
    server, app = street.servers["small"], street.apps["small"]
    settings = street.settings()
    server.fail(PATH, Fault.drop(after=20), Fault.busy(0.1, status=503), Fault.drop(after=10), Fault.drop())
    budget = Budget(seconds=60.0)
    found = await closed(street, perform(PROBLEM, VOTE, settings, budget=budget, seed=5))
    assert (found.outcome, found.ended, found.lost) == (Outcome.ANSWERED, None, ())
    assert len(found.candidates) == 8
    lost = found.spend.policy_tokens - written(found)
    assert lost > 0
    assert lost % street.engines["small"].lag == 0
    assert app.sent == sum(candidate.tokens for candidate in found.candidates)  # nothing is written twice


async def test_a_server_that_comes_back_within_the_deadline_costs_nothing(street: Street) -> None:
    """Away for longer than its engine waits; without a deadline that is the end of it."""
    server = street.servers["small"]
    settings = street.settings(patience=0.01)
    server.stop()
    with pytest.raises(UnreachableError):
        await perform(PROBLEM, VOTE, settings, budget=UNLIMITED, seed=5)
    asyncio.get_running_loop().call_later(0.3, server.start)
    found = await closed(street, perform(PROBLEM, VOTE, settings, budget=Budget(seconds=60.0), seed=5))
    assert (len(found.candidates), found.ended) == (8, None)
    assert found.spend.policy_tokens == written(found)


async def test_a_policy_that_never_answers_is_an_error_that_costs_nothing(
    street: Street, planner: Planner
) -> None:
    settings = street.settings()
    street.stop()
    events: list[Event] = []
    with pytest.raises(EngineError):
        await closed(
            street,
            solve(
                PROBLEM,
                planner,
                settings,
                budget=Budget(price=0.0),
                allow_foreign=True,
                listener=events.append,
            ),
        )
    assert [event for event in events if isinstance(event, Started)]
    assert events[-1].spend.tokens == 0
