"""Fuzzing against the server's own OpenAPI document: no 5xx, and no answer that the document does not allow.

``PLANNER_FUZZ_CASES`` says how many requests each endpoint gets, from inside the document and from outside of
it. CI takes a few; the full run is

    PLANNER_FUZZ_CASES=2000 python -m pytest tests/planner/server/test_fuzz.py
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from houses import QUESTION, House
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from planner.server.direct.upstream import Upstream
from planner.server.rules import Rules
from planner.server.service import Service
from search.budget import Prices
from search.remote.fake_server import Asked, FakeServer, Json, Stream

CASES = int(os.environ.get("PLANNER_FUZZ_CASES", "20"))

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

ENDPOINTS = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/v1/plan"),
    ("POST", "/v1/feedback"),
    ("POST", "/admin/reload"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{name}"),
    ("GET", "/v1/strategies"),
    ("GET", "/v1/decisions"),
    ("GET", "/v1/decisions.jsonl"),
    ("GET", "/v1/decisions/{decision_id}"),
    ("GET", "/v1/savings"),
    ("GET", "/v1/now"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]

#: what the document calls any text, and what the server looks into
TEXTS: dict[str, list[Any]] = {
    "model": [
        "planner",
        "planner-low",
        "planner-high",
        "small",
        "planner/cot()",
        "planner/majority(n=3)",
        "planner/best_of_n(n=4, score=min)",
        "planner/beam_search(n=4, width=2)",
        "planner/beam_search(n=5, width=2)",
        "planner/majority(n=99999999999999999999)",
        "planner/" + "(" * 200,
    ],
    "question": [QUESTION, "what is 3 + 4?", "tell me about the sea", " ", "\x00", "\u202e1+1", "9" * 5000],
    "domain": ["arithmetic", "puzzle", "code", "chemistry", "math", "game24", "text", "poetry"],
    "policy": ["small", "large", "small", "nobody"],
    "prm": ["none", "good", "good", "nobody"],
}


async def answers(asked: Asked) -> Json | Stream:
    """The policy's own server: a word, whatever it is asked."""
    chat = asked.path.endswith("/chat/completions")
    head = {"id": "theirs", "created": 1, "model": asked.body["model"]}
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    if not asked.body.get("stream"):
        said: Any = {"message": {"role": "assistant", "content": "sea"}} if chat else {"text": "sea"}
        choice = {"index": 0, "finish_reason": "stop", **said}
        kind = "chat.completion" if chat else "text_completion"
        return Json({**head, "object": kind, "choices": [choice], "usage": usage})

    async def chunks() -> AsyncGenerator[Any]:
        said: Any = {"delta": {"content": "sea"}} if chat else {"text": "sea"}
        yield {**head, "choices": [{"index": 0, "finish_reason": "stop", **said}]}
        yield {**head, "choices": [], "usage": usage}

    return Stream(chunks())


@pytest.fixture
def fuzzed(service_of: Callable[..., Service], serving: Callable[[Service], House]) -> Iterator[House]:
    """A server before a policy's own, over scripted models."""
    with FakeServer(answers) as policy:
        rules = Rules(prices=Prices(1.0, 1.0, 1.0))
        yield serving(service_of(upstream=Upstream(policy.url, "served", "small"), rules=rules))


@st.composite
def aimed(draw: st.DrawFn, cases: st.SearchStrategy[Case], known: str) -> Case:
    """A case whose texts are, more often than chance would have it, ones that the server knows."""
    case = draw(cases)
    # a copy: the body may be one that is drawn again
    body = case.body = deepcopy(case.body) if isinstance(case.body, dict) else case.body
    if isinstance(body, dict):
        for name, texts in TEXTS.items():
            if isinstance(body.get(name), str) and draw(st.integers(0, 3)):
                body[name] = draw(st.sampled_from(texts))
            elif name in ("domain", "policy", "prm") and draw(st.booleans()):
                body.pop(name, None)
        for message in body.get("messages") or () if isinstance(body.get("messages"), list) else ():
            if isinstance(message, dict) and isinstance(message.get("content"), str) and draw(st.booleans()):
                message["content"] = draw(st.sampled_from(TEXTS["question"]))
        if isinstance(body.get("prompt"), str) and draw(st.booleans()):
            body["prompt"] = draw(st.sampled_from(TEXTS["question"]))
        if isinstance(body.get("id"), str) and draw(st.booleans()):
            body["id"] = known
        if case.operation.path == "/v1/plan" and draw(st.integers(0, 3)):  # one of both, never both
            lacks = draw(st.sampled_from(["question", "questions"]))
            body.pop(lacks, None)
            body.setdefault("question" if lacks == "questions" else "questions", QUESTION)
            if lacks == "question" and draw(st.booleans()):
                body["questions"] = draw(st.lists(st.sampled_from(TEXTS["question"]), max_size=3))
    if "decision_id" in (case.path_parameters or {}) and draw(st.booleans()):
        case.path_parameters["decision_id"] = known
    if "name" in (case.path_parameters or {}) and draw(st.booleans()):
        case.path_parameters["name"] = draw(st.sampled_from(TEXTS["model"]))
    return case


def test_every_endpoint_of_the_document_is_fuzzed(fuzzed: House) -> None:
    paths = httpx.get(f"{fuzzed.url}/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path in paths for method in paths[path]} == set(ENDPOINTS)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS, ids=[f"{m} {p}" for m, p in ENDPOINTS])
def test_answers_keep_the_document(fuzzed: House, method: str, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")
    operation = schema[path][method]
    asked = httpx.post(f"{fuzzed.v1}/plan", json={"question": QUESTION})
    assert asked.status_code == 200
    done = httpx.post(
        f"{fuzzed.v1}/chat/completions",
        json={"model": "planner", "messages": [{"role": "user", "content": QUESTION}]},
    )
    statuses: Counter[int] = Counter()
    inside = operation.as_strategy(GenerationMode.POSITIVE)
    outside = operation.as_strategy(GenerationMode.NEGATIVE)
    has_parts = bool(operation.body or operation.query or operation.path_parameters)

    with requests.Session() as session:

        @given(aimed(inside | outside if has_parts else inside, done.json()["id"]))
        @settings(
            max_examples=CASES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        def play(case: Case) -> None:
            response = case.call(session=session, timeout=60.0)
            statuses[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        try:
            play()
        finally:
            print(f"{method} {path}: {sum(statuses.values())} requests, {dict(sorted(statuses.items()))}")
    assert httpx.get(f"{fuzzed.url}/healthz").status_code == 200
    assert fuzzed.service.admission.running == 0
