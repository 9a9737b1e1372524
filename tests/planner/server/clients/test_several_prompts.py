"""Several prompts in one request: each is answered as it would be alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from houses import QUESTION, House, writes

from planner.server.direct.upstream import Upstream
from planner.server.service import Service
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.remote.fake_server import FakeServer

SEA, WIND = "tell me about the sea", "write a poem about the wind"


@pytest.fixture
def policy() -> Iterator[FakeServer]:
    """The policy's own server."""

    def says(text: str, rng: Any) -> str:
        return next((f"Of {word}." for word in ("sea", "wind") if word in text), writes(text, rng))

    with FakeServer(FakeOpenAI(ScriptedEngine(says, name="small", context=4096))) as server:
        yield server


@pytest.fixture
def behind(
    service_of: Callable[..., Service], serving: Callable[[Service], House], policy: FakeServer
) -> House:
    """A planner's server before it."""
    engine = OpenAIEngine.connect(policy.url, "small", parameters=1000)
    return serving(service_of({"small": engine}, upstream=Upstream(policy.url, "small", "small")))


def complete(house: House, prompts: list[str] | str, **more: Any) -> Any:
    with openai.OpenAI(base_url=house.v1, api_key="none", max_retries=0) as ask:
        return ask.completions.create(model="planner", prompt=prompts, **more)


def passed_on(policy: FakeServer) -> list[Any]:
    """Bodies that clients have written, not the planner's engine."""
    return [one.body for one in policy.asked if one.body and isinstance(one.body.get("prompt"), str)]


def test_open_ended_prompts_are_answered_by_the_plain_model(behind: House, policy: FakeServer) -> None:
    policy.asked.clear()
    found = complete(behind, [SEA, QUESTION, WIND], seed=5, max_tokens=50)
    assert [choice.index for choice in found.choices] == [0, 1, 2]
    assert (found.choices[0].text, found.choices[2].text) == ("Of sea.", "Of wind.")
    assert "#" in found.choices[1].text
    receipts = found.model_extra["planner"]["choices"]
    assert [receipt["reason"] for receipt in receipts] == ["open_ended", None, "open_ended"]
    # as each would have gone alone: in the client's own words
    expected = [{"model": "small", "prompt": text, "seed": 5, "max_tokens": 50} for text in (SEA, WIND)]
    assert sorted(passed_on(policy), key=str) == sorted(expected, key=str)
    told = sum(receipt["spend"]["tokens"] for receipt in receipts)
    assert found.usage.total_tokens == told == found.usage.prompt_tokens + found.usage.completion_tokens


def test_they_are_what_single_requests_get(behind: House) -> None:
    together = complete(behind, [SEA, WIND], seed=5)
    alone = [complete(behind, text, seed=5) for text in (SEA, WIND)]
    assert [choice.text for choice in together.choices] == [one.choices[0].text for one in alone]
    assert together.usage.completion_tokens == sum(one.usage.completion_tokens for one in alone)


def test_what_only_the_policys_server_can_do_is_done_for_each(behind: House, policy: FakeServer) -> None:
    policy.asked.clear()
    found = complete(behind, [SEA, QUESTION], logprobs=1)
    assert len(found.choices) == 2
    assert [body["logprobs"] for body in passed_on(policy)] == [1, 1]
    assert [one["reason"] for one in found.model_extra["planner"]["choices"]] == ["logprobs", "logprobs"]


def test_without_a_server_of_its_own_the_policy_answers_all(house: House) -> None:
    found = complete(house, [SEA, QUESTION])
    assert len(found.choices) == 2
    assert found.model_extra["planner"]["choices"][0]["reason"] == "open_ended"
