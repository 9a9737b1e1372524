"""What a planner's decisions expected and met on a log: accuracy, cost, mean budgets, where requests ended.

Everything is replayed (``planner.deciding.replay``), with the decision rule that also decides live.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from planner.deciding.budgeting import rule
from planner.deciding.decision import Rule
from planner.deciding.replay import Replay, replay
from planner.evaluation.budget_adherence import BudgetAdherence
from planner.evaluation.intervals import Resampler
from planner.evaluation.overhead import with_overhead
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe
from planner.planner import Planner
from planner.report.findings import CostBin, Expectation, MeanKept, Share
from planner.report.words import ending
from search.budget import Budget
from search.choice import Choice

__all__ = ["budget_ladder", "cost_bins", "price_grid", "promises", "shares"]

Floats = NDArray[np.float64]

_OTHER = "all others"


def price_grid(planner: Planner) -> Floats:
    """(48,) prices per FLOP, those that ``planner.evaluation`` replays at."""
    return np.geomspace(1e-5, 5.0, 48) / planner.sample_flops


def budget_ladder(low: float, high: float) -> tuple[float, ...]:
    """Mean budgets in sample-equivalents between two of them: the powers of two in there, or, where those are
    fewer than three, five in equal ratios.

    >>> budget_ladder(0.9, 40.0)
    (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    >>> budget_ladder(1.1, 1.9)
    (1.1, 1.3, 1.4, 1.7, 1.9)
    """
    low = max(low, 1e-3)
    high = max(high, low)
    fidelities = 2.0 ** np.arange(np.ceil(np.log2(low) - 1e-9), np.floor(np.log2(high) + 1e-9) + 1.0)
    if len(fidelities) < 3:
        fidelities = np.array([float(f"{fidelity:.2g}") for fidelity in np.geomspace(low, high, 5)])
    return tuple(dict.fromkeys(float(fidelity) for fidelity in fidelities))


def promises(
    adherences: Sequence[BudgetAdherence],
    problems: int,
    *,
    bins: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[Expectation, ...]:
    """Expected against actual accuracy of the choices that were made under mean budgets, in bins of equal
    width; empty bins are left out. The same decisions that ``Evaluation.calibration`` is about."""
    size, said, met = np.zeros((3, problems * bins))
    for one in adherences:
        at = one.problem * bins + np.minimum((one.expected * bins).astype(np.int64), bins - 1)
        whole = np.ones_like(one.expected)
        for target, values in zip((size, said, met), (whole, one.expected, one.actual), strict=True):
            target += np.bincount(at, one.weight * values, minlength=problems * bins)
    size, said, met = (part.reshape(problems, bins) for part in (size, said, met))
    resampler = Resampler(problems, resamples=resamples, seed=seed)
    total, right = resampler.means(size), resampler.means(met)
    out = []
    for cell in np.flatnonzero(size.sum(axis=0) > 0):
        some = total[:, cell] > 0
        low, high = np.quantile(right[some, cell] / total[some, cell], [0.025, 0.975])
        mine = size[:, cell].sum()
        out.append(
            Expectation(
                expected=float(said[:, cell].sum() / mine),
                met=float(met[:, cell].sum() / mine),
                low=float(low),
                high=float(high),
                share=float(mine / size.sum()),
            )
        )
    return tuple(out)


def cost_bins(
    planner: Planner, matrices: Matrices, done: Replay, prices: Floats, *, bins: int = 10, least: int = 20
) -> tuple[CostBin, ...]:
    """Cost expected before the first token against the cost that was met, over all prices, in bins of equal
    ratio; bins of fewer than ``least`` requests are left out."""
    expected = _expected_first(planner, matrices, done, prices).ravel() / planner.sample_flops
    met = with_overhead(done, matrices).ravel() / planner.sample_flops
    inside = np.log(np.maximum(expected, 1e-9))
    width = max(float(inside.max() - inside.min()) / bins, 1e-9)
    cell = np.minimum(((inside - inside.min()) / width).astype(np.int64), bins - 1)
    out = []
    for b in range(bins):
        mine = cell == b
        if mine.sum() < least:
            continue
        low, high = np.quantile(met[mine], [0.1, 0.9])
        out.append(
            CostBin(
                expected=float(expected[mine].mean()),
                met=float(met[mine].mean()),
                low=float(low),
                high=float(high),
                share=float(mine.mean()),
            )
        )
    return tuple(out)


def _expected_first(planner: Planner, matrices: Matrices, done: Replay, prices: Floats) -> Floats:
    """(P, J) FLOPs that the first decision expected at each price, all that follows included."""
    stage, table = planner.stages[0], done.matrices[0]
    menu = stage.menu(table.features, table.characters)
    count = len(stage.choices)
    options = done.made[0]
    out = np.take_along_axis(menu.costs.flops, np.minimum(options, count - 1), axis=1)
    if len(menu.prices):
        # what follows a probe is known at the prices of the stage: linear in between
        further = np.stack([np.interp(prices, menu.prices, row) for row in menu.advance_cost])
        out = np.where(options == count, further, out)
    return np.asarray(out)


def shares(
    planner: Planner, matrices: Matrices, budgets: Sequence[float], *, most: int = 8
) -> tuple[tuple[Share, ...], tuple[MeanKept, ...]]:
    """Where requests ended under mean budgets (in sample-equivalents), the price taken from training, and how
    well the means were kept. Beyond ``most`` endings the rarest are put together."""
    questions = matrices.data.questions
    ended: list[dict[tuple[Choice, Probe], float]] = []
    kept = []
    costs: dict[tuple[Choice, Probe], float] = {}
    for budget in budgets:
        aim = Budget(mean_flops=budget * planner.sample_flops)
        rules: list[Rule] = [rule(planner, aim, question) for question in questions]
        done = replay(planner.stages, matrices, rules.__getitem__)
        kept.append(MeanKept(budget, float(with_overhead(done, matrices).mean()) / planner.sample_flops))
        here: dict[tuple[Choice, Probe], float] = {}
        for matrix, options, reached in zip(done.matrices, done.made, done.reached, strict=True):
            for place, choice in enumerate(matrix.choices):
                share = float((reached[:, 0] & (options[:, 0] == place)).mean())
                if share:
                    here[choice, matrix.probe] = share
                    costs[choice, matrix.probe] = float((matrix.paid_flops + matrix.flops[:, place]).mean())
        ended.append(here)
    policies = len({choice.policy for choice, _ in costs})
    total = {one: sum(here.get(one, 0.0) for here in ended) for one in costs}
    named = sorted(costs, key=lambda one: -total[one])
    if len(named) > most:
        named = named[: most - 1]
    named = sorted(named, key=lambda one: (costs[one], str(one[0])))
    out = []
    for budget, here in zip(budgets, ended, strict=True):
        for order, one in enumerate(named):
            if one in here:
                out.append(
                    Share(
                        budget=budget, outcome=ending(*one, policies=policies), order=order, share=here[one]
                    )
                )
        rest = sum(share for one, share in here.items() if one not in named)
        if rest:
            out.append(Share(budget=budget, outcome=_OTHER, order=len(named), share=rest))
    return tuple(out), tuple(kept)
