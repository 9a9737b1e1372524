"""What the planner has to beat. Everything a baseline picks, it picks on other problems than it is scored on.

``selection`` says which: pairs of (problems to pick on, problems to score). With a training log that is all
of the one and all of the other; within one log it is cross-fitting by family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.frontier import Track
from planner.experience import Experience, TreeRuns
from planner.labels import Draws, Look, draw_probes, values_of
from planner.matrix import Matrices
from search.choice import Choice
from search.plan import Plan

__all__ = [
    "Board",
    "Half",
    "Selection",
    "best_fixed",
    "bins",
    "board",
    "halves",
    "mixture",
    "oracle",
    "probe_rule",
    "selected",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: absolute difficulty thresholds of the design
THRESHOLDS = (0.1, 0.5)
_QUANTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """Fixed choices on P problems: values and costs (P, C), each without a probe."""

    choices: tuple[Choice, ...]
    values: Floats
    tokens: Floats
    flops: Floats

    def rows(self, at: Ints) -> Board:
        """Some problems alone."""
        return Board(self.choices, self.values[at], self.tokens[at], self.flops[at])


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """Choices valued on one half of the samples and runs, and Pass@1 (P,) of a policy on it."""

    choices: tuple[Choice, ...]
    values: Floats
    pass_rate: Floats


@dataclass(frozen=True, slots=True)
class Selection:
    """Where to pick and where to score: problem indices of ``training`` and of the evaluated log."""

    pick: Ints
    score: Ints


def board(matrices: Matrices) -> Board:
    """Every fixed choice of an experience."""
    matrix = matrices.at(Look(next(iter(matrices.experience.pools)), 0), matrices.experience.choices)
    return Board(matrix.choices, matrix.values, matrix.tokens, matrix.flops)


def halves(experience: Experience, policy: str, *, seed: int, resamples: int = 64) -> tuple[Half, Half]:
    """Both halves of every pool and of every choice's runs.

    A vote over more samples than half a pool holds is valued at all of the half. ``cot`` stands in both
    halves as it is: greedy decoding has no luck, its outcome on a problem is its expectation there.
    """
    choices = experience.choices
    out = []
    for half in (0, 1):
        values, orders = [], {}
        for choice in choices:
            pool = experience.pools[choice.policy]
            size = max(1, pool.draws // 2)
            if choice.policy not in orders:
                whole = draw_probes(
                    len(experience),
                    size,
                    held=0,
                    probes=1,
                    resamples=resamples,
                    seed=seed + half,
                    longest=size,
                )
                shift = (pool.draws - size) * half
                orders[choice.policy] = Draws((whole.order + shift).astype(np.int16), 0)
            values.append(
                values_of(
                    *_halved(experience, choice, size, half), Look(choice.policy, 0), orders[choice.policy]
                )[:, 0]
            )
        pool = experience.pools[policy]
        mine = pool.codes[:, : pool.draws // 2] if not half else pool.codes[:, pool.draws // 2 :]
        out.append(Half(choices, np.stack(values, axis=1), experience.graded(mine).mean(axis=1)))
    return out[0], out[1]


def _halved(experience: Experience, choice: Choice, size: int, half: int) -> tuple[Experience, Choice]:
    if choice.plan.is_tree:
        runs = experience.trees[choice]
        middle = max(1, runs.code.shape[1] // 2)
        part = slice(0, middle) if not half or runs.code.shape[1] == 1 else slice(middle, None)
        cut = TreeRuns(
            runs.code[:, part],
            runs.policy_tokens[:, part],
            runs.prm_tokens[:, part],
            runs.codes[:, part],
            runs.scores[:, part],
        )
        return replace(experience, trees={choice: cut}), choice
    if choice.plan.n <= size:
        return experience, choice
    numbers = dict(choice.plan.parameters) | {"n": size}
    return experience, replace(choice, plan=Plan.of(choice.plan.strategy, **numbers))


def selected(
    name: str,
    test: Board,
    training: Board,
    selection: Sequence[Selection],
    columns: Sequence[int],
    prices: Floats,
) -> Track:
    """At each price the choice of best mean accuracy less its price: the hull that training shows."""
    picks = np.empty((len(test.values), len(prices)), np.int64)
    for part in selection:
        seen = training.rows(part.pick)
        net = (
            seen.values.mean(axis=0)[list(columns), None]
            - prices * seen.flops.mean(axis=0)[list(columns), None]
        )
        picks[part.score] = np.asarray(columns)[net.argmax(axis=0)]
    return _picked(name, test, picks)


def mixture(test: Board, training: Board, selection: Sequence[Selection], prices: Floats) -> Track:
    """The best mixture of two fixed choices at every mean budget."""
    return selected("mixture", test, training, selection, range(len(test.choices)), prices)


def best_fixed(test: Board, training: Board, selection: Sequence[Selection], budget: float) -> Track:
    """The one fixed choice that training finds best among those within a mean budget."""
    picks = np.empty((len(test.values), 1), np.int64)
    for part in selection:
        seen = training.rows(part.pick)
        cost = seen.flops.mean(axis=0)
        fits = cost <= budget * (1.0 + 1e-9)
        picks[part.score, 0] = (
            np.where(fits, seen.values.mean(axis=0), -1.0).argmax() if fits.any() else cost.argmin()
        )
    return replace(_picked("best_fixed", test, picks), mixes=False)


def bins(
    name: str,
    test: Board,
    training: Board,
    tested: tuple[Half, Half],
    trained: tuple[Half, Half],
    selection: Sequence[Selection],
    prices: Floats,
    *,
    quantiles: bool,
) -> Track:
    """Lookup by difficulty bin: Pass@1 on one half picks the bin, the other half is scored, and back.

    It cannot be deployed (nobody knows Pass@1 beforehand); it shows what knowing difficulty is worth.
    """
    wide = [i for i, c in enumerate(test.choices) if c in set(tested[0].choices)]
    acc, tok, flo = np.zeros((3, len(test.values), len(prices)))
    for known, scored in ((0, 1), (1, 0)):
        for part in selection:
            rates = trained[known].pass_rate[part.pick]
            edges = np.quantile(rates, _QUANTILES) if quantiles else np.asarray(THRESHOLDS)
            side = "right" if not quantiles else "left"
            there = np.searchsorted(edges, rates, side=side)  # type: ignore[call-overload]
            here = np.searchsorted(edges, tested[known].pass_rate[part.score], side=side)  # type: ignore[call-overload]
            values, flops = (
                trained[scored].values[part.pick],
                training.flops[np.ix_(part.pick, np.asarray(wide))],
            )
            for cell in np.unique(here):
                rows = there == cell if (there == cell).any() else np.ones(len(there), bool)
                best = (
                    values[rows].mean(axis=0)[:, None] - prices * flops[rows].mean(axis=0)[:, None]
                ).argmax(axis=0)
                mine = part.score[here == cell]
                acc[mine] += tested[scored].values[np.ix_(mine, best)] / 2.0
                tok[mine] += test.tokens[mine][:, np.asarray(wide)[best]] / 2.0
                flo[mine] += test.flops[mine][:, np.asarray(wide)[best]] / 2.0
    return Track(name, acc, tok, flo)


def oracle(test: Board, tested: tuple[Half, Half], prices: Floats) -> Track:
    """Per problem the best choice at each price by one half of the samples, scored on the other, and back."""
    wide = np.array([i for i, c in enumerate(test.choices) if c in set(tested[0].choices)])
    acc, tok, flo = np.zeros((3, len(test.values), len(prices)))
    rows = np.arange(len(test.values))
    for known, scored in ((0, 1), (1, 0)):
        for j, price in enumerate(prices):
            best = (tested[known].values - price * test.flops[:, wide]).argmax(axis=1)
            acc[:, j] += tested[scored].values[rows, best] / 2.0
            tok[:, j] += test.tokens[rows, wide[best]] / 2.0
            flo[:, j] += test.flops[rows, wide[best]] / 2.0
    return Track("oracle", acc, tok, flo)


def probe_rule(matrices: Matrices, policy: str, *, k: int = 4) -> Track | None:
    """Draw k; if unanimous stop, else vote over n, at every logged n above k. None where no pool has room."""
    experience = matrices.experience
    sizes = sorted(
        {c.plan.n for c in experience.choices if c.policy == policy and c.plan.strategy == "majority"}
        - set(range(k + 1))
    )
    if not sizes or experience.pools[policy].draws < k:
        return None
    look = Look(policy, k)
    stop, *more = (Choice(policy, None, Plan.of("majority", n=n)) for n in (k, *sizes))
    matrix = matrices.at(look, (stop, *more))
    names = matrix.features.shape[1]
    from planner.features.probe import AGREEMENT

    unanimous = matrix.features[:, names - len(AGREEMENT) + AGREEMENT.index("unanimous")] > 0.5
    picks = np.where(unanimous[:, None], 0, np.arange(len(sizes) + 1))
    rows = np.arange(len(picks))[:, None]
    return Track(
        "probe_rule",
        matrix.per_problem(matrix.values[rows, picks]),
        matrix.per_problem(matrix.paid_tokens[:, None] + matrix.tokens[rows, picks]),
        matrix.per_problem(matrix.paid_flops[:, None] + matrix.flops[rows, picks]),
    )


def _picked(name: str, test: Board, picks: Ints) -> Track:
    rows = np.arange(len(picks))[:, None]
    return Track(name, test.values[rows, picks], test.tokens[rows, picks], test.flops[rows, picks])
