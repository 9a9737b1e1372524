"""Every baseline by name: what the planner has to beat. Each picks on other problems than it is scored on,
and pays for everything that it draws or scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from planner.evaluation.adaptive_consistency import adaptive_consistency
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.bins import known_difficulty, predicted_difficulty
from planner.evaluation.early_stopping import early_stopping
from planner.evaluation.fixed import best_of_n, majority, mixture, uniform
from planner.evaluation.frontier import Track
from planner.evaluation.neighbours import neighbours
from planner.evaluation.oracle import oracle
from planner.evaluation.probe_rule import probe_rule

__all__ = ["BASELINES"]

#: name -> the baseline; None where a log has nothing for it to work with. ``best_fixed`` is made per budget
#: and stands in ``planner.evaluation.fixed``
BASELINES: Mapping[str, Callable[[BaselineContext], Track | None]] = MappingProxyType(
    {
        "majority": majority,
        "best_of_n": best_of_n,
        "mixture": mixture,
        "bin_absolute": partial(known_difficulty, quantiles=False),
        "bin_quantile": partial(known_difficulty, quantiles=True),
        "bin_absolute_predicted": partial(predicted_difficulty, quantiles=False),
        "bin_quantile_predicted": partial(predicted_difficulty, quantiles=True),
        "adaptive_consistency": adaptive_consistency,
        "early_stopping": early_stopping,
        "probe_rule": probe_rule,
        "knn": neighbours,
        "random": uniform,
        "oracle": partial(oracle, steady=False),
        "oracle_steady": partial(oracle, steady=True),
    }
)
