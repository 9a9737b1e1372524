"""``adaptive_vote(n, stop, ahead, weight, ...)``: samples until the vote is sure, n at most.

After every sample the chance that the leading answer is the true majority of the two that lead is computed
from their votes (``search.strategies.adaptive.sure``; Adaptive-Consistency, Aggarwal et al., arXiv
2305.11860). At ``stop`` or above, drawing ends. ``ahead`` samples are written at the same time; those that
are in flight when drawing ends are cancelled, and charged as far as they came.

With ``stop=price`` drawing ends where a further sample is worth less than it costs
(``search.strategies.adaptive.worth``). ``cost`` says what a sample costs in accuracy, 1.0 being 100 points:
its price in FLOPs or money over what a right answer is worth. Without a cost a sample costs what the
request's budget says (``Setting.price``), and where neither says anything all are drawn.

Votes may be weighted (``search.strategies.adaptive.weights``). Weights have mean 1, and W1 and W2 are then
their sums.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from search.engines.protocol import ChildFinished
from search.errors import LogError, PlanError
from search.ledger import Ledger, Reservation
from search.problem import Problem
from search.result import Candidate, Result
from search.scores import SCORES, score
from search.seeds import seed_of
from search.strategies.adaptive.sure import is_sure
from search.strategies.adaptive.terms import Term, summed
from search.strategies.adaptive.weights import KINDS, LEARNED, LOGGED, PRM, SIGNALS, Weights, signals_of
from search.strategies.adaptive.worth import worth_of_more
from search.strategies.fields import one_of, real, whole
from search.strategies.kinds import Replay
from search.strategies.protocol import Setting, Strategy
from search.strategies.replay import Draws, Record, Replayed, right_of
from search.strategies.running.candidates import conclude, finish, score_prior
from search.strategies.running.session import Session
from search.voting.grouping import GRACE, Groups
from search.voting.votes import race, winners

__all__ = ["AdaptiveVote"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: the word for a vote that stops where another sample costs more than it is worth
PRICE = "price"


@dataclass(frozen=True)
class AdaptiveVote(Strategy):
    """A vote that stops as soon as it is sure. Ties go to the heavier sample, then to the earlier draw.

    ``stop`` is the certainty that is enough, or ``price``; ``cost`` is what a sample then costs in accuracy.
    ``weight``: one of ``search.strategies.adaptive.weights.KINDS``; ``signal``, ``scale``, ``level``,
    ``terms`` and ``bias`` are those of ``Weights``, and ``score`` makes one number of a PRM's step rewards.
    """

    name = "adaptive_vote"
    caption = "samples until the vote is sure, n at most"

    n: int = whole(16)
    stop: float | str = real(0.95, least=0.5, most=1.0, words=(PRICE,))
    ahead: int = whole(4)
    weight: str = one_of(KINDS, "none", quiet=True)
    signal: str = one_of(tuple(SIGNALS), "mean", quiet=True)
    scale: float = real(0.0, quiet=True)
    level: float = real(0.0, least=-math.inf, quiet=True)
    score: str = one_of(SCORES, "last", quiet=True)
    terms: tuple[Term, ...] = summed((*SIGNALS, PRM))
    bias: float = real(0.0, least=-math.inf, quiet=True)
    cost: float = real(0.0, quiet=True)

    replays = Replay.ORDER
    most_prior = None

    def __post_init__(self) -> None:
        weights = self._weights
        if not weights.asks_signal and (self.signal, self.scale) != ("mean", 0.0):
            raise PlanError(
                f"signal and scale belong to a weight by likelihood, got weight={self.weight}, "
                f"signal={self.signal}, scale={self.scale:g}"
            )
        if weights.asks_signal and self.scale == 0.0:
            raise PlanError(
                f"a weight by likelihood needs a scale above 0, got weight={self.weight}, scale=0"
            )
        if self.weight == "none" and self.level != 0.0:
            raise PlanError(f"a level belongs to a weight, got weight=none, level={self.level:g}")
        if (self.weight in LEARNED) != bool(self.terms):
            raise PlanError(
                f"terms and a weight by {' or '.join(LEARNED)} come together, got weight={self.weight} "
                f"and {len(self.terms)} terms"
            )
        if self.weight != "log_odds" and self.bias != 0.0:
            raise PlanError(
                f"a bias belongs to a weight by log_odds, got weight={self.weight}, bias={self.bias:g}"
            )
        if self.stop != PRICE and self.cost != 0.0:
            raise PlanError(f"a cost belongs to stop={PRICE}, got stop={self.stop}, cost={self.cost:g}")
        if not weights.asks_prm and self.score != "last":
            raise PlanError(
                f"a score belongs to a weight by PRM, got weight={self.weight}, score={self.score}"
            )

    @property
    def heaviest(self) -> float:
        return 1.0 if self.weight == "none" else math.inf

    @cached_property
    def _weights(self) -> Weights:
        return Weights(self.weight, self.signal, self.scale, self.level, self.terms, self.bias)

    @property
    def vote(self) -> str:
        return "majority" if self.weight == "none" else "weighted"

    def sends(self, prompt: float, solution: float) -> float:
        return self.n * prompt  # each sample is a request

    @property
    def needs_reward(self) -> bool:
        return self._weights.asks_prm

    @property
    def signals(self) -> frozenset[str]:
        return self._weights.signals & set(LOGGED)

    def ends(self, first: npt.ArrayLike, second: npt.ArrayLike, missing: npt.ArrayLike, cost: float) -> Bools:
        """Whether drawing ends with these votes of the two leading answers.

        ``missing``: samples that may follow; ``cost``: what one costs in accuracy, where the price decides.
        """
        if isinstance(self.stop, str):
            return np.asarray(worth_of_more(first, second, missing) < cost)
        return is_sure(first, second, self.stop)

    def weigh(self, candidate: Candidate) -> float:
        if self.weight == "none":
            return 0.0
        scored = score(candidate.step_rewards, self.score) if candidate.step_rewards else 0.0
        return float(self._weights.of(signals_of(candidate), scored))

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """One plan per n: weights are written out (plan = [...]), or learned from a log."""
        yield from ({"n": n} for n in axes["n"])

    # ---- from a log

    def replay(self, record: Record) -> Replayed:
        """Runs in which every sample in flight is written at the same speed, a token at a time."""
        policy, draws = record.lead[0], record.own
        prior, n = draws.prior, max(self.n, draws.prior)
        if n > draws.group.shape[1]:
            raise LogError(
                f"a replay of {self.plan} needs {n} draws of {policy!r}, got {draws.group.shape[1]}"
            )
        tokens = draws.tokens[:, :n].astype(np.float64)
        start, end = _schedule(tokens, prior, self.ahead)
        order = np.argsort(end, axis=1, kind="stable")
        arrived = np.take_along_axis(draws.group[:, :n], order, axis=1)
        weights = self._of(draws, n)
        sizes = None if weights is None else np.take_along_axis(weights, order, axis=1)
        _, first, second = race(arrived, sizes)
        sure = self.ends(first, second, n - 1 - np.arange(n), self.cost)
        # all that is there already is counted before anything is decided
        sure[:, : max(prior - 1, 0)] = False
        sure[:, -1] = True
        last = sure.argmax(axis=1)
        rows = np.arange(len(tokens))
        ended = end[rows, order[rows, last]]
        counted = np.empty(order.shape, np.bool_)
        np.put_along_axis(counted, order, np.arange(n)[None, :] <= last[:, None], axis=1)
        won = winners(np.where(counted, draws.group[:, :n], -1), weights, self.vote)
        mine = counted & (draws.group[:, :n] == won[:, None]) & (won >= 0)[:, None]
        spent = np.clip(ended[:, None] - start, 0.0, tokens)
        spent[:, :prior] = 0.0
        judge, fresh = record.lead[1], counted[:, prior:].sum(axis=1).astype(np.float64)
        scored = {} if judge is None else {(policy, judge): fresh}
        return Replayed(
            won,
            right_of(mine, draws.right[:, :n]),
            mine.sum(axis=1) / (last + 1.0),
            {policy: spent.sum(axis=1)},
            {policy: spent.sum(axis=1) > 0},
            scored,
        )

    def _of(self, draws: Draws, n: int) -> Floats | None:
        """(R, n) weights of recorded draws; None where votes are plain."""
        if self.weight == "none":
            return None
        if self._weights.asks_prm and draws.scores is None:
            raise LogError(f"a replay of {self.plan} needs the scores of a PRM, got draws without")
        known = {"length": -draws.tokens, **draws.signals}
        signals = {name: values[:, :n] for name, values in known.items()}
        scores = None if draws.scores is None else draws.scores[:, :n]
        return np.broadcast_to(self._weights.of(signals, scores), (len(draws.group), n))

    # ---- live

    async def run(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        async with Session(problem, self.plan, setting, ledger) as session:
            earlier = await asyncio.gather(*score_prior(session, prior))
            for candidate in prior:
                session.expect(candidate.tokens)
            run = _Run(self, session, earlier)
            await run.draw(seed)
            return await conclude(session, run.candidates)


class _Run:
    """One live run: draws that end one by one, counted in the order in which they end."""

    def __init__(self, strategy: AdaptiveVote, session: Session, prior: Sequence[Candidate]) -> None:
        self._strategy = strategy
        self._session = session
        self._counted: dict[int, Candidate] = dict(enumerate(prior))
        self._sent = len(prior)
        self._arrived: asyncio.Queue[tuple[int, Candidate]] = asyncio.Queue()
        self._groups = Groups(session.problem)
        self._votes: list[float] = []  # by group

    @property
    def candidates(self) -> list[Candidate]:
        """Those that were counted, in draw order."""
        return [self._counted[draw] for draw in sorted(self._counted)]

    async def draw(self, seed: int) -> None:
        """Draw until the vote is sure, all are drawn, or drawing has ended for another reason."""
        session, observer = self._session, self._session.setting.observer
        for place, candidate in self._counted.items():
            if observer is not None and await observer.drawn(place, candidate, self._missing):
                session.end_drawing()
        await self._count(list(self._counted.values()))
        flying: dict[asyncio.Task[bool], int] = {}
        stopped = False
        while not self._is_sure and not stopped:
            while self._sent < self._strategy.n and len(flying) < self._strategy.ahead:
                task = session.spawn(self._one(self._sent, seed_of(seed, "draw", self._sent)))
                flying[task] = self._sent
                self._sent += 1
            if not flying:
                break
            done, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
            drawn = [task.result() for task in sorted(done, key=lambda one: flying.pop(one))]
            stopped = not all(drawn)  # the budget or the time let one fewer be drawn
            while not self._arrived.empty() and not self._is_sure:
                place, candidate = self._arrived.get_nowait()
                self._counted[place] = candidate
                await self._count([candidate])
                if observer is not None and await observer.drawn(place, candidate, self._missing):
                    stopped = True
        if flying:
            if self._is_sure or not session.is_over:
                session.end_drawing()
            await asyncio.gather(*flying)
            if observer is not None:
                observer.cut(session.cut)

    @property
    def _missing(self) -> int:
        return max(0, self._strategy.n - len(self._counted))

    @property
    def _is_sure(self) -> bool:
        if not self._counted:
            return False
        first, second = [*sorted(self._votes, reverse=True), 0.0, 0.0][:2]
        return bool(self._strategy.ends(first, second, self._missing, self._cost))

    @property
    def _cost(self) -> float:
        """What a sample costs in accuracy: as the plan says, or a mean one at the price of the request."""
        if self._strategy.cost > 0.0:
            return self._strategy.cost
        setting = self._session.setting
        tokens = sum(candidate.tokens for candidate in self._counted.values())
        return setting.price * setting.engine.card.flops(tokens / len(self._counted))

    async def _one(self, place: int, seed: int) -> bool:
        """Draw one sample; False where none could be drawn."""
        found: list[asyncio.Task[Candidate]] = []

        def on_child(_: int, child: ChildFinished, held: Reservation) -> None:
            found.append(self._session.spawn(finish(self._session, child, held, {})))

        await self._session.draw((), 1, seed, on_child, sampling=self._session.setting.sampling)
        for task in found:
            self._arrived.put_nowait((place, await task))
        return bool(found)

    async def _count(self, candidates: Sequence[Candidate]) -> None:
        answers = [candidate.answer for candidate in candidates]
        seconds = max(self._session.ledger.seconds_left, GRACE)
        numbers = await self._groups.numbers(answers, seconds=seconds)
        self._votes += [0.0] * (len(self._groups.answers) - len(self._votes))
        plain = self._strategy.weight == "none"
        for candidate, number in zip(candidates, numbers, strict=True):
            if number >= 0:
                self._votes[number] += 1.0 if plain else self._strategy.weigh(candidate)


def _schedule(tokens: Floats, prior: int, ahead: int) -> tuple[Floats, Floats]:
    """(R, n) when each draw starts and ends, ``ahead`` at a time; prior draws are there at 0."""
    start, end = np.zeros_like(tokens), np.zeros_like(tokens)
    free = np.zeros((len(tokens), ahead))
    rows = np.arange(len(tokens))
    for draw in range(prior, tokens.shape[1]):
        slot = free.argmin(axis=1)
        start[:, draw] = free[rows, slot]
        end[:, draw] = start[:, draw] + np.maximum(tokens[:, draw], 1.0)
        free[rows, slot] = end[:, draw]
    return start, end
