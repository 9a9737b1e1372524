"""A contest: the held-out problems, where baselines may pick, at which prices; and what several of them
share.

With a training log every baseline picks on it; without one by cross-fitting over families of the held-out
log, five folds, which favours the baselines: they see problems of the very set that they are scored on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.board import Board, selected
from planner.evaluation.difficulty import predict_difficulty
from planner.evaluation.frontier import Track
from planner.evaluation.halves import Half, halves
from planner.evaluation.running import Running, run_votes
from planner.evaluation.selection import Selection, families_apart
from planner.experience import Experience
from planner.features.question import NgramEncoder
from planner.labels import Look
from planner.matrix import Matrices, question_features
from search.errors import TooLittleDataError

__all__ = ["Contest", "fixed_board"]

Floats = NDArray[np.float64]


class Contest:
    """What all baselines share; each part is made when it is first asked for, and kept.

    Parameters
    ----------
    experience, training:
        The held-out log, and the one that baselines pick on; None: they pick by cross-fitting.
    encoder:
        Of the questions, the planner's.
    prices:
        (J,) accuracy per FLOP, at which everything that has settings picks one.
    probes, resamples, seed:
        Random probes per problem, continuations of each, and which.

    Raises TooLittleDataError where a log has fewer than two problems or the training log lacks a choice.
    """

    def __init__(
        self,
        experience: Experience,
        training: Experience | None,
        encoder: NgramEncoder,
        prices: Floats,
        *,
        probes: int = 4,
        resamples: int = 16,
        seed: int = 0,
    ) -> None:
        for log in (experience, training):
            if log is not None and len(log) < 2:
                raise TooLittleDataError(f"a comparison needs at least 2 problems, got {len(log)}")
        if training is not None and not set(experience.choices) <= set(training.choices):
            missing = [str(choice) for choice in experience.choices if choice not in training.choices]
            raise TooLittleDataError(
                f"the training log must hold every choice that is compared, got none of {missing[:3]}"
            )
        self.prices = prices
        self.seed = seed
        self.orders = 4 * resamples
        self.test = Matrices(experience, encoder, probes=probes, resamples=resamples, seed=seed)
        self.training = (
            self.test
            if training is None
            else Matrices(training, encoder, probes=1, resamples=resamples, seed=seed)
        )
        self.selection: tuple[Selection, ...] = (
            families_apart(experience.families, seed)
            if training is None
            else (Selection(np.arange(len(training)), np.arange(len(experience))),)
        )
        self._running: dict[tuple[str, int], Running] = {}

    @property
    def experience(self) -> Experience:
        """The held-out log."""
        return self.test.experience

    @property
    def apart(self) -> bool:
        """Whether baselines pick on a log of its own."""
        return self.training is not self.test

    @property
    def sides(self) -> tuple[Matrices, Matrices]:
        """What is scored, and what is picked on."""
        return self.test, self.training

    def both(self, make: Callable[[Matrices], Board]) -> tuple[Board, Board]:
        """A board on the held-out log and, with the same settings, on the one that is picked on."""
        test = make(self.test)
        return test, make(self.training).like(test) if self.apart else test

    def picked(self, name: str, boards: Sequence[tuple[Board, Board]]) -> Track | None:
        """The track that picks by price among the settings of all ``boards``; None where there are none."""
        if not boards:
            return None
        test, training = boards[0]
        for more, learned in boards[1:]:
            test, training = test.beside(more), training.beside(learned)
        return selected(name, test, training, self.selection, self.prices)

    @cached_property
    def fixed(self) -> tuple[Board, Board]:
        """Every fixed choice of the held-out log, on both sides."""
        return self.both(fixed_board)

    @cached_property
    def halved(self) -> tuple[tuple[Half, Half], tuple[Half, Half]]:
        """Both halves of the samples, on both sides, for the held-out log's choices in its order."""
        test = halves(self.experience, self.experience.main, seed=self.seed)
        if not self.apart:
            return test, test
        learned = replace(self.training.experience, choices=self.experience.choices)
        return test, halves(learned, self.experience.main, seed=self.seed)

    @cached_property
    def questions(self) -> tuple[Floats, Floats]:
        """(P, F) question features on both sides."""
        test, training = (
            np.stack([question_features(text, side.encoder) for text in side.experience.questions])
            for side in self.sides
        )
        return test, training

    @cached_property
    def difficulty(self) -> tuple[tuple[Floats, Floats], ...]:
        """Per selection, the predicted Pass@1 of the problems picked on, left out, and of those scored."""
        learned = self.training.experience
        here, there = self.questions
        rates = learned.graded(learned.pools[self.experience.main].codes).mean(axis=1)
        return tuple(
            predict_difficulty(
                there[part.pick],
                rates[part.pick],
                [learned.families[i] for i in part.pick],
                here[part.score],
                seed=self.seed,
            )
            for part in self.selection
        )

    def running(self, side: Matrices, policy: str) -> Running:
        """Votes over a policy's whole pool, while samples come in."""
        key = (policy, id(side))
        if key not in self._running:
            self._running[key] = run_votes(side.experience, policy, seed=self.seed, orders=self.orders)
        return self._running[key]

    def largest(self, policy: str) -> int:
        """The most samples that a logged plan draws of a policy: no baseline draws more."""
        drawn = [c.plan.n for c in self.experience.choices if c.policy == policy and not c.plan.is_tree]
        room = min(
            side.experience.pools[policy].draws for side in self.sides if policy in side.experience.pools
        )
        return min(max(drawn, default=1), room)

    @property
    def policies(self) -> tuple[str, ...]:
        """Policies with a pool on both sides."""
        return tuple(p for p in self.experience.pools if p in self.training.experience.pools)


def fixed_board(matrices: Matrices) -> Board:
    """Every fixed choice of an experience, each without a probe."""
    matrix = matrices.at(Look(next(iter(matrices.experience.pools)), 0), matrices.experience.choices)
    return Board(tuple(map(str, matrix.choices)), matrix.values, matrix.tokens, matrix.flops)
