"""Figures for Prometheus (``GET /metrics``), by its own client library. Each process has its own registry.

Labels hold names of models, routes, plans' strategies and our own codes of errors, never what a client wrote,
so that the number of series is bounded.

Counters move with requests; gauges tell how the parts of a server are when the figures are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from planner.deciding.recommendation import Explored
from planner.server.access.exchange import Exchange
from planner.server.decisions.recorder import Decision

if TYPE_CHECKING:
    from planner.server.challenge import ChallengeWatch
    from planner.server.service import Service

__all__ = [
    "Metrics",
    "set_gauges",
]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Metrics:
    """Counters that requests move, and gauges that are read when asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"planner_{name}", words, labels, registry=self.registry)

        def histogram(name: str, words: str, *labels: str) -> Histogram:
            return Histogram(f"planner_{name}", words, labels, buckets=_SECONDS, registry=self.registry)

        self._http = counter("http_requests", "Requests by route and status.", "route", "method", "status")
        self._http_seconds = histogram("http_request_seconds", "From arrival to the last byte.", "route")
        self._refusals = counter("refusals", "Requests that were refused (4xx), by cause.", "route", "cause")
        self._failures = counter("failures", "Requests that failed (5xx), by cause.", "route", "cause")
        self._requests = counter("requests", "Requests that were worked on.", "endpoint", "outcome")
        self._seconds = histogram("request_seconds", "Of those, from arrival to the end.", "endpoint")
        self._plans = counter("plans", "Plans that answered.", "policy", "prm", "strategy")
        self._tokens = counter("tokens", "Logical tokens, of the policy and of its PRM.", "policy", "kind")
        self._flops = counter("flops", "Logical FLOPs.")
        self._usd = counter("usd", "Dollars that requests took, of those whose prices are known.", "policy")
        self._expected = counter("promised_accuracy", "Sum of promised accuracies.")
        self._kept = counter("feedback", "Feedback by what it says.", "said")
        self._reloads = counter("reloads", "Artefacts taken or refused.", "taken")
        self._tries = counter("explored_decisions", "Decisions that were not the best, to learn from.")
        self._price = Gauge(
            "planner_exploration_price",
            "Accuracy that they are expected to have lost.",
            registry=self.registry,
        )
        #: decisions that explored since the start, and what they are expected to have lost, in accuracy, and
        #: to have spent beyond the best, in FLOPs
        self.explored: tuple[int, float, float] = (0, 0.0, 0.0)
        self._gauges: dict[str, Gauge] = {}
        ProcessCollector(registry=self.registry)

    def finish(self, decision: Decision) -> None:
        """Count a request that has ended."""
        self._requests.labels(decision.endpoint, decision.outcome).inc()
        self._tokens.labels(decision.policy, "policy").inc(decision.spend.policy_tokens)
        self._tokens.labels(decision.policy, "prm").inc(decision.spend.prm_tokens)
        self._flops.inc(decision.spend.flops)
        self._seconds.labels(decision.endpoint).observe(decision.spend.seconds)
        if decision.spent_usd is not None:
            self._usd.labels(decision.policy).inc(decision.spent_usd)
        if decision.outcome not in ("failed", "cancelled", "refused"):
            self._plans.labels(decision.policy, decision.prm or "", decision.plan.partition("(")[0]).inc()
            if decision.accuracy is not None:
                self._expected.inc(decision.accuracy)

    def explore(self, price: Explored) -> None:
        """Count a decision that explored, and its price."""
        count, accuracy, flops = self.explored
        self.explored = count + 1, accuracy + price.accuracy, flops + price.flops
        self._tries.inc()
        self._price.set(self.explored[1])

    def exchanged(self, exchange: Exchange) -> None:
        """Count a request and its response."""
        method = exchange.method if exchange.method in ("GET", "HEAD", "POST", "OPTIONS") else "other"
        self._http.labels(exchange.route, method, str(exchange.status)).inc()
        self._http_seconds.labels(exchange.route).observe(exchange.seconds)
        cause = exchange.cause
        if cause is not None:
            counter = self._refusals if exchange.status < 500 else self._failures
            counter.labels(exchange.route, cause).inc()

    def hear(self, kept: float) -> None:
        """Count feedback; ``kept`` in [0, 1]."""
        self._kept.labels("right" if kept >= 0.5 else "wrong").inc()

    def reloaded(self, taken: bool) -> None:
        """Count an artefact."""
        self._reloads.labels(str(taken).lower()).inc()

    def set(self, name: str, value: float, help_text: str, /, **labels: str) -> None:
        """Set a gauge, made when it is first set; always with the same labels."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = Gauge(f"planner_{name}", help_text, tuple(labels), registry=self.registry)
            self._gauges[name] = gauge
        found: Any = gauge.labels(**labels) if labels else gauge
        found.set(value)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


def set_gauges(service: Service) -> None:
    """Read every part, and set its gauges."""
    figures, admission = service.metrics, service.admission
    figures.set("wrong_keys", service.wrong_keys.count, "Requests with a key that nobody has.")
    figures.set("running_requests", admission.running, "Requests being worked on.")
    figures.set("waiting_requests", admission.waiting, "Requests that wait.")
    figures.set("budget_share", admission.share, "Share of a budget that a new request gets.")
    for policy, load, limit in admission.flights.limits():
        figures.set("in_flight", load, "Samples (of models here: requests) in flight.", policy=policy)
        figures.set("in_flight_limit", limit, "As many of them are let in at a time.", policy=policy)
    for name, model in service.models.known.items():
        up = float(service.models.is_up(name))
        figures.set("up", up, "Whether a model answered when it was last asked.", name=name, kind=model.kind)
    for name, value in service.recorder.state().items():
        if isinstance(value, int | float):
            figures.set(f"log_{name}", float(value), f"Decision log: {name}.")
    for key in service.keys:
        spent = service.spending.today(key.name)
        figures.set("key_spend_usd", spent.usd, "Dollars that a key spent today (UTC).", key=key.name)
        figures.set("key_spend_tokens", spent.tokens, "Tokens that a key spent today (UTC).", key=key.name)
    drift = service.watch.report
    if drift is not None:
        figures.set("drifted_features", len(drift.drifted), "Features and rewards that have drifted.")
        worst = max((s.psi for s in drift.shifts if s.psi is not None), default=0.0)
        figures.set("drift_worst_psi", worst, "The largest population stability index.")
    live = service.watch.drift
    if live is not None:
        for signal in live.signals:
            raised = float(signal.raised is not None)
            figures.set("drift_signal", raised, "Whether a signal of drift is raised.", signal=signal.name)
            figures.set(
                "drift_since_seconds", signal.since or 0.0, "Since when (seconds since the epoch), 0: not.",
                signal=signal.name,
            )  # fmt: skip
        figures.set("drift_new_problems", live.problems, "New problems that a refit needs; 0: no signal.")
    if service.challenge is not None:
        _set_challenge(service, service.challenge)


def _set_challenge(service: Service, watch: ChallengeWatch) -> None:
    figures, state = service.metrics, watch.state
    promoted = float(watch.challenge.promoted is not None)
    figures.set("challenger_promoted", promoted, "Whether the challenger answers everything.")
    if state is None:
        return
    found = state.utility
    for bound, value in (("value", found.value), ("low", found.low), ("high", found.high)):
        figures.set(
            "challenger_utility", value, "Utility of the challenger less the champion's.", bound=bound
        )
    for arm, own in (("champion", state.champion), ("challenger", state.challenger)):
        figures.set("challenge_decisions", own.decisions, "Decisions of each arm.", arm=arm)
        figures.set("challenge_feedback", own.known, "Decisions of each arm with feedback.", arm=arm)
    verdict = {"better": 1.0, "worse": -1.0, "undecided": 0.0}[state.state]
    figures.set("challenger_verdict", verdict, "1: surely better, -1: surely worse, 0: undecided.")
