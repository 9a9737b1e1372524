"""Works on one request: within its terms, under its place in the queue, and writes down what was decided.

Everything that a response is made of comes from here; how it is sent does not matter here.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from planner.events import Decided, Event, Left, Started, Why
from planner.executor import Settings, Solution, perform, solve
from planner.exploration import Exploration
from planner.hurry import Hurry
from planner.latency import Work as Seen
from planner.options import Option, options, voting
from planner.planner import Planner
from planner.recommendation import Recommendation
from planner.server.admission import Ticket
from planner.server.ask import Ask
from planner.server.budget import Granted
from planner.server.choosing import NO_PRM, barring, first_policy
from planner.server.keys import Key
from planner.server.receipt import Reason, Receipt, usage_told
from planner.server.recorder import Decision, Step
from planner.server.refusal import Refusal
from planner.server.service import Service
from planner.server.shaping import Meter, ShapedEngine
from planner.server.terms import Terms
from planner.server.window import Finished
from planner.steering import Steering
from planner.stopping import Patience
from search.choice import Choice
from search.errors import EngineError, RewardError
from search.grading.registry import DOMAINS, guess_domain
from search.plan import Plan
from search.result import Outcome, Spend

__all__ = ["Answer", "Answers", "Work"]

_UNVOTED = Reason(
    "open_ended", "no domain claims this question, so answers cannot be compared: the policy answers once"
)
_FORCED = Reason("forced_plan", "the model's name forces a plan")
_NAMED = Reason("policy", "the model's name is a policy's: it answers once")


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of a response: its text, why it ended (``stop`` or ``length``), and how it came about."""

    text: str
    finish_reason: str
    solution: Solution


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything a response holds."""

    answers: tuple[Answer, ...]
    usage: dict[str, Any]
    receipt: dict[str, Any]


@dataclass(slots=True)
class _Log:
    """What happened so far, for a request that may end at any moment."""

    advice: list[tuple[Decided, Spend]] = field(default_factory=list)
    spend: Spend = field(default_factory=Spend)
    choice: Choice | None = None
    solutions: list[Solution] = field(default_factory=list)


class Work:
    """One request's work.

    Parameters
    ----------
    listener:
        Hears of events with the number of the answer they belong to.
    on_text:
        Hears of the text of a single answer as the policy writes it (plan ``cot``), with its number.
    """

    def __init__(
        self,
        service: Service,
        ask: Ask,
        granted: Granted,
        key: Key,
        endpoint: str,
        response_id: str,
        *,
        listener: Callable[[Event, int], None] | None = None,
        on_text: Callable[[str, int], None] | None = None,
        on_queue: Callable[[int], None] | None = None,
    ) -> None:
        self._service = service
        self._ask = ask
        self._granted = granted
        self._key = key
        self._endpoint = endpoint
        self._id = response_id
        self._listener = listener
        self._on_text = on_text
        self._on_queue = on_queue
        self._came = time.time()
        self._clock = time.monotonic()
        self._log = _Log()
        self._done = Spend()  # of answers that are finished
        self._meters: list[Meter] = []
        self._served = service.current.served
        self._allowance = granted.allowance.under(service.rules.ceiling)
        self._domain, self._voteable = self._read_domain()
        self._down = service.models.down
        self._planner = self._served.planner
        self._bars = barring(self._served, service.models, ask.policy, ask.prm)
        self._first = first_policy(self._served, service.models, ask.policy)
        self._choice, self._reason = self._forced()
        # refused before it waits, where that can be known
        self._terms(0.0)

    async def run(self) -> Answers:
        """Wait for a place, work, and write the decision down whatever comes."""
        service = self._service
        outcome = "cancelled"
        error: Exception | None = None
        try:
            if self._on_queue is not None and service.admission.is_full:
                self._on_queue(service.admission.waiting)
            async with self._place() as ticket:
                self._share = ticket.share
                self._allowance = self._allowance.shrunk(ticket.share)
                answers = await self._within_time(ticket.waited)
            outcome = str(answers.answers[0].solution.outcome)
            return answers
        except Refusal as refusal:
            error, outcome = refusal, "refused" if refusal.status < 500 else "failed"
            raise
        except Exception as failure:
            error, outcome = failure, "failed"
            raise
        finally:
            self._finish(outcome, error)

    # ---- before

    _share = 1.0

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[Ticket]:
        """A place among the running requests. Raises Refusal: 429 beyond the queue, 504 at the deadline."""
        seconds = self._allowance.seconds
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(seconds):
                    entering = self._service.admission.enter(self._key.name)
                    ticket = await stack.enter_async_context(entering)
            except TimeoutError as error:
                raise Refusal(
                    f"a place must be free within {seconds:g} s, got none", 504, code="deadline"
                ) from error
            yield ticket

    def _read_domain(self) -> tuple[str, bool]:
        """What reads answers, and whether they can be compared at all."""
        asked = self._ask.domain or self._service.rules.domain
        if asked is not None:
            if asked not in DOMAINS:
                raise Refusal(f"domain must be one of {', '.join(DOMAINS)}, got {asked!r}", param="domain")
            return asked, True
        guessed = guess_domain(self._ask.question)
        if guessed is None or guessed.name not in self._served.planner.domains:
            return "text", False
        return guessed.name, True

    def _forced(self) -> tuple[Choice | None, Reason | None]:
        """The choice that the request's words force, and why the planner does not choose."""
        granted, models = self._granted, self._service.models
        if granted.plan is None:
            return (None, None) if self._voteable else (Choice(self._first, None, Plan.of("cot")), _UNVOTED)
        policy = granted.policy or self._first
        prm = None
        if granted.plan.needs_prm:
            prm = self._ask.prm or _best_prm(self._served.planner, policy, models.prms)
            if prm is None or prm == NO_PRM:
                raise Refusal(f"the plan {granted.plan} needs a PRM, got none", param="prm")
            if prm in models.down:
                raise Refusal(
                    f"the PRM {prm} must answer, got none lately", 503, param="prm", code="prm_failed"
                )
        if granted.plan.n > self._service.rules.sizes.samples:
            raise Refusal(
                f"a plan has at most {self._service.rules.sizes.samples} samples, got {granted.plan}",
                param="model",
                code="too_large",
            )
        return Choice(policy, prm, granted.plan), _NAMED if granted.policy else _FORCED

    def _terms(self, waited: float) -> Terms:
        rules = self._service.rules
        return Terms.of(
            self._allowance,
            self._planner,
            self._ask.question,
            price=rules.price,
            prices=rules.prices,
            waited=waited + self._service.latency.margin,
            shares=self._ask.n,
        )

    # ---- the work

    async def _within_time(self, waited: float) -> Answers:
        seconds = self._allowance.seconds
        limit = None if seconds is None else max(0.0, seconds - waited) + self._service.rules.grace
        try:
            async with asyncio.timeout(limit):
                return await self._work(waited)
        except TimeoutError as error:
            raise Refusal(
                f"a backend must end within {limit:g} s of work, got none that did", 504, code="deadline"
            ) from error

    async def _work(self, waited: float) -> Answers:
        terms = self._terms(waited)
        answers: list[Answer] = []
        for place in range(self._ask.n):
            answers.append(await self._answer(place, terms))
            self._done = self._done + answers[-1].solution.spend
        spend = self._done
        shown = sum(_shown(answer.solution) for answer in answers)
        prompts = sum(meter.prompt for meter in self._meters if meter.prompt_tokens)
        receipt = Receipt(
            self._id,
            self._granted,
            self._allowance,
            self._share,
            self._reason,
            self._down,
            self._first,
            self._expected_seconds(answers[0].solution),
        )
        include = self._ask.include
        if len(answers) == 1:
            told = receipt.of(answers[0].solution, include)
        else:
            usd = [answer.solution.usd for answer in answers]
            whole = None if None in usd else sum(value for value in usd if value is not None)
            told = receipt.of_several((answer.solution for answer in answers), spend, whole, include)
        told["sampling"] = str(self._ask.sampling or "as the planner was fitted")
        return Answers(tuple(answers), usage_told(spend, self._meters, prompts, shown), told)

    async def _answer(self, place: int, terms: Terms) -> Answer:
        service, ask = self._service, self._ask
        settings, engines = self._settings(place)

        def hear(event: Event) -> None:
            self._hear(event)
            if isinstance(event, Started):
                is_final = event.look is None and event.choice.plan.strategy == "cot"
                for name, engine in engines.items():
                    engine.passing = is_final and name == event.choice.policy
            if self._listener is not None:
                self._listener(event, place)

        seed = (ask.seed + place) % 2**63
        patience = Patience(service.rules.price)
        try:
            if self._choice is not None:
                solution = await perform(
                    ask.question,
                    self._choice,
                    settings,
                    budget=terms.budget,
                    prices=service.rules.prices,
                    domain=self._domain,
                    seed=seed,
                    patience=patience,
                    listener=hear,
                )
            else:
                solution = await solve(
                    ask.question,
                    self._planner,
                    settings,
                    objective=terms.objective,
                    cap=terms.cap,
                    budget=terms.budget,
                    prices=service.rules.prices,
                    domain=self._domain,
                    seed=seed,
                    voteable=self._voteable,
                    abstain_below=ask.abstain_below,
                    allow_foreign=True,  # checked when the planner was loaded
                    steering=self._steering(terms),
                    patience=patience,
                    listener=hear,
                )
        except RewardError:
            if self._choice is not None and self._choice.prm is not None:
                service.models.failed(self._choice.prm)
            raise
        except EngineError:
            service.models.failed(
                (self._log.choice or Choice(service.models.policies[0], None, Plan.of("cot"))).policy
            )
            raise
        self._learn(solution, terms)
        for prm in solution.lost:
            service.models.failed(prm)
        for name in {solution.choice.policy, solution.choice.prm} - {None, *solution.lost}:
            service.models.answered(str(name))
        self._log.solutions.append(solution)
        if solution.outcome == Outcome.DEADLINE:
            raise Refusal(
                f"a solution must end within {terms.budget.seconds:.3g} s of work, got none",
                504,
                code="deadline",
            )
        return _answer_of(solution)

    def _steering(self, terms: Terms) -> Steering:
        """Without what is barred, within the deadline, and exploring where that is switched on."""
        service = self._service
        explore = service.rules.explore
        steering = Steering()
        if explore:
            steering = Exploration(explore, len(self._planner.stages), Random())
        if terms.budget.seconds is not None and math.isfinite(terms.budget.seconds):
            ends = time.monotonic() + terms.budget.seconds

            def left() -> float:
                return max(0.0, ends - time.monotonic())

            steering = Hurry(service.latency, left, lambda: service.admission.running, steering)
        return self._bars.wrapping(steering)

    def _expected_seconds(self, solution: Solution) -> float | None:
        """What the first decision would have taken by what was known then; None where that is nothing."""
        if not solution.stages:
            return None
        advice = solution.stages[0].advice
        load = self._service.admission.running
        found = self._service.latency.predict(Seen.of(advice.choice), advice.tokens, load)
        return None if found is None else found.mean

    def _learn(self, solution: Solution, terms: Terms) -> None:
        """Let the latency model see what each stage took."""
        latency, load = self._service.latency, self._service.admission.running
        for record in solution.stages:
            look, drawn = record.advice.look, record.look.samples
            if look is None:
                ran = Seen.of(record.advice.choice, drawn)
            else:
                ran = Seen(look.policy, look.prm, max(1, look.samples - drawn), False)
            # what was cut off tells too: so many tokens took so long
            latency.observe(ran, record.spend.tokens, record.spend.seconds, load)
        if solution.ended == Why.DEADLINE and terms.budget.seconds is not None:
            latency.overran(solution.spend.seconds - terms.budget.seconds)

    def _settings(self, place: int) -> tuple[Settings, dict[str, ShapedEngine]]:
        """This request's view of the models."""
        models, ask = self._service.models, self._ask
        assert ask.conversation is not None
        engines: dict[str, ShapedEngine] = {}
        for name, engine in models.engines.items():
            meter = Meter()
            engines[name] = ShapedEngine(
                engine,
                ask.conversation,
                meter,
                render=models.renders.get(name),
                stop=ask.stop,
                greedy=ask.sampling,
                on_text=None if self._on_text is None else lambda text: self._on_text(text, place),  # type: ignore[misc]
            )
            self._meters.append(meter)
        limits = models.limits
        if ask.max_tokens is not None:
            limits = replace(limits, max_tokens=ask.max_tokens)
        return models.settings(engines, limits), engines

    # ---- after

    def _hear(self, event: Event) -> None:
        log = self._log
        log.spend = event.spend
        if isinstance(event, Decided):
            log.advice.append((event, event.spend))
        elif isinstance(event, Started):
            log.choice = event.choice
        elif isinstance(event, Left):
            self._done = self._done + event.spend

    def _finish(self, outcome: str, error: Exception | None) -> None:
        """Tell the log, the rates and the window."""
        service = self._service
        spend = self._done
        service.rates.spent(self._key, spend.tokens)
        if outcome == "refused" and spend == Spend():
            service.window.refuse()
            return
        solution = self._log.solutions[0] if self._log.solutions else None
        decision = self._decision(outcome, solution, spend, error)
        service.recorder.record(decision)
        service.metrics.finish(decision)
        service.window.finish(self._finished(decision, solution))

    def _decision(
        self, outcome: str, solution: Solution | None, spend: Spend, error: Exception | None
    ) -> Decision:
        choice = solution.choice if solution is not None else self._choice or self._log.choice
        if choice is None:
            choice = Choice(self._first, None, Plan.of("cot"))
        steps = self._steps(solution)
        propensity = 1.0
        for step in steps:
            propensity *= step.propensity
        return Decision(
            decision_id=self._id,
            created=self._came,
            endpoint=self._endpoint,
            key=None if self._key.name == "anyone" else self._key.name,
            question=self._ask.question,
            domain=self._domain,
            planner=None if self._choice is not None else self._served.fingerprint,
            budget=self._granted.allowance.asked,
            budget_source=str(self._granted.source),
            reason=None if self._reason is None else self._reason.code,
            policy=choice.policy,
            prm=choice.prm,
            plan=str(choice.plan),
            answer=None if solution is None else solution.answer,
            outcome=outcome,
            accuracy=None if solution is None else _known(solution.accuracy),
            tokens=None if solution is None else _known(solution.tokens),
            flops=None if solution is None else _known(solution.flops),
            seconds=None if solution is None else self._expected_seconds(solution),
            usd=None,
            propensity=propensity,
            steps=steps,
            candidates=() if solution is None else solution.candidates,
            chosen=None if solution is None else solution.chosen,
            spend=replace(spend, seconds=time.monotonic() - self._clock),
            spent_usd=None if solution is None else solution.usd,
            error=None if error is None else type(error).__name__,
        )

    def _steps(self, solution: Solution | None) -> tuple[Step, ...]:
        if solution is not None:
            return tuple(_step(str(r.look), r.advice, r.spend) for r in solution.stages)
        out: list[Step] = []
        told = self._log.advice
        for place, (event, before) in enumerate(told):
            after = told[place + 1][1] if place + 1 < len(told) else self._log.spend
            spent = Spend(
                after.policy_tokens - before.policy_tokens,
                after.prm_tokens - before.prm_tokens,
                flops=after.flops - before.flops,
                seconds=after.seconds - before.seconds,
            )
            out.append(_step(str(event.look), event.advice, spent))
        return tuple(out)

    def _finished(self, decision: Decision, solution: Solution | None) -> Finished:
        majority, never = None, False
        if solution is not None and solution.stages and self._voteable:
            promised = solution.stages[0].advice.accuracy
            found: Sequence[Option] = options(self._served.planner, self._ask.question)
            vote = voting(found, self._first, promised)
            if vote is not None:
                majority, never = vote.option.flops, vote.never
        return Finished(
            at=time.time(),
            outcome=decision.outcome,
            policy=decision.policy,
            prm=decision.prm,
            plan=decision.plan,
            seconds=decision.spend.seconds,
            tokens=decision.spend.tokens,
            flops=decision.spend.flops,
            promised=decision.accuracy,
            expected=decision.tokens,
            majority=majority,
            never=never,
            deadline=self._allowance.seconds,
        )


def _step(look: str, advice: Recommendation, spend: Spend) -> Step:
    features = () if advice.features is None else tuple(advice.features.tolist())
    return Step(
        look,
        None if advice.look is None else str(advice.look),
        advice.choice.policy,
        advice.choice.prm,
        str(advice.choice.plan),
        _known(advice.accuracy),
        advice.tokens,
        advice.flops,
        advice.propensity,
        features,
        spend,
    )


def _answer_of(solution: Solution) -> Answer:
    chosen = solution.chosen
    if chosen is None and solution.candidates:
        chosen = 0  # nothing can be read from any: the first is shown
    if chosen is None:  # the budget or the time let nothing finish
        return Answer("", "stop" if solution.outcome == Outcome.ABSTAINED else "length", solution)
    candidate = solution.candidates[chosen]
    return Answer(candidate.text, "length" if candidate.finish_reason == "length" else "stop", solution)


def _shown(solution: Solution) -> int:
    """Tokens of the solution that is sent."""
    if not solution.candidates:
        return 0
    return solution.candidates[solution.chosen or 0].tokens


def _best_prm(planner: Planner, policy: str, prms: Sequence[str]) -> str | None:
    """The PRM that told right from wrong best in training, of those that are there."""
    known = planner.card.get("prm_auroc_within_problems", {})
    ranked = sorted(prms, key=lambda prm: -float(known.get(f"{policy} x {prm}", 0.0)))
    return ranked[0] if ranked else None


def _known(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
