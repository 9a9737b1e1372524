"""Split-half values: every choice valued on one half of the samples and runs, so that what is picked on one
half can be scored on the other. A baseline that knows a problem's own samples may never be scored on those
it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.evidence.labels import Draws, draw_probes, values_of
from planner.evidence.pools import TreeRuns
from planner.evidence.probe import Probe
from planner.evidence.training_data import TrainingData
from search.choice import Choice
from search.plan import Plan

__all__ = ["SplitHalf", "doubts", "split_halves"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SplitHalf:
    """The data's choices valued on one half, (P, C), and Pass@1 (P,) of a policy on it."""

    values: Floats
    pass_rate: Floats


def split_halves(
    data: TrainingData, policy: str, *, seed: int, resamples: int = 32
) -> tuple[SplitHalf, SplitHalf]:
    """Both halves of every pool and of every choice's runs.

    A vote over more samples than half a pool holds is valued at all of the half. ``cot`` stands in both
    halves as it is: greedy decoding has no luck, its outcome on a problem is its expectation there.
    """
    out = []
    for half in (0, 1):
        values, orders = [], {}
        for choice in data.choices:
            pool = data.pools[choice.policy]
            size = max(1, pool.draws // 2)
            if choice.policy not in orders:
                whole = draw_probes(
                    len(data),
                    size,
                    held=0,
                    probes=1,
                    resamples=resamples,
                    seed=seed + half,
                    longest=size,
                )
                shift = max(0, pool.draws - size) * half
                orders[choice.policy] = Draws((whole.order + shift).astype(np.int16), 0)
            part, same = _halved(data, choice, size, half)
            values.append(values_of(part, same, Probe(choice.policy, 0), orders[choice.policy])[:, 0])
        codes = data.pools[policy].codes
        middle = codes.shape[1] // 2
        mine = codes if not middle else codes[:, middle:] if half else codes[:, :middle]
        out.append(SplitHalf(np.stack(values, axis=1), data.graded(mine).mean(axis=1)))
    return out[0], out[1]


def doubts(data: TrainingData) -> tuple[str, ...]:
    """What keeps the halves of a log from being two independent samples of the same choices."""
    out = []
    for name, pool in data.pools.items():
        largest = max((c.plan.n for c in data.choices if c.policy == name and not c.plan.must_run), default=1)
        if pool.draws and pool.draws < 2 * largest:
            out.append(
                f"half the pool of {name} holds {pool.draws // 2} samples: "
                "the oracle values larger votes at those"
            )
    if any(data.trees[c].code.shape[1] < 2 for c in data.choices if c.plan.must_run):
        out.append("a tree search has one run only: there the oracle is scored on the run it picked by")
    return tuple(out)


def _halved(data: TrainingData, choice: Choice, size: int, half: int) -> tuple[TrainingData, Choice]:
    if choice.plan.must_run:
        runs = data.trees[choice]
        middle = max(1, runs.code.shape[1] // 2)
        part = slice(0, middle) if not half or runs.code.shape[1] == 1 else slice(middle, None)
        cut = TreeRuns(
            code=runs.code[:, part],
            policy_tokens=runs.policy_tokens[:, part],
            prm_tokens=runs.prm_tokens[:, part],
            codes=runs.codes[:, part],
            scores=runs.scores[:, part],
        )
        return replace(data, trees={choice: cut}), choice
    if choice.plan.n <= size:
        return data, choice
    return data, replace(choice, plan=_within(choice.plan, size))


def _within(plan: Plan, size: int) -> Plan:
    """The plan with as many draws as a half holds; parts of a cascade share them."""
    if plan.parts:
        each = max(2, size // len(plan.parts))
        parts = {
            name: replace(value, plan=_within(value.plan, each))
            for name, value in plan.parameters
            if isinstance(value, Choice)
        }
        return plan.with_(**parts)
    return plan if plan.n <= size else plan.with_(n=size)
