"""How good a PRM is, measured within problems, against the exact check.

An AUROC over all steps is high for a PRM that only knows which problems are hard; what search needs
is telling the right sample of a problem from the wrong ones. Nothing here knows torch or the lab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.prm_benchmarks.auroc import auroc
from search.prm_benchmarks.processbench import score_subset
from search.scores import score

__all__ = ["PrmMeasures", "ScoredSample", "auroc", "measure_prm", "process_f1", "process_threshold"]


@dataclass(frozen=True, slots=True)
class ScoredSample:
    """A sample with its rewards and the truth: ``exact`` per step, ``correct`` for the answer."""

    problem_id: str
    domain: str
    rewards: tuple[float, ...]
    exact: tuple[bool, ...]
    correct: bool


@dataclass(frozen=True, slots=True)
class PrmMeasures:
    """What a card says of a PRM. Undefined figures (no problem with both kinds, say) are NaN.

    Parameters
    ----------
    within:
        Mean over problems of the AUROC between right and wrong samples, per score name.
    within_by_domain:
        The same for ``last``, per domain.
    problems:
        Problems with both right and wrong samples: what ``within`` rests on.
    step_auroc:
        AUROC over all steps of all samples against the exact check.
    process_f1:
        ProcessBench score (Zheng et al., arXiv 2412.06559): harmonic mean of the two accuracies.
    found_wrong, passed_right:
        Share of wrong solutions whose first wrong step is found, of right ones with none flagged.
    threshold:
        A step is flagged below it; chosen on other problems than those measured.
    """

    within: dict[str, float]
    within_by_domain: dict[str, float]
    problems: int
    step_auroc: float
    process_f1: float
    found_wrong: float
    passed_right: float
    threshold: float


def _first_wrong(exact: Sequence[bool]) -> int:
    """Index of the first step that is not right, -1 if all are."""
    return next((index for index, right in enumerate(exact) if not right), -1)


def process_f1(samples: Sequence[ScoredSample], threshold: float) -> tuple[float, float, float]:
    """(F1, accuracy on wrong solutions, accuracy on right ones) when steps below a threshold are flagged."""
    labels = [_first_wrong(sample.exact) for sample in samples]
    found = score_subset(labels, [sample.rewards for sample in samples], threshold)
    return found.f1, found.erroneous, found.correct


def process_threshold(samples: Sequence[ScoredSample]) -> float:
    """The threshold with the best F1 on these samples, among the quantiles of their rewards."""
    rewards = np.concatenate([np.asarray(sample.rewards) for sample in samples])
    grid = np.unique(np.quantile(rewards, np.linspace(0.01, 0.99, 49)))
    scores = [process_f1(samples, float(threshold))[0] for threshold in grid]
    return float(grid[int(np.nanargmax(scores))])


def measure_prm(samples: Sequence[ScoredSample]) -> PrmMeasures:
    """All figures; the threshold is chosen on every other problem, the F1 measured on the rest.

    Raises ValueError when there are fewer than four problems.
    """
    by_problem: dict[str, list[ScoredSample]] = {}
    for sample in samples:
        by_problem.setdefault(sample.problem_id, []).append(sample)
    if len(by_problem) < 4:
        raise ValueError(f"measuring a PRM takes at least 4 problems, got {len(by_problem)}")
    names = sorted(by_problem)
    tuning = [sample for name in names[::2] for sample in by_problem[name]]
    held_out = [sample for name in names[1::2] for sample in by_problem[name]]
    threshold = process_threshold(tuning)
    f1, wrong, right = process_f1(held_out, threshold)
    within = {name: _within(by_problem, name) for name in ("last", "min", "mean", "prod")}
    domains = sorted({sample.domain for sample in samples})
    return PrmMeasures(
        within={name: _mean(values) for name, values in within.items()},
        within_by_domain={
            domain: _mean(_within({k: v for k, v in by_problem.items() if v[0].domain == domain}, "last"))
            for domain in domains
        },
        problems=len(within["last"]),
        step_auroc=auroc(*_steps(samples)),
        process_f1=f1,
        found_wrong=wrong,
        passed_right=right,
        threshold=threshold,
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _within(by_problem: dict[str, list[ScoredSample]], name: str) -> NDArray[np.float64]:
    """One AUROC per problem that has both right and wrong samples."""
    found = []
    for group in by_problem.values():
        scores = {
            kind: [score(s.rewards, name) for s in group if s.correct is kind] for kind in (True, False)
        }
        if scores[True] and scores[False]:
            found.append(auroc(scores[True], scores[False]))
    return np.asarray(found)


def _steps(samples: Sequence[ScoredSample]) -> tuple[list[float], list[float]]:
    """Rewards of right and of wrong steps."""
    parts: dict[bool, list[float]] = {True: [], False: []}
    for sample in samples:
        for reward, right in zip(sample.rewards, sample.exact, strict=True):
            parts[right].append(reward)
    return parts[True], parts[False]
