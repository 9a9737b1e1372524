"""Works on one request: within its budget, under its place in the queue, and writes down how it ended.

Everything that a response is made of comes from here; how it is sent does not matter here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from planner.server.access.exchange import Exchange
from planner.server.access.in_flight import Place
from planner.server.access.keys import Key
from planner.server.decisions.comparison import Comparison
from planner.server.direct.passthrough_cost import raw_tokens
from planner.server.models import MadeSettings
from planner.server.refusal import Refusal, is_refused
from planner.server.request.ask import Ask, ending
from planner.server.request.budget import check_time
from planner.server.request.choosing import is_shadowed
from planner.server.request.request_context import (
    RequestContext,
    expected_seconds,
    exploring,
    learn,
    load,
    planned_needs,
)
from planner.server.request.request_record import RequestRecord
from planner.server.request.serialize import receipt_head, receipt_of, spend_to_dict, usage_to_dict
from planner.server.request.shadow import Shadowed
from planner.server.request.shapes import Answers, said, shown
from planner.server.request.shaping import Meter, SampleObserver, ShapedEngine
from planner.server.request.structured import StructuredEngine
from planner.server.service import Service
from planner.solving.events import Event, Started
from planner.solving.request_run import Settings
from planner.solving.solution import Solution
from planner.solving.solver import solve
from planner.solving.stopping import EarlyStopping
from search.budget import Budget
from search.drawing import Drawing
from search.engines.prompted import PromptedEngine
from search.engines.protocol import Engine
from search.errors import ContextError, EngineError, RewardError
from search.prompts import Prompting
from search.result import Outcome
from search.scoring import together
from search.strategies.protocol import Setting
from search.voting.grouping import comparing_within

__all__ = ["Work"]


class Work:
    """One request's work. Raises Refusal for what can be known to be wrong before it.

    Several answers are worked on at the same time, each under an equal part of what is granted and all under
    its deadline. When one of them fails the others are cancelled, and what they had spent counts.

    Parameters
    ----------
    listener:
        Hears of events with the number of the answer they belong to.
    on_text:
        Hears of the text of a single answer as the policy writes it (plan ``cot``), with its number.
    on_queue:
        Hears how many wait before it, where it has to.
    beside:
        What it is compared with, of a plan that is run beside an answer: it has a queue of its own.
    """

    def __init__(
        self,
        service: Service,
        ask: Ask,
        key: Key,
        endpoint: str,
        response_id: str,
        *,
        listener: Callable[[Event, int], None] | None = None,
        on_text: Callable[[str, int], None] | None = None,
        on_queue: Callable[[int], None] | None = None,
        beside: Comparison | None = None,
    ) -> None:
        self._service = service
        self._admission = service.admission if beside is None else service.background.admission
        self._context = RequestContext.of(service, ask, key, endpoint, response_id)
        # refused before it waits, where that can be known
        check_time(self._context.budget.seconds, Exchange.now().seconds)
        self._context.resolve(service, self._context.budget)
        context = self._context
        shadowed = self._shadowed = (
            Shadowed(service, ask, response_id, context.first)
            if is_shadowed(service.rules, endpoint)
            else None
        )
        self._record = RequestRecord(
            service, context, (lambda: beside) if shadowed is None else (lambda: shadowed.comparison)
        )
        self._listener = listener
        self._on_text = on_text
        self._on_queue = on_queue
        self._budget = self._context.budget
        self._share = 1.0
        self._place: Place | None = None
        self._behind, self._began = Exchange.now().seconds, time.monotonic()
        self._trace = service.tracing.work(self._context)
        self._failed: set[str] = set()

    async def run(self) -> Answers:
        """Wait for a place, work, and write it down whatever comes."""
        self._began = time.monotonic()
        Exchange.now().is_worked_on = True
        outcome, text = "cancelled", ""
        error: Exception | None = None
        try:
            self._hold()
            if self._shadowed is not None:
                self._shadowed.begin()
            first = self._context.first
            if self._on_queue is not None and self._admission.must_wait(first):
                self._on_queue(self._admission.waiting)
            seconds = self._budget.seconds
            within = None if seconds is None else seconds - self._elapsed
            async with self._admission.enter(self._context.key.name, within, first) as place:
                self._share, self._place = place.share, place
                self._budget = self._budget.scaled(place.share)
                answers = await self._within_time()
            outcome = str(answers.solutions[0].outcome)
            text = said(answers.solutions[0])[0]
            return answers
        except Exception as failure:
            error, outcome = failure, "refused" if is_refused(failure) else "failed"
            raise
        finally:
            decision = self._record.write(outcome, error)
            prompts, spent = self._prompts, self._record.spend.policy_tokens
            self._trace.end(outcome, decision, (prompts, max(0, spent - prompts)))
            if self._shadowed is not None and error is None and outcome != "cancelled":
                self._shadowed.answered(text)  # readable or not: the sample holds the hard ones too

    def _hold(self) -> None:
        """Hold what it may spend of the key's limits, and keep within it. Raises Refusal."""
        service, context = self._service, self._context
        key = context.key
        needs = planned_needs(service, context) if key.is_limited else ()
        self._record.held = service.spending.hold(key, *needs)
        self._budget = self._budget.within(self._record.held.cap)

    @property
    def _prompts(self) -> int:
        """Tokens of the prompts, each policy's once."""
        return sum(answer.prompt for answer in self._record.answers)

    @property
    def _elapsed(self) -> float:
        """Seconds of a deadline that have passed: from the arrival to the work's making, and in it."""
        return self._behind + time.monotonic() - self._began

    async def _within_time(self) -> Answers:
        seconds = self._budget.seconds
        limit = None if seconds is None else max(0.0, seconds - self._elapsed) + self._service.rules.grace
        try:
            with comparing_within(self._service.rules.grading_within):
                async with asyncio.timeout(limit):
                    return await self._work()
        except TimeoutError as error:
            if limit is None:
                raise
            raise Refusal(
                f"a backend must end within {limit:g} s of work, got none that did{self._failure()}",
                504,
                code="deadline",
            ) from error

    async def _work(self) -> Answers:
        service, context = self._service, self._context
        budget = context.resolve(service, self._budget, self._elapsed)
        solutions = await together([self._answer(place, budget) for place in range(context.ask.n)])
        spend = self._record.spend
        head = receipt_head(context.response_id, context.ask, self._budget, self._share, context.reason)
        each = partial(
            receipt_of,
            head,
            include=context.ask.include,
            without=context.down,
            first=context.first,
            seconds=expected_seconds(service, context, solutions[0]),
        )
        if len(solutions) == 1:
            receipt = each(solutions[0])
        else:
            usd = [solution.usd for solution in solutions]
            whole = None if None in usd else sum(value for value in usd if value is not None)
            receipt = {**head, "spend": spend_to_dict(spend, whole), "choices": [*map(each, solutions)]}
        receipt["sampling"] = str(context.ask.sampling or "as the planner was fitted")
        if self._shadowed is not None:
            receipt["shadow"] = self._shadowed.told
        usage = usage_to_dict(spend, self._record.answers, self._prompts, sum(map(shown, solutions)))
        return Answers(tuple(solutions), usage, receipt)

    async def _answer(self, place: int, budget: Budget) -> Solution:
        solution = await self._solution(place, budget)
        self._record.solved(solution, place)
        learn(self._service, solution, budget)
        if solution.outcome == Outcome.DEADLINE:
            raise Refusal(
                f"a solution must end within {budget.seconds:.3g} s of work, got none{self._failure()}",
                504,
                code="deadline",
            )
        return solution

    def _failure(self) -> str:
        """What a policy of an answer failed with last, behind what has been said; "" if with nothing.

        A request's own failure, or what the server says while an engine waits for it.
        """
        engines = self._service.models.engines
        for answer in self._record.answers:
            running = self._context.first if answer.choice is None else answer.choice.policy
            found = answer.failure or (engines[running].last_failure if running in engines else "")
            if found:
                return f", the policy's backend failed: {found}"
        return ""

    async def _solution(self, place: int, budget: Budget) -> Solution:
        service, context, ask = self._service, self._context, self._context.ask
        answer = self._record.answers[place]

        def hear(event: Event) -> None:
            self._record.hear(event, place)
            self._trace.hear(event, place)
            if isinstance(event, Started):
                is_final = event.probe is None and event.choice.plan.is_greedy
                answer.passing = event.choice.policy if is_final else None
            if self._listener is not None:
                self._listener(event, place)

        models, seed = service.models, (ask.seed + place) % 2**63
        try:
            solution = await solve(
                ask.question,
                context.planner,
                self._settings(place),
                budget=budget,
                domain=context.domain,
                choice=context.choice,
                seed=seed,
                abstain_below=ask.abstain_below,
                allow_foreign=True,  # checked when the planner was loaded
                prices=service.rules.prices,
                latency=service.latency,
                load=lambda: load(service, context),
                availability=context.availability,
                decision_filter=exploring(service, context),
                early_stopping=None if ask.draw_all else EarlyStopping(service.rules.price),
                listener=hear,
            )
        except ContextError:  # the request's fault
            raise
        except (EngineError, RewardError) as error:  # a policy's server fails as both, a PRM as the latter
            running = answer.choice
            failed = (
                None if running is None else running.policy if isinstance(error, EngineError) else running.prm
            )
            if running is not None and running.plan.parts:
                failed = None  # nobody knows which of its policies it was
            if failed is not None:
                self._fail(failed)
            raise
        for gone in solution.lost:
            self._fail(gone)
        ran = {solution.choice.policy, solution.choice.prm} if not solution.choice.plan.parts else set()
        for name in ran - {None, *solution.lost}:
            models.answered(str(name))
        return solution

    def _fail(self, model: str) -> None:
        """A model did not answer: one failure, however many answers of the request met it."""
        if model not in self._failed:
            self._failed.add(model)
            self._service.models.failed(model)

    def _settings(self, place: int) -> Settings:
        """This request's view of the models: each of them made when it is first asked for."""
        models, forced = self._service.models, self._context.choice
        names, rewards = dict.fromkeys(models.engines), self._trace.rewards(models.rewards, place)
        prms = dict.fromkeys(rewards)
        if forced is not None:  # nobody else is asked
            asked = (forced, *forced.plan.walk())
            names = dict.fromkeys(each.policy for each in asked)
            prms = dict.fromkeys(each.prm for each in asked if each.prm is not None)
        views: dict[str, tuple[Engine, Drawing, Prompting]] = {}

        def make(policy: str, prm: str | None) -> Setting:
            if policy not in views:
                views[policy] = self._view(policy, place)
            engine, drawing, prompting = views[policy]
            return Setting(
                engine,
                None if prm is None else rewards[prm],
                drawing.sampling,
                drawing.limits,
                delimiter=prompting.delimiter,
                cancel_within=self._service.rules.cancel_within,
                words=self._context.planner.words,
            )

        return MadeSettings(names, prms, make)

    def _view(self, policy: str, place: int) -> tuple[Engine, Drawing, Prompting]:
        """A policy as this request asks it."""
        models, context = self._service.models, self._context
        ask, prompting = context.ask, context.prompting(policy)
        assert ask.turns is not None
        drawing = models.drawing(policy, context.planner.drawings.get(policy))
        if ask.max_tokens is not None:
            drawing = replace(drawing, limits=replace(drawing.limits, max_tokens=ask.max_tokens))
        meter = self._record.answers[place]
        observers = (*(() if self._place is None else (self._place,)), *self._trace.samples(place))
        if ask.is_structured and context.choice is not None and policy == context.choice.policy:
            return self._structured(policy, meter, observers), drawing, prompting
        engine, on_text = models.engines[policy], self._on_text
        if ask.effort is not None and (self._shadowed is not None or ask.plan is not None):
            engine = engine.at_effort(ask.effort)
        shaped = ShapedEngine(
            engine if prompting.is_plain else PromptedEngine(engine, prompting),
            ask.turns if prompting.is_plain else ending(ask.turns, prompting.ask(ask.question)),
            meter,
            policy=policy,
            render=models.renders.get(policy),
            stop=ask.stop,
            # several greedy answers would be copies of one
            greedy=ask.sampling or (drawing.sampling if ask.n > 1 else None),
            on_text=None if on_text is None else lambda text: on_text(text, place),
            observers=observers,
        )
        return shaped, drawing, prompting

    def _structured(
        self, policy: str, meter: Meter, observers: tuple[SampleObserver, ...]
    ) -> StructuredEngine:
        """A policy's own server, as an engine that answers with JSON or with a call of a tool."""
        service, ask = self._service, self._context.ask
        return StructuredEngine(
            service.models.known[policy].card,
            service.upstreams[policy],
            ask.raw,
            policy=policy,
            prompt_tokens=raw_tokens(ask),
            domain=self._context.domain,
            meter=meter,
            observers=observers,
        )
