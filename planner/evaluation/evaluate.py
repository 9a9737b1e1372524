"""Accuracy against compute: the planner beside every baseline, at equal mean FLOPs, paired by problem.

Probe, PRM and the planner itself are charged; costs are logical. The planner's decisions are replayed on
pools: a random probe, then continuations disjoint from it. Where the evaluated log is not the one that the
planner was fitted on, ``training`` is the log that the baselines pick on; without it they pick by cross-
fitting over families of the evaluated log, which favours them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Rule
from planner.deciding.replay import replay
from planner.evaluation.area import area
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.fixed import best_fixed
from planner.evaluation.baselines.static_ceiling import STATIC_CEILING, static_ceiling
from planner.evaluation.budget_adherence import budget_adherence
from planner.evaluation.compute_to_target import Multiple, multiple
from planner.evaluation.evaluation import METHODS, BudgetRow, Curve, Evaluation, Point
from planner.evaluation.expected_accuracy import calibration, reliability
from planner.evaluation.folds.cross_validation import budget_names, checked_budgets, fixed_budgets
from planner.evaluation.frontier import Track
from planner.evaluation.headline import DEFINITIONS, geometric_mean, headlines
from planner.evaluation.intervals import Resampler
from planner.evaluation.overhead import with_overhead
from planner.evaluation.promises import promised_and_met
from planner.evaluation.remarks import empty_figures, remarks
from planner.evaluation.rivals import rivals
from planner.evaluation.streaming import streamed
from planner.evaluation.target_accuracy import target_accuracy
from planner.evaluation.timing import decision_ms
from planner.evidence.training_data import TrainingData
from planner.planner import Planner

__all__ = [
    "BudgetRow",
    "Curve",
    "Evaluation",
    "Point",
    "context_of",
    "evaluate",
    "planner_track",
    "point",
]

Floats = NDArray[np.float64]

#: whose compute is told as a multiple of the planner's; the best mixture of two fixed choices is what a fixed
#: plan can do, so that it comes first
_IN_COMPUTE = ("mixture", "cascade", "majority", "best_of_n", "adaptive_consistency")

#: budgets of the log's own range: as many as fit a table of all methods
_COUNT = 4

#: accuracy per sample at which everything that has settings picks one, from nearly free to dearer than any
_PRICES = np.geomspace(1e-5, 5.0, 48)


def evaluate(
    planner: Planner,
    data: TrainingData,
    *,
    training: TrainingData | None = None,
    budgets: Sequence[float] | None = None,
    seed: int = 0,
    probes: int = 4,
    resamples: int = 16,
    bootstrap: int = 2000,
    clustered: bool = False,
    timed: int = 0,
) -> Evaluation:
    """Compare on held-out problems.

    Parameters
    ----------
    data, training:
        The held-out log, and the one that baselines pick on.
    budgets:
        Mean budgets in sample-equivalents of the planner's log. None: four, geometric from the cheapest to
        the dearest fixed choice of the held-out log.
    probes, resamples:
        Random probes per problem, continuations of each.
    bootstrap, clustered:
        Resamples, and whether they draw families instead of problems.
    timed:
        Decisions to measure; with 0 equal arguments give equal figures.

    Raises
    ------
    TooLittleDataError
        There is nothing to compare on, or the training log lacks a choice that is compared.
    LogError
        A choice of the planner was never logged here.
    BudgetError
        A budget is not above 0, two are equal, or there is none.
    """
    asked = None if budgets is None else checked_budgets(budgets)
    context = context_of(planner, data, training, seed=seed, probes=probes, resamples=resamples)
    if asked is None:
        own = fixed_budgets(context.fixed[0].flops, count=_COUNT)
        asked = tuple(budget / planner.sample_flops for budget in own)
    clusters = data.families if clustered else None
    resampler = Resampler(len(data), clusters=clusters, resamples=bootstrap, seed=seed)
    found = rivals(context)
    tracks = {"planner": planner_track(planner, context), **found.tracks}
    tracks[STATIC_CEILING] = static_ceiling(context.fixed[0], data, context.prices)
    others = [name for name in tracks if name not in METHODS]
    names = budget_names(asked)
    amounts = dict(zip(names, (one * planner.sample_flops for one in asked), strict=True))
    rows = []
    differences: dict[str, list[Floats]] = {
        name: [] for name in ("planner", "oracle", "oracle_steady") if name in tracks
    }
    for name, budget in amounts.items():
        here = tracks | {"best_fixed": best_fixed(context, budget)}
        met = {method: here[method].at(budget) for method in (*METHODS, *others) if method in here}
        ours = met["planner"][0]
        rows.append(
            BudgetRow(
                name=name,
                flops=budget,
                methods={method: point(reached, ours, resampler) for method, reached in met.items()},
                detectable=2.8 * float(resampler.means(ours - met["mixture"][0]).std()),
            )
        )
        for method, above in differences.items():
            above.append(met[method][0] - met["best_fixed"][0])
    adherences = {name: budget_adherence(planner, context.test, budget) for name, budget in amounts.items()}
    cells, drawn = headlines(planner, context, resampler)
    gaps = {
        "gap_closed": _gap(differences["planner"], differences.get("oracle"), resampler),
        "gap_closed_steady": _gap(differences["planner"], differences.get("oracle_steady"), resampler),
    }
    missed = {
        "budget_error_percent": _missed(
            planner, amounts.values(), streamed(planner, context.test, [*amounts.values()], seed=seed)
        ),
        "budget_error_untended_percent": _missed(
            planner, amounts.values(), [float(one.flops.mean()) for one in adherences.values()]
        ),
    }
    multiples = _multiples(tracks, resampler)
    return Evaluation(
        problems=len(data),
        families=len(set(data.families)),
        sample_flops=planner.sample_flops,
        budgets=tuple(rows),
        curves=tuple(_curve(track, resampler) for track in tracks.values()),
        fixed=tuple(_curve(track, resampler) for track in _fixed(context)),
        gap_closed=gaps["gap_closed"],
        gap_closed_steady=gaps["gap_closed_steady"],
        budget_error_percent=missed["budget_error_percent"],
        budget_error_untended_percent=missed["budget_error_untended_percent"],
        calibration=calibration(list(adherences.values()), len(data), resampler),
        made={name: one.ended for name, one in adherences.items()},
        notes=remarks(context, gaps["gap_closed"], found.missing, clustered=clustered),
        missing=found.missing,
        empty=empty_figures(gaps=gaps, missed=missed, multiples=multiples, headline=cells, timed=timed),
        areas={
            name: area(track, tracks["planner"], [*amounts.values()], resampler)
            for name, track in tracks.items()
        },
        multiples=multiples,
        headline=cells,
        headline_mean=asdict(geometric_mean(cells, drawn)),
        promises={name: promised_and_met(planner, data, one) for name, one in adherences.items()},
        target_accuracy=target_accuracy(planner, context.test, resampler),
        reliability=tuple(reliability(list(adherences.values()), len(data))),
        decision_ms=decision_ms(planner, data.questions, count=timed),
        definitions=DEFINITIONS,
    )


def context_of(
    planner: Planner,
    data: TrainingData,
    training: TrainingData | None = None,
    *,
    seed: int = 0,
    probes: int = 4,
    resamples: int = 16,
) -> BaselineContext:
    """What a planner and its baselines meet on: see ``planner.evaluation.baseline_context``."""
    prices = _PRICES / planner.sample_flops
    return BaselineContext(
        data, training, planner.encoder, prices, probes=probes, resamples=resamples, seed=seed
    )


def planner_track(planner: Planner, context: BaselineContext) -> Track:
    """The planner at every price of a baseline context, deciding included in its FLOPs."""
    done = replay(planner.stages, context.test, [Rule(price=float(price)) for price in context.prices])
    return Track(
        name="planner",
        accuracy=done.met.accuracy,
        tokens=done.met.tokens,
        flops=with_overhead(done, context.test),
    )


def point(reached: tuple[Floats, Floats, Floats], ours: Floats, resampler: Resampler) -> Point:
    """What ``Track.at`` reached, beside the accuracies (P,) of the planner at the same budget."""
    accuracy, tokens, flops = reached
    mean, above = resampler.interval(accuracy), resampler.interval(ours - accuracy)
    return Point(
        accuracy=mean.value,
        tokens=float(tokens.mean()),
        flops=float(flops.mean()),
        low=mean.low,
        high=mean.high,
        planner_above=above.value,
        above_low=above.low,
        above_high=above.high,
    )


def _gap(gains: Sequence[Floats], gaps: Sequence[Floats] | None, resampler: Resampler) -> dict[str, float]:
    """Ratio of the sums over budgets and problems; and what was gained and could be, in points per budget.

    ``gaps`` None: there is no oracle.
    """
    none = float("nan")
    gained = 100.0 * float(np.mean(gains))
    if gaps is None:
        return {"value": none, "low": none, "high": none, "planner_points": gained, "gap_points": none}
    closed = resampler.ratio(np.sum(gains, axis=0), np.sum(gaps, axis=0))
    return asdict(closed) | {"planner_points": gained, "gap_points": 100.0 * float(np.mean(gaps))}


def _multiples(tracks: Mapping[str, Track], resampler: Resampler) -> dict[str, Multiple]:
    known = [name for name in _IN_COMPUTE if name in tracks]
    found = {name: multiple(tracks[name], tracks["planner"], resampler) for name in known}
    if "majority" in tracks:
        found["control"] = multiple(tracks["majority"], tracks["majority"], resampler)
    return found


def _missed(planner: Planner, budgets: Iterable[float], means: Iterable[float]) -> float:
    """How far means were off, in percent, over the budgets that the planner can spend; NaN without one."""
    low, high = planner.frontier.flops.min(), planner.frontier.flops.max()
    missed = [abs(mean / b - 1.0) for b, mean in zip(budgets, means, strict=True) if low <= b <= high]
    return 100.0 * float(np.mean(missed)) if missed else float("nan")


def _fixed(context: BaselineContext) -> list[Track]:
    table = context.fixed[0]
    return [
        Track(
            name=name,
            accuracy=table.values[:, [at]],
            tokens=table.tokens[:, [at]],
            flops=table.flops[:, [at]],
        )
        for at, name in enumerate(table.settings)
    ]


def _curve(track: Track, resampler: Resampler) -> Curve:
    order = np.argsort(track.flops.mean(axis=0), kind="stable")
    low, high = np.quantile(resampler.means(track.accuracy[:, order]), [0.025, 0.975], axis=0)

    def means(values: Floats) -> tuple[float, ...]:
        return tuple(values.mean(axis=0)[order].tolist())

    return Curve(
        name=track.name,
        flops=means(track.flops),
        tokens=means(track.tokens),
        accuracy=means(track.accuracy),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )
