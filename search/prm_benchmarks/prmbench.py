"""PRMBench (Song et al., arXiv 2501.03124): does a PRM tell right from wrong steps, by kind of error?

A record has ``modified_question`` and ``modified_process`` (or ``question`` and ``steps``), ``error_steps``
(numbers that begin at 1) and ``classification``, its category. A step is called right when its reward is at
least the threshold. PRMScore is the mean of two F1: that of the right steps (F1) and that of the wrong ones
(negative F1), over all steps of a category together. A category without wrong steps (``multi_solutions``) has
F1 alone. ``overall`` is over the steps of all categories together, as the benchmark's own code has it;
``mean`` is the plain mean over categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.errors import RecordError
from search.importing.reading import field_of

__all__ = ["DEFAULT_THRESHOLD", "CategoryScore", "PrmBenchRecord", "PrmBenchScore", "score_categories"]

#: for rewards in [0, 1]
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class PrmBenchRecord:
    """One solution; ``wrong`` holds the indices of its wrong steps."""

    record_id: str
    category: str
    problem: str
    steps: tuple[str, ...]
    wrong: frozenset[int]

    @classmethod
    def of(cls, record: Mapping[str, Any], where: str) -> PrmBenchRecord:
        """From a record of a file. Raises RecordError."""
        problem = field_of(record, _first(record, "modified_question", "question"), str, where)
        steps = field_of(record, _first(record, "modified_process", "steps"), list, where)
        if not steps or not all(isinstance(step, str) for step in steps):
            raise RecordError(f"{where}: steps must be a list of texts that is not empty, got {steps!r:.60}")
        wrong = field_of(record, "error_steps", list, where)
        for number in wrong:
            if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= len(steps):
                raise RecordError(f"{where}: error_steps must lie in 1 to {len(steps)}, got {number!r}")
        category = field_of(record, "classification", str, where)
        named = f"{category}/{record.get('idx', where)}"
        return cls(
            record_id=named,
            category=category,
            problem=problem,
            steps=tuple(steps),
            wrong=frozenset(number - 1 for number in wrong),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryScore:
    """F1 of right steps, of wrong ones (NaN without any), and PRMScore, with the steps they rest on."""

    f1: float
    negative_f1: float
    prm_score: float
    right_steps: int
    wrong_steps: int


@dataclass(frozen=True, slots=True)
class PrmBenchScore:
    """Per category, over all steps together, and the mean of the categories' PRMScores."""

    categories: Mapping[str, CategoryScore]
    overall: CategoryScore
    mean: float


def score_categories(
    records: Sequence[PrmBenchRecord],
    rewards: Sequence[Sequence[float]],
    threshold: float = DEFAULT_THRESHOLD,
) -> PrmBenchScore:
    """PRMScore of rewards. Raises ValueError without records."""
    if not records:
        raise ValueError("PRMScore takes at least one record, got none")
    told: dict[str, list[tuple[bool, bool]]] = {}
    for record, steps in zip(records, rewards, strict=True):
        pairs = [(place not in record.wrong, reward >= threshold) for place, reward in enumerate(steps)]
        told.setdefault(record.category, []).extend(pairs)
    categories = {name: _score(pairs) for name, pairs in sorted(told.items())}
    everything = _score([pair for pairs in told.values() for pair in pairs])
    mean = float(np.mean([category.prm_score for category in categories.values()]))
    return PrmBenchScore(categories, everything, mean)


def _score(pairs: Sequence[tuple[bool, bool]]) -> CategoryScore:
    """From (is right, is called right) per step."""
    wrong_steps = sum(not right for right, _ in pairs)
    f1, negative = _f1(pairs), _f1([(not right, not called) for right, called in pairs])
    if not wrong_steps:
        return CategoryScore(
            f1=f1, negative_f1=float("nan"), prm_score=f1, right_steps=len(pairs), wrong_steps=0
        )
    return CategoryScore(
        f1=f1,
        negative_f1=negative,
        prm_score=(f1 + negative) / 2.0,
        right_steps=len(pairs) - wrong_steps,
        wrong_steps=wrong_steps,
    )


def _f1(pairs: Sequence[tuple[bool, bool]]) -> float:
    """2 TP / (2 TP + FP + FN); 0 where nothing is or is called positive."""
    hits = sum(positive and called for positive, called in pairs)
    misses = sum(positive != called for positive, called in pairs)
    return 2.0 * hits / (2.0 * hits + misses) if hits else 0.0


def _first(record: Mapping[str, Any], *names: str) -> str:
    return next((name for name in names if name in record), names[0])
