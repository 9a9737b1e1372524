"""Traces, sent to a collector that is one by its protocol: OTLP over HTTP, in protobuf."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from houses import QUESTION, House, until, writes
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from planner.server.access.keys import Key, Keys
from planner.server.direct.upstream import Upstream
from planner.server.observing.trace import Tracing, traces_are_wanted, tracing_of
from planner.server.service import Service
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import ScriptedEngine
from search.errors import ServeError
from search.remote.fake_server import Asked, FakeServer, Json

SECRET = "s" * 40
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


class Collector:
    """Receives spans on a port of its own."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, Any]] = []
        self.paths: list[tuple[str, str]] = []
        self.texts = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(self.path, self.headers["content-type"], body)
                said = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self, path: str, kind: str, body: bytes) -> None:
        self.paths.append((path, kind))
        self.texts += body
        sent = ExportTraceServiceRequest.FromString(body)
        for each in sent.resource_spans:
            self.resources.append(values(each.resource.attributes))
            for scope in each.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as Python has them."""
    found: dict[str, Any] = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        if kind == "array_value":
            value = [getattr(one, one.WhichOneof("value")) for one in value.values]
        found[each.key] = value
    return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


@pytest.fixture
def traced(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Tracing]:
    """Makes what the standard variables switch on."""

    def make(**more: str) -> Tracing:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return tracing_of(environment)

    return make


Make = Callable[..., Service]
Serve = Callable[[Service], House]


def chat(house: House, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "seed": 1, **more}
    headers = {"authorization": f"Bearer {SECRET}", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    return httpx.post(f"{house.v1}/chat/completions", json=body, headers=headers, timeout=60.0)


def test_a_planned_request_is_a_tree_of_spans(
    service_of: Make, serving: Serve, collector: Collector, traced: Any
) -> None:
    house = serving(service_of(tracing=traced(), keys=Keys([Key.of("boss", SECRET)])))
    found = chat(house, "planner/best_of_n(n=4, score=last)", prm="good")
    assert found.status_code == 200, found.text
    receipt, usage = found.json()["planner"], found.json()["usage"]
    until(lambda: bool(collector.named("POST /v1/chat/completions")))
    assert set(collector.paths) == {("/v1/traces", "application/x-protobuf")}
    assert collector.resources[0]["service.name"] == "planner"
    [request] = collector.named("POST /v1/chat/completions")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert request.kind == 2  # server
    told = values(request.attributes)
    assert (told["http.route"], told["http.response.status_code"]) == ("/v1/chat/completions", 200)
    [work] = collector.named("invoke_agent planner")
    assert work.parent_span_id == request.span_id
    told = values(work.attributes)
    assert told["gen_ai.operation.name"] == "invoke_agent"
    assert told["gen_ai.request.model"] == "planner/best_of_n(n=4, score=last)"
    assert told["gen_ai.response.id"] == found.json()["id"]
    assert told["gen_ai.response.model"] == receipt["policy"]
    assert told["planner.plan"] == "best_of_n(n=4, score=last)"
    assert told["planner.outcome"] == "answered"
    spent = [told[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output")]
    assert sum(spent) + told["planner.prm_tokens"] == usage["total_tokens"]
    [stage] = collector.named("plan")
    assert stage.parent_span_id == work.span_id
    [call] = collector.named(f"text_completion {receipt['policy']}")
    assert (call.parent_span_id, call.kind) == (stage.span_id, 3)  # client
    told = values(call.attributes)
    assert (told["gen_ai.request.choice.count"], len(told["gen_ai.response.finish_reasons"])) == (4, 4)
    samples = collector.named("sample")
    assert {span.parent_span_id for span in samples} == {call.span_id}
    tokens = [values(span.attributes)["gen_ai.usage.output_tokens"] for span in samples]
    assert (len(tokens), sum(tokens)) == (4, told["gen_ai.usage.output_tokens"])
    rewards = collector.named(f"evaluation {receipt['prm']}")
    assert rewards
    assert {span.parent_span_id for span in rewards} == {stage.span_id}
    events = [event for span in rewards for event in span.events]
    assert {event.name for event in events} == {"gen_ai.evaluation.result"}
    assert {values(event.attributes)["gen_ai.evaluation.score.value"] for event in events} <= {0.3, 0.9}
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in collector.spans)
    for text in (QUESTION, "# 51", SECRET):
        assert text.encode() not in collector.texts


def test_looks_are_stages_and_decisions_events(
    service_of: Make, serving: Serve, collector: Collector, traced: Any
) -> None:
    house = serving(service_of(tracing=traced()))
    found = chat(house, "planner", budget={"tokens": 4000})
    assert found.status_code == 200, found.text
    until(lambda: bool(collector.named("POST /v1/chat/completions")))
    [work] = collector.named("invoke_agent planner")
    stages = found.json()["planner"]["stages"]
    decided = [event for event in work.events if event.name == "planner.decided"]
    assert len(decided) == len(stages)
    assert len(collector.named("plan")) + len(collector.named("probe")) >= len(stages)


def test_refusals_say_their_cause_and_other_paths_are_not_traced(
    service_of: Make, serving: Serve, collector: Collector, traced: Any
) -> None:
    house = serving(service_of(tracing=traced(), keys=Keys([Key.of("boss", SECRET)])))
    assert httpx.get(f"{house.url}/healthz").status_code == 200
    assert httpx.post(f"{house.v1}/chat/completions", json={}).status_code == 401
    assert chat(house, "nobody").status_code == 404
    until(lambda: len(collector.spans) == 2)
    causes = [values(span.attributes)["error.type"] for span in collector.spans]
    assert sorted(causes) == ["invalid_api_key", "model_not_found"]


def test_what_is_passed_on_is_a_call_of_the_policys_server(
    service_of: Make, serving: Serve, collector: Collector, traced: Any
) -> None:
    async def says(asked: Asked) -> Json:
        message = {"role": "assistant", "content": "It is wide."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        head = {"id": "x", "object": "chat.completion", "created": 1}
        return Json({**head, "choices": [choice], "usage": USAGE})

    with FakeServer(says) as policy:
        upstream = Upstream(policy.url, "served", "small")
        house = serving(service_of(tracing=traced(), upstream=upstream))
        assert chat(house, "small").status_code == 200
        until(lambda: bool(collector.named("POST /v1/chat/completions")))
    [request], [call] = collector.named("POST /v1/chat/completions"), collector.named("chat small")
    assert (call.parent_span_id, call.kind) == (request.span_id, 3)
    told = values(call.attributes)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (7, 5)
    assert call.start_time_unix_nano >= request.start_time_unix_nano


def behind_its_server(server: FakeServer, service_of: Make, **parts: Any) -> Service:
    """The policy ``small`` behind a server, for planned requests and for those that are passed on."""
    engine = OpenAIEngine.connect(server.url, "small", parameters=1000)
    return service_of({"small": engine}, upstream=Upstream(server.url, "small", "small"), **parts)


def sent_traces(server: FakeServer) -> list[tuple[str | None, str | None]]:
    """What the server was told of traces by requests for tokens."""
    asked = [one for one in server.asked if "completions" in one.path]
    return [(one.headers.get("traceparent"), one.headers.get("tracestate")) for one in asked]


@pytest.mark.parametrize("model", ["small", "planner/majority(n=2)", "planner/adaptive_vote(n=2, ahead=1)"])
def test_the_policys_server_hears_of_our_span(
    model: str, service_of: Make, serving: Serve, collector: Collector, traced: Any
) -> None:
    with FakeServer(FakeOpenAI(ScriptedEngine(writes, name="small", context=4096))) as server:
        house = serving(behind_its_server(server, service_of, tracing=traced()))
        before = len(server.asked)
        assert chat(house, model, policy="small").status_code == 200
        until(lambda: bool(collector.named("POST /v1/chat/completions")))
        del server.asked[:before]
        told = sent_traces(server)
    [request] = collector.named("POST /v1/chat/completions")
    assert told
    assert set(told) == {(f"00-{TRACE}-{request.span_id.hex()}-01", None)}


@pytest.mark.parametrize("model", ["small", "planner/majority(n=2)"])
def test_a_clients_trace_is_passed_on_where_nothing_is_traced(
    model: str, service_of: Make, serving: Serve
) -> None:
    own = f"00-{TRACE}-{PARENT}-01"
    with FakeServer(FakeOpenAI(ScriptedEngine(writes, name="small", context=4096))) as server:
        house = serving(behind_its_server(server, service_of))
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "policy": "small"}
        for headers, expected in (
            ({"traceparent": own, "tracestate": "vendor=1"}, (own, "vendor=1")),
            ({"traceparent": "mine", "tracestate": "vendor=1"}, (None, None)),
            ({}, (None, None)),
        ):
            server.asked.clear()
            found = httpx.post(f"{house.v1}/chat/completions", json=body, headers=headers, timeout=60.0)
            assert found.status_code == 200, found.text
            assert set(sent_traces(server)) == {expected}


def test_texts_are_sent_where_the_standard_variable_says_so(
    service_of: Make, serving: Serve, collector: Collector, traced: Any
) -> None:
    tracing = traced(
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true",
        OTEL_SERVICE_NAME="gateway",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    )
    house = serving(service_of(tracing=tracing))
    assert chat(house, "planner/cot()").status_code == 200
    until(lambda: bool(collector.named("POST /v1/chat/completions")))
    told = values(collector.named("invoke_agent planner")[0].attributes)
    assert QUESTION in told["gen_ai.input.messages"]
    assert '"role": "assistant"' in told["gen_ai.output.messages"]
    assert collector.resources[0]["service.name"] == "gateway"
    assert collector.resources[0]["deployment.environment.name"] == "test"


def test_a_collector_that_is_away_stops_nobody(service_of: Make, serving: Serve, traced: Any) -> None:
    tracing = traced(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    house = serving(service_of(tracing=tracing))
    assert chat(house, "planner/cot()").status_code == 200


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_the_standard_variables_switch_it(environment: dict[str, str], wanted: bool) -> None:
    assert traces_are_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "must be otlp or none, got 'zipkin'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "must be http/protobuf, got 'grpc'"),
    ],
)
def test_what_is_not_spoken_is_refused(name: str, value: str, rule: str) -> None:
    with pytest.raises(ServeError, match=rule):
        traces_are_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", name: value})


def test_nothing_is_imported_where_it_is_off() -> None:
    code = (
        "import sys; from planner.server.observing.trace import tracing_of; import planner.server.serve;"
        "tracing_of({}); print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert ran.stdout.strip() == "[]", ran.stderr
