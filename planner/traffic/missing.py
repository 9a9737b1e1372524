"""Who gives feedback: the chance that a decision's outcome becomes known, and what is said where that chance
depends on the outcome itself.

The chance is a logistic regression on what was known before anybody could tell right from wrong: the length
of the question, its domain, what the decision cost and expected, how many stages it took. Where feedback
depends on these alone, a known outcome stands for 1 / p others and the estimates are right.

Where it depends on the outcome, users who only report wrong answers say, no covariate mends that and nothing
in their feedback shows by how much. Two checks are made. Feedback that is all of one kind is refused. And
where programs or judges saw a sample of the decisions, users' feedback is compared with theirs on equal
decisions and left aside if it differs by more than chance. Bounds without any such assumption stand beside
every estimate: unknown outcomes all wrong, or all right (Manski 1989).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Selection", "bounds", "chances", "one_sided", "selection"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: a known outcome stands for at most 1 / this many
_LEAST_CHANCE = 0.02
#: as many words of one kind, with none of the other, are no accident where a tenth is expected to differ
_ONE_SIDED = 40
#: outcomes known from each of the two that are compared
_ENOUGH = 50
_FOLDS = 5
_RIDGE = 1.0


def chances(covariates: Floats, known: Bools, clusters: Ints) -> Floats:
    """(N,) the chance that each outcome is known, from decisions on other questions (5 folds).

    ``covariates`` (N, K), ``known`` (N,), ``clusters`` (N,) as ``Staged`` has them. Where all are known or
    none, that share.
    """
    if known.all() or not known.any():
        return np.full(len(known), 1.0 if known.all() else 0.0)
    scale = covariates.std(axis=0)
    design = (covariates - covariates.mean(axis=0)) / np.where(scale > 1e-12, scale, 1.0)
    design = np.concatenate([np.ones((len(design), 1)), design], axis=1)
    fold = clusters % _FOLDS
    out = np.empty(len(known))
    for one in range(_FOLDS):
        inside = fold == one
        rest = ~inside if known[~inside].any() else np.ones(len(known), bool)
        out[inside] = _sigmoid(design[inside] @ _logistic(design[rest], known[rest].astype(np.float64)))
    return np.clip(out, _LEAST_CHANCE, 1.0)


def bounds(values: Floats, known: Bools) -> tuple[float, float]:
    """The share right of all decisions if those of which nothing is known were all wrong, or all right.

    ``values`` (N,) in [0, 1] where ``known`` (N,).

    >>> bounds(np.array([1.0, 0.0, 0.0, 0.0]), np.array([True, True, False, False]))
    (0.25, 0.75)
    """
    right = float(np.where(known, values, 0.0).sum())
    total = max(1, len(known))
    return max(0.0, right / total), min(1.0, (right + float((~known).sum())) / total)


def one_sided(values: Floats) -> str | None:
    """``right`` or ``wrong`` where all known outcomes (n,) say that, and there are enough of them.

    40 words and none of the other kind: a chance of 1.5% where a tenth of outcomes were of that kind.
    """
    if len(values) < _ONE_SIDED:
        return None
    if (values <= 0.0).all():
        return "wrong"
    return "right" if (values >= 1.0).all() else None


@dataclass(frozen=True, slots=True)
class Selection:
    """Users' feedback beside that of programs and judges: the share right among each, on decisions of equal
    covariates, and the error of the difference."""

    users: float
    sampled: float
    error: float

    @property
    def biased(self) -> bool:
        """Whether they differ by more than 5 points and by more than two and a half standard errors."""
        apart = abs(self.users - self.sampled)
        return apart > 0.05 and apart > 2.5 * self.error

    def to_json(self) -> dict[str, float | bool]:
        """Plain values."""
        return {
            "users": self.users,
            "sampled": self.sampled,
            "error": self.error,
            "biased": self.biased,
        }


def selection(covariates: Floats, values: Floats, by_user: Bools, sampled: Bools) -> Selection | None:
    """Whether users speak about outcomes like any others.

    Parameters
    ----------
    covariates, values:
        (N, K), and (N,) what each decision was worth as far as it is known.
    by_user, sampled:
        (N,) whether a user said so, and whether a program or a judge did.

    Both groups are weighted to look alike by covariates (the chance to be in the sample, of those in either).
    None where either has fewer than 50.
    """
    mine, theirs = by_user & ~sampled, sampled
    if min(int(mine.sum()), int(theirs.sum())) < _ENOUGH:
        return None
    either = np.flatnonzero(mine | theirs)
    design = covariates[either]
    scale = design.std(axis=0)
    design = (design - design.mean(axis=0)) / np.where(scale > 1e-12, scale, 1.0)
    design = np.concatenate([np.ones((len(design), 1)), design], axis=1)
    labels = theirs[either].astype(np.float64)
    chance = np.clip(_sigmoid(design @ _logistic(design, labels)), 0.02, 0.98)
    # overlap weights (Li, Morgan and Zaslavsky 2018)
    weight = np.where(labels == 1.0, 1.0 - chance, chance)
    found = []
    for group in (0.0, 1.0):
        w, v = weight[labels == group], values[either][labels == group]
        at = float(w @ v / w.sum())
        found.append((at, math.sqrt(float(((w * (v - at)) ** 2).sum())) / float(w.sum())))
    (users, first), (sample, second) = found
    return Selection(users, sample, math.hypot(first, second))


def _logistic(design: Floats, labels: Floats) -> Floats:
    """Coefficients by Newton's method, with a small ridge on all but the constant."""
    ridge = np.full(design.shape[1], _RIDGE)
    ridge[0] = 1e-6
    theta = np.zeros(design.shape[1])
    share = min(max(float(labels.mean()), 1e-6), 1 - 1e-6)
    theta[0] = math.log(share / (1 - share))
    for _ in range(30):
        p = _sigmoid(design @ theta)
        gradient = design.T @ (p - labels) + ridge * theta
        curvature = (design.T * (p * (1.0 - p))) @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        theta = theta - np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-8:
            break
    return theta


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -40.0, 40.0))))
