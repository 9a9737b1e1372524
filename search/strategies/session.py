"""A session: everything that one run sends to the engine and to the PRM, within its ledger.

Each piece of work is reserved before it is sent and settled as it ends. When time is up the session
cancels what is still under way; what is lost then is charged in full, since nobody knows what it
took. When a backend breaks off, what had arrived is charged and gone on with, a few times. It knows
nothing of trees, votes or answers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from search.budget import Ledger, Reservation
from search.engines.protocol import ChildFinished, FinishReason, Request, RequestFinished, Sampling
from search.errors import BrokenError, EngineError, PlanError
from search.plan import Plan
from search.problem import Problem
from search.rewards.protocol import Handle, Reward, RewardUsage, Scored
from search.scoring import together
from search.seeds import seed_of
from search.strategies.mending import Remainder, joined, remainders
from search.strategies.protocol import Setting

__all__ = ["OnChild", "Session"]

T = TypeVar("T")

#: how often one child may be cut off by its backend and gone on with
_BREAKS = 3

#: called with the child's number, the child, and what is held for scoring it
OnChild = Callable[[int, ChildFinished, Reservation], None]


class Session:
    """The live work of one run; ``async with`` ends all of it.

    Parameters
    ----------
    strategy:
        The name of the strategy that asks.
    problem, plan, setting, ledger:
        As ``Strategy.run`` takes them. Raises PlanError for another strategy's plan and for a plan
        that needs a PRM in a setting without one.
    """

    def __init__(self, strategy: str, problem: Problem, plan: Plan, setting: Setting, ledger: Ledger) -> None:
        if plan.strategy != strategy:
            raise PlanError(f"{strategy} runs its own plans, got {plan}")
        if plan.needs_prm and setting.reward is None:
            raise PlanError(f"{strategy} needs a PRM, got a setting without one for {plan}")
        self.setting = setting
        self.ledger = ledger
        self.question = problem.question
        self.prompt = setting.engine.prompt(problem.question)
        self._reward: Reward | None = setting.reward if plan.needs_prm else None
        self._prm_prompt = 0 if self._reward is None else self._reward.count(problem.question, ())[0]
        self._seen = 0
        self._held: set[Reservation] = set()
        self._given_back = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._requests: set[str] = set()
        self._ended = False
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Session:
        left = self.ledger.seconds_left
        if left <= 0.0:
            self._over.set_result(None)
        elif math.isfinite(left):
            self.spawn(self._watch(left))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for held in list(self._held):
            self._close(held, held.release)

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self._over.done()

    def end_drawing(self) -> None:
        """Draw no more: what is being written is cancelled, and charged as far as it was generated."""
        if not self._ended:
            self._ended = True
            self._given_back.set()
            for request_id in self._requests:
                self.spawn(self.setting.engine.cancel(request_id))

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
        self._tasks.add(task)
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
        """
        drawn = 0
        room = self.room(len(generated))
        while drawn < most and not self.is_over and not self._ended and room > 0:
            count = self._fitting(most - drawn, self._usual(room))
            if count == 0 and self._held:  # others will give something back: no need to cut or to stop
                self._given_back.clear()
                await self._given_back.wait()
                continue
            tokens = self._longest(max(count, 1), room)
            if tokens < max(1, min(self._seen, room)):
                break
            request = Request(
                prompt=(*self.prompt, *generated),
                n=max(count, 1),
                max_tokens=tokens,
                sampling=sampling,
                seed=seed if drawn == 0 else seed_of(seed, "more", drawn),
                stop=stop,
                logprobs=True,
            )
            await self._send(request, drawn, on_child)
            drawn += request.n
        return drawn

    def expect(self, tokens: int) -> None:
        """Children of so many tokens have been seen; matters only when the budget is tight."""
        self._seen = max(self._seen, tokens)

    def _usual(self, room: int) -> int:
        """Tokens that a child surely wants when the budget is tight."""
        return min(room, 2 * self._seen) if self._seen else room

    def _fitting(self, most: int, tokens: int) -> int:
        """How many children of so many tokens fit, their scoring included."""
        return self.ledger.affordable(
            most,
            policy_tokens=tokens,
            prm_tokens=self._worst_scoring(tokens),
            policy_prompt=len(self.prompt),
            prm_prompt=self._prm_prompt,
        )

    def _longest(self, count: int, room: int) -> int:
        """Most tokens, up to ``room``, that ``count`` children can have each."""
        low, high = 0, room
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._fitting(count, middle) == count else (low, middle - 1)
        return low

    def _worst_scoring(self, tokens: int) -> int:
        """PRM tokens held for a child: its text again, and a separator where it was cut off.

        Should another tokenizer need more, ``score`` asks the ledger again before it sends.
        """
        return tokens + 1 if self.scores else 0

    async def _send(self, request: Request, first: int, on_child: OnChild, breaks: int = 0) -> None:
        drawing = [
            self._hold(policy_tokens=request.max_tokens, policy_prompt=len(self.prompt))
            for _ in range(request.n)
        ]
        scoring = [
            self._hold(prm_tokens=self._worst_scoring(request.max_tokens), prm_prompt=self._prm_prompt)
            for _ in range(request.n)
        ]
        engine, is_finished = self.setting.engine, False
        arrived, broken = 0, None
        events = engine.submit(request)
        self._requests.add(request.request_id)
        try:
            async for event in events:
                if isinstance(event, ChildFinished):
                    spent = len(event.token_ids) + event.lost_tokens
                    arrived += spent
                    self._settle(drawing[event.child], policy_tokens=spent)
                    self.expect(len(event.token_ids))
                    if event.finish_reason == FinishReason.CANCELLED:
                        self.give_back(scoring[event.child])
                    else:
                        on_child(first + event.child, event, scoring[event.child])
                elif isinstance(event, RequestFinished):
                    usage = event.usage
                    self.ledger.record_work(
                        policy_tokens=usage.prompt_tokens
                        - usage.cached_prompt_tokens
                        + usage.generated_tokens
                    )
                    is_finished = True
        except BrokenError as error:
            if breaks == _BREAKS or not error.partial:
                raise
            broken = error
            self.ledger.record_work(policy_tokens=len(request.prompt) + arrived)
            for part in error.partial:
                spent = len(part.token_ids) + part.lost_tokens
                self.ledger.record_work(policy_tokens=spent)
                self._settle(drawing[part.child], policy_tokens=spent)
                self.give_back(scoring[part.child])
        finally:
            if not is_finished:
                await engine.cancel(request.request_id)
                if isinstance(events, AsyncGenerator):
                    await events.aclose()
            self._requests.discard(request.request_id)
            lost = [i for i, held in enumerate(drawing) if held.is_open]
            for i in lost:
                self._close(drawing[i], drawing[i].forfeit)
                self.give_back(scoring[i])
        if broken is not None and not lost:
            await self._mend(request, broken, first, on_child, breaks + 1)
        elif lost or not is_finished:
            raise EngineError(f"all children must finish, got {request.n - len(lost)} of {request.n}")

    async def _mend(
        self, request: Request, error: BrokenError, first: int, on_child: OnChild, breaks: int
    ) -> None:
        """Go on with children that were cut off; those that the budget does not hold are not heard of."""

        async def end(rest: Remainder) -> None:
            if self._fitting(rest.request.n, rest.request.max_tokens) < rest.request.n:
                return

            def tell(number: int, child: ChildFinished, held: Reservation) -> None:
                part = rest.parts[number]
                on_child(first + part.child, joined(part, child), held)

            await self._send(rest.request, 0, tell, breaks)

        if not self.is_over and not self._ended:
            await together([end(rest) for rest in remainders(request, error.partial)])

    # -- the PRM --------------------------------------------------------------------------------

    def open(self) -> Handle:
        """The empty prefix. Without a PRM a handle that is never extended."""
        return Handle(self.question) if self._reward is None else self._reward.open(self.question)

    def count(self, steps: Sequence[str]) -> int:
        """PRM tokens that scoring these steps takes, prompt left out."""
        return 0 if self._reward is None else self._reward.count(self.question, steps)[1]

    def is_scorable(self, step_tokens: int) -> bool:
        """Whether a solution of so many PRM tokens stays within the PRM's context."""
        return self._reward is not None and self._prm_prompt + step_tokens <= self._reward.card.context

    def hold_scoring(self, steps: Sequence[str]) -> Reservation:
        """What scoring these steps takes, held; nothing is held when it does not fit."""
        need = self.count(steps)
        if self.ledger.affordable(1, prm_tokens=need, prm_prompt=self._prm_prompt):
            return self._hold(prm_tokens=need, prm_prompt=self._prm_prompt)
        return self._hold()

    def charge_scoring(self, steps: Sequence[str], held: Reservation) -> bool:
        """Charge a scoring that another one has made unnecessary; False when it does not fit."""
        self.give_back(held)
        exact = self.hold_scoring(steps)
        self._settle(exact, prm_tokens=exact.prm_tokens)
        return exact.prm_tokens > 0

    async def score(self, handle: Handle, steps: Sequence[str], held: Reservation) -> Scored:
        """Rewards of new steps, paid from ``held``, which is settled whatever comes.

        The same handle and no rewards when the steps were not scored: no budget or no time left.
        """
        unscored = Scored((), handle, RewardUsage(0, 0, 0))
        self.give_back(held)
        exact = self.hold_scoring(steps)
        if self._reward is None or self.is_over or not exact.prm_tokens:
            self.give_back(exact)
            return unscored
        work = asyncio.ensure_future(self._reward.extend(handle, steps))
        try:
            either: set[asyncio.Future[Any]] = {work, self._over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return unscored
            scored = work.result()
            self.ledger.record_work(prm_tokens=scored.usage.physical_tokens)
            self._settle(exact, prm_tokens=scored.usage.logical_tokens)
            return scored
        finally:
            work.cancel()
            if exact.is_open:
                self._close(exact, exact.forfeit)

    # -- the ledger -----------------------------------------------------------------------------

    def give_back(self, held: Reservation) -> None:
        """Release what was held for work that is not needed."""
        self._close(held, held.release)

    def _hold(self, **need: int) -> Reservation:
        held = self.ledger.reserve(**need)
        self._held.add(held)
        return held

    def _settle(self, held: Reservation, *, policy_tokens: int = 0, prm_tokens: int = 0) -> None:
        self._close(held, lambda: held.settle(policy_tokens=policy_tokens, prm_tokens=prm_tokens))

    def _close(self, held: Reservation, how: Callable[[], None]) -> None:
        self._held.discard(held)
        self._given_back.set()
        how()

    async def _watch(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._over.set_result(None)
        self._given_back.set()
        for request_id in list(self._requests):
            await self.setting.engine.cancel(request_id)
