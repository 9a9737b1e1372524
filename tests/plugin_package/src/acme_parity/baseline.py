"""The cheapest plan, whatever the question."""

from planner.evaluation.baseline import Baseline
from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.frontier import Track


class Thrifty(Baseline):
    """A rival that never spends more than it must."""

    name = "thrifty"
    caption = "the cheapest plan for every question"

    def track(self, context: BaselineContext) -> Track:
        test, training = context.fixed
        pick = [int(training.flops.mean(axis=0).argmin())]
        return Track(self.name, test.values[:, pick], test.tokens[:, pick], test.flops[:, pick])
