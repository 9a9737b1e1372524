"""Several answers to one request (``n``): at the same time, in order, within one budget, all or none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, records, until, writes

from planner.server.access.admission import Admission
from planner.server.rules import Rules
from planner.server.service import Service
from search.budget import Prices
from search.engines.protocol import ChildFinished, Event, Request
from search.engines.scripted import ScriptedEngine
from search.errors import EngineError

SIZES = {"small": 1_000_000, "large": 4_000_000}
FORCED = "planner/majority(n=8)"
PROMPT = len(QUESTION) + 1

Serve = Callable[[Service], House]
Make = Callable[..., Service]


class Meeting(ScriptedEngine):
    """Its requests begin to write when so many of them are there; ``generated``: tokens of all children."""

    def __init__(self, name: str, parameters: int, together: int) -> None:
        super().__init__(writes, name=name, parameters=parameters, context=4096)
        self.generated = 0
        self.requests: list[Request] = []
        self._together = together
        self._met = False

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        self.requests.append(request)
        while not self._met and not flight.cancelled:
            self._met = len(self._flights) >= self._together
            await asyncio.sleep(0.001)
        async for event in super().events(request, flight):
            if isinstance(event, ChildFinished):
                self.generated += len(event.token_ids)
            yield event


class Torn(Meeting):
    """The third answer fails once others have written something; those hang until they are cancelled."""

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        if len(self.requests) >= 2:  # asked again it fails again
            self.requests.append(request)
            while not self.generated:
                await asyncio.sleep(0.001)
            del self._flights[request.request_id]
            raise EngineError("a policy must answer, got a dead one")
        async for event in super().events(request, flight):
            yield event
            while flight.active and not flight.cancelled:
                await asyncio.sleep(0.001)


def engines(kind: type[Meeting] = Meeting, together: int = 1) -> dict[str, Any]:
    return {name: kind(name, size, together) for name, size in SIZES.items()}


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": FORCED, "messages": [{"role": "user", "content": QUESTION}], "seed": 5, **fields}


def post(house: House, **fields: Any) -> dict[str, Any]:
    answered = httpx.post(f"{house.v1}/chat/completions", json=asked(**fields), timeout=60.0)
    assert answered.status_code == 200, answered.text
    told: dict[str, Any] = answered.json()
    return told


def decision(house: House) -> Any:
    """The only one that was kept."""
    until(lambda: len(records(house)) == 1)
    (record,) = records(house)
    return record.decision


def test_answers_are_worked_on_at_the_same_time_and_come_in_order(service_of: Make, serving: Serve) -> None:
    house = serving(service_of(engines(together=3)))
    told = post(house, n=3, budget={"tokens": 6000}, include=["candidates"])
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2]
    alone = serving(service_of(engines()))
    for place, choice in enumerate(told["choices"]):
        single = post(alone, seed=5 + place, budget={"tokens": 2000}, include=["candidates"])
        assert choice["message"] == single["choices"][0]["message"]
        mine, its = told["planner"]["choices"][place], single["planner"]
        assert mine["candidates"] == its["candidates"]
        assert mine["spend"]["tokens"] == its["spend"]["tokens"]


def test_the_receipt_and_the_log_count_every_answer(service_of: Make, serving: Serve) -> None:
    rules = Rules(prices=Prices(1.0, 2.0, 3.0))
    service = service_of(engines(together=3), rules=rules)
    charged: list[int] = []
    service.rates.spent = lambda key, tokens: charged.append(tokens)  # type: ignore[method-assign]
    house = serving(service)
    told = post(house, n=3)
    receipt, policies = told["planner"], house.engines.values()
    spent = sum(choice["spend"]["tokens"] for choice in receipt["choices"])
    generated = sum(engine.generated for engine in policies)  # type: ignore[attr-defined]
    assert spent == receipt["spend"]["tokens"] == 3 * PROMPT + generated
    assert told["usage"]["total_tokens"] == spent
    assert told["usage"]["prompt_tokens"] == 3 * PROMPT
    kept = decision(house)
    assert kept.spend.tokens == spent
    assert charged == [spent]
    assert kept.answer == receipt["choices"][0]["answer"]
    money = sum(choice["spend"]["usd"] for choice in receipt["choices"])
    assert kept.spent_usd == pytest.approx(money) == pytest.approx(receipt["spend"]["usd"])


@pytest.mark.parametrize("model", ["planner/majority(n=64)", "planner/weighted_vote(n=64, score=last)"])
def test_the_budget_is_the_requests_and_each_answer_has_an_equal_part(
    service_of: Make, serving: Serve, model: str
) -> None:
    house = serving(service_of(engines(together=3)))
    told = post(house, model=model, n=3, budget={"tokens": 700})
    receipt = told["planner"]
    spent = [choice["spend"]["tokens"] for choice in receipt["choices"]]
    assert all(PROMPT < tokens <= 700 // 3 for tokens in spent)
    assert sum(spent) == receipt["spend"]["tokens"] <= 700


def test_when_one_fails_the_others_are_cancelled_and_all_are_charged(
    service_of: Make, serving: Serve
) -> None:
    torn = engines(Torn, together=3)
    service = service_of(torn)
    charged: list[int] = []
    service.rates.spent = lambda key, tokens: charged.append(tokens)  # type: ignore[method-assign]
    house = serving(service)
    failed = httpx.post(f"{house.v1}/chat/completions", json=asked(n=3), timeout=60.0)
    assert failed.status_code == 502
    (used,) = [engine for engine in torn.values() if engine.requests]
    assert len(used.requests) >= 3
    assert not used.in_flight
    assert house.service.admission.running == 0
    kept = decision(house)
    assert (kept.outcome, kept.error) == ("failed", "EngineError")
    assert charged == [kept.spend.tokens]
    # what the two that were cancelled had generated, whatever the third is charged
    written = 2 * PROMPT + used.generated
    assert written <= kept.spend.policy_tokens <= written + PROMPT + 8 * service.models.limits.max_tokens
    assert service.models.known[used.card.name].failures == 1  # one failure, however many answers met it


def test_a_client_that_leaves_stops_all_of_them(service_of: Make, serving: Serve) -> None:
    waiting = engines(together=4)  # which never come
    house = serving(service_of(waiting))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{house.v1}/chat/completions", json=asked(n=3), timeout=0.5)
    kept = decision(house)
    assert kept.outcome == "cancelled"
    assert not any(engine.in_flight for engine in waiting.values())
    assert sum(len(engine.requests) for engine in waiting.values()) == 3


def test_all_of_them_have_the_whole_time(service_of: Make, serving: Serve) -> None:
    """Nothing is written before the third is there: one after another none would ever end."""
    house = serving(service_of(engines(together=3)))
    told = post(house, n=3, budget={"seconds": 30.0})
    assert [choice["outcome"] for choice in told["planner"]["choices"]] == ["answered"] * 3
    assert all(choice["ended"] != "deadline" for choice in told["planner"]["choices"])


def test_events_and_texts_carry_their_place(service_of: Make, serving: Serve) -> None:
    house = serving(service_of(engines(together=3)))
    sent = httpx.post(f"{house.v1}/chat/completions", json=asked(n=3, stream=True), timeout=60.0).text
    events = [
        json.loads(line.removeprefix(": planner "))
        for line in sent.split("\n\n")
        if line.startswith(": planner ")
    ]
    chunks = [
        json.loads(line.removeprefix("data: ")) for line in sent.split("\n\n") if line.startswith("data: {")
    ]
    whole = post(house, n=3, include=["candidates"])
    for place in range(3):
        kinds = [event["type"] for event in events if event["choice"] == place]
        assert kinds[0] == "started"
        drawn = sorted(
            (e["draw"], e["text"]) for e in events if e["choice"] == place and e["type"] == "drawn"
        )
        held = whole["planner"]["choices"][place]["candidates"]
        assert drawn == [(one["draw"], one["text"]) for one in held]
        text = "".join(
            choice["delta"].get("content") or ""
            for chunk in chunks
            for choice in chunk["choices"]
            if choice["index"] == place
        )
        assert text == whole["choices"][place]["message"]["content"]


async def test_more_prompts_than_may_wait_take_turns(service_of: Make, serving: Serve) -> None:
    house = serving(service_of(admission=Admission(running=4, waiting=1)))
    prompts = [f"work out the sum of 3 + 41 + {number}" for number in range(9)]
    async with httpx.AsyncClient(base_url=house.url, timeout=60.0) as ask:
        found = await ask.post("/v1/completions", json={"model": "planner/cot()", "prompt": prompts})
    assert found.status_code == 200, found.text
    assert [choice["index"] for choice in found.json()["choices"]] == list(range(9))


class Greedy(ScriptedEngine):
    """Writes by its seed where it samples, and always the same where it is greedy, as policies do."""

    def __init__(self, name: str, parameters: int) -> None:
        super().__init__(writes, name=name, parameters=parameters, context=4096)
        self.requests: list[Request] = []

    async def events(self, request: Request, flight: Any) -> AsyncIterator[Event]:
        self.requests.append(request)
        is_greedy = request.sampling.temperature == 0.0
        async for event in super().events(replace(request, seed=7) if is_greedy else request, flight):
            yield event


@pytest.mark.parametrize("model", ["planner", "planner-low", "planner/cot()", "small"])
def test_answers_are_drawn_independently_and_are_no_copies_of_a_greedy_one(
    service_of: Make, serving: Serve, model: str
) -> None:
    made = {name: Greedy(name, size) for name, size in SIZES.items()}
    house = serving(service_of(made))
    told = post(house, model=model, n=4)
    requests = [request for engine in made.values() for request in engine.requests]
    assert all(request.sampling.temperature > 0.0 for request in requests)
    assert len({request.seed for request in requests}) == len(requests) >= 4
    texts = {choice["message"]["content"] for choice in post(house, model="planner/cot()", n=16)["choices"]}
    assert len(texts) > 2
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2, 3]
    for engine in made.values():
        engine.requests.clear()
    post(house, model="planner/cot()")  # one answer is the greedy one, as before
    (single,) = [request for engine in made.values() for request in engine.requests]
    assert single.sampling.temperature == 0.0


def test_a_temperature_that_a_client_gives_holds_for_each_answer(service_of: Make, serving: Serve) -> None:
    made = {name: Greedy(name, size) for name, size in SIZES.items()}
    house = serving(service_of(made))
    post(house, model="planner/cot()", n=3, temperature=0.3)
    sampled = [request.sampling.temperature for engine in made.values() for request in engine.requests]
    assert sampled == [0.3] * 3
