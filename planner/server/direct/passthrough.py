"""Passthrough: requests without a plan go to the policy's own server unchanged and return with a receipt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

from planner.server.access.exchange import Exchange
from planner.server.access.in_flight import Place
from planner.server.access.keys import ANYONE, Key
from planner.server.access.limits import Held
from planner.server.decisions.recorder import Decision
from planner.server.direct.passthrough_cost import PassthroughCost, StreamUsage, cached_of, usage_of
from planner.server.direct.upstream import check_whole, says
from planner.server.observing.rolling_metrics import Finished
from planner.server.refusal import Refusal, is_refused, refusal_of
from planner.server.request.ask import Ask
from planner.server.request.budget import check_time, to_wire
from planner.server.request.choosing import is_shadowed
from planner.server.request.serialize import Reason, passthrough_receipt, receipt_head
from planner.server.request.shadow import Shadowed
from planner.server.request.shapes import Shape
from planner.server.service import Service
from planner.solving.events import EndReason
from search.budget import UNLIMITED
from search.errors import UnreachableError
from search.result import Outcome, Spend

__all__ = ["Passthrough", "passthrough_reason"]

_DETAILS = {
    "tools": "tools change what an answer is: the policy answers once",
    "images": "images are for the policy to see: it answers once",
}


def passthrough_reason(code: str) -> Reason:
    """The word and the sentence for it."""
    return Reason(code, _DETAILS.get(code, f"{code} is for the policy's server: it answers once"))


class Passthrough:
    """One request to the policy's own server."""

    def __init__(
        self,
        service: Service,
        shape: Shape,
        ask: Ask,
        key: Key,
        response_id: str,
        reason: Reason,
    ) -> None:
        asked = ask.named or ask.policy or service.rules.plain_policy
        if asked is not None and asked not in service.models.policies:
            there = ", ".join(service.models.policies)
            raise Refusal(f"policy must be one of {there}, got {asked[:80]!r}", param="policy")
        upstream = service.passing(asked)
        if upstream is None:
            raise Refusal(
                f"{reason.code} needs a policy behind its own server (--base-url, --models), "
                "got an embedded one",
                param=reason.code,
                code="unsupported",
            )
        self._service = service
        self._upstream = upstream
        self._shape = shape
        self._ask = ask
        self._key = key
        self._id = response_id
        self._writer = shape.writer(response_id, int(time.time()), ask.model)
        self._reason = reason
        self._exchange = Exchange.now()
        self._arrived = time.time() - self._exchange.seconds
        self._shadowed = (
            Shadowed(service, ask, response_id, upstream.policy)
            if is_shadowed(service.rules, shape.endpoint)
            else None
        )
        # in shadow mode nothing that is asked of the planner binds the plain model
        allowed = ask.budget if self._shadowed is None else UNLIMITED
        self._budget = allowed.within(service.rules.ceiling)
        self._text = ""
        self._usage: dict[str, int] | None = None
        self._cached = 0  # of the prompt's tokens
        self._pieces = 0
        self._open = set(range(ask.n))  # choices that have not ended
        self._is_late = False
        self._is_sent, self._sent = False, 0.0
        self._waited = 0.0  # seconds, for the policy's server
        self._share = 1.0
        # refused before it waits, where that can be known
        check_time(self._budget.seconds, self._exchange.seconds)
        self._cost = PassthroughCost(ask, self._budget, service, self._upstream.policy)
        self._held: Held | None = None  # of the key's limits

    async def run(self) -> dict[str, Any]:
        """The whole response. Raises Refusal: 504 at the deadline."""
        outcome: str = "cancelled"
        error: Exception | None = None
        self._exchange.is_worked_on = True
        try:
            self._begin()
            async with self._enter() as place:
                self._share = place.share
                body = self._cost.body(self._share)
                self._send(place)
                began = time.monotonic()
                async with asyncio.timeout(self._left):
                    found = await self._upstream.ask(self._shape.path, body)
                self._waited = time.monotonic() - began
            self._usage, self._cached = usage_of(found), cached_of(found)  # charged, whole or not
            if self._usage is None and found.get("choices"):
                self._usage = self._cost.estimate_of(found)
                found["usage"] = _total(self._usage)
            check_whole(found, "message" if self._shape.is_chat else "text")
            own = {"id": self._id, "model": self._ask.model, "planner": self._receipt()}
            body = self._writer.body({**found, **own})
            outcome = str(Outcome.ANSWERED)
            self._hear(found)
            return body
        except TimeoutError as late:
            outcome, error = "failed", late
            if self._budget.seconds is None:
                raise
            raise self._late from late
        except Exception as failure:
            outcome, error = "refused" if is_refused(failure) else "failed", failure
            raise
        finally:
            self._finish(outcome, error)

    async def lines(self) -> AsyncGenerator[bytes]:
        """The lines of a stream; the last chunk with a finish reason carries the receipt.

        That chunk waits for the usage, which servers send after it. At the deadline what has come ends with
        the reason ``length``. What goes wrong before the first piece of text raises, since nothing is sent
        before; later an error is the last line.
        """
        outcome, error = "cancelled", None
        is_begun, write = False, self._writer.chunk
        self._exchange.is_worked_on = True
        try:
            self._begin()
            async with self._enter() as place:
                self._share = place.share
                body = {**self._cost.body(self._share), "stream_options": {"include_usage": True}}
                self._send(place)
                early: list[bytes] = []
                held: dict[str, Any] | None = None
                last: dict[str, Any] | None = None
                told = StreamUsage()
                async with aclosing(self._upstream.stream(self._shape.path, body)) as chunks:
                    while (chunk := await self._next(chunks)) is not None:
                        chunk = {**chunk, "id": self._id, "model": self._ask.model}
                        told.hear(chunk)
                        self._usage, self._cached = told.tokens, told.cached
                        choices = chunk.get("choices")
                        if not choices:
                            last = chunk
                            continue
                        if not self._ask.include_usage:
                            chunk.pop("usage", None)
                        self._pieces += sum(map(says, choices))
                        self._hear(chunk)
                        ended = [choice["index"] for choice in choices if choice["finish_reason"]]
                        if not (self._pieces or ended):
                            early.append(write(chunk))
                            continue
                        for line in early:
                            is_begun = True
                            yield line
                        early = []
                        if held is not None:
                            line = write(held)
                            is_begun = True
                            yield line
                            held = None
                        self._open.difference_update(ended)
                        if ended or not self._open:  # some go on after their end
                            held = chunk
                        else:
                            line = write(chunk)
                            is_begun = True
                            yield line
                if self._is_late and self._open:
                    if not self._pieces:
                        raise self._late
                    if held is not None:
                        yield write(held)
                    *others, held = self._cut_off()
                    for each in others:
                        yield write(each)
                self._usage = self._came(self._usage) or self._cost.estimate(self._pieces, self._share)
                if held is not None:
                    line = write({**held, "planner": self._receipt()})
                    is_begun = True
                    yield line
                if self._ask.include_usage:
                    whole = last if last is not None and usage_of(last) is not None else self._usage_chunk()
                    yield write({**whole, "planner": self._receipt()})
                outcome = str(Outcome.ANSWERED)
                yield self._writer.done()
        except Exception as failure:
            outcome, error = "refused" if not is_begun and is_refused(failure) else "failed", failure
            if not is_begun:
                raise
            yield self._writer.error(refusal_of(failure))
        finally:
            self._finish(outcome, error)

    def _enter(self) -> AbstractAsyncContextManager[Place]:
        """A place, within the time that is left."""
        return self._service.admission.enter(self._key.name, self._left, self._upstream.policy)

    def _send(self, place: Place) -> None:
        """It goes to the policy's server."""
        self._is_sent, self._sent = True, time.time()
        place.asked(self._upstream.policy, self._ask.n)

    def _begin(self) -> None:
        """Raises Refusal where the key's limits do not hold it."""
        needs = self._cost.needs(self._key)
        self._held = self._service.spending.hold(self._key, needs, needs)
        if self._shadowed is not None:
            self._shadowed.begin()

    def _hear(self, found: Mapping[str, Any]) -> None:
        """In shadow mode, keep the text of the first choice."""
        if self._shadowed is None:
            return
        for choice in found.get("choices") or ():
            if choice.get("index", 0) == 0:
                said = choice.get("message") or choice.get("delta") or choice
                text = said.get("content", said.get("text"))
                self._text += text if isinstance(text, str) else ""

    def _usage_chunk(self) -> dict[str, Any]:
        """The last chunk, where the policy's server sends none."""
        return self._shape.usage(self._id, int(self._arrived), self._ask.model, _total(self._usage or {}))

    def _came(self, usage: dict[str, int] | None) -> dict[str, int] | None:
        """What was told, or the pieces that came where those are more: a usage may be told too early."""
        if usage is None:
            return None
        return {**usage, "completion_tokens": max(usage["completion_tokens"], self._pieces)}

    async def _next(self, chunks: AsyncGenerator[dict[str, Any]]) -> dict[str, Any] | None:
        """The next chunk; None at the end, and at the deadline."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._left):
                return await anext(chunks)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            self._is_late = True
            return None
        finally:
            self._waited += time.monotonic() - began

    def _cut_off(self) -> list[dict[str, Any]]:
        """Chunks that end the choices which are open."""
        head = self._id, int(self._arrived), self._ask.model
        return [self._shape.piece(*head, place, finish_reason="length") for place in sorted(self._open)]

    @property
    def _left(self) -> float | None:
        """Seconds until the answer must leave; None without a deadline."""
        seconds = self._budget.seconds
        if seconds is None:
            return None
        margin = self._service.latency.margin(seconds)
        return max(0.0, seconds - margin - self._exchange.seconds)

    @property
    def _late(self) -> Refusal:
        return Refusal(
            f"the policy's server must answer within {self._budget.seconds:g} s, got no whole answer",
            504,
            code="deadline",
        )

    @property
    def _spend(self) -> Spend:
        tokens = sum((self._usage or {}).values())
        return Spend(
            policy_tokens=tokens,
            prm_tokens=0,
            physical_policy_tokens=tokens,
            physical_prm_tokens=0,
            flops=self._cost.card.flops(tokens),
            seconds=self._exchange.seconds,
        )

    def _receipt(self) -> dict[str, Any]:
        head = receipt_head(self._id, self._ask, self._budget, self._share, self._reason)
        ended = str(EndReason.DEADLINE) if self._is_late and self._open else None
        receipt = passthrough_receipt(head, self._upstream.policy, self._spend, ended, self._usd)
        return receipt if self._shadowed is None else {**receipt, "shadow": self._shadowed.told}

    @property
    def _usd(self) -> float | None:
        """Money that it took; None where the policy's price is not known."""
        return self._cost.usd(self._usage, self._cached)

    def _mark(self, outcome: str, error: Exception | None) -> None:
        """Whether the policy's server could be reached, and how it took it."""
        models, policy = self._service.models, self._upstream.policy
        flights = self._service.admission.flights
        if outcome == str(Outcome.ANSWERED):
            models.answered(policy)
            tokens = (self._usage or {}).get("completion_tokens", 0)
            for _ in range(self._ask.n):
                flights.done(policy, self._waited, tokens // self._ask.n)
        elif self._is_sent and isinstance(error, Refusal) and error.status in (429, 503):
            flights.refused(policy)
        elif error is not None and isinstance(error.__cause__, UnreachableError):
            models.failed(policy)

    def _finish(self, outcome: str, error: Exception | None) -> None:
        self._mark(outcome, error)
        is_free = isinstance(error, Refusal) and not self._pieces and not self._is_late
        if self._ask.stream and error is not None:
            self._usage = self._came(self._usage)
        if self._is_sent and self._usage is None and not is_free:
            self._usage = self._cost.estimate(self._pieces, self._share)  # it was cut off
        service, spend = self._service, self._spend
        service.rates.spent(self._key, spend.tokens)
        if self._held is not None:
            self._held.settle(spend.tokens, self._usd)
        is_busy = isinstance(error, Refusal) and error.status == 429
        if outcome == "refused" and not spend.tokens and (is_busy or not self._is_sent):
            service.rolling.refuse()
            return
        comparison = None if self._shadowed is None else self._shadowed.comparison
        plain = None if comparison is None else comparison.plain
        decision = Decision(
            decision_id=self._id,
            created=self._arrived,
            endpoint=self._shape.endpoint,
            key=None if self._key is ANYONE else self._key.name,
            question=self._ask.question,
            domain="text",
            planner=None,
            budget=to_wire(self._ask.budget),
            budget_source=str(self._ask.source),
            reason=self._reason.code,
            policy=self._upstream.policy,
            prm=None,
            plan="cot()",
            answer=None,
            outcome=outcome,
            accuracy=None if plain is None else plain.accuracy,
            tokens=None if plain is None else plain.tokens,
            flops=None if plain is None else plain.flops,
            seconds=None,
            usd=None,
            propensity=1.0,
            steps=(),
            candidates=(),
            chosen=None,
            spend=spend,
            spent_usd=self._usd,
            error=None if error is None else type(error).__name__,
            comparison=comparison,
        )
        service.recorder.record(decision)
        if self._is_sent:
            usage = self._usage or {}
            tokens = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
            service.tracing.passed(decision, self._sent, tokens)
        service.metrics.finish(decision)
        service.rolling.finish(
            Finished(
                at=time.time(),
                outcome=outcome,
                policy=decision.policy,
                prm=None,
                plan="cot()",
                seconds=spend.seconds,
                tokens=spend.tokens,
                flops=spend.flops,
                usd=decision.spent_usd,
                deadline=self._budget.seconds,
            )
        )
        if self._shadowed is not None and outcome == str(Outcome.ANSWERED):
            self._shadowed.answered(self._text)


def _total(usage: Mapping[str, int]) -> dict[str, int]:
    """A usage as responses have it."""
    return {**usage, "total_tokens": sum(usage.values())}
