"""What advice before any token promises under a mean budget, against what was met on those problems.

Over all domains: where a log holds more problems than are asked about, those that are asked are spread evenly
over its families.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.budget_adherence import BudgetAdherence
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.budget import Budget

__all__ = ["promised_and_met", "spread"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: advice is asked for so many problems at most
_ASKED = 2000


def spread(domains: Sequence[str], families: Sequence[str], most: int) -> Ints:
    """Places of at most ``most`` problems, in their order: of each domain and family its share.

    >>> spread(["a"] * 6 + ["b"] * 3, ["f"] * 3 + ["g"] * 3 + ["h"] * 3, 3).tolist()
    [1, 4, 7]
    """
    count = len(families)
    if count <= most:
        return np.arange(count)
    together = np.array(sorted(range(count), key=lambda i: (domains[i], families[i], i)))
    at = np.floor((np.arange(most) + 0.5) * count / most).astype(np.int64)
    return np.sort(together[at])


def promised_and_met(
    planner: Planner, data: TrainingData, one: BudgetAdherence, *, most: int = _ASKED
) -> dict[str, Any]:
    """Means of ``flops_promised`` and ``flops_met``, the error in percent, the same of accuracies, and how
    many ``problems``; ``domains`` has all that by domain.

    Parameters
    ----------
    one:
        What was met under a mean budget; the same is asked for.
    """
    places = spread(data.domains, data.families, most)
    advice = [
        planner.decide(data.questions[i], budget=Budget(mean_flops=one.budget), domain=data.domains[i])
        for i in places
    ]
    said = np.array([[each.flops, each.accuracy] for each in advice])
    met = np.stack([one.flops[places], one.accuracy[places]], axis=1)
    homes = np.array(data.domains)[places]
    return _means(said, met) | {
        "domains": {str(name): _means(said[homes == name], met[homes == name]) for name in np.unique(homes)}
    }


def _means(said: Floats, met: Floats) -> dict[str, Any]:
    flops, accuracy = said.mean(axis=0).tolist()
    flops_met, accuracy_met = met.mean(axis=0).tolist()
    return {
        "flops_promised": flops,
        "flops_met": flops_met,
        "flops_error_percent": 100.0 * (flops / flops_met - 1.0),
        "accuracy_promised": accuracy,
        "accuracy_met": accuracy_met,
        "problems": len(said),
    }
