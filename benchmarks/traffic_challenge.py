"""Champion and challenger by simulation: how often equal planners are called different, and others when.

Answers are right with a fixed chance in each arm, every answer gets feedback, and the test is looked at after
every word. It is the test of ``planner challenge``: the same gains, the same bets.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from planner.traffic.betting import BETS, log_capital
from planner.traffic.challenge import ALPHA, FirstWords, utility_gains

__all__ = ["simulate"]

Found = dict[str, Any]

#: share of the challenger, points that it is better, words, and the part of the runs that is made
_CASES = (
    (0.05, 0.0, 4_000, 1.0),
    (0.5, 0.0, 4_000, 1.0),
    (0.05, 0.1, 20_000, 0.1),
    (0.5, 0.1, 4_000, 0.1),
    (0.05, 0.05, 60_000, 0.05),
    (0.5, 0.05, 12_000, 0.05),
)
#: the share right of the champion
_RIGHT = 0.6


def simulate(runs: int, seed: int = 0) -> Found:
    """A row for every share and difference."""
    rows = []
    goal = math.log(2.0 / ALPHA)
    for place, (share, better, words, part) in enumerate(_CASES):
        count = max(1, round(part * runs))
        above: list[int] = []
        below = 0
        for run in range(count):
            rng = np.random.default_rng((seed, place, run))
            mine = rng.random(words) < share
            right = rng.random(words) < np.where(mine, _RIGHT + better, _RIGHT)
            gains, _, reach = utility_gains(
                FirstWords(
                    value=right.astype(np.float64),
                    flops=np.zeros(words),
                    domain=("math",) * words,
                    mine=mine,
                    chance=np.full(words, share),
                    spread=1.0,
                ),
                0.0,
            )
            size = np.array(BETS) / (2.0 * reach)
            found = np.flatnonzero(log_capital(gains, size) >= goal)
            above += [int(found[0]) + 1] if len(found) else []
            below += bool((log_capital(-gains, size) >= goal).any())
        rows.append(
            {
                "share": share,
                "better": better,
                "runs": count,
                "words": words,
                "called_better": len(above) / count,
                "called_worse": below / count,
                "median_words": float(np.median([*above, *[math.inf] * (count - len(above))])),
            }
        )
    for row in rows:
        if not math.isfinite(row["median_words"]):
            row["median_words"] = None
    return {"alpha": ALPHA, "right": _RIGHT, "rows": rows}
