"""The baselines that ship with the planner. Each picks on other problems than it is scored on, and pays for
everything that it draws or scores.
"""

from __future__ import annotations

from planner.evaluation.baseline import Baseline
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.adaptive_consistency import adaptive_consistency
from planner.evaluation.baselines.bins import known_difficulty, predicted_difficulty
from planner.evaluation.baselines.early_stopping import early_stopping
from planner.evaluation.baselines.fixed import best_of_n, majority, mixture, uniform
from planner.evaluation.baselines.neighbours import neighbours
from planner.evaluation.baselines.oracle import oracle
from planner.evaluation.baselines.probe_rule import probe_rule
from planner.evaluation.baselines.rule_plans import cascade, weighted_consistency
from planner.evaluation.frontier import Track

__all__ = [
    "AdaptiveConsistency",
    "BestOfN",
    "Cascade",
    "EarlyStopping",
    "KnownBins",
    "KnownQuantiles",
    "Majority",
    "Mixture",
    "Neighbours",
    "Oracle",
    "PredictedBins",
    "PredictedQuantiles",
    "ProbeRule",
    "SteadyOracle",
    "Uniform",
    "WeightedConsistency",
]


class Majority(Baseline):
    name = "majority"
    caption = "a vote over n samples, at its best n"

    def track(self, context: BaselineContext) -> Track | None:
        return majority(context)


class BestOfN(Baseline):
    name = "best_of_n"
    caption = "the sample with the highest reward, at its best n"

    def track(self, context: BaselineContext) -> Track | None:
        return best_of_n(context)


class Mixture(Baseline):
    name = "mixture"
    caption = "the best two fixed plans, mixed to the budget"

    def track(self, context: BaselineContext) -> Track:
        return mixture(context)


class KnownBins(Baseline):
    name = "bin_absolute"
    caption = "the best plan for a difficulty that is told (cannot be deployed)"

    def track(self, context: BaselineContext) -> Track:
        return known_difficulty(context, quantiles=False)


class KnownQuantiles(Baseline):
    name = "bin_quantile"
    caption = "the same, difficulty in quantiles (cannot be deployed)"

    def track(self, context: BaselineContext) -> Track:
        return known_difficulty(context, quantiles=True)


class PredictedBins(Baseline):
    name = "bin_absolute_predicted"
    caption = "the best plan for a difficulty guessed from the question"

    def track(self, context: BaselineContext) -> Track:
        return predicted_difficulty(context, quantiles=False)


class PredictedQuantiles(Baseline):
    name = "bin_quantile_predicted"
    caption = "the same, difficulty in quantiles"

    def track(self, context: BaselineContext) -> Track:
        return predicted_difficulty(context, quantiles=True)


class AdaptiveConsistency(Baseline):
    name = "adaptive_consistency"
    caption = "samples until the vote is sure"

    def track(self, context: BaselineContext) -> Track | None:
        return adaptive_consistency(context)


class WeightedConsistency(Baseline):
    name = "weighted_consistency"
    caption = "the same, samples weighted by likelihood or PRM"

    def track(self, context: BaselineContext) -> Track | None:
        return weighted_consistency(context)


class Cascade(Baseline):
    name = "cascade"
    caption = "a cheap policy, and a dearer one where its samples disagree"

    def track(self, context: BaselineContext) -> Track | None:
        return cascade(context)


class EarlyStopping(Baseline):
    name = "early_stopping"
    caption = "samples until some in a row agree"

    def track(self, context: BaselineContext) -> Track | None:
        return early_stopping(context)


class ProbeRule(Baseline):
    name = "probe_rule"
    caption = "four samples; if they disagree, more"

    def track(self, context: BaselineContext) -> Track | None:
        return probe_rule(context)


class Neighbours(Baseline):
    name = "knn"
    caption = "what was best on similar questions"

    def track(self, context: BaselineContext) -> Track:
        return neighbours(context)


class Uniform(Baseline):
    name = "random"
    caption = "a plan drawn at random"

    def track(self, context: BaselineContext) -> Track:
        return uniform(context)


class Oracle(Baseline):
    name = "oracle"
    caption = "the best plan per problem, told by half of its samples (cannot be deployed)"

    def track(self, context: BaselineContext) -> Track:
        return oracle(context, steady=False)


class SteadyOracle(Baseline):
    name = "oracle_steady"
    caption = "the same, less by luck (cannot be deployed)"

    def track(self, context: BaselineContext) -> Track:
        return oracle(context, steady=True)
