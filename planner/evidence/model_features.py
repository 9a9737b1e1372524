"""What is known of the models: how well a PRM tells right from wrong within problems.

An AUROC over all samples is high for a PRM that only knows which problems are hard; choosing needs one
that ranks the samples of ONE problem, so the AUROC is computed within problems and averaged.
"""

from __future__ import annotations

import numpy as np

from planner.evidence.training_data import TrainingData
from search.log.credits import HALF

__all__ = ["within_problem_auroc"]


def within_problem_auroc(
    data: TrainingData, policy: str, prm: str, score: str = "last", *, unknown: float = 0.5
) -> float:
    """The chance that a right sample scores above a wrong one of the same problem; ties count half.

    Averaged over problems that have both; ``unknown`` where none has.
    """
    pool = data.pools[policy]
    right = data.graded(pool.codes) >= HALF
    order = pool.prms[prm].score(score).astype(np.float64)
    values = []
    for correct, scores in zip(right, order, strict=True):
        good, bad = np.sort(scores[correct]), np.sort(scores[~correct])
        if len(good) and len(bad):
            below = np.searchsorted(bad, good, side="left").sum()
            upto = np.searchsorted(bad, good, side="right").sum()
            values.append((below + upto) / 2.0 / (len(good) * len(bad)))
    return float(np.mean(values)) if values else unknown
