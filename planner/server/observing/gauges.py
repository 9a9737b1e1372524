"""Gauges: how the parts of a server are at this moment, written into its figures when those are asked for."""

from __future__ import annotations

from planner.server.challenge.watching import ChallengeWatch
from planner.server.service import Service

__all__ = ["set_gauges"]


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
