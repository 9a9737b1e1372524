"""How a server behaves when things go wrong: clients leave, models fail, time is up, too many come."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, held, records, until
from stuck import Broken, Dead, Deaf, Fading, Faulty, Mute, Stuck

from planner.server.access.admission import Admission
from planner.server.access.keys import Key, Keys, Scope
from planner.server.refusal import Refusal
from planner.server.rules import Rules
from planner.server.service import Service, work_of

SIZES = {"small": 1_000_000, "large": 4_000_000}
FORCED = "planner/majority(n=8)"

Serve = Callable[[Service], House]
Make = Callable[..., Service]


def asked(model: str = "planner", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": QUESTION}], "seed": 1, **fields}


def stuck() -> dict[str, Any]:
    return {name: Stuck(name, size) for name, size in SIZES.items()}


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_everything(service_of: Make, serving: Serve, stream: bool) -> None:
    house = serving(service_of(stuck()))
    engines: Any = list(house.engines.values())
    charged: list[int] = []
    house.service.rates.spent = lambda key, tokens: charged.append(tokens)  # type: ignore[method-assign]
    with held(house, asked(FORCED, stream=stream), lambda: any(engine.in_flight for engine in engines)):
        pass
    until(lambda: not any(engine.in_flight for engine in engines))
    until(lambda: house.service.admission.running == 0)
    until(lambda: len(records(house)) == 1)
    [record] = records(house)
    assert record.decision.outcome == "cancelled"
    spent = len(QUESTION) + 1 + sum(engine.generated for engine in engines)  # and not 8 times the limit
    assert record.decision.spend.policy_tokens == spent < 8 * house.service.models.limits.max_tokens
    assert charged == [record.decision.spend.tokens]
    assert house.service.rolling.counts["cancelled"] == 1


def test_at_its_deadline_a_request_has_the_best_answer_so_far(service_of: Make, serving: Serve) -> None:
    house = serving(service_of(stuck()))
    found = httpx.post(
        f"{house.v1}/chat/completions", json=asked(FORCED, budget={"seconds": 2.0}), timeout=60.0
    )
    receipt = found.json()["planner"]
    assert (receipt["outcome"], receipt["ended"]) == ("answered", "deadline")
    assert receipt["answer"] is not None
    now = httpx.get(f"{house.v1}/now").json()
    assert now["promised"]["seconds"]["requests"] == 1


def test_a_deadline_that_lets_nothing_finish_is_an_error(service_of: Make, serving: Serve) -> None:
    mute = {"small": Mute("small", 1_000_000), "large": Mute("large", 4_000_000)}
    service = service_of(mute, admission=Admission(running=1, waiting=4))
    house = serving(service)
    url, soon = f"{house.v1}/chat/completions", {"seconds": 0.1}
    never = httpx.post(url, json=asked(FORCED, budget={"seconds": 0.001}), timeout=20.0)
    assert (never.status_code, never.json()["error"]["param"]) == (400, "budget")
    found = httpx.post(url, json=asked(FORCED, budget=soon), timeout=20.0)
    assert (found.status_code, found.json()["error"]["code"]) == (504, "deadline")
    with held(house, asked(FORCED)):
        waits = httpx.post(url, json=asked(FORCED, budget={"seconds": 0.05}), timeout=60.0)
        assert (waits.status_code, waits.json()["error"]["code"]) == (504, "deadline")
        assert service.admission.waiting == 0
    until(lambda: service.rolling.counts["cancelled"] == 1)  # whoever held the place has left
    assert service.rolling.counts["failed"] == 2  # the two that came to their deadline


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [FORCED, "planner/adaptive_vote(n=4)", "planner/cot()"])
def test_a_fault_of_ours_is_an_error_at_once(
    service_of: Make, serving: Serve, model: str, stream: bool
) -> None:
    house = serving(service_of({name: Faulty(name, size) for name, size in SIZES.items()}))
    found = httpx.post(f"{house.v1}/chat/completions", json=asked(model, stream=stream), timeout=20.0)
    assert "error" in found.text
    assert "secret" not in found.text
    assert "[DONE]" not in found.text
    until(lambda: house.service.admission.running == 0)


def test_a_prm_that_is_down_is_planned_without(service_of: Make, serving: Serve) -> None:
    broken = {name: Broken(name, 1_000_000) for name in ("good", "bad")}
    service = service_of(rewards=broken)
    house = serving(service)
    plan = asked("planner/best_of_n(n=2, score=last)")
    first = httpx.post(f"{house.v1}/chat/completions", json=plan)
    assert (first.status_code, first.json()["error"]["code"]) == (502, "prm_failed")
    assert len(service.models.down) == 1
    for prm in broken:
        service.models.failed(prm)
        service.models.known[prm].retry_at += 60.0
    found = httpx.post(f"{house.v1}/chat/completions", json=asked(budget={"samples": 64})).json()["planner"]
    assert set(found["without"]) == {"good", "bad"}
    assert found["prm"] is None
    assert found["answer"] is not None
    again = httpx.post(f"{house.v1}/chat/completions", json=plan)
    assert again.status_code == 503
    for prm, reward in broken.items():
        reward.mended = True
        service.models.known[prm].retry_at = 0.0
    assert httpx.post(f"{house.v1}/chat/completions", json=plan).status_code == 200
    assert sum(service.models.is_up(prm) for prm in broken) >= 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_policy_that_fails_is_an_error_of_openais_kind(
    service_of: Make, serving: Serve, stream: bool
) -> None:
    house = serving(service_of({name: Dead(name, size) for name, size in SIZES.items()}))
    found = httpx.post(f"{house.v1}/chat/completions", json=asked(stream=stream))
    assert found.status_code == 502  # a stream has not begun
    error = found.json()["error"]
    assert (error["type"], error["code"]) == ("upstream_error", "policy_failed")
    models = house.service.models
    assert not all(models.is_up(policy) for policy in models.policies)
    assert httpx.get(f"{house.url}/readyz").status_code == 200  # another policy is up
    for policy in models.policies:
        models.failed(policy)
    assert httpx.get(f"{house.url}/readyz").status_code == 503
    until(lambda: house.service.rolling.counts["failed"] == 1)


def test_too_many_are_told_when_to_come_again(service_of: Make, serving: Serve) -> None:
    service = service_of(stuck(), admission=Admission(running=1, waiting=1, floor=0.5))
    house = serving(service)
    engines: Any = list(house.engines.values())
    url = f"{house.v1}/chat/completions"
    answers: list[int] = []

    def ask() -> None:
        answers.append(httpx.post(url, json=asked(FORCED), timeout=60.0).status_code)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    until(lambda: service.admission.running == 1)
    threads[1].start()
    until(lambda: service.admission.waiting == 1)
    refused = httpx.post(url, json=asked(FORCED))
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "overloaded"
    assert int(refused.headers["retry-after"]) >= 1

    def end() -> bool:
        for engine in engines:
            for request_id in engine.in_flight:
                asyncio.run(engine.cancel(request_id))
        return not any(thread.is_alive() for thread in threads)

    until(end)
    assert answers == [200, 200]
    until(lambda: service.rolling.counts["refused"] == 1)


def test_whoever_is_turned_away_is_counted(service_of: Make, serving: Serve) -> None:
    """Once each, whatever turned it away, and none of them among the requests that were worked on."""
    keys = Keys(
        [
            replace(Key.of("ann", "a" * 32), requests_per_minute=1.0),
            Key.of("bob", "b" * 32, [Scope.FEEDBACK]),
            Key.of("cal", "c" * 32),
        ]
    )
    service = service_of(keys=keys)
    house = serving(service)
    good = asked("planner/cot()")

    def status(secret: str, body: Any, path: str = "/chat/completions") -> int:
        headers = {"Authorization": f"Bearer {secret * 32}"}
        if isinstance(body, bytes):
            return httpx.post(f"{house.v1}{path}", content=body, headers=headers).status_code
        return httpx.post(f"{house.v1}{path}", json=body, headers=headers).status_code

    assert status("a", good) == 200
    assert status("a", good) == 429  # beyond its rate
    assert status("a", {"question": QUESTION}, "/plan") == 429
    assert status("x", good) == 401  # nobody knows it
    assert status("b", good) == 403  # not its scope
    assert status("c", asked("nobody")) == 404
    assert status("c", asked(prm="nobody")) == 400
    assert status("c", asked(n=0)) == 400
    assert status("c", {"model": "planner", "prompt": []}, "/completions") == 400
    assert (
        status("c", {"model": "planner", "prompt": "1", "tools": [{}], "echo": True}, "/completions") == 400
    )
    assert status("c", b"{", "/completions") == 400
    turned_away = 10
    assert status("c", {"id": "x"}, "/feedback") == 400  # asks for nothing
    assert httpx.get(f"{house.v1}/now", headers={"Authorization": "Bearer x"}).status_code == 401
    until(lambda: service.rolling.counts["total"] == 1)
    now = httpx.get(f"{house.v1}/now", headers={"Authorization": f"Bearer {'c' * 32}"}).json()["requests"]
    assert (now["refused"], now["total"], now["answered"]) == (turned_away, 1, 1)


def test_what_a_chat_template_refuses_is_turned_away(service_of: Make, serving: Serve) -> None:
    """Known only once work has begun, but it is no answer all the same, and kept no deadline."""
    service = service_of()
    house = serving(service)

    def render(turns: Any) -> tuple[int, ...]:
        raise Refusal("a chat template takes roles in turn, got two of one", param="messages")

    templates: Any = service.models.renders
    templates.update(dict.fromkeys(templates, render))
    talk = [{"role": "user", "content": text} for text in ("What is 1 + 1?", QUESTION)]
    body = asked(budget={"seconds": 30.0}) | {"messages": talk}
    found = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=20.0)
    assert (found.status_code, found.json()["error"]["param"]) == (400, "messages")
    until(lambda: service.rolling.counts["refused"] == 1)
    now = httpx.get(f"{house.v1}/now").json()
    assert (now["requests"]["total"], now["requests"]["answered"]) == (0, 0)
    assert now["promised"]["seconds"] == {"requests": 0, "kept": None}


def test_a_backend_that_never_ends_is_given_up(service_of: Make, serving: Serve) -> None:
    engines = {name: Deaf(name, size) for name, size in SIZES.items()}
    house = serving(service_of(engines, rules=Rules(grace=0.2)))
    found = httpx.post(
        f"{house.v1}/chat/completions", json=asked(FORCED, budget={"seconds": 0.2}), timeout=20.0
    )
    assert (found.status_code, found.json()["error"]["code"]) == (504, "deadline")


def test_a_policy_that_hears_no_cancellation_holds_no_request(service_of: Make, serving: Serve) -> None:
    """Without a deadline too: it is left alone, charged in full, and the answer so far is given."""
    engines = {name: Deaf(name, size) for name, size in SIZES.items()}
    service = service_of(engines, rules=Rules(cancel_within=0.05))
    house, url = serving(service), "/chat/completions"
    late = httpx.post(f"{house.v1}{url}", json=asked(FORCED, budget={"seconds": 2.0}), timeout=60.0)
    receipt = late.json()["planner"]
    assert (receipt["outcome"], receipt["ended"]) == ("answered", "deadline")
    most = service.models.limits.max_tokens
    assert receipt["spend"]["policy_tokens"] > 7 * most
    with held(house, asked(FORCED), lambda: any(engine.in_flight for engine in engines.values())):
        pass
    until(lambda: service.admission.running == 0)
    until(lambda: service.rolling.counts["cancelled"] == 1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_policy_that_fails_on_the_way_is_done_without(
    service_of: Make, serving: Serve, stream: bool
) -> None:
    engines = {name: Fading(name, size) for name, size in SIZES.items()}
    house = serving(service_of(engines))
    found = httpx.post(f"{house.v1}/chat/completions", json=asked(FORCED, stream=stream), timeout=20.0)
    assert found.status_code == 200
    if stream:
        chunks = [line.removeprefix("data: ") for line in found.text.split("\n\n") if "data: {" in line]
        receipt = json.loads(chunks[-1])["planner"]
        used = receipt["spend"]["tokens"]  # the stream was not asked for its usage
        ended = [line for line in found.text.split("\n\n") if '"type":"ended"' in line]
        told = [json.loads(line.removeprefix(": planner "))["why"] for line in ended]
    else:
        receipt = found.json()["planner"]
        told = [receipt["ended"]]
        used = found.json()["usage"]["total_tokens"]
    assert told == ["policy_failed"]
    assert used == receipt["spend"]["tokens"]
    policy = receipt["policy"]
    assert (receipt["outcome"], receipt["ended"]) == ("answered", "policy_failed")
    assert receipt["without"] == [policy]
    assert receipt["answer"] is not None
    assert not house.service.models.is_up(policy)
    until(lambda: len(records(house)) == 1)
    [record] = records(house)
    assert (record.decision.outcome, record.decision.error) == ("answered", "EngineError")
    assert record.decision.spend.tokens == receipt["spend"]["tokens"]
    assert list(work_of(record.decision)) == []  # what was waited for teaches nothing about speed


def test_a_prompt_that_is_too_long_is_not_the_policys_failure(service_of: Make, serving: Serve) -> None:
    house = serving(service_of())
    long = {"role": "user", "content": QUESTION + " + 1" * 2000}
    found = httpx.post(f"{house.v1}/chat/completions", json={"model": FORCED, "messages": [long]})
    assert (found.status_code, found.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert all(house.service.models.is_up(policy) for policy in house.service.models.policies)
