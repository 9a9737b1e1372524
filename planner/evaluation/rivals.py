"""Rules: rivals that anybody could deploy, and which of them training problems would have chosen.

A planner is held against one rule per budget and fold: the one that was most accurate at that budget on the
problems that the planner was learned from, each of them scored with its own family left out. Picking the rule
that is best on the test instead would know the answer. This module fits nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.evaluation.baseline import BASELINES, track_of
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.static_ceiling import STATIC_CEILING
from planner.evaluation.frontier import Track
from search.errors import PluginError, TooLittleDataError

__all__ = ["BOUNDS", "RULES", "TOLERANCE", "UNDEPLOYABLE", "Rivals", "chosen_rule", "rivals", "rules_of"]

#: the rules that folds choose among, those that are registered; of equals the first
RULES = ("mixture", "adaptive_consistency", "weighted_consistency", "cascade", "knn")

#: rivals that know what nobody is told: how hard a problem is, or its outcome
UNDEPLOYABLE = frozenset({"bin_absolute", "bin_quantile", "oracle", "oracle_steady"})

#: every method that nobody can deploy, registered or not
BOUNDS = UNDEPLOYABLE | {STATIC_CEILING}

#: a mean cost this much above a budget, as a share of it, is still within it: the costs of some problems
#: stand for those of others
TOLERANCE = 0.05

#: rivals that come to nothing where only one sample of a question is drawn
_SEVERAL = frozenset(
    {
        "adaptive_consistency",
        "best_of_n",
        "early_stopping",
        "majority",
        "probe_rule",
        "weighted_consistency",
    }
)

#: what a rival that found nothing in a log needs
_NEEDS = {
    "best_of_n": "it needs plans that take the best of several samples by a PRM",
    "cascade": "it needs two policies, the cheaper of which drew several samples",
    "majority": "it needs plans that vote",
    "probe_rule": "it needs more than four draws of the main policy and plans of more than four",
}


@dataclass(frozen=True, slots=True, eq=False)
class Rivals:
    """The tracks of the rivals that a log supports, and why it does not support the others, by name."""

    tracks: Mapping[str, Track]
    missing: Mapping[str, str]


def rules_of(names: Sequence[str] = RULES) -> tuple[str, ...]:
    """Those of ``names`` that are registered baselines."""
    return tuple(name for name in names if name in BASELINES)


def rivals(context: BaselineContext, names: Collection[str] | None = None) -> Rivals:
    """Every registered baseline, or those of ``names``, on the held-out problems of a context.

    A plug-in that fails does not stop the others.
    """
    tracks: dict[str, Track] = {}
    missing: dict[str, str] = {}
    several = any(context.largest(policy) > 1 for policy in context.policies)
    for name in BASELINES if names is None else names:
        if name in _SEVERAL and not several:
            missing[name] = "it needs several samples of a question, and no logged plan draws more than one"
            continue
        try:
            made = track_of(name, context)
        except PluginError as fault:
            missing[name] = str(fault)
            continue
        if made is None:
            missing[name] = _NEEDS.get(name, "the log holds nothing for it")
        elif not (np.isfinite(made.accuracy).all() and np.isfinite(made.flops).all()):
            missing[name] = "some of its figures are no numbers"
        else:
            tracks[name] = made
    return Rivals(tracks, missing)


def chosen_rule(tracks: Mapping[str, Track], budget: float) -> str:
    """The rule with the best mean accuracy at a mean budget in FLOPs, of equals the first.

    ``tracks`` are those on training problems. A rule whose cheapest setting costs more than the budget is not
    chosen, unless they all do: then it is the cheapest. Raises TooLittleDataError for no rule.
    """
    if not tracks:
        raise TooLittleDataError("a planner is held against a rule that the log supports, got none")
    met = {name: track.at(budget) for name, track in tracks.items()}
    cost = {name: float(found[2].mean()) for name, found in met.items()}
    fitting = [name for name in tracks if cost[name] <= budget * (1.0 + TOLERANCE)]
    if not fitting:
        return min(cost, key=cost.__getitem__)
    best = fitting[0]
    for name in fitting[1:]:
        if met[name][0].mean() > met[best][0].mean() + 1e-12:
            best = name
    return best
