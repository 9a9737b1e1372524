"""Baseline context: the held-out problems, the data that baselines may pick on, the prices, and what several
baselines share.

With a training log every baseline picks on it; without one by cross-fitting over families of the held-out
log, five folds, which favours the baselines: they see problems of the very set that they are scored on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines.config_table import ConfigTable, selected
from planner.evaluation.baselines.difficulty import predict_difficulty
from planner.evaluation.baselines.rules import rule_choices
from planner.evaluation.baselines.running import Running, run_votes
from planner.evaluation.baselines.selection import Selection, families_apart
from planner.evaluation.baselines.split_half import SplitHalf, split_halves
from planner.evaluation.frontier import Track
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe, question_features
from planner.evidence.training_data import TrainingData, replayable
from planner.features.question import NgramEncoder
from search.choice import Choice
from search.errors import TooLittleDataError

__all__ = ["BaselineContext", "choice_table", "fixed_table"]

Floats = NDArray[np.float64]


class BaselineContext:
    """What all baselines share; each part is made when it is first asked for, and kept.

    Parameters
    ----------
    data, training:
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
        data: TrainingData,
        training: TrainingData | None,
        encoder: NgramEncoder,
        prices: Floats,
        *,
        probes: int = 4,
        resamples: int = 16,
        seed: int = 0,
    ) -> None:
        for log in (data, training):
            if log is not None and len(log) < 2:
                raise TooLittleDataError(f"a comparison needs at least 2 problems, got {len(log)}")
        if training is not None and not set(data.choices) <= set(training.choices):
            missing = [str(choice) for choice in data.choices if choice not in training.choices]
            raise TooLittleDataError(
                f"the training log must hold every choice that is compared, got none of {missing[:3]}"
            )
        self.prices = prices
        self.seed = seed
        self.orders = 4 * resamples
        self.test = Matrices(data, encoder, probes=probes, resamples=resamples, seed=seed)
        self.training = (
            self.test
            if training is None
            else Matrices(training, encoder, probes=1, resamples=resamples, seed=seed)
        )
        self.selection: tuple[Selection, ...] = (
            families_apart(data.families, seed)
            if training is None
            else (Selection(np.arange(len(training)), np.arange(len(data))),)
        )
        self._running: dict[tuple[str, int], Running] = {}

    @property
    def data(self) -> TrainingData:
        """The held-out log."""
        return self.test.data

    @property
    def apart(self) -> bool:
        """Whether baselines pick on a log of its own."""
        return self.training is not self.test

    @property
    def sides(self) -> tuple[Matrices, Matrices]:
        """What is scored, and what is picked on."""
        return self.test, self.training

    def both(self, make: Callable[[Matrices], ConfigTable]) -> tuple[ConfigTable, ConfigTable]:
        """A config table on the held-out log and, with the same settings, on the one that is picked on."""
        test = make(self.test)
        return test, make(self.training).like(test) if self.apart else test

    def picked(self, name: str, tables: Sequence[tuple[ConfigTable, ConfigTable]]) -> Track | None:
        """The track that picks by price among the settings of all ``tables``; None where there are none."""
        if not tables:
            return None
        test, training = tables[0]
        for more, learned in tables[1:]:
            test, training = test.beside(more), training.beside(learned)
        return selected(name, test, training, self.selection, self.prices)

    @cached_property
    def fixed(self) -> tuple[ConfigTable, ConfigTable]:
        """Every fixed choice of the held-out log, on both sides."""
        return self.both(fixed_table)

    @cached_property
    def rules(self) -> tuple[Choice, ...]:
        """The rules that anybody could write, made on the log that is picked on, if both replay them."""
        data = self.data
        made = rule_choices(self.training.data, seed=self.seed)
        return tuple(rule for rule in made if replayable(rule, data.pools, data.trees))

    @cached_property
    def halved(self) -> tuple[tuple[SplitHalf, SplitHalf], tuple[SplitHalf, SplitHalf]]:
        """Both halves of the samples, on both sides, for the held-out log's choices in its order."""
        test = split_halves(self.data, self.data.main, seed=self.seed)
        if not self.apart:
            return test, test
        learned = replace(self.training.data, choices=self.data.choices)
        return test, split_halves(learned, self.data.main, seed=self.seed)

    @cached_property
    def questions(self) -> tuple[Floats, Floats]:
        """(P, F) question features on both sides."""
        test, training = (
            np.stack([question_features(text, side.encoder) for text in side.data.questions])
            for side in self.sides
        )
        return test, training

    @cached_property
    def difficulty(self) -> tuple[tuple[Floats, Floats], ...]:
        """Per selection, the predicted Pass@1 of the problems picked on, left out, and of those scored."""
        learned = self.training.data
        here, there = self.questions
        rates = learned.graded(learned.pools[self.data.main].codes).mean(axis=1)
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
            self._running[key] = run_votes(side.data, policy, seed=self.seed, orders=self.orders)
        return self._running[key]

    def largest(self, policy: str) -> int:
        """The most samples that a logged plan draws of a policy: no baseline draws more."""
        drawn = [c.plan.n for c in self.data.choices if c.policy == policy and not c.plan.must_run]
        room = min(side.data.pools[policy].draws for side in self.sides if policy in side.data.pools)
        return min(max(drawn, default=1), room)

    @property
    def policies(self) -> tuple[str, ...]:
        """Policies with a pool of samples on both sides."""
        return tuple(p for p in self.data.pools if all(self._drawn(side.data, p) for side in self.sides))

    @staticmethod
    def _drawn(data: TrainingData, policy: str) -> bool:
        return policy in data.pools and data.pools[policy].draws > 0


def fixed_table(matrices: Matrices) -> ConfigTable:
    """Every fixed choice of a log's data, each without a probe."""
    return choice_table(matrices, matrices.data.choices)


def choice_table(matrices: Matrices, choices: Sequence[Choice]) -> ConfigTable:
    """Some fixed choices, each without a probe."""
    matrix = matrices.at(Probe(next(iter(matrices.data.pools)), 0), choices)
    return ConfigTable(
        settings=tuple(map(str, matrix.choices)),
        values=matrix.values,
        tokens=matrix.tokens,
        flops=matrix.flops,
    )
