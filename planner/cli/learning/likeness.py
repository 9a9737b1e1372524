"""Warns where folds look alike: what was left out then is not unlike what was learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.cli.printing import error_console, percent

if TYPE_CHECKING:
    from search.log.store import SearchLog

__all__ = ["warnings_of", "warnings_of_both"]

#: share of questions with a near-duplicate elsewhere from which figures are in doubt
_TOLERATED = 0.05
#: questions compared at most, evenly over the log
_MOST = 4000
_CHARACTERS = 60


def warnings_of(log: SearchLog) -> list[str]:
    """Warnings about the families of a log, which folds keep whole; also printed to standard error."""
    from search.problem_sets.families import likeness

    questions, families = _questions(log)
    found = likeness(questions, families)
    if found.share < _TOLERATED or found.first is None:
        return []
    one, other = (_short(questions[place]) for place in found.first)
    return _told(
        f"folds look alike: {percent(found.share)}% of the questions have a near-duplicate in another "
        f"family, such as {one} and {other}. What was learned on the one is asked in the other; an import "
        "without a family column keeps near-duplicates together"
    )


def warnings_of_both(log: SearchLog, training: SearchLog) -> list[str]:
    """Warnings about questions of a log that have a near-duplicate in the one that baselines pick on."""
    from search.problem_sets.families import THRESHOLD, likeness

    asked, _ = _questions(log)
    known, _ = _questions(training)
    found = likeness([*asked, *known], ["asked"] * len(asked) + ["known"] * len(known))
    share = float((found.similarity[: len(asked)] >= THRESHOLD).mean())
    if share < _TOLERATED:
        return []
    return _told(
        f"the logs look alike: {percent(share)}% of the questions have a near-duplicate in the training log, "
        "so what was learned there is partly what is asked here"
    )


def _told(warning: str) -> list[str]:
    error_console().print(f"warning: {warning}", markup=False)
    return [warning]


def _questions(log: SearchLog) -> tuple[list[str], list[str]]:
    frame = log.read("problems", ["question", "family"])
    frame = frame.gather_every(-(-len(frame) // _MOST) or 1)
    return frame["question"].to_list(), frame["family"].to_list()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _CHARACTERS else f"{line[:_CHARACTERS]}...")
