"""OpenTelemetry traces, by the semantic conventions for generative AI, over OTLP/HTTP.

    POST /v1/chat/completions            the request (kind server)
      invoke_agent planner               its work: what was decided and spent
        probe, plan                      the stages: a look, then the plan that answers
          text_completion POLICY         a request to a policy (kind client)
            sample                       each solution or step that it wrote
          evaluation PRM                 a request to a PRM (kind client), its rewards as events

The standard variables switch it on and set it up (``planner.server.observing.trace``). Spans hold no text
unless ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` is true: then the question and the answer.

Source: https://github.com/open-telemetry/semantic-conventions-genai (status: development).
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from planner.server.access.exchange import Exchange
from planner.server.decisions.recorder import Decision
from planner.server.observing.trace import Tracing, WorkTrace, trace_headers
from planner.server.request.request_context import RequestContext
from planner.server.request.shaping import SampleObserver
from planner.solving.events import Decided, Ended, Event, Left, Lost, Started
from planner.version import __version__
from search.engines.protocol import ChildFinished, Request
from search.remote.trace_headers import TRACE
from search.rewards.borrowed import BorrowedReward
from search.rewards.protocol import Handle, Reward, Scored

__all__ = ["OtelTracing"]

_PRESENT: ContextVar[Span | None] = ContextVar("span", default=None)
_PROPAGATOR = TraceContextTextMapPropagator()


class OtelTracing(Tracing):
    """Sends spans to a collector.

    Parameters
    ----------
    exporter:
        Where spans go; by default to where the environment says.
    service:
        What the server is called, where the environment does not say.
    text:
        Whether questions and answers are sent too.
    """

    def __init__(
        self, exporter: SpanExporter | None = None, *, service: str | None = "planner", text: bool = False
    ) -> None:
        named = {"service.version": __version__} | ({} if service is None else {"service.name": service})
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("planner.server", __version__)
        self._text = text

    def begin(self, scope: Scope) -> None:
        context = _PROPAGATOR.extract(trace_headers(scope))
        span = self.span(scope["method"], context, SpanKind.SERVER)
        _PRESENT.set(span)
        told: dict[str, str] = {}
        _PROPAGATOR.inject(told, _under(span))
        TRACE.set(told)

    def end(self, exchange: Exchange) -> None:
        span = _PRESENT.get()
        if span is None:
            return
        _PRESENT.set(None)
        span.update_name(f"{exchange.method} {exchange.route}")
        span.set_attributes(
            {
                "http.request.method": exchange.method,
                "http.route": exchange.route,
                "url.path": exchange.route,
                "http.response.status_code": exchange.status,
                "planner.request_id": exchange.request_id,
            }
        )
        if exchange.cause is not None:
            span.set_attribute("error.type", exchange.cause)
            if exchange.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        span.end()

    def work(self, context: RequestContext) -> WorkTrace:
        return _Work(self, context, _PRESENT.get(), text=self._text)

    def passed(self, decision: Decision, sent: float, tokens: tuple[int, int]) -> None:
        name = "chat" if decision.endpoint != "completions" else "text_completion"
        parent = _under(_PRESENT.get())
        span = self._tracer.start_span(
            f"{name} {decision.policy}", parent, SpanKind.CLIENT, start_time=int(sent * 1e9)
        )
        span.set_attributes(
            {
                "gen_ai.operation.name": name,
                "gen_ai.provider.name": "openai",  # by the words that it speaks
                "gen_ai.request.model": decision.policy,
                "gen_ai.response.id": decision.decision_id,
            }
        )
        _tell(span, decision, tokens)
        span.end()

    async def close(self) -> None:
        await asyncio.to_thread(self._provider.shutdown)

    def span(self, name: str, context: Context | None, kind: SpanKind = SpanKind.INTERNAL) -> Span:
        """A span that begins now."""
        return self._tracer.start_span(name, context=context, kind=kind)

    def begun(self, name: str, parent: Span, at: int) -> Span:
        """A span that began at a time, in nanoseconds since the epoch."""
        return self._tracer.start_span(name, context=_under(parent), start_time=at)


class _Work(WorkTrace):
    """The spans of one request's work."""

    def __init__(
        self, tracing: OtelTracing, context: RequestContext, parent: Span | None, *, text: bool
    ) -> None:
        self._tracing, self._context, self._text = tracing, context, text
        self._span = tracing.span("invoke_agent planner", _under(parent))
        self._stages: dict[int, Span] = {}
        ask = context.ask
        self._span.set_attributes(
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.provider.name": "planner",
                "gen_ai.agent.name": "planner",
                "gen_ai.request.model": ask.model,
                "gen_ai.request.seed": ask.seed,
                "gen_ai.response.id": context.response_id,
            }
        )
        if ask.n != 1:
            self._span.set_attribute("gen_ai.request.choice.count", ask.n)
        if ask.max_tokens is not None:
            self._span.set_attribute("gen_ai.request.max_tokens", ask.max_tokens)
        if text:
            self._span.set_attribute("gen_ai.input.messages", _message("user", ask.question))

    def hear(self, event: Event, place: int) -> None:
        if isinstance(event, Decided):
            accuracy = event.advice.accuracy
            told: dict[str, int | float | str] = {"planner.stage": event.stage, "planner.answer": place}
            told["planner.plan"] = str(event.advice.choice.plan)
            if not math.isnan(accuracy):
                told["planner.expected_accuracy"] = accuracy
            self._span.add_event("planner.decided", told)
        elif isinstance(event, Started):
            self._end_stage(place)
            stage = self._stages[place] = self._tracing.span(
                "plan" if event.probe is None else "probe", _under(self._span)
            )
            stage.set_attributes({"planner.answer": place, "planner.policy": event.choice.policy})
            if event.choice.prm is not None:
                stage.set_attribute("planner.prm", event.choice.prm)
            if event.probe is None:
                stage.set_attribute("planner.plan", str(event.choice.plan))
            else:
                stage.set_attribute("planner.probe", str(event.probe))
        elif isinstance(event, Ended):
            self.stage(place).add_event(
                "planner.ended", {"planner.why": str(event.why), "planner.missing": event.missing}
            )
        elif isinstance(event, Lost):
            self.stage(place).add_event("planner.lost", {"planner.prm": event.prm})
        elif isinstance(event, Left):
            self._end_stage(place)

    def samples(self, place: int) -> tuple[SampleObserver, ...]:
        return (_Samples(self._tracing, self, place),)

    def rewards(self, rewards: Mapping[str, Reward], place: int) -> Mapping[str, Reward]:
        return {name: _Traced(reward, name, self._tracing, self, place) for name, reward in rewards.items()}

    def end(self, outcome: str, decision: Decision | None, tokens: tuple[int, int]) -> None:
        for place in list(self._stages):
            self._end_stage(place)
        self._span.set_attribute("planner.outcome", outcome)
        if decision is not None:
            _tell(self._span, decision, tokens)
            if self._text and decision.answer is not None:
                self._span.set_attribute("gen_ai.output.messages", _message("assistant", decision.answer))
        self._span.end()

    def stage(self, place: int) -> Span:
        """What runs for an answer now."""
        return self._stages.get(place, self._span)

    def _end_stage(self, place: int) -> None:
        stage = self._stages.pop(place, None)
        if stage is not None:
            stage.end()


class _Samples:
    """The spans of what policies are asked for an answer."""

    def __init__(self, tracing: OtelTracing, work: _Work, place: int) -> None:
        self._tracing, self._work, self._place = tracing, work, place
        self._calls: dict[str, tuple[Span, int, list[str], int]] = {}

    def on_asked(self, policy: str, request: Request) -> None:
        span = self._tracing.span(
            f"text_completion {policy}", _under(self._work.stage(self._place)), SpanKind.CLIENT
        )
        span.set_attributes(
            {
                "gen_ai.operation.name": "text_completion",
                "gen_ai.provider.name": "planner",
                "gen_ai.request.model": policy,
                "gen_ai.request.max_tokens": request.max_tokens,
                "gen_ai.request.temperature": request.sampling.temperature,
                "gen_ai.request.top_p": request.sampling.top_p,
                "gen_ai.request.top_k": request.sampling.top_k,
                "gen_ai.request.seed": request.seed,
                "gen_ai.request.choice.count": request.n,
                "gen_ai.usage.input_tokens": len(request.prompt),
            }
        )
        self._calls[request.request_id] = span, time.time_ns(), [], 0

    def on_finished(self, policy: str, request: Request, child: ChildFinished) -> None:
        call, began, reasons, tokens = self._calls[request.request_id]
        span = self._tracing.begun("sample", call, began)
        span.set_attributes(
            {
                "planner.sample": child.child,
                "gen_ai.usage.output_tokens": len(child.token_ids),
                "gen_ai.response.finish_reasons": [child.finish_reason],
            }
        )
        span.end()
        reasons.append(child.finish_reason)
        self._calls[request.request_id] = call, began, reasons, tokens + len(child.token_ids)

    def on_ended(self, policy: str, request: Request, error: BaseException | None) -> None:
        call, _, reasons, tokens = self._calls.pop(request.request_id)
        call.set_attribute("gen_ai.usage.output_tokens", tokens)
        call.set_attribute("gen_ai.response.finish_reasons", reasons)
        _close(call, error)


class _Traced(BorrowedReward):
    """A PRM whose work is heard of. Closing it closes nothing."""

    def __init__(self, reward: Reward, name: str, tracing: OtelTracing, work: _Work, place: int) -> None:
        super().__init__(reward)
        self._name, self._place = name, place
        self._tracing, self._work = tracing, work

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        span = self._tracing.span(
            f"evaluation {self._name}", _under(self._work.stage(self._place)), SpanKind.CLIENT
        )
        span.set_attributes(
            {
                "gen_ai.operation.name": "evaluation",
                "gen_ai.provider.name": "planner",
                "gen_ai.request.model": self._name,
                "planner.steps": len(steps),
            }
        )
        error: BaseException | None = None
        try:
            scored = await self.reward.extend(handle, steps)
        except BaseException as failure:
            error = failure
            raise
        else:
            span.set_attribute("gen_ai.usage.input_tokens", scored.usage.logical_tokens)
            for step, reward in enumerate(scored.rewards, len(handle.steps)):
                span.add_event(
                    "gen_ai.evaluation.result",
                    {
                        "gen_ai.evaluation.name": self._name,
                        "gen_ai.evaluation.score.value": reward,
                        "planner.step": step,
                    },
                )
            return scored
        finally:
            _close(span, error)


def _tell(span: Span, decision: Decision, tokens: tuple[int, int]) -> None:
    """What was decided and spent."""
    span.set_attributes(
        {
            "gen_ai.response.model": decision.policy,
            "gen_ai.usage.input_tokens": tokens[0],
            "gen_ai.usage.output_tokens": tokens[1],
            "planner.plan": decision.plan,
            "planner.outcome": decision.outcome,
            "planner.prm_tokens": decision.spend.prm_tokens,
            "planner.flops": decision.spend.flops,
            "planner.candidates": len(decision.candidates),
        }
    )
    for name, value in (
        ("planner.prm", decision.prm),
        ("planner.reason", decision.reason),
        ("planner.expected_accuracy", decision.accuracy),
        ("planner.usd", decision.spent_usd),
        ("error.type", decision.error),
    ):
        if value is not None:
            span.set_attribute(name, value)
    if decision.outcome == "failed":
        span.set_status(Status(StatusCode.ERROR))


def _under(parent: Span | None) -> Context | None:
    return None if parent is None else set_span_in_context(parent)


def _close(span: Span, error: BaseException | None) -> None:
    """End a span; an error is told by its class. What is cancelled is no error."""
    if error is not None and isinstance(error, Exception):
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def _message(role: str, text: str) -> str:
    """One message, as the conventions write them in JSON."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])
