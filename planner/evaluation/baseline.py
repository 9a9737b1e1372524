"""A baseline: something the planner has to beat. One class per baseline; ``BASELINES`` knows them by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from search.errors import PlannerError, PluginError
from search.registry import Registry

if TYPE_CHECKING:
    from planner.evaluation.baseline_context import BaselineContext
    from planner.evaluation.frontier import Track

__all__ = ["BASELINES", "Baseline", "track_of"]


class Baseline(ABC):
    """One rival. It has no state: ``BASELINES`` holds the class.

    A baseline picks its settings on ``context.training`` and is scored on ``context.test``, problem by
    problem, as ``context.selection`` says; it pays for everything that it draws or scores.

    >>> class Nothing(Baseline):
    ...     name = "nothing"
    ...     caption = "never answers"
    ...
    ...     def track(self, context):
    ...         return None
    >>> Nothing().track(None) is None
    True
    """

    #: its name in JSON, and in tables with spaces for underscores
    name: ClassVar[str]
    #: what it does, for people, in a few words
    caption: ClassVar[str] = ""

    @abstractmethod
    def track(self, context: BaselineContext) -> Track | None:
        """Its outcomes (P, J) on the held-out problems at J settings; None where there is nothing for it."""


#: the baselines that every comparison holds. ``best_fixed`` is made per budget and stands in
#: ``planner.evaluation.baselines.fixed``
BASELINES: Registry[type[Baseline]] = Registry(
    "baseline",
    "planner.baselines",
    Baseline,
    {
        "majority": "planner.evaluation.baselines.shipped:Majority",
        "best_of_n": "planner.evaluation.baselines.shipped:BestOfN",
        "mixture": "planner.evaluation.baselines.shipped:Mixture",
        "bin_absolute": "planner.evaluation.baselines.shipped:KnownBins",
        "bin_quantile": "planner.evaluation.baselines.shipped:KnownQuantiles",
        "bin_absolute_predicted": "planner.evaluation.baselines.shipped:PredictedBins",
        "bin_quantile_predicted": "planner.evaluation.baselines.shipped:PredictedQuantiles",
        "adaptive_consistency": "planner.evaluation.baselines.shipped:AdaptiveConsistency",
        "weighted_consistency": "planner.evaluation.baselines.shipped:WeightedConsistency",
        "cascade": "planner.evaluation.baselines.shipped:Cascade",
        "early_stopping": "planner.evaluation.baselines.shipped:EarlyStopping",
        "probe_rule": "planner.evaluation.baselines.shipped:ProbeRule",
        "knn": "planner.evaluation.baselines.shipped:Neighbours",
        "random": "planner.evaluation.baselines.shipped:Uniform",
        "oracle": "planner.evaluation.baselines.shipped:Oracle",
        "oracle_steady": "planner.evaluation.baselines.shipped:SteadyOracle",
    },
    PlannerError,
)


def track_of(name: str, context: BaselineContext) -> Track | None:
    """What a baseline reaches, under its own name; None where the log has nothing for it.

    Raises PluginError where a plug-in fails or returns something else than a track of every problem.
    """
    kind = BASELINES.get(name)
    if BASELINES.is_builtin(name):
        return kind().track(context)
    try:
        found = kind().track(context)
        if found is None:
            return None
        shapes = [figures.shape for figures in (found.accuracy, found.tokens, found.flops)]
        if len(set(shapes)) > 1 or len(shapes[0]) != 2 or len(found.accuracy) != len(context.data):
            raise ValueError(f"a track is (problems, settings) in all three figures, got {shapes}")
    except Exception as fault:  # a plug-in's own code: whatever it raises must not end the comparison
        said = " ".join(str(fault).split())
        raise PluginError(f"baseline {name!r} failed: {type(fault).__name__}: {said}") from fault
    return replace(found, name=name)
