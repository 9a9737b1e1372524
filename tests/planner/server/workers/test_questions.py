"""Figures of several processes in one text."""

from __future__ import annotations

import json

from prometheus_client.parser import text_string_to_metric_families

from planner.server.access.exchange import Exchange
from planner.server.observing.metrics import Metrics
from planner.server.workers.questions import merged, to_wire


def ended(status: int) -> Exchange:
    exchange = Exchange("POST", "/v1/plan", is_asking=True)
    exchange.code = None if status < 400 else "budget"
    exchange.end(status, "/v1/plan")
    return exchange


def test_each_process_has_its_series() -> None:
    first, second = Metrics(), Metrics()
    for status in (200, 200, 400):
        first.exchanged(ended(status))
    second.exchanged(ended(200))
    second.set("up", 1.0, "Whether it answers.", name="small", kind="policy")
    told = json.loads(json.dumps({0: to_wire(first.registry), 3: to_wire(second.registry)}))
    text = merged({int(number): figures for number, figures in told.items()}).decode()
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def of(name: str, /, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    asked = {"route": "/v1/plan", "method": "POST"}
    assert of("planner_http_requests_total", **asked, status="200", worker="0") == 2
    assert of("planner_http_requests_total", **asked, status="400", worker="0") == 1
    assert of("planner_http_requests_total", **asked, status="200", worker="3") == 1
    assert of("planner_http_request_seconds_count", route="/v1/plan", worker="0") == 3
    assert of("planner_http_request_seconds_bucket", route="/v1/plan", le="0.25", worker="3") == 1
    assert of("planner_refusals_total", route="/v1/plan", cause="budget", worker="0") == 1
    assert of("planner_up", name="small", kind="policy", worker="3") == 1
    assert text.count("# TYPE planner_http_requests_total counter") == 1
