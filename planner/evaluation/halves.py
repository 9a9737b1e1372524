"""Every choice valued on one half of the samples and runs, so that what is picked on one half can be scored
on the other. A baseline that knows a problem's own samples may never be scored on those it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.experience import Experience, TreeRuns
from planner.labels import Draws, Look, draw_probes, values_of
from search.choice import Choice
from search.plan import Plan

__all__ = ["Half", "doubts", "halves"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """The experience's choices valued on one half, (P, C), and Pass@1 (P,) of a policy on it."""

    values: Floats
    pass_rate: Floats


def halves(experience: Experience, policy: str, *, seed: int, resamples: int = 32) -> tuple[Half, Half]:
    """Both halves of every pool and of every choice's runs.

    A vote over more samples than half a pool holds is valued at all of the half. ``cot`` stands in both
    halves as it is: greedy decoding has no luck, its outcome on a problem is its expectation there.
    """
    out = []
    for half in (0, 1):
        values, orders = [], {}
        for choice in experience.choices:
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
            part, same = _halved(experience, choice, size, half)
            values.append(values_of(part, same, Look(choice.policy, 0), orders[choice.policy])[:, 0])
        codes = experience.pools[policy].codes
        middle = codes.shape[1] // 2
        mine = codes if not middle else codes[:, middle:] if half else codes[:, :middle]
        out.append(Half(np.stack(values, axis=1), experience.graded(mine).mean(axis=1)))
    return out[0], out[1]


def doubts(experience: Experience) -> tuple[str, ...]:
    """What keeps the halves of a log from being two honest looks at the same choices."""
    out = []
    for name, pool in experience.pools.items():
        largest = max(
            (c.plan.n for c in experience.choices if c.policy == name and not c.plan.is_tree), default=1
        )
        if pool.draws < 2 * largest:
            out.append(
                f"half the pool of {name} holds {pool.draws // 2} samples: "
                "the oracle values larger votes at those"
            )
    if any(experience.trees[c].code.shape[1] < 2 for c in experience.choices if c.plan.is_tree):
        out.append("a tree search has one run only: there the oracle is scored on the run it picked by")
    return tuple(out)


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
