"""Learning curves: how good a planner is that was learned from 60, 100, 300 or 1,000 problems.

Each point is a cross-validation whose folds learn from so many problems at most; rivals and the rule that is
chosen pick on the same ones. Folds and test problems are those of the whole log, so that points differ in
what was learned from and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from planner.evaluation.folds.cross_validation import CrossValidation
from planner.evaluation.folds.verdict import BEST_RULE, Verdict, verdict_of
from search.errors import LogError, TooLittleDataError

__all__ = ["SIZES", "LearningPoint", "checked_sizes", "learning_curve"]

#: problems to learn from, unless said otherwise
SIZES = (60, 100, 300, 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningPoint:
    """What came of ``problems`` to learn from: a verdict, or None and ``why``."""

    problems: int
    verdict: Verdict | None
    why: str

    def to_json(self) -> dict[str, Any]:
        """``problems``, ``above_rule``, ``above_best_rule``, ``rule``, ``verdict`` and ``why`` (of an empty
        figure); accuracies are shares of 1."""
        found = self.verdict
        return {
            "problems": self.problems,
            "above_rule": None if found is None or found.above_rule is None else asdict(found.above_rule),
            "above_best_rule": None
            if found is None or found.above_rule is None
            else asdict(found.above[BEST_RULE]),
            "rule": None if found is None else found.rule,
            "verdict": None if found is None else found.sentence,
            "why": self.why,
        }


def checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes in ascending order. Raises LogError for one below 1 or given twice."""
    for size in sizes:
        if size < 1:
            raise LogError(f"a learning curve takes sizes of at least 1 problem, got {size}")
    if len(set(sizes)) != len(sizes):
        raise LogError(f"sizes of a learning curve are given once, got {', '.join(map(str, sizes))}")
    return tuple(sorted(sizes))


def learning_curve(
    validate: Callable[[int], CrossValidation],
    sizes: Sequence[int] = SIZES,
    *,
    room: int,
    bootstrap: int = 2000,
) -> tuple[LearningPoint, ...]:
    """A point per size, ascending.

    Parameters
    ----------
    validate:
        Cross-validates with at most so many problems to learn from.
    sizes:
        At least 1 each.
    room:
        Problems that every fold leaves to learn from (``training.cross_validation.room_of``): a point of more
        is empty.

    Raises LogError for a size below 1 or given twice.
    """
    return tuple(_point(validate, size, room, bootstrap) for size in checked_sizes(sizes))


def _point(validate: Callable[[int], CrossValidation], size: int, room: int, bootstrap: int) -> LearningPoint:
    if size > room:
        return LearningPoint(problems=size, verdict=None, why=f"folds leave {room} problems to learn from")
    try:
        verdict = verdict_of(validate(size), bootstrap=bootstrap)
    except TooLittleDataError as error:
        return LearningPoint(problems=size, verdict=None, why=str(error))
    why = "" if verdict.above_rule is not None else "no budget can be spent"
    return LearningPoint(problems=size, verdict=verdict, why=why)
