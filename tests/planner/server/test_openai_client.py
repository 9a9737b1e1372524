"""The official client against a server that really runs: plain, streaming, sync and async."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from houses import QUESTION, House

from planner.server.rules import Rules
from planner.server.service import Service
from search.budget import Budget

ASKED: list[Any] = [{"role": "user", "content": QUESTION}]


def client(house: House) -> openai.OpenAI:
    return openai.OpenAI(base_url=house.v1, api_key="none", max_retries=0)


def test_a_question_is_answered_with_a_true_receipt(house: House) -> None:
    with client(house) as ask:
        found = ask.chat.completions.create(
            model="planner",
            messages=ASKED,
            seed=3,
            extra_body={"budget": {"tokens": 900}, "include": ["steps"]},
        )
    assert found.object == "chat.completion"
    assert found.choices[0].finish_reason == "stop"
    receipt: Any = found.model_extra["planner"]  # type: ignore[index]
    assert found.choices[0].message.content in {c["text"] for c in receipt["candidates"] if c["chosen"]}
    assert receipt["id"] == found.id
    assert receipt["budget"]["asked"] == {"tokens": 900}
    assert receipt["budget"]["source"] == "body"
    assert receipt["reason"] is None
    usage = found.usage
    assert usage is not None
    assert usage.total_tokens == receipt["spend"]["tokens"] <= 900
    assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens
    assert sum(stage["spend"]["tokens"] for stage in receipt["stages"]) == usage.total_tokens
    assert receipt["expected"]["tokens"] > 0
    assert all(len(c["steps"]) >= len(c["step_rewards"]) for c in receipt["candidates"])


def test_a_stream_tells_progress_and_plain_clients_skip_it(house: House) -> None:
    asked = {"model": "planner/majority(n=8)", "messages": ASKED, "seed": 4}
    with client(house) as ask:
        whole = ask.chat.completions.create(**asked)
        chunks = list(
            ask.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0
    receipt = next(c.model_extra["planner"] for c in chunks if c.choices and c.choices[0].finish_reason)  # type: ignore[index]
    assert (receipt["reason"], receipt["plan"]) == ("forced_plan", "majority(n=8)")
    lines = httpx.post(f"{house.v1}/chat/completions", json={**asked, "stream": True}).text.split("\n\n")
    progress = [
        json.loads(line.removeprefix(": planner ")) for line in lines if line.startswith(": planner ")
    ]
    assert progress[0]["type"] == "started"
    drawn = [p for p in progress if p["type"] == "drawn"]
    assert drawn[-1]["votes"][0]["answer"] == receipt["answer"]
    assert lines[-2] == "data: [DONE]"


async def test_the_asynchronous_client_and_completions(house: House) -> None:
    async with openai.AsyncOpenAI(base_url=house.v1, api_key="none", max_retries=0) as ask:
        one = await ask.completions.create(model="planner", prompt=QUESTION, seed=3, extra_body={"budget": 4})
        two = await ask.completions.create(model="planner", prompt=[QUESTION, QUESTION], seed=3)
        stream = await ask.completions.create(model="planner", prompt=QUESTION, seed=3, stream=True)
        text = "".join([chunk.choices[0].text async for chunk in stream if chunk.choices])
    assert one.object == "text_completion"
    assert [choice.index for choice in two.choices] == [0, 1]
    assert two.choices[0].text == two.choices[1].text == text
    assert two.usage is not None
    assert two.usage.total_tokens > 0


def test_models_are_listed_and_each_of_them_answers(house: House) -> None:
    with client(house) as ask:
        names = [model.id for model in ask.models.list()]
        assert {"planner", "planner-low", "planner-high", "small", "large"} <= set(names)
        for name in (*names, "planner/weighted_vote(n=4, score=min)", "planner/beam_search(n=4, width=2)"):
            found = ask.chat.completions.create(model=name, messages=ASKED, seed=1)
            receipt: Any = found.model_extra["planner"]  # type: ignore[index]
            assert found.model == name
            assert found.choices[0].message.content
            by_policy = (receipt["policy"], receipt["plan"], receipt["reason"]) == (name, "cot()", "policy")
            assert by_policy == (name in ("small", "large"))
        assert ask.models.retrieve("planner").id == "planner"
        with pytest.raises(openai.NotFoundError, match="model must be one of"):
            ask.chat.completions.create(model="gpt-4", messages=ASKED)
        with pytest.raises(openai.BadRequestError, match="n must be divisible by width"):
            ask.chat.completions.create(model="planner/beam_search(n=10, width=4)", messages=ASKED)


def test_n_answers_share_the_budget(house: House) -> None:
    with client(house) as ask:
        found = ask.chat.completions.create(
            model="planner",
            messages=ASKED,
            n=3,
            seed=1,
            temperature=1.0,
            extra_body={"budget": {"tokens": 900}},
        )
    receipt: Any = found.model_extra["planner"]  # type: ignore[index]
    assert [choice.index for choice in found.choices] == [0, 1, 2]
    assert len(receipt["choices"]) == 3
    assert found.usage is not None
    assert found.usage.total_tokens == receipt["spend"]["tokens"] <= 900
    assert all(choice["spend"]["tokens"] <= 300 for choice in receipt["choices"])


def test_sampling_fields_behave(house: House) -> None:
    def text(**fields: Any) -> tuple[str | None, str]:
        with client(house) as ask:
            found = ask.chat.completions.create(**{"model": "small", "messages": ASKED, **fields})
        return found.choices[0].message.content, found.choices[0].finish_reason

    assert text() == text()
    assert text(temperature=1.0, seed=5) == text(temperature=1.0, seed=5)
    assert len({text(temperature=1.0, seed=seed) for seed in range(12)}) > 1
    cut, reason = text(max_tokens=2)
    assert (len(cut or ""), reason) == (2, "length")
    assert text(max_completion_tokens=2) == (cut, "length")
    stopped, reason = text(stop=["#"])
    assert ("#" not in (stopped or "#"), reason) == (True, "stop")
    with client(house) as ask:
        stream = ask.chat.completions.create(model="small", messages=ASKED, stop=["#"], stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == stopped


def test_conversations_reach_the_policy_whole(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    seen: list[str] = []
    service = service_of()
    engine: Any = service.models.engines["large"]
    engine.script = lambda text, rng: seen.append(text) or "# 51"
    talk: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 1 + 1?"},
        {"role": "assistant", "content": "# 2"},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
    ]
    with client(serving(service)) as ask:
        ask.chat.completions.create(model="large", messages=talk)
    assert seen == [
        f"system: Be brief.\nuser: What is 1 + 1?\nassistant: # 2\nuser: {QUESTION}\n\x1e",
    ]


def test_who_may_spend_what(service_of: Callable[..., Service], serving: Callable[[Service], House]) -> None:
    rules = Rules(default=Budget(tokens=700), ceiling=Budget(tokens=1000))
    house = serving(service_of(rules=rules))

    def budget(header: str | None = None, model: str = "planner", **body: Any) -> dict[str, Any]:
        headers = {} if header is None else {"x-planner-budget": header}
        with client(house) as ask:
            found = ask.chat.completions.create(
                model=model, messages=ASKED, extra_body=body, extra_headers=headers
            )
        return found.model_extra["planner"]["budget"]  # type: ignore[index,no-any-return]

    assert budget() == {
        "asked": {"tokens": 700},
        "source": "default",
        "granted": {"tokens": 700},
        "share": 1.0,
    }
    assert budget(model="planner-low")["source"] == "model"
    assert budget(model="planner-low", budget={"tokens": 500})["source"] == "body"
    both = budget('{"tokens": 5000}', budget={"tokens": 500})
    assert (both["source"], both["asked"], both["granted"]) == ("header", {"tokens": 5000}, {"tokens": 1000})
    assert budget(budget={"target_accuracy": 0.9})["granted"] == {"target_accuracy": 0.9, "tokens": 1000}
    for wrong in ({"hours": 1}, {"tokens": -1}, {}, "many", {"usd": 0.1}):
        with pytest.raises(openai.BadRequestError) as refused:
            budget(budget=wrong)
        assert refused.value.body["param"].startswith("budget")  # type: ignore[index]


def test_unknown_fields_are_ignored_as_vllm_does(house: House) -> None:
    with client(house) as ask:
        found = ask.chat.completions.create(
            model="planner", messages=ASKED, seed=1, extra_body={"nonsense": {"a": [1]}, "min_p": 0.1}
        )
    assert found.choices[0].message.content


def test_what_an_embedded_policy_cannot_do_is_said(house: House) -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
    with client(house) as ask, pytest.raises(openai.BadRequestError, match="tools needs a policy behind"):
        ask.chat.completions.create(model="planner", messages=ASKED, tools=[tool])
    with client(house) as ask:
        found = ask.chat.completions.create(
            model="planner", messages=[{"role": "user", "content": "tell me about the sea"}]
        )
    receipt: Any = found.model_extra["planner"]  # type: ignore[index]
    assert (receipt["reason"], receipt["plan"], receipt["expected"]["accuracy"]) == (
        "open_ended",
        "cot()",
        None,
    )


def test_abstaining_is_said(house: House) -> None:
    with client(house) as ask:
        found = ask.chat.completions.create(
            model="planner", messages=ASKED, extra_body={"abstain_below": 1.0, "budget": {"tokens": 300}}
        )
    receipt: Any = found.model_extra["planner"]  # type: ignore[index]
    assert (receipt["abstained"], receipt["outcome"]) == (True, "abstained")
