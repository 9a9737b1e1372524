"""Adds choices of a new model to the stages of a planner, from the problems of a small log.

What was fitted stays as it is. A stage gets the new choices that come near the best at some price, their
accuracies (``training.extending.pooling``), what they cost, and, where the new model is a policy, the lengths
of its samples. A stage whose probe the log does not hold stays without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.deciding.cost import ChoiceCost
from planner.deciding.stages import Stage
from planner.evidence.matrix import Matrices, Matrix, open_choices
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from planner.predicting.added import Added, design_of
from planner.predicting.boosting import Shape, boost
from planner.predicting.lightgbm_text import parse
from planner.predicting.trees import Forest
from search.choice import Choice
from training.costs import fit_costs
from training.extending.pooling import pooled_weights

__all__ = ["Growth", "StageGrowth", "growth_of", "involves", "shown"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: a difference in accuracy that is none
_VISIBLE = 0.001

#: models of sample lengths
_LENGTHS = Shape(trees=40, leaves=4, rate=0.1, min_data=20, l2=5.0, share=0.8)


def involves(choice: Choice, name: str) -> bool:
    """Whether a model of this name takes part in a choice."""
    return name in (choice.policy, choice.prm) or any(involves(part, name) for part in choice.plan.parts)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StageGrowth:
    """A stage and what a log tells about the new choices there.

    Parameters
    ----------
    stage:
        As it was fitted.
    matrix:
        N rows of the new choices' values and costs; None where the log does not hold the stage's probe.
    costs:
        One per new choice; where they name the new policy its place is behind the known ones.
    length:
        (N,) logarithms of the mean tokens of a sample of the new policy, moved so that predictions of them
        have its mean; None where its lengths are known.
    """

    stage: Stage
    matrix: Matrix | None
    costs: tuple[ChoiceCost, ...]
    length: Floats | None
    policy: str | None
    seed: int

    def stage_of(self, problems: Bools) -> Stage:
        """The stage with the new choices, learned from some of the problems, (P,)."""
        stage, matrix = self.stage, self.matrix
        if matrix is None:
            return stage
        rows = problems[matrix.problem]
        features, values = matrix.features[rows], matrix.values[rows]
        level, factors = stage.factors(features)
        known = stage.accuracy(stage.menu(features, matrix.characters[rows]))
        counted = np.full(len(level), 1.0 / matrix.probes)
        weights = pooled_weights(design_of(level, factors), known, values, counted)
        alone = Added(weights, np.zeros(len(weights)))
        average = (alone.accuracy(level, factors) - level[:, None]).mean(axis=0)
        added = replace(alone, average=average)
        models, policies = stage.models, stage.actions.policies
        if self.length is not None and self.policy is not None:
            text = _boosted(features, self.length[rows], self.seed)
            models, policies = (*models, text), (*policies, self.policy)
        actions = replace(
            stage.actions,
            choices=(*stage.choices, *matrix.choices),
            choice_costs=(*stage.actions.choice_costs, *self.costs),
            policies=policies,
        )
        return replace(
            stage,
            actions=actions,
            models=models,
            added=added if stage.added is None else stage.added.and_more(added),
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Growth:
    """Every stage of a planner with what a log tells about the new choices there."""

    data: TrainingData
    matrices: Matrices
    stages: tuple[StageGrowth, ...]

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The new choices."""
        found = [choice for one in self.stages if one.matrix for choice in one.matrix.choices]
        return tuple(dict.fromkeys(found))

    def stages_of(self, problems: Bools | None = None) -> tuple[Stage, ...]:
        """The stages with the new choices, learned from some of the problems, (P,), or from all."""
        rows = np.ones(len(self.data), np.bool_) if problems is None else problems
        return tuple(one.stage_of(rows) for one in self.stages)


def growth_of(
    stages: Sequence[Stage], matrices: Matrices, new: str, prices: Floats, folds: NDArray[np.int64], seed: int
) -> Growth:
    """Read what a log tells about the choices of a model.

    Parameters
    ----------
    matrices:
        Of the log.
    new:
        The model's name.
    prices:
        (J,) per FLOP: of the new choices those stay that are best on average at one of them, and near the
        best known one there.
    folds:
        (P,) what the error of predicted lengths is measured without.
    """
    return Growth(
        data=matrices.data,
        matrices=matrices,
        stages=tuple(_stage_growth(stage, matrices, new, prices, folds, seed) for stage in stages),
    )


def shown(data: TrainingData, probe: Probe) -> Probe | None:
    """The probe under which a log tells about a stage; None where it does not hold it."""
    if not probe.samples:
        return Probe(next(iter(data.pools)), 0)
    pool = data.pools.get(probe.policy)
    if pool is None or (probe.greedy and pool.greedy is None):
        return None
    seen = pool.greedy_first() if probe.greedy else pool
    if seen.draws < probe.samples or (probe.prm is not None and probe.prm not in seen.prms):
        return None
    return probe


def _stage_growth(
    stage: Stage, matrices: Matrices, new: str, prices: Floats, folds: NDArray[np.int64], seed: int
) -> StageGrowth:
    data = matrices.data
    known, probe = stage.actions.policies, shown(data, stage.probe)
    open_here = () if probe is None else open_choices(data, stage.probe)
    candidates = [choice for choice in open_here if involves(choice, new)]
    if probe is None or not candidates:
        return StageGrowth(stage=stage, matrix=None, costs=(), length=None, policy=None, seed=seed)
    matrix = matrices.at(probe, candidates, thoughts=stage.thoughts)
    kept = _near_the_best(stage, matrix, prices)
    if not kept:
        return StageGrowth(stage=stage, matrix=None, costs=(), length=None, policy=None, seed=seed)
    matrix = matrix.only(kept)
    errors = {_cost_policy(stage, cost): cost.error for cost in stage.actions.choice_costs}
    errors = {name: errors.get(name, 0.0) for name in data.pools}
    length = None
    if new in data.pools and new not in known:
        length = np.log(np.maximum(data.pools[new].tokens.mean(axis=1), 1.0))[matrix.problem]
        out = _left_out(matrix, length, folds, seed)
        errors[new] = float(np.sqrt(np.mean(np.expm1(np.clip(length - out, -2, 2)) ** 2)))
        # a mean of logarithms says too little where some samples are very long: the mean cost is to be met
        length = length + np.log(np.exp(length).mean() / np.exp(out).mean())
    order = (*known, new) if length is not None else known
    names = list(data.pools)
    costs = fit_costs(data, matrix.choices, stage.probe, errors, np.arange(len(data)))
    return StageGrowth(
        stage=stage,
        matrix=matrix,
        costs=tuple(replace(cost, policy=order.index(names[cost.policy])) for cost in costs),
        length=length,
        policy=new,
        seed=seed,
    )


def _near_the_best(stage: Stage, matrix: Matrix, prices: Floats) -> list[Choice]:
    """New choices that are the best of them on average at some price, and there no more than two standard
    errors below the best known one: a policy that is both worse and dearer would only win by mistake."""
    # beyond the grid are the most accurate, whatever it costs, and the cheapest
    prices = np.array([0.0, *prices, 1e3 * prices[-1]])
    level, _ = stage.factors(matrix.features)
    menu = stage.menu(matrix.features, matrix.characters)
    known = stage.average - prices[:, None] * menu.costs.flops.mean(axis=0)
    means = matrix.values.mean(axis=0)
    new = (means - level.mean()) - prices[:, None] * matrix.flops.mean(axis=0)
    slack = 2.0 * matrix.per_problem(matrix.values).std(axis=0) / np.sqrt(len(level) / matrix.probes)
    best = new.argmax(axis=1)
    near = new.max(axis=1) >= known.max(axis=1) - slack[best] - _VISIBLE
    return [matrix.choices[at] for at in np.unique(best[near])]


def _cost_policy(stage: Stage, cost: ChoiceCost) -> str:
    """The policy whose length a cost counts."""
    return stage.actions.policies[cost.policy]


def _left_out(matrix: Matrix, length: Floats, folds: NDArray[np.int64], seed: int) -> Floats:
    """(N,) predicted logarithms of lengths where a fold was left out."""
    out, fold = np.empty(len(length)), folds[matrix.problem]
    for left_out in np.unique(fold):
        held = fold == left_out
        text = _boosted(matrix.features[~held], length[~held], seed)
        out[held] = Forest([parse(text)]).predict(matrix.features[held])[:, 0]
    return out


def _boosted(features: Floats, length: Floats, seed: int) -> str:
    weights = np.ones(len(length))
    return boost(features, length, weights, _LENGTHS, probability=False, seed=seed, threads=1)
