"""What stands above and below each picture: its heading, what to look for, how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CAPTIONS", "Caption"]


@dataclass(frozen=True, slots=True)
class Caption:
    """Of one picture."""

    heading: str
    lead: str
    reading: str


#: by the name of the chart, in the order of the page
CAPTIONS: Mapping[str, Caption] = {
    "accuracy": Caption(
        "Accuracy against compute",
        "What each method makes of the same mean compute per request.",
        "Blue band: 95% interval of the planner, over problems. Coloured: the rivals that are best at the "
        "middle budget. Grey lines: the other methods, one by one in the next picture. Grey rings: each plan "
        "taken on all problems alike. The oracle knows each problem and cannot be deployed. Between two "
        "settings a method splits its requests, so that all are compared at equal mean compute.",
    ),
    "rivals": Caption(
        "Each method beside the planner",
        "The same figures, one method at a time, both with their 95% intervals.",
        "Intervals are of each mean alone. Both met the same problems, so their difference is known better "
        "than the overlap suggests: the table has it. A line ends where a method has nothing more to spend "
        "on. * knows what nobody knows beforehand and cannot be deployed.",
    ),
    "best-plans": Caption(
        "The best plan depends on the problem",
        "The most accurate logged plan for each policy, PRM and difficulty.",
        "Bins by the policy's own Pass@1 (the share of its samples that are right), on other samples than "
        "those scored. Plans that ask no PRM compete in every row of their policy. \u00b1: standard error. "
        "The best of many plans is flattered by luck where problems are few.",
    ),
    "reliability": Caption(
        "Expected against actual accuracy",
        "When the planner says 70%, is it right 70% of the time?",
        "Decisions under the mean budgets of the table, by the accuracy that was expected when a plan was "
        "chosen. Upright rules: "
        "95% intervals over problems. Dashed: expected equals actual. Large marks: many decisions.",
    ),
    "cost": Caption(
        "Expected against actual cost",
        "What was expected before the first token, and what the log charges.",
        "Circles: requests expected to cost about this much, at all prices; the band holds the middle 80% "
        "of what single requests took. Diamonds: mean budgets, met with prices learned in training. Dashed: "
        "expected equals actual.",
    ),
    "endings": Caption(
        "What was chosen as the budget grows",
        "Where requests ended under growing mean budgets.",
        "Light: cheap; dark: dear. \u201cAfter 4\u201d: decided after a probe of 4 samples, which stay "
        "candidates and are paid for.",
    ),
    "influence": Caption(
        "What moved decisions",
        "Each dot is one decision. On the right of zero the feature spoke for the option that was taken.",
        "Contributions of the boosted trees to the predicted accuracy of the option taken, less those to the "
        "next best one; what features do to predicted cost is not in them. Figures on the right: mean size.",
    ),
}
