"""ProcessBench (Zheng et al., arXiv 2412.06559): does a PRM find the first wrong step?

A record has ``id``, ``problem``, ``steps`` and ``label``: the index of the first wrong step, -1 where all are
right. A PRM names the first step whose reward lies below a threshold, or none. The score of a subset is F1,
the harmonic mean of two accuracies: on erroneous samples (the very step is named) and on correct ones (none
is). The threshold is the one with the highest F1 on the subset ``gsm8k``, and is used for all subsets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.errors import RecordError
from search.importing.reading import field_of

__all__ = [
    "TUNING",
    "ProcessRecord",
    "SubsetScore",
    "best_threshold",
    "located_f1",
    "named_step",
    "score_subset",
]

#: the subset on which the threshold is chosen
TUNING = "gsm8k"


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One solution. ``label`` is the index of its first wrong step; -1: all are right."""

    record_id: str
    subset: str
    problem: str
    steps: tuple[str, ...]
    label: int

    @classmethod
    def of(cls, record: Mapping[str, Any], where: str, file: str) -> ProcessRecord:
        """From a record of a file. The subset is what its id begins with (``gsm8k-12``), else the file's
        name. Raises RecordError."""
        problem, steps = field_of(record, "problem", str, where), field_of(record, "steps", list, where)
        label = field_of(record, "label", int, where)
        if not steps or not all(isinstance(step, str) for step in steps):
            raise RecordError(f"{where}: steps must be a list of texts that is not empty, got {steps!r:.60}")
        if not -1 <= label < len(steps):
            raise RecordError(f"{where}: label must be -1 or one of {len(steps)} steps, got {label}")
        named = str(record.get("id", ""))
        subset = named.rpartition("-")[0] or file
        return cls(record_id=named or where, subset=subset, problem=problem, steps=tuple(steps), label=label)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetScore:
    """The two accuracies, their harmonic mean, and how many samples they rest on (NaN: on none)."""

    erroneous: float
    correct: float
    f1: float
    erroneous_samples: int
    correct_samples: int


def named_step(rewards: Sequence[float], threshold: float) -> int:
    """The first step below a threshold; -1 when there is none.

    >>> named_step([0.9, 0.3, 0.8], 0.5), named_step([0.9, 0.5], 0.5)
    (1, -1)
    """
    return next((place for place, reward in enumerate(rewards) if reward < threshold), -1)


def located_f1(labels: Sequence[int], named: Sequence[int]) -> SubsetScore:
    """The score of steps that were named, given the labels.

    Without erroneous, or without correct samples F1 is NaN; where both accuracies are 0 it is 0.
    """
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for label, step in zip(labels, named, strict=True):
        hits[label < 0].append(step == label)
    wrong, right = (float(np.mean(hits[kind])) if hits[kind] else float("nan") for kind in (False, True))
    total = wrong + right
    f1 = 2.0 * wrong * right / total if total else 0.0
    return SubsetScore(
        erroneous=wrong,
        correct=right,
        f1=f1,
        erroneous_samples=len(hits[False]),
        correct_samples=len(hits[True]),
    )


def score_subset(labels: Sequence[int], rewards: Sequence[Sequence[float]], threshold: float) -> SubsetScore:
    """The score of rewards under a threshold."""
    return located_f1(labels, [named_step(steps, threshold) for steps in rewards])


def best_threshold(labels: Sequence[int], rewards: Sequence[Sequence[float]]) -> float:
    """The threshold with the highest F1, the lowest of equals; halfway between two rewards that occur.

    A solution is told right for the thresholds of one interval (l, h]: up to its smallest reward where all
    its steps are right, from above the reward of its first wrong step up to the smallest one before that
    where not. So all thresholds are tried at once. Raises ValueError without both kinds of samples.
    """
    if not any(label < 0 for label in labels) or not any(label >= 0 for label in labels):
        raise ValueError(f"a threshold takes erroneous and correct samples, got labels {sorted(set(labels))}")
    values = np.unique(np.concatenate([np.asarray(steps, float) for steps in rewards]))
    between = (values[:-1] + values[1:]) / 2.0
    tried = np.concatenate([values[:1], between, np.nextafter(values[-1:], np.inf)])
    accuracy = {}
    for kind in (False, True):
        spans = [
            _span(label, steps) for label, steps in zip(labels, rewards, strict=True) if (label < 0) is kind
        ]
        low, high = (np.sort(np.asarray(ends)) for ends in zip(*spans, strict=True))
        inside = np.searchsorted(low, tried, "left") - np.searchsorted(high, tried, "left")
        accuracy[kind] = inside / len(spans)
    total = accuracy[False] + accuracy[True]
    f1 = np.divide(2.0 * accuracy[False] * accuracy[True], total, out=np.zeros_like(total), where=total > 0)
    return float(tried[int(np.argmax(f1))])


def _span(label: int, rewards: Sequence[float]) -> tuple[float, float]:
    """The thresholds (low, high] that judge a solution rightly; low = high where none does."""
    if label < 0:
        return -np.inf, min(rewards)
    high = min(rewards[:label], default=np.inf)
    return min(rewards[label], high), high
