"""A policy's server that fails in the midst of requests: what clients, receipts and the log then say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, records, writes

from planner.planner import Planner
from planner.server.service import Service
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.remote.fake_server import FakeServer, Fault

PATH = "/v1/completions"
#: of the question, in characters and the turn
PROMPT = len(QUESTION) + 1


@pytest.fixture
def policy(planner: Planner) -> Iterator[FakeServer]:
    """The server of the policy that the planner begins with."""
    name = planner.stages[0].probe.policy
    with FakeServer(FakeOpenAI(ScriptedEngine(writes, name=name, context=4096))) as server:
        yield server


@pytest.fixture
def house(
    policy: FakeServer,
    service_of: Callable[..., Service],
    serving: Callable[[Service], House],
    planner: Planner,
) -> House:
    name = planner.stages[0].probe.policy
    size = planner.policies[name].parameters
    engine = OpenAIEngine.connect(policy.url, parameters=size, patience=0.05)
    engine.prompt(QUESTION)  # remembered: it asks the server for it
    return serving(service_of({name: engine}))


def ask(house: House, **fields: Any) -> httpx.Response:
    """Eight samples, none of which can be spared: the best may be the last."""
    messages = [{"role": "user", "content": QUESTION}]
    plan = "planner/best_of_n(n=8, score=last)"
    body = {"model": plan, "messages": messages, "seed": 1, "include": ["candidates"]}
    return httpx.post(f"{house.v1}/chat/completions", json=body | fields, timeout=60.0)


def lag(house: House) -> int:
    """Tokens that a child may have been ahead of what arrived."""
    [engine] = [engine for engine in house.engines.values() if isinstance(engine, OpenAIEngine)]
    return engine.lag


def logged(house: House) -> list[Any]:
    return [record.decision for record in records(house)]


def test_a_break_is_mended_and_what_was_lost_is_on_the_receipt(house: House, policy: FakeServer) -> None:
    free = ask(house).json()["planner"]
    assert (free["ended"], len(free["candidates"])) == (None, 8)
    assert free["spend"]["policy_tokens"] == PROMPT + sum(one["tokens"] for one in free["candidates"])
    policy.fail(PATH, Fault.drop(after=3), Fault.busy(0.05), Fault.drop())
    found = ask(house, budget={"seconds": 60}).json()
    receipt = found["planner"]
    assert (receipt["outcome"], receipt["ended"], receipt["without"]) == ("answered", None, [])
    assert len(receipt["candidates"]) == 8
    written = sum(one["tokens"] for one in receipt["candidates"])
    lost = receipt["spend"]["policy_tokens"] - PROMPT - written
    assert lost % lag(house) == 0
    assert lost >= 8 * lag(house)  # of the first break alone
    assert found["usage"]["total_tokens"] == receipt["spend"]["tokens"]
    assert [decision.spend.tokens for decision in logged(house)][-1] == receipt["spend"]["tokens"]


def test_a_policy_that_goes_leaves_its_answers(house: House, policy: FakeServer) -> None:
    policy.fail(PATH, Fault.drop(after=12), *[Fault.answer(404)] * 9)
    found = ask(house)
    assert found.status_code == 200
    receipt = found.json()["planner"]
    assert (receipt["outcome"], receipt["ended"]) == ("answered", "policy_failed")
    assert receipt["without"] == [receipt["policy"]]
    came = receipt["candidates"]
    assert 1 <= len(came) < 8
    assert receipt["answer"] in {one["answer"] for one in came}
    least = PROMPT + sum(one["tokens"] for one in came) + (8 - len(came)) * lag(house)
    assert least <= receipt["spend"]["policy_tokens"] < PROMPT + 8 * house.service.models.limits.max_tokens
    assert not house.service.models.is_up(receipt["policy"])
    [decision] = logged(house)
    assert (decision.outcome, decision.error) == ("answered", "EngineError")
    assert decision.spend.tokens == receipt["spend"]["tokens"]
    policy.recover()
    assert ask(house).json()["planner"]["ended"] is None  # it is back
    assert house.service.models.is_up(receipt["policy"])


def test_a_policy_that_is_away_is_an_error_that_costs_nothing(house: House, policy: FakeServer) -> None:
    policy.stop()
    found = ask(house)
    assert (found.status_code, found.json()["error"]["code"]) == (502, "policy_failed")
    [decision] = logged(house)
    assert (decision.outcome, decision.spend.tokens) == ("failed", 0)
    policy.start()
    assert ask(house).status_code == 200


ERROR = b'{"error": {"message": "out of memory", "type": "server_error"}}'
GIVEN_UP = b'{"choices": [{"index": 0, "text": "", "token_ids": [], "finish_reason": "abort"}]}'

#: what goes wrong once, and the words of it
FAULTS = {
    "an error event": (Fault.garbage(after=3, line=b"data: " + ERROR + b"\n\n"), "out of memory"),
    "an error in place of a stream": (Fault.answer(200, ERROR, "application/json"), "out of memory"),
    "an error at once": (Fault.garbage(line=b"data: " + ERROR + b"\n\n"), "out of memory"),
    "no [DONE]": (Fault.end(after=3), "must end with [DONE]"),
    "no reason to end": (Fault.garbage(after=3, line=b"data: [DONE]\n\n"), "must end all children"),
    "given up": (Fault.garbage(after=3, line=b"data: " + GIVEN_UP + b"\n\n"), "finish_reason 'abort'"),
}


@pytest.mark.parametrize(("fault", "words"), FAULTS.values(), ids=FAULTS)
def test_a_planned_request_draws_again(house: House, policy: FakeServer, fault: Fault, words: str) -> None:
    """Whole after one fault, with what was lost on the receipt; an error with its cause after many."""
    policy.fail(PATH, fault)
    found = ask(house).json()
    receipt = found["planner"]
    assert (receipt["outcome"], receipt["ended"], len(receipt["candidates"])) == ("answered", None, 8)
    written = sum(one["tokens"] for one in receipt["candidates"])
    assert receipt["spend"]["policy_tokens"] >= PROMPT + written
    assert found["usage"]["total_tokens"] == receipt["spend"]["tokens"]
    policy.recover()
    policy.fail(PATH, *[replace(fault, after=0)] * 20)  # nothing comes that could be gone on with
    failed = ask(house, model="planner/cot()")
    assert (failed.status_code, failed.json()["error"]["code"]) == (502, "policy_failed")
    assert words in failed.json()["error"]["message"]


def test_usage_beside_choices_or_none_is_no_fault(house: House, policy: FakeServer) -> None:
    free = ask(house).json()["planner"]["spend"]["policy_tokens"]
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}\n\n'
    empty = b'data: {"choices": [{"index": 0, "text": "", "token_ids": [], "finish_reason": ""}]}\n\n'
    for extra in (usage, empty):
        policy.fail(PATH, Fault.garbage(after=1, line=extra))
        assert ask(house).json()["planner"]["spend"]["policy_tokens"] == free
