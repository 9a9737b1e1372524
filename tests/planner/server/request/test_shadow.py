"""Shadow mode: the plain model answers as it would without us, and the planner says what it would do."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from houses import QUESTION, House

from planner.planner import Planner
from planner.server.decisions.comparison import BESIDE, Comparison, Expected, beside_id
from planner.server.decisions.recorder import Decision, DecisionQuery, MemoryRecorder
from planner.server.direct.upstream import Upstream
from planner.server.request.shadow import expected_usd
from planner.server.rules import Rules, ShadowRules
from planner.server.service import Service
from planner.server.workers.peers import Peers
from search.budget import Budget, Prices
from search.choice import Choice
from search.engines.scripted import ScriptedEngine
from search.errors import ServeError
from search.plan import Plan
from search.remote.fake_server import Asked, FakeServer, Fault, Json, Stream

USAGE = {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}
TEXT = "3 + 41 = 44\n# 51"
SEA = "tell me about the sea"


class Heard(MemoryRecorder):
    """Says when a plan that was run beside an answer has been written down."""

    def __init__(self) -> None:
        super().__init__()
        self.beside = threading.Event()

    def record(self, decision: Decision) -> None:
        super().record(decision)
        if decision.endpoint == BESIDE:
            self.beside.set()

    def all(self) -> list[Decision]:
        return [one.decision for one in asyncio.run(self.search(DecisionQuery(limit=1000)))]


@pytest.fixture
def policy() -> Iterator[FakeServer]:
    """The plain model's own server."""

    async def answer(asked: Asked) -> Json | Stream:
        if asked.body.get("stream"):

            async def events() -> Any:
                for text in ("3 + 41 = 44\n", "# 51"):
                    yield {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
                yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
                yield {"choices": [], "usage": USAGE}

            return Stream(events())
        message = {"role": "assistant", "content": TEXT}
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
        if "prompt" in asked.body:
            choice = {"index": 0, "text": TEXT, "finish_reason": "stop"}
        return Json({"id": "theirs", "choices": [choice], "usage": USAGE})

    with FakeServer(answer) as server:
        yield server


@pytest.fixture
def first(planner: Planner) -> str:
    return planner.first


@pytest.fixture
def house_of(
    service_of: Callable[..., Service],
    serving: Callable[[Service], House],
    policy: FakeServer,
    first: str,
) -> Callable[..., House]:
    """A server in shadow mode before the plain model."""

    def make(share: float = 0.0, **rules: Any) -> House:
        return serving(
            service_of(
                upstream=Upstream(policy.url, "served", first),
                rules=Rules(shadow=ShadowRules(share), **rules),
                recorder=Heard(),
            )
        )

    return make


def ask(house: House, question: str = QUESTION, **fields: Any) -> httpx.Response:
    body = {"model": "planner", "messages": [{"role": "user", "content": question}], **fields}
    return httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)


def recorder(house: House) -> Heard:
    found = house.service.recorder
    assert isinstance(found, Heard)
    return found


def test_the_plain_model_gets_the_clients_own_words(
    house_of: Callable[..., House], policy: FakeServer
) -> None:
    house = house_of(default=Budget(tokens=50))
    response = ask(house, temperature=0.3, max_tokens=300, budget={"tokens": 200}, user="ann", draw_all=True)
    assert response.status_code == 200
    assert response.headers["x-planner-mode"] == "shadow"
    [asked] = policy.asked
    assert asked.body == {
        "model": "served",
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0.3,
        "max_tokens": 300,
        "user": "ann",
    }
    assert response.json()["choices"][0]["message"]["content"] == TEXT


def test_receipt_and_log_say_what_the_planner_would_have_done(
    house_of: Callable[..., House], policy: FakeServer, first: str
) -> None:
    house = house_of(prices=Prices(1.0, 2.0, 0.5))
    receipt = ask(house, budget={"samples": 8}).json()["planner"]
    assert (receipt["reason"], receipt["plan"], receipt["policy"]) == ("shadow", "cot()", first)
    told = receipt["shadow"]
    assert told["reason"] is None
    assert told["plain"]["plan"] == "cot()"
    with httpx.Client(base_url=house.v1) as client:
        body = {"question": QUESTION, "budget": {"samples": 8}}
        advice = client.post("/plan", json=body).json()["advice"]
        saved = client.get(f"/decisions/{receipt['id']}").json()
    assert told["planned"]["usd"] > 0.0
    assert {
        name: told["planned"][name] for name in ("policy", "prm", "plan", "accuracy", "tokens", "flops")
    } == {name: advice[name] for name in ("policy", "prm", "plan", "accuracy", "tokens", "flops")}
    assert saved["comparison"] == told
    assert (saved["accuracy"], saved["tokens"]) == (told["plain"]["accuracy"], told["plain"]["tokens"])
    assert len(policy.asked) == 1  # nothing more was spent
    assert [one.endpoint for one in recorder(house).all()] == ["chat"]


def test_a_stream_is_passed_on_and_told(house_of: Callable[..., House], policy: FakeServer) -> None:
    house = house_of(share=1.0)
    response = ask(house, stream=True)
    assert response.headers["x-planner-mode"] == "shadow"
    assert '"reason":"shadow"' in response.text
    assert response.text.endswith("data: [DONE]\n\n")
    assert policy.asked[0].body["stream_options"] == {"include_usage": True}
    assert recorder(house).beside.wait(60.0)


def protocol(house: House, path: str, said: str = QUESTION, **fields: Any) -> httpx.Response:
    """A request in the words of one of the protocols."""
    body: dict[str, Any] = {"model": "planner", **fields}
    if path == "responses":
        body["input"] = said
    else:
        body |= {"messages": [{"role": "user", "content": said}], "max_tokens": 300}
    return httpx.post(f"{house.v1}/{path}", json=body, timeout=60.0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["responses", "messages"])
def test_other_protocols_are_shadowed_as_chat_is(
    house_of: Callable[..., House], policy: FakeServer, first: str, path: str, stream: bool
) -> None:
    house = house_of(share=1.0)
    response = protocol(house, path, model="served", stream=stream, temperature=0.3)
    assert response.status_code == 200, response.text
    assert response.headers["x-planner-mode"] == "shadow"
    (asked,) = policy.asked
    assert (asked.body["model"], asked.body["temperature"]) == ("served", 0.3)
    assert asked.body["messages"] == [{"role": "user", "content": QUESTION}]
    assert not {"budget", "seed", "include"} & asked.body.keys()
    assert TEXT.split("\n")[0] in response.text
    assert '"reason":"shadow"' in response.text
    assert recorder(house).beside.wait(60.0)
    beside, plain = recorder(house).all()
    assert (plain.endpoint, plain.reason, plain.policy) == (path, "shadow", first)
    assert plain.comparison is not None
    assert plain.comparison.planned is not None
    assert beside.decision_id == beside_id(plain.decision_id)
    assert beside.comparison is not None
    assert beside.comparison.plain_answer == "51"


def test_several_prompts_are_passed_on_one_by_one(house_of: Callable[..., House], policy: FakeServer) -> None:
    house = house_of()
    prompts = [QUESTION, SEA]
    body = {"model": "planner", "prompt": prompts, "budget": {"samples": 8}, "logprobs": 1}
    found = httpx.post(f"{house.v1}/completions", json=body, timeout=60.0)
    assert found.status_code == 200, found.text
    told = found.json()
    assert [(one["index"], one["text"]) for one in told["choices"]] == [(0, TEXT), (1, TEXT)]
    assert told["usage"] == {name: 2 * tokens for name, tokens in USAGE.items()}
    assert [one["reason"] for one in told["planner"]["choices"]] == ["shadow", "shadow"]
    sent = sorted((one.body for one in policy.asked), key=lambda one: prompts.index(one["prompt"]))
    assert sent == [{"model": "served", "prompt": prompt, "logprobs": 1} for prompt in prompts]
    assert len(recorder(house).all()) == 2


SCHEMA = {"type": "object"}
STRUCTURED: dict[str, tuple[dict[str, Any], str]] = {
    "chat/completions": ({"response_format": {"type": "json_object"}}, "response_format"),
    "responses": ({"text": {"format": {"type": "json_object"}}}, "response_format"),
    "messages": ({"tools": [{"name": "go", "input_schema": SCHEMA}]}, "tools"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", STRUCTURED)
def test_structured_answers_are_passed_on_whatever_plan_is_for_them(
    house_of: Callable[..., House], policy: FakeServer, path: str, stream: bool
) -> None:
    house = house_of(share=1.0, structured_plan=Plan.of("majority", n=8))
    fields, reason = STRUCTURED[path]
    response = protocol(house, path, stream=stream, budget={"samples": 8}, **fields)
    assert response.status_code == 200, response.text
    (asked,) = policy.asked
    assert not {"seed", "temperature", "top_p"} & asked.body.keys()
    (decision,) = recorder(house).all()
    assert (decision.reason, decision.plan) == ("shadow", "cot()")
    assert decision.comparison is not None
    assert (decision.comparison.planned, decision.comparison.reason) == (None, reason)
    assert house.service.background.begun == 0


def test_errors_say_the_mode_too(house_of: Callable[..., House], policy: FakeServer) -> None:
    house = house_of()
    policy.fail("/v1/chat/completions", Fault.answer(400, b"no"), Fault.answer(400, b"no"))
    found = [ask(house, model="another"), ask(house, stream=True), protocol(house, "messages")]
    found += [httpx.get(f"{house.v1}/messages"), httpx.get(f"{house.v1}/models")]
    assert [one.status_code for one in found] == [404, 400, 400, 405, 200]
    assert {one.headers.get("x-planner-mode") for one in found} == {"shadow"}


def test_tokens_are_counted_for_a_policy_that_is_named_as_its_own_server_does(
    house_of: Callable[..., House],
) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}]}
    house = house_of()
    counts = [
        httpx.post(f"{house.v1}/messages/count_tokens", json={"model": model, **body})
        for model in ("planner", "served")
    ]
    assert [one.status_code for one in counts] == [200, 200]
    assert counts[0].json() == counts[1].json()


class _Three(Peers):
    """This process and two others, which have run plans too."""

    async def ask(self, what: str, given: Any = None, *, within: float | None = None) -> dict[int, Any]:
        own = await super().ask(what, given, within=within)
        return own if what != "beside" else {**own, 1: {"ran": 4, "dropped": 1}, 2: {"ran": 2, "dropped": 0}}


def test_plans_beside_answers_are_counted_over_all_processes(
    service_of: Callable[..., Service], serving: Callable[[Service], House]
) -> None:
    house = serving(service_of(rules=Rules(shadow=ShadowRules(1.0)), recorder=Heard(), peers=_Three()))
    assert ask(house).status_code == 200
    assert recorder(house).beside.wait(60.0)
    savings = httpx.get(f"{house.v1}/savings").json()
    assert (savings["ran"], savings["dropped"]) == (7, 1)


def test_a_policy_may_be_named_as_its_own_server_does(house_of: Callable[..., House], first: str) -> None:
    house = house_of()
    for name in ("served", first, "planner-high", "planner/majority(n=4)"):
        response = ask(house, model=name)
        assert (response.status_code, response.json()["planner"]["plan"]) == (200, "cot()")
    assert ask(house, model="another").status_code == 404
    told = {one.budget_source: one.comparison for one in recorder(house).all()}
    assert told["model"] is not None
    reasons = [one.comparison.reason for one in recorder(house).all() if one.comparison is not None]
    assert reasons.count("forced_plan") == 1
    assert reasons.count(None) == 3


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"question": SEA}, "open_ended"),
        ({"budget": {"usd": 1.0}}, "refused"),
        ({"budget": {"tokens": 1}}, "refused"),
    ],
)
def test_what_would_not_have_been_planned_says_why(
    house_of: Callable[..., House], fields: dict[str, Any], reason: str
) -> None:
    house = house_of()
    response = ask(house, **fields)
    assert response.status_code == 200
    told = response.json()["planner"]["shadow"]
    assert told["planned"] is None
    assert told["reason"] == reason


def test_the_plan_is_run_beside_a_share(house_of: Callable[..., House], policy: FakeServer) -> None:
    house = house_of(share=1.0)
    name = ask(house).json()["planner"]["id"]
    assert recorder(house).beside.wait(60.0)
    beside, plain = recorder(house).all()
    assert (plain.decision_id, beside.decision_id) == (name, beside_id(name))
    assert (beside.key, beside.endpoint, beside.reason) == ("shadow", BESIDE, None)
    assert beside.spend.tokens > 0
    assert beside.comparison is not None
    assert beside.comparison.plain_answer == "51"
    assert len(policy.asked) == 1  # the plan runs on the planner's own engines
    with httpx.Client(base_url=house.v1) as client:
        now = client.get("/now").json()
        savings = client.get("/savings").json()
        metrics = client.get(house.url + "/metrics").text
    assert now["requests"]["total"] == 1  # counted apart
    assert (savings["shadow"], savings["share"], savings["ran"], savings["pairs"]) == (True, 1.0, 1, 1)
    assert savings["beside"]["tokens"] == beside.spend.tokens
    assert 'planner_requests_total{endpoint="beside",outcome="answered"} 1.0' in metrics


def test_no_answer_waits_for_what_runs_beside_it(house_of: Callable[..., House]) -> None:
    house = house_of(share=1.0)
    begun, left = threading.Event(), threading.Event()

    async def hold(*_: object) -> None:
        begun.set()
        while not left.is_set():
            await asyncio.sleep(0.001)

    house.service.beside = hold
    assert ask(house).status_code == 200
    assert begun.wait(60.0)
    assert ask(house).status_code == 200  # while the first one's plan still runs
    left.set()


def test_nothing_is_run_beside_without_a_share(house_of: Callable[..., House]) -> None:
    house = house_of()
    ask(house)
    assert house.service.background.begun == 0


def test_a_policy_in_this_process_answers_once(
    service_of: Callable[..., Service], serving: Callable[[Service], House], first: str
) -> None:
    house = serving(service_of(rules=Rules(shadow=ShadowRules(1.0)), recorder=Heard()))
    response = ask(house)
    receipt = response.json()["planner"]
    assert response.headers["x-planner-mode"] == "shadow"
    assert (receipt["reason"], receipt["plan"], receipt["policy"]) == ("shadow", "cot()", first)
    assert receipt["shadow"]["planned"] is not None
    assert recorder(house).beside.wait(60.0)
    several = httpx.post(f"{house.v1}/completions", json={"model": "planner", "prompt": [QUESTION, QUESTION]})
    assert several.headers["x-planner-mode"] == "shadow"
    assert [one["reason"] for one in several.json()["planner"]["choices"]] == ["shadow", "shadow"]


def test_plain_answers_that_cannot_be_read_are_in_the_sample(
    service_of: Callable[..., Service], serving: Callable[[Service], House], planner: Planner, first: str
) -> None:
    size = planner.policies[first].parameters
    mumbles = ScriptedEngine(lambda *_: "hm", name=first, parameters=size, context=4096)
    rules = Rules(shadow=ShadowRules(1.0))
    house = serving(service_of({first: mumbles}, rules=rules, recorder=Heard()))
    assert ask(house).json()["planner"]["outcome"] == "unreadable"
    assert recorder(house).beside.wait(60.0)
    told = recorder(house).all()[0].comparison
    assert told is not None
    assert told.plain_answer is None


def test_an_operator_names_the_plain_model(
    service_of: Callable[..., Service],
    serving: Callable[[Service], House],
    planner: Planner,
    policy: FakeServer,
) -> None:
    last = [*planner.policies][-1]
    upstreams = {name: Upstream(policy.url, f"served-{name}", name) for name in planner.policies}
    rules = Rules(shadow=ShadowRules(policy=last))
    house = serving(service_of(upstreams=upstreams, rules=rules))
    assert ask(house).json()["planner"]["policy"] == last
    assert policy.asked[-1].body["model"] == f"served-{last}"
    for name in planner.policies:
        assert ask(house, model=f"served-{name}").json()["planner"]["policy"] == name


def test_a_share_is_one() -> None:
    with pytest.raises(ServeError, match=r"in \[0, 1\], got 1.5"):
        ShadowRules(1.5)


def test_a_comparison_goes_through_json_and_back() -> None:
    one = Expected(policy="p", prm="r", plan="best_of_n(n=4, score=last)", accuracy=0.5, tokens=9.0)
    comparison = Comparison(plain=one, planned=one.times(2), reason=None, plain_answer="4")
    assert Comparison.from_dict(comparison.to_dict()) == comparison
    assert one.times(3).tokens == 27.0
    assert one.times(3).usd is None


def test_expected_money_counts_the_prms_tokens_at_its_price(planner: Planner) -> None:
    policy, prm = planner.first, next(iter(planner.prms))
    own, other = planner.policies[policy].flops(1.0), planner.prms[prm].flops(1.0)
    choice = Choice(policy, prm, Plan.of("best_of_n", n=4))
    prices = {policy: Prices(1.0, 10.0), prm: Prices(0.0, 0.0, 5.0)}
    written, scored, prompt = 300, 100, 50
    flops = written * own + scored * other
    usd = expected_usd(planner, prices, choice, written + scored, flops, prompt)
    assert usd == pytest.approx((50 * 1.0 + 250 * 10.0 + (100 * 5.0 if own != other else 1000.0)) / 1e6)
    assert expected_usd(planner, {policy: Prices(1.0, 1.0)}, choice, 4, 4, 0) is None
    assert expected_usd(planner, {}, choice, 4, 4, 0) is None
    assert expected_usd(planner, prices, choice, math.nan, math.nan, prompt) is None
