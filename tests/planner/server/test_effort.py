"""``reasoning_effort``: a budget where the planner decides, the policy's own knob where a plan is forced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, writes

from planner.planner import Planner
from planner.server.direct.upstream import Upstream
from planner.server.request.budget import EFFORTS, PRESETS, Source, grant
from planner.server.rules import Rules
from planner.server.service import Service
from search.budget import Budget
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import Engine
from search.engines.scripted import ScriptedEngine
from search.remote.fake_server import FakeServer

DEFAULT = Budget(tokens=1000)
ASKED = [{"role": "user", "content": QUESTION}]
ORDER = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def granted(model: str, header: str | None = None, body: Any = None, **more: Any) -> tuple[Budget, Source]:
    found = grant(model, header=header, body=body, default=DEFAULT, policies=("small",), **more)
    return found["budget"], found["source"]


def test_efforts_are_budgets_that_grow() -> None:
    assert tuple(EFFORTS) == ORDER
    samples = [EFFORTS[effort].samples or 0 for effort in ORDER]
    assert samples[:-1] == sorted(set(samples))
    assert samples[-1] == samples[-2]  # max is for the policy to tell from xhigh
    assert {name: EFFORTS[name] for name in PRESETS} == dict(PRESETS)


def test_an_effort_stands_between_a_budget_and_a_models_name() -> None:
    assert granted("planner", effort="high") == (Budget(samples=64), Source.EFFORT)
    assert granted("planner-low", effort="high") == (Budget(samples=64), Source.EFFORT)
    assert granted("planner", body=3, effort="high") == (Budget(samples=3), Source.BODY)
    assert granted("planner", '{"tokens": 9}', effort="high") == (Budget(tokens=9), Source.HEADER)
    assert granted("planner") == (DEFAULT, Source.DEFAULT)
    own = {"low": Budget(tokens=50)}
    assert granted("planner", effort="low", presets=own) == (Budget(tokens=50), Source.EFFORT)


def test_each_of_several_answers_has_the_effort() -> None:
    assert granted("planner", effort="low", answers=4) == (Budget(samples=16), Source.EFFORT)


def test_a_forced_plan_says_itself_what_it_takes() -> None:
    for model in ("planner/majority(n=4)", "small"):
        assert granted(model, effort="low") == granted(model)


def post(house: House, status: int = 200, **fields: Any) -> Any:
    body = {"model": "planner", "messages": [{"role": "user", "content": QUESTION}], **fields}
    found = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)
    assert found.status_code == status, found.text
    return found.json()


def test_a_server_plans_under_it(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    house = serving(service_of(rules=Rules(ceiling=Budget(samples=32))))
    budgets = [post(house, reasoning_effort=effort)["planner"]["budget"] for effort in ORDER]
    assert [budget["asked"]["samples"] for budget in budgets] == [EFFORTS[name].samples for name in ORDER]
    assert {budget["source"] for budget in budgets} == {"effort"}
    assert [budget["granted"]["samples"] for budget in budgets][-1] == 32
    assert post(house, reasoning_effort=None)["planner"]["budget"]["source"] == "default"
    prompt = {"model": "planner", "prompt": QUESTION, "reasoning_effort": "low"}
    found = httpx.post(f"{house.v1}/completions", json=prompt).json()
    assert found["planner"]["budget"]["source"] == "effort"
    plan = httpx.post(f"{house.v1}/plan", json={"question": QUESTION, "reasoning_effort": "low"}).json()
    assert plan["budget"]["asked"] == {"samples": 4}


@pytest.mark.parametrize("junk", ["", "much", "HIGH", 3, True, [], {}])
def test_junk_is_refused(house: House, junk: Any) -> None:
    error = post(house, 400, reasoning_effort=junk)["error"]
    assert error["param"] == "reasoning_effort"
    assert "'low'" in error["message"]


@pytest.mark.parametrize(("takes", "dialect"), [(("chat",), "chat"), (("tokens", "text", "chat"), None)])
def test_a_forced_plan_hands_it_to_the_policy(
    service_of: Callable[..., Service],
    serving: Callable[[Service], House],
    planner: Planner,
    takes: tuple[str, ...],
    dialect: str | None,
) -> None:
    """In a chat as a field, else in the template that the prompt is written by."""
    name = planner.stages[0].probe.policy
    fake = FakeOpenAI(ScriptedEngine(writes, name=name, context=4096), takes=takes)
    with FakeServer(fake) as policy:
        size = planner.policies[name].parameters
        engine: Engine = OpenAIEngine.connect(policy.url, parameters=size, dialect=dialect, patience=0.05)
        house = serving(service_of({name: engine}))
        plan = "planner/majority(n=3)"
        post(house, model=plan, policy=name, reasoning_effort="high")
        asked = [
            one.body for one in policy.asked if one.path.endswith("completions") or "tokenize" in one.path
        ]
        told = [
            {**body, **body.get("chat_template_kwargs", {})}.get("reasoning_effort")
            for body in asked
            if "messages" in body
        ]
        assert "high" in told
        policy.asked.clear()
        post(house, model=plan, policy=name)
        post(house, policy=name, reasoning_effort="high")  # nothing is forced: it was the budget
        later = [one.body for one in policy.asked if isinstance(one.body, dict)]
        assert not any("reasoning_effort" in str(body) for body in later)


def test_the_policys_own_server_hears_of_it(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(writes, name="served", context=4096))) as policy:
        house = serving(service_of(upstream=Upstream(policy.url, "served", "small")))
        for effort in ("low", "max"):
            found = post(house, model="small", reasoning_effort=effort, max_tokens=50)
            assert found["planner"]["reason"] == "open_ended"
            assert policy.asked[-1].body["reasoning_effort"] == effort
        for path, body in (
            ("responses", {"input": QUESTION, "reasoning": {"effort": "max"}}),
            ("messages", {"messages": ASKED, "max_tokens": 50, "output_config": {"effort": "max"}}),
        ):
            assert httpx.post(f"{house.v1}/{path}", json={"model": "small", **body}).status_code == 200
            assert policy.asked[-1].body["reasoning_effort"] == "max"


def test_a_policy_without_a_knob_is_itself(house: House) -> None:
    engine = next(iter(house.engines.values()))
    assert engine.at_effort("high") is engine
    assert post(house, model="planner/cot()", reasoning_effort="high")["planner"]["plan"] == "cot()"
