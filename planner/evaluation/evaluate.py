"""Accuracy against compute: the planner beside every baseline, at equal mean FLOPs, paired by problem.

Probe and PRM tokens are charged; costs are logical. The planner's decisions are replayed on pools: a random
probe, then continuations disjoint from it. Where the evaluated log is not the one that the planner was fitted
on, ``training`` is the log that the baselines pick on; without it they pick by cross-fitting over families of
the evaluated log, which favours them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.decision import Rule
from planner.evaluation.baselines import (
    Board,
    Selection,
    best_fixed,
    bins,
    board,
    halves,
    mixture,
    oracle,
    probe_rule,
    selected,
)
from planner.evaluation.frontier import Track
from planner.evaluation.intervals import Resampler
from planner.experience import Experience
from planner.matrix import Matrices
from planner.planner import Planner
from planner.replay import Replay, replay
from search.errors import TooLittleDataError

__all__ = ["BudgetRow", "Curve", "Evaluation", "Point", "evaluate"]

Floats = NDArray[np.float64]

#: multiples of one sample's mean FLOPs
BUDGETS = (4.0, 16.0, 64.0)


@dataclass(frozen=True, slots=True)
class Point:
    """A method at one budget: mean accuracy with its 95% interval, mean cost, and how many points
    (1.0 is a hundred) the planner is above it, with the interval of that paired difference."""

    accuracy: float
    tokens: float
    flops: float
    low: float
    high: float
    planner_above: float
    above_low: float
    above_high: float


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """Every method at one mean budget. ``detectable``: the difference to the best mixture of two fixed plans
    that this number of problems shows in four tests of five."""

    name: str
    flops: float
    methods: dict[str, Point]
    detectable: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A method's means at all its settings, cheapest first, for pictures."""

    name: str
    flops: tuple[float, ...]
    tokens: tuple[float, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The whole comparison; ``to_json`` gives it to programs.

    ``gap_closed``: (planner - best fixed) / (oracle - best fixed), sums over the budgets.
    ``calibration``: of the promises on choices that were made.
    ``budget_error_percent``: how far mean budgets were missed with prices from training, over the
    budgets that the planner can spend at all.
    ``made``: share of problems that ended in each choice, per budget.
    """

    problems: int
    families: int
    sample_flops: float
    budgets: tuple[BudgetRow, ...]
    curves: tuple[Curve, ...]
    fixed: tuple[Curve, ...]
    gap_closed: dict[str, float]
    calibration: dict[str, float]
    budget_error_percent: float
    made: dict[str, dict[str, float]]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN (no gap to close, say) becomes null."""
        body = asdict(self)
        body["budgets"] = [
            {"name": row["name"], "flops": row["flops"], "detectable": row["detectable"], **row["methods"]}
            for row in body["budgets"]
        ]
        return dict(_plain(body))


def evaluate(
    planner: Planner,
    experience: Experience,
    *,
    training: Experience | None = None,
    budgets: Sequence[float] = BUDGETS,
    seed: int = 0,
    probes: int = 4,
    resamples: int = 16,
    bootstrap: int = 2000,
    clustered: bool = False,
) -> Evaluation:
    """Compare on held-out problems.

    Parameters
    ----------
    experience, training:
        The held-out log, and the one that baselines pick on.
    budgets:
        In sample-equivalents of the planner's log.
    probes, resamples:
        Random probes per problem, continuations of each.
    clustered:
        Whether the bootstrap draws families instead of problems.

    Raises TooLittleDataError when there is nothing to compare on, LogError when a choice of the planner
    was never logged here.
    """
    if len(experience) < 2:
        raise TooLittleDataError(f"a comparison needs at least 2 problems, got {len(experience)}")
    matrices = Matrices(experience, planner.encoder, probes=probes, resamples=resamples, seed=seed)
    test = board(matrices)
    if training is None:
        train, source, selection = test, experience, _folds(experience, seed)
    else:
        source = training
        train = _same(
            board(Matrices(training, planner.encoder, probes=1, resamples=resamples, seed=seed)), test
        )
        selection = [Selection(np.arange(len(training)), np.arange(len(experience)))]
    prices = np.geomspace(1e-5, 5.0, 48) / planner.sample_flops
    own = replay(planner.stages, matrices, [Rule(price=float(p)) for p in prices])
    main = experience.main
    tested = halves(experience, main, seed=seed)
    trained = tested if training is None else halves(source, main, seed=seed)
    tracks = [
        Track("planner", own.met.accuracy, own.met.tokens, own.met.flops),
        _sampled("majority", test, train, selection, prices),
        _sampled("best_of_n", test, train, selection, prices),
        mixture(test, train, selection, prices),
        bins("bin_absolute", test, train, tested, trained, selection, prices, quantiles=False),
        bins("bin_quantile", test, train, tested, trained, selection, prices, quantiles=True),
        probe_rule(matrices, main),
        oracle(test, tested, prices),
    ]
    known = [track for track in tracks if track is not None]
    resampler = Resampler(
        len(experience), clusters=experience.families if clustered else None, resamples=bootstrap, seed=seed
    )
    rows, gains, gaps, errors, made = [], [], [], [], {}
    for multiple in budgets:
        budget = multiple * planner.sample_flops
        here = [*known, best_fixed(test, train, selection, budget)]
        ours = known[0].at(budget)[0]
        points = {track.name: _point(track.at(budget), ours, resampler) for track in here}
        detectable = 2.8 * float(
            resampler.means(ours - {t.name: t for t in here}["mixture"].at(budget)[0]).std()
        )
        name = f"{multiple:g} samples"
        rows.append(BudgetRow(name, budget, points, detectable))
        fixed = here[-1].at(budget)[0]
        gains.append(ours - fixed)
        gaps.append(known[-1].at(budget)[0] - fixed)
        promised, ended = _with_training_price(planner, matrices, budget)
        if planner.frontier.flops.min() <= budget <= planner.frontier.flops.max():
            errors.append(abs(promised / budget - 1.0) * 100.0)
        made[name] = ended
    closed = resampler.ratio(np.sum(gains, axis=0), np.sum(gaps, axis=0))
    notes = []
    if experience.left_out:
        notes.append(f"{experience.left_out} incomplete problems were left out")
    if np.isnan(closed.value):
        notes.append("the oracle is not above the best fixed plan: there is no gap to close")
    return Evaluation(
        len(experience),
        len(set(experience.families)),
        planner.sample_flops,
        tuple(rows),
        tuple(_curve(track) for track in known),
        tuple(
            Curve(str(c), (float(f),), (float(t),), (float(a),))
            for c, f, t, a in zip(
                test.choices, test.flops.mean(0), test.tokens.mean(0), test.values.mean(0), strict=True
            )
        ),
        asdict(closed),
        _calibration(own),
        float(np.mean(errors)) if errors else 0.0,
        made,
        tuple(notes),
    )


def _folds(experience: Experience, seed: int) -> list[Selection]:
    """Leave out a fifth of the families at a time; a log of one family picks and scores on halves."""
    names, inverse = np.unique(np.asarray(experience.families), return_inverse=True)
    if len(names) == 1:
        inverse, names = np.arange(len(experience)) % 2, np.arange(2).astype(str)
    fold = np.random.default_rng(seed).permutation(len(names))[inverse] % min(5, len(names))
    return [Selection(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in np.unique(fold)]


def _same(training: Board, test: Board) -> Board:
    columns = [training.choices.index(c) for c in test.choices if c in training.choices]
    if len(columns) != len(test.choices):
        missing = [str(c) for c in test.choices if c not in training.choices]
        raise TooLittleDataError(
            f"the training log must hold every choice that is compared, got none of {missing[:3]}"
        )
    return Board(
        test.choices, training.values[:, columns], training.tokens[:, columns], training.flops[:, columns]
    )


def _sampled(
    strategy: str, test: Board, train: Board, selection: Sequence[Selection], prices: Floats
) -> Track | None:
    """One strategy under any policy and PRM, mixed with the cheapest choice below its smallest n."""
    columns = [i for i, c in enumerate(test.choices) if c.plan.strategy == strategy]
    if not columns:
        return None
    cheapest = int(train.flops.mean(axis=0).argmin())
    return selected(strategy, test, train, selection, [cheapest, *columns], prices)


def _point(reached: tuple[Floats, Floats, Floats], ours: Floats, resampler: Resampler) -> Point:
    accuracy, tokens, flops = reached
    mean, above = resampler.interval(accuracy), resampler.interval(ours - accuracy)
    return Point(
        mean.value,
        float(tokens.mean()),
        float(flops.mean()),
        mean.low,
        mean.high,
        above.value,
        above.low,
        above.high,
    )


def _with_training_price(
    planner: Planner, matrices: Matrices, budget: float
) -> tuple[float, dict[str, float]]:
    """Mean FLOPs that a mean budget took with its price from training, and where requests ended."""
    from planner.objective import MeanBudget
    from search.result import Spend

    questions = matrices.experience.questions
    aim = MeanBudget(budget)
    done = replay(planner.stages, matrices, lambda i: planner.rule(aim, None, Spend(), questions[i]))
    ended: dict[str, float] = {}
    for matrix, options, reached in zip(done.matrices, done.made, done.reached, strict=True):
        for place, choice in enumerate(matrix.choices):
            share = float((reached[:, 0] & (options[:, 0] == place)).mean())
            if share:
                after = f"{choice} after {matrix.look}" if matrix.look.samples else str(choice)
                ended[after] = ended.get(after, 0.0) + share
    return float(done.met.flops.mean()), dict(sorted(ended.items(), key=lambda item: -item[1]))


def _calibration(own: Replay) -> dict[str, float]:
    """ECE (ten bins), Brier score and resolution of promises on final choices, over all prices."""
    promised, happened = [], []
    for matrix, options, said, was, reached in zip(
        own.matrices, own.made, own.promised, own.happened, own.reached, strict=True
    ):
        final = reached & (options < len(matrix.choices))
        promised.append(said[final])
        happened.append(was[final])
    p, y = np.concatenate(promised), np.concatenate(happened)
    cell = np.minimum((p * 10).astype(np.int64), 9)
    size = np.bincount(cell, minlength=10).astype(np.float64)
    mean_p = np.bincount(cell, p, minlength=10) / np.maximum(size, 1.0)
    mean_y = np.bincount(cell, y, minlength=10) / np.maximum(size, 1.0)
    share = size / size.sum()
    return {
        "ece": float((share * np.abs(mean_p - mean_y)).sum()),
        "resolution": float((share * (mean_y - y.mean()) ** 2).sum()),
        # labels are chances: the score of an answer drawn with that chance
        "brier": float((y * (1 - p) ** 2 + (1 - y) * p**2).mean()),
    }


def _curve(track: Track) -> Curve:
    order = np.argsort(track.flops.mean(axis=0), kind="stable")

    def means(values: Floats) -> tuple[float, ...]:
        return tuple(float(v) for v in values.mean(axis=0)[order])

    return Curve(track.name, means(track.flops), means(track.tokens), means(track.accuracy))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
