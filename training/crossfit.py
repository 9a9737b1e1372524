"""Fits the stages of a planner backwards, the last probe first, and always with families left out.

What probing further is worth at a price is what the later stages' decisions met in training, made with
models that had not seen the family (fitted Q-iteration; Longstaff and Schwartz 2001 for the stopping
problem). ``crossfit`` predicts every row from the other folds; ``finish`` fits what is kept on all rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Menu, Rule, decide
from planner.deciding.replay import ReplayOutcome, aligned, follow_prices
from planner.deciding.stages import ActionSpec, Stage
from planner.evidence.matrix import Matrix
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from planner.predicting.boosting import Shape
from planner.predicting.calibration import Calibration, Reliability
from planner.predicting.lightgbm_text import parse
from planner.predicting.trees import Forest
from training.bins import Bins
from training.costs import fit_costs, probe_cost

__all__ = [
    "Chain",
    "Settings",
    "StageFit",
    "crossfit",
    "factors",
    "finish",
    "folds_of",
    "predict_lengths",
    "reference_of",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: models of sample lengths: one shape does, what they predict is easy
_LENGTHS = Shape(trees=40, leaves=6, rate=0.1, min_data=20, l2=5.0, share=0.8)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a trial varies: how advantages are modelled.

    ``rank`` factors; ``groups`` of features that are used; ``keep`` scales the shrinkage that the left-out
    folds suggest (1 takes it as it is).
    """

    rank: int = 2
    shape: Shape = field(default_factory=Shape)
    groups: tuple[str, ...] = ("surface", "ngrams", "agreement", "logprobs", "rewards")
    keep: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFit:
    """A stage with predictions for rows whose fold was left out."""

    matrix: Matrix
    actions: ActionSpec
    targets: Floats
    columns: Floats
    shrink: Floats


@dataclass(frozen=True, slots=True)
class Chain:
    """All stages, and what their decisions met in training, (P, J) at each price of the grid."""

    fits: tuple[StageFit, ...]
    prices: Floats
    accuracy: Floats
    tokens: Floats
    flops: Floats

    @property
    def utility(self) -> Floats:
        """(P, J) accuracy less its price."""
        return self.accuracy - self.prices * self.flops


def folds_of(families: Sequence[str], count: int, seed: int) -> Ints:
    """The fold of each problem: families whole, folds of about equal size, ``count`` at most."""
    names, inverse, sizes = np.unique(np.asarray(families), return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load = np.zeros(min(count, len(names)))
    fold = np.zeros(len(names), np.int64)
    for family in order:
        fold[family] = load.argmin()
        load[fold[family]] += sizes[family]
    return fold[inverse]


def predict_lengths(
    matrix: Matrix, data: TrainingData, bins: Bins, *, seed: int
) -> tuple[Floats, tuple[str, ...], dict[str, float]]:
    """Left-out predictions (N, policies) of the mean tokens of a sample, the final models' texts, and the
    relative error of each policy's."""
    out, texts, errors = [], [], {}
    for name, pool in data.pools.items():
        label = np.log(np.maximum(pool.tokens.mean(axis=1), 1.0))[matrix.problem]
        out.append(_left_out(matrix, label, _LENGTHS, bins, None, seed))
        texts.append(bins.at(matrix).boost(label, _LENGTHS, probability=False, seed=seed))
        errors[name] = float(np.sqrt(np.mean(np.expm1(np.clip(label - out[-1], -2, 2)) ** 2)))
    return np.exp(np.stack(out, axis=1)), tuple(texts), errors


def crossfit(
    chain: Sequence[Matrix],
    data: TrainingData,
    lengths: Mapping[Probe, tuple[Floats, tuple[str, ...], dict[str, float]]],
    bins: Bins,
    prices: Floats,
    settings: Settings,
    *,
    seed: int,
) -> Chain:
    """Predict every stage from the other folds and follow the decisions through.

    ``chain``: matrices of the probes, question first. ``bins``: their rows in folds. ``prices`` per FLOP.
    """
    fits: list[StageFit] = []
    met: ReplayOutcome | None = None
    for place in range(len(chain) - 1, -1, -1):
        matrix = chain[place]
        following = chain[place + 1] if met is not None else None
        fit = _fit_stage(
            matrix,
            following,
            met,
            data,
            lengths[matrix.probe],
            bins,
            prices,
            settings,
            seed=seed + place,
        )
        met = _follow(fit=fit, met=met, following=following, lengths=lengths[matrix.probe][0], prices=prices)
        fits.insert(0, fit)
    assert met is not None
    return Chain(
        tuple(fits), prices, *(chain[0].per_problem(part) for part in (met.accuracy, met.tokens, met.flops))
    )


def _fit_stage(
    matrix: Matrix,
    following: Matrix | None,
    met: ReplayOutcome | None,
    data: TrainingData,
    lengths: tuple[Floats, tuple[str, ...], dict[str, float]],
    bins: Bins,
    prices: Floats,
    settings: Settings,
    *,
    seed: int,
) -> StageFit:
    reference = reference_of(matrix)
    targets = matrix.values - matrix.values[:, reference, None]
    rows = np.arange(len(data))
    advance_cost, grid, further = np.zeros(0), np.zeros(0), None
    if following is not None and met is not None:
        after = aligned(met, matrix, following)
        flops = after.flops
        net = after.accuracy - prices * flops - matrix.values[:, reference, None]
        targets = np.concatenate([targets, net], axis=1)
        advance_cost, grid = flops.mean(axis=0), prices
        further = probe_cost(data, following.probe, matrix.probe, lengths[2], rows)
    probing = following.probe.policy if following is not None else matrix.probe.policy
    actions = ActionSpec(
        probe=matrix.probe,
        choices=matrix.choices,
        reference=reference,
        policies=tuple(data.pools),
        choice_costs=fit_costs(data, matrix.choices, matrix.probe, lengths[2], rows),
        probe_costs=further,
        next_probe=following.probe if following is not None else None,
        prices=grid,
        advance_cost=advance_cost,
        mean_length=float(data.pools[probing].tokens.mean()),
        thoughts=matrix.thoughts,
    )
    columns, shrink = _left_out_columns(matrix, targets, bins, settings, seed)
    return StageFit(matrix=matrix, actions=actions, targets=targets, columns=columns, shrink=shrink)


def _left_out_columns(
    matrix: Matrix, targets: Floats, bins: Bins, settings: Settings, seed: int
) -> tuple[Floats, Floats]:
    """(N, K) predictions from the other folds, and the shrinkage (R,) of the factors."""
    rank = min(settings.rank, targets.shape[1])
    predicted, true = np.zeros((2, len(targets), rank))

    def fit(fold: int) -> tuple[Ints, Floats, Floats]:
        out, rest = bins.split(matrix, fold)
        centre, loadings = factors(targets[rest], rank)
        labels = (targets[rest] - centre) @ loadings.T
        true[out] = (targets[out] - centre) @ loadings.T
        rows = bins.at(matrix, settings.groups, fold)
        texts = [rows.boost(labels[:, r], settings.shape, probability=False, seed=seed) for r in range(rank)]
        predicted[out] = Forest([parse(text) for text in texts]).predict(matrix.features[out])
        return out, centre, loadings

    pieces = bins.each(fit, bins.names)
    power = (predicted**2).sum(axis=0)
    slope = np.where(power > 1e-12, (predicted * true).sum(axis=0) / np.maximum(power, 1e-12), 0.0)
    shrink = settings.keep * np.clip(slope, 0.0, 1.0)
    columns = np.empty_like(targets)
    for out, centre, loadings in pieces:
        columns[out] = centre + (predicted[out] * shrink) @ loadings
    return columns, shrink


def factors(targets: Floats, rank: int) -> tuple[Floats, Floats]:
    """Means (K,) and the leading principal directions (R, K) of the targets, of a fixed sign."""
    centre = targets.mean(axis=0)
    moved = targets - centre
    _, vectors = np.linalg.eigh(moved.T @ moved)
    loadings = vectors[:, ::-1][:, :rank].T
    largest = np.abs(loadings).argmax(axis=1)
    return centre, loadings * np.sign(loadings[np.arange(len(loadings)), largest])[:, None]


def reference_of(matrix: Matrix) -> int:
    """Answering at once: the vote over the probe, or without one the choice that costs least."""
    if matrix.probe.samples:
        for place, choice in enumerate(matrix.choices):
            if (
                choice.policy == matrix.probe.policy
                and choice.plan.is_pooled
                and not choice.plan.needs_prm
                and choice.plan.n == matrix.probe.samples
            ):
                return place
    return int(matrix.flops.mean(axis=0).argmin())


def _follow(
    *,
    fit: StageFit,
    met: ReplayOutcome | None,
    following: Matrix | None,
    lengths: Floats,
    prices: Floats,
) -> ReplayOutcome:
    """(N, J) accuracy, tokens and FLOPs beyond this probe that decisions at each price meet."""
    matrix = fit.matrix
    menu = fit.actions.menu(
        level=np.zeros(len(matrix.problem)),
        columns=fit.columns,
        lengths=lengths,
        characters=matrix.characters,
    )
    after = aligned(met, matrix, following) if met is not None and following is not None else None
    return follow_prices(matrix, menu, after, prices)


def finish(
    chain: Chain,
    lengths: Mapping[Probe, tuple[Floats, tuple[str, ...], dict[str, float]]],
    bins: Bins,
    families: Sequence[str],
    settings: Settings,
    *,
    seed: int,
) -> tuple[tuple[Stage, Menu], ...]:
    """Fit what is kept: factors and levels on all rows, calibration on left-out predictions.

    With each stage comes its menu of the rows, every prediction made without the row's fold.
    """

    def fit(place: int) -> tuple[Stage, Menu]:
        return _finish_stage(
            fit=chain.fits[place],
            prices=chain.prices,
            lengths=lengths[chain.fits[place].matrix.probe],
            bins=bins,
            families=families,
            settings=settings,
            seed=seed,
            place=place,
        )

    return tuple(fit(place) for place in range(len(chain.fits)))


def _finish_stage(
    *,
    fit: StageFit,
    prices: Floats,
    lengths: tuple[Floats, tuple[str, ...], dict[str, float]],
    bins: Bins,
    families: Sequence[str],
    settings: Settings,
    seed: int,
    place: int,
) -> tuple[Stage, Menu]:
    matrix, shape = fit.matrix, settings.shape
    everything = bins.at(matrix, settings.groups)
    centre, loadings = factors(fit.targets, len(fit.shrink))
    labels = (fit.targets - centre) @ loadings.T
    models = [
        everything.boost(labels[:, r], shape, probability=False, seed=seed + place)
        for r in range(len(loadings))
    ]
    reference = matrix.values[:, fit.actions.reference]
    level = everything.boost(reference, shape, probability=True, seed=seed + place)
    left_out = _left_out(matrix, reference, shape, bins, settings.groups, seed + place, True)
    out, texts, _ = lengths
    menu = fit.actions.menu(level=left_out, columns=fit.columns, lengths=out, characters=matrix.characters)
    predicted, met = menu.level[:, None] + menu.advantage, matrix.values
    calibration = Calibration.fit(predicted.ravel(), met.ravel(), np.full(met.size, 1.0 / met.shape[1]))
    # the promise is about choices that are made: at each price of the grid
    rows = np.arange(len(matrix.problem))
    made = [np.minimum(decide(menu, Rule(price=float(p))), met.shape[1] - 1) for p in prices[::3]]
    expected = np.concatenate([calibration.apply(predicted[rows, at]) for at in made])
    actual = np.concatenate([met[rows, at] for at in made])
    family = np.tile(np.asarray(families)[matrix.problem], len(made))
    stage = Stage(
        actions=fit.actions,
        centre=centre,
        loadings=loadings * fit.shrink[:, None],
        models=(level, *models, *texts),
        lowest=matrix.features.min(axis=0),
        highest=matrix.features.max(axis=0),
        calibration=calibration,
        reliability=Reliability.fit(expected, actual, family.tolist(), seed=seed),
    )
    return stage, menu


def _left_out(
    matrix: Matrix,
    labels: Floats,
    shape: Shape,
    bins: Bins,
    groups: Sequence[str] | None,
    seed: int,
    probability: bool = False,
) -> Floats:
    out = np.empty(len(labels))

    def fit(fold: int) -> None:
        inside, rest = bins.split(matrix, fold)
        rows = bins.at(matrix, groups, fold)
        text = rows.boost(labels[rest], shape, probability=probability, seed=seed)
        out[inside] = Forest([parse(text)]).predict(matrix.features[inside])[:, 0]

    bins.each(fit, bins.names)
    return 1.0 / (1.0 + np.exp(-np.clip(out, -40, 40))) if probability else out
