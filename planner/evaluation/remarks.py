"""What a reader has to know beside the figures of an evaluation: what limits them, and why some are empty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from planner.evaluation.baseline_context import BaselineContext
from planner.evaluation.baselines.split_half import doubts
from planner.evaluation.compute_to_target import Multiple
from planner.evaluation.evaluation import METHODS
from planner.evaluation.headline import Headline
from planner.evaluation.intervals import ENOUGH_FAMILIES

__all__ = ["NO_GAP", "empty_figures", "remarks"]

#: why no share of the gap is told
NO_GAP = "the oracle is not above the best fixed plan: there is no gap to close"

#: why no error of mean budgets is told
_NOT_SPENT = "no budget lies between the least and the most that the planner can spend"


def remarks(
    context: BaselineContext, gap: Mapping[str, float], missing: Mapping[str, str], *, clustered: bool
) -> tuple[str, ...]:
    """Sentences without their full stop.

    Parameters
    ----------
    gap:
        Of the planner to the oracle.
    missing:
        Method -> why it has no figures. Plug-ins that failed are named here; baselines of ours stand in
        ``Evaluation.missing``.
    clustered:
        Whether intervals draw families.
    """
    data = context.data
    notes = [*doubts(data), *data.gaps]
    if math.isnan(gap["value"]):
        notes.append(NO_GAP)
    if context.apart:
        both = len(set(data.problem_ids) & set(context.training.data.problem_ids))
        if both:
            notes.append(
                f"{both} problems are in both logs: baselines were picked on what they are scored on"
            )
    families = len(set(data.families))
    if clustered and families < ENOUGH_FAMILIES:
        notes.append(f"{families} families are few to draw from: intervals may be too narrow")
    return (*notes, *(why for name, why in missing.items() if name not in METHODS))


def empty_figures(
    *,
    gaps: Mapping[str, Mapping[str, float]],
    missed: Mapping[str, float],
    multiples: Mapping[str, Multiple],
    headline: Sequence[Headline],
    timed: int,
) -> dict[str, str]:
    """Why figures of an evaluation are empty, by where they stand in its JSON (``a.b.c``).

    Parameters
    ----------
    gaps, missed:
        Shares of gaps, and errors of mean budgets, by their names.
    multiples, headline, timed:
        As ``Evaluation`` and ``evaluate`` have them.
    """
    empty = {name: NO_GAP for name, gap in gaps.items() if math.isnan(gap["value"])}
    empty |= {name: _NOT_SPENT for name, value in missed.items() if math.isnan(value)}
    for name, one in multiples.items():
        if not one.reached:
            empty[f"multiples.{name}.flops"] = f"the planner is nowhere as accurate as {name} at its best"
    for place, cell in enumerate(headline):
        if math.isnan(cell.gain_over_cot_percent):
            empty[f"headline.{place}.gain"] = (
                f"no greedy answer of {cell.policy} was logged, or none of them is right"
            )
    if not headline:
        empty["headline_mean"] = "the planner has no plan of a policy that votes on this log"
    if not timed:
        empty["decision_ms"] = "decisions were not timed"
    return empty
