"""Figures for Prometheus (``GET /metrics``). Each server has a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from planner.server.recorder import Decision

__all__ = ["Metrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counters that requests move, and gauges that are read when asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "planner_requests", "Requests that ended.", ("endpoint", "outcome"), registry=self.registry
        )
        self._plans = Counter(
            "planner_plans", "Plans that answered.", ("policy", "prm", "strategy"), registry=self.registry
        )
        self._tokens = Counter("planner_tokens", "Logical tokens.", ("kind",), registry=self.registry)
        self._flops = Counter("planner_flops", "Logical FLOPs.", registry=self.registry)
        self._seconds = Histogram(
            "planner_request_seconds", "From arrival to the end.", buckets=_SECONDS, registry=self.registry
        )
        self._expected = Counter(
            "planner_promised_accuracy", "Sum of promised accuracies.", registry=self.registry
        )
        self._kept = Counter(
            "planner_feedback", "Feedback by what it says.", ("said",), registry=self.registry
        )
        self._reloads = Counter(
            "planner_reloads", "Artefacts taken or refused.", ("taken",), registry=self.registry
        )
        self._gauges: dict[str, Gauge] = {}

    def finish(self, decision: Decision) -> None:
        """Count a request that has ended."""
        self._requests.labels(decision.endpoint, decision.outcome).inc()
        self._tokens.labels("policy").inc(decision.spend.policy_tokens)
        self._tokens.labels("prm").inc(decision.spend.prm_tokens)
        self._flops.inc(decision.spend.flops)
        self._seconds.observe(decision.spend.seconds)
        if decision.outcome not in ("failed", "cancelled", "refused"):
            self._plans.labels(decision.policy, decision.prm or "", decision.plan.partition("(")[0]).inc()
            if decision.accuracy is not None:
                self._expected.inc(decision.accuracy)

    def hear(self, kept: float) -> None:
        """Count feedback; ``kept`` in [0, 1]."""
        self._kept.labels("right" if kept >= 0.5 else "wrong").inc()

    def reloaded(self, taken: bool) -> None:
        """Count an artefact."""
        self._reloads.labels(str(taken).lower()).inc()

    def set(self, name: str, value: float, help_text: str) -> None:
        """Set a gauge, made when it is first set."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"planner_{name}", help_text, registry=self.registry)
        self._gauges[name].set(value)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
