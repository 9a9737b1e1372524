"""Runs one plan's requests against the engine and the PRM, inside a budget ledger.

Each request reserves its worst-case cost before it is sent and settles the actual cost when it finishes.
Generation stops early on a deadline, a decided vote, a PRM failure or a client disconnect: requests in
flight are cancelled and charged for the tokens generated so far, or for their full reservation if the
engine does not confirm the cancellation in time. When the engine fails mid-answer, generation resumes after
the last token received (``search.strategies.running.resume``). A session knows nothing of trees, votes or
answers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from search.engines.protocol import ChildFinished, Request, Sampling
from search.errors import BrokenError, ContextError, EngineError, PlanError, RemoteError, RewardError
from search.ledger import Ledger, Reservation
from search.plan import Plan
from search.problem import Problem
from search.rewards.protocol import Handle, Need, Reward, RewardUsage, Scored
from search.scoring import together
from search.seeds import seed_of
from search.strategies.protocol import Setting
from search.strategies.running.engine_call import EngineCall
from search.strategies.running.resume import Resumption, joined, resumptions
from search.strategies.running.retry_delay import retry_delay

__all__ = ["OnChild", "Session"]

T = TypeVar("T")

#: called with the child's number, the child, and what is held for scoring it
OnChild = Callable[[int, ChildFinished, Reservation], None]


class Session:
    """The live work of one run; ``async with`` ends all of it.

    Parameters
    ----------
    problem, plan, setting, ledger:
        As ``Strategy.run`` takes them. Raises PlanError for a plan that needs a PRM in a setting without one.
    question:
        What the policy is asked instead of the problem's question: a prompt that follows from earlier
        answers.
    bare:
        Whether ``question`` is asked in no other words than its own (``Engine.turn``).
    scored:
        Whether what is written is a solution, which a PRM may score; False: a remark about some.
    """

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        setting: Setting,
        ledger: Ledger,
        *,
        question: str | None = None,
        bare: bool = False,
        scored: bool = True,
    ) -> None:
        if plan.needs_prm and setting.reward is None:
            raise PlanError(f"{plan.strategy} needs a PRM, got a setting without one for {plan}")
        self.problem = problem
        self.plan = plan
        self.setting = setting
        self.before = ledger.spend  # as the run begins
        self.ledger = ledger.beside(ledger.policy, ledger.prm)  # whose open reservations are this run's
        self.question = problem.question
        self._prompt_key = None if question is None else (question, bare)
        ask = setting.engine.turn if bare else setting.engine.prompt
        self.prompt = ask(problem.question if question is None else question)
        self.cut = 0
        self.failure: EngineError | None = None
        self._reward: Reward | None = setting.reward if plan.needs_prm and scored else None
        self._prm_prompt = 0 if self._reward is None else self._reward.count(problem.question, ())[0]
        self._seen = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        self._halted: asyncio.Future[None] = loop.create_future()

    async def __aenter__(self) -> Session:
        left = self.ledger.seconds_left
        if left <= 0.0:
            self._over.set_result(None)
            self.end_drawing()
        elif math.isfinite(left):
            self.spawn(self._watch(left))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        try:
            await asyncio.gather(*self.tasks, return_exceptions=True)  # ends after them, even when cancelled
        finally:
            self.tasks.clear()  # they hold this session: a run would wait for the collector of cycles
            self.ledger.release_all()

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self._over.done()

    def end_drawing(self) -> None:
        """Draw no more: what is being written is cancelled, and charged as far as it was generated."""
        if not self._halted.done():
            self._halted.set_result(None)
            self.ledger.changed.set()

    @property
    def scores(self) -> bool:
        """Whether this run asks a PRM."""
        return self._reward is not None

    def room(self, generated: int) -> int:
        """Tokens that a solution of ``generated`` tokens may still get: its limit, or the context."""
        context = self.setting.engine.card.context - len(self.prompt)
        return max(0, min(self.setting.limits.max_tokens, context) - generated)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that ends with the session at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    # -- the engine -----------------------------------------------------------------------------

    async def draw(
        self,
        generated: tuple[int, ...],
        most: int,
        seed: int,
        on_child: OnChild,
        *,
        sampling: Sampling,
        stop: tuple[str, ...] = (),
    ) -> int:
        """Draw children that go on after ``generated``; how many were drawn, ``most`` at most.

        All are drawn by one request where the budget holds the worst case of each. Where it does
        not, as many as fit are drawn, and more from what those give back, each request with a seed
        of its own. Once children have been seen, twice the longest of them is held instead of the
        worst case, so that a tight budget still draws side by side; the last one may be given what
        is left, if that covers the longest. A child that runs into such a limit ends with the
        reason ``length``. ``on_child`` hears of each child as it finishes; those that the deadline
        or ``end_drawing`` cuts off, or the backend where the budget holds no more, are charged and not
        heard of.

        Raises EngineError where the policy fails for good, unless the observer lets the run conclude
        without it: then ``failure`` is set and no more is drawn. ``cut`` counts the children that were
        cancelled or never sent since drawing ended early.
        """
        drawn = 0
        room = self.room(len(generated))
        while drawn < most and not self._halted.done() and room > 0:
            count = self.fitting(most - drawn, self._usual(room), len(generated))
            if count == 0 and self.ledger.open:
                self.ledger.changed.clear()
                await self.ledger.changed.wait()  # others will give something back: no need to cut or to stop
                continue
            tokens = self._longest(max(count, 1), room, len(generated))
            if tokens < self._least(room):
                return drawn
            request = Request(
                prompt=(*self.prompt, *generated),
                n=max(count, 1),
                max_tokens=tokens,
                sampling=sampling,
                seed=seed if drawn == 0 else seed_of(seed, "more", drawn),
                stop=stop,
                logprobs=True,
                top_logprobs=self.setting.top_logprobs,
            )
            try:
                await self._send(request, drawn, on_child)
            except EngineError as error:
                if not self._does_without(error):
                    raise
            drawn += request.n
        if drawn < most and self._longest(1, room, len(generated)) >= self._least(room):
            self.cut += max(1, self.fitting(most - drawn, self._usual(room), len(generated)))
        return drawn

    def _does_without(self, error: EngineError) -> bool:
        """Whether the run concludes without the policy, which has failed for good."""
        observer = self.setting.observer
        if isinstance(error, ContextError) or observer is None or not observer.failed(error):
            return False
        self.failure = self.failure or error
        self.end_drawing()
        return True

    def expect(self, tokens: int) -> None:
        """Children of so many tokens have been seen; matters only when the budget is tight."""
        self._seen = max(self._seen, tokens)

    def _usual(self, room: int) -> int:
        """Tokens that a child surely wants when the budget is tight."""
        return min(room, 2 * self._seen) if self._seen else room

    def _least(self, room: int) -> int:
        """Tokens below which a child is not worth drawing."""
        return max(1, min(self._seen, room))

    def fitting(self, most: int, tokens: int, before: int) -> int:
        """How many children of so many tokens, after ``before`` of the solution, fit with their scoring."""
        scoring = self._worst_scoring(tokens, before)
        return self.ledger.affordable(
            most,
            policy_tokens=tokens,
            prm_tokens=scoring.tokens,
            policy_prompt=len(self.prompt),
            prm_prompt=self._prm_prompt,
            prompt=self._prompt_key,
            prm_written=scoring.written,
            policy_sent=lambda count: self._most_sent(before, count, tokens),
            prm_sent=self._read_at_worst(scoring, before),
        )

    def _most_sent(self, before: int, count: int, tokens: int) -> int:
        """Prompt tokens that a request for so many children sends at most, after ``before`` of a solution."""
        return self.setting.engine.most_sent(len(self.prompt) + before, count, tokens) if count else 0

    def _longest(self, count: int, room: int, before: int) -> int:
        """Most tokens, up to ``room``, that ``count`` children can have each."""
        if self.fitting(count, room, before) == count:
            return room
        low, high = 0, room - 1
        while low < high:
            middle = (low + high + 1) // 2
            fit = self.fitting(count, middle, before) == count
            low, high = (middle, high) if fit else (low, middle - 1)
        return low

    def _worst_scoring(self, tokens: int, before: int) -> Need:
        """What is held for scoring a child, by the reward's own word.

        Should it need more, ``score`` asks the ledger again before it sends.
        """
        return Need(0) if self._reward is None else self._reward.worst(self.question, tokens, before)

    def _read_at_worst(self, scoring: Need, before: int) -> int:
        """Tokens that the PRM reads to score a child, should it read all that stands before it again."""
        return self._prm_prompt + before + scoring.tokens - scoring.written if scoring.tokens else 0

    async def _send(self, request: Request, first: int, on_child: OnChild, breaks: int = 0) -> None:
        """Draw the children of a request, asking again where that charges nothing twice."""

        def hear(child: ChildFinished, held: Reservation) -> None:
            self.expect(len(child.token_ids))
            on_child(first + child.child, child, held)

        drawing, hold = request.max_tokens, self.ledger.reserve
        before = len(request.prompt) - len(self.prompt)
        scoring = self._worst_scoring(drawing, before)
        read = self._read_at_worst(scoring, before)
        call = EngineCall(
            request,
            self.setting.engine,
            self.ledger,
            drawing=[
                hold(
                    policy_tokens=drawing,
                    policy_prompt=len(self.prompt),
                    prompt=self._prompt_key,
                    policy_sent=0,  # by all of them together
                )
                for _ in range(request.n)
            ],
            scoring=[self._hold(scoring, read) for _ in range(request.n)],
            sending=hold(policy_sent=self._most_sent(before, request.n, drawing)),
            on_child=hear,
            halted=self._halted,
            cancel_within=self.setting.cancel_within,
        )
        try:
            while (error := await call.send()) is not None:
                pause = retry_delay(error, breaks, self.ledger.seconds_left)
                if pause is None:
                    raise error
                breaks += 1
                await asyncio.wait((self._halted,), timeout=pause)
                if self._halted.done():
                    self.cut += len(error.partial if isinstance(error, BrokenError) else call.open)
                    return
                if isinstance(error, BrokenError):
                    await self._resume(request, error, first, on_child, breaks)
                    return
        finally:
            self.cut += call.cut
            call.give_back()

    async def _resume(
        self, request: Request, error: BrokenError, first: int, on_child: OnChild, breaks: int
    ) -> None:
        """Go on with children that were cut off; those that the budget does not hold are not heard of."""

        async def end(whole: Resumption) -> None:
            rest = self._payable(whole)
            if rest is None:
                return

            def tell(number: int, child: ChildFinished, held: Reservation) -> None:
                part = rest.parts[number]
                on_child(first + part.child, joined(part, child), held)

            await self._send(rest.request, 0, tell, breaks)

        if not self._halted.done():
            await together([end(rest) for rest in resumptions(request, error.partial)])

    def _payable(self, whole: Resumption) -> Resumption | None:
        """As much of a resumption as the budget holds, what was lost being charged; None if too little."""
        most, before = whole.request.max_tokens, len(whole.request.prompt) - len(self.prompt)
        least = max(1, min(self._seen - len(whole.parts[0].token_ids), most))
        for count in range(whole.request.n, 0, -1):
            tokens = self._longest(count, most, before)
            if tokens >= least:
                return whole.within(count, tokens)
        return None

    # -- the PRM --------------------------------------------------------------------------------

    def open(self) -> Handle:
        """The empty prefix. Without a PRM a handle that is never extended."""
        return Handle(self.question) if self._reward is None else self._reward.open(self.question)

    def is_scorable(self, steps: Sequence[str]) -> bool:
        """Whether a solution of these steps stays within the PRM's context."""
        return self._reward is not None and self._reward.fits(self.question, steps)

    def hold_scoring(self, steps: Sequence[str], handle: Handle | None = None) -> Reservation:
        """What scoring these steps after a prefix takes, held; nothing is held when it does not fit."""
        if self._reward is None:
            return self.ledger.reserve()
        opened = self._reward.open(self.question) if handle is None else handle
        need, read = self._reward.need(opened, steps), self._reward.most_read(opened, steps)
        if self.ledger.affordable(
            1, prm_tokens=need.tokens, prm_prompt=self._prm_prompt, prm_written=need.written, prm_sent=read
        ):
            return self._hold(need, read)
        return self.ledger.reserve()

    def _hold(self, scoring: Need, read: int) -> Reservation:
        return self.ledger.reserve(
            prm_tokens=scoring.tokens,
            prm_prompt=self._prm_prompt,
            prm_written=scoring.written,
            prm_sent=read,
        )

    async def share_scoring(
        self, steps: Sequence[str], held: Reservation, first: asyncio.Task[Scored]
    ) -> Scored:
        """The scoring of an equal solution, charged once more; no rewards when that does not fit. It is sent
        once, and so costs no money again."""
        held.release()
        exact = self.hold_scoring(steps)
        found = await first
        used = found.usage
        exact.settle(
            prm_tokens=min(exact.prm_tokens, used.logical_tokens),
            prm_sent=0,
        )
        return found if exact.prm_tokens else replace(found, rewards=())

    async def score(self, handle: Handle, steps: Sequence[str], held: Reservation) -> Scored:
        """Rewards of new steps, paid from ``held``, which is settled whatever comes.

        The same handle and no rewards when the steps were not scored: no budget or no time left. Raises
        RewardError where the PRM fails, and draws no more: nobody would score it.
        """
        unscored = Scored((), handle, RewardUsage(0, 0, 0))
        held.release()
        try:
            exact = self.hold_scoring(steps, handle)
        except RewardError:  # some ask a server how much they need
            self.end_drawing()
            raise
        if self._reward is None or self.is_over or not exact.prm_tokens:
            exact.release()
            return unscored
        work = asyncio.ensure_future(self._reward.extend(handle, steps))
        try:
            either: set[asyncio.Future[Any]] = {work, self._over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return unscored
            try:
                scored = work.result()
            except RewardError as error:
                self.end_drawing()
                if isinstance(error, RemoteError):  # a policy's error too: whose it is, is known here only
                    raise RewardError(str(error)) from error
                raise
            self.ledger.record_work(prm_tokens=scored.usage.physical_tokens)
            used = scored.usage
            exact.settle(
                prm_tokens=used.logical_tokens,
                prm_written=used.written_tokens,
                prm_sent=used.read_tokens,
            )
            return scored
        finally:
            work.cancel()
            if exact.is_open:
                exact.forfeit()

    async def _watch(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._over.set_result(None)
        self.end_drawing()
