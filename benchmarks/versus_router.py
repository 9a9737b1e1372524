"""A text router between two models, after RouteLLM (Ong et al., arXiv 2406.18665).

From the text alone the chance is learned that the small model is right (section 4 there: a classifier of
queries), on the questions of a search log, its greedy answer and its samples counting alike. Questions
below a threshold go to the large model. The threshold is that which sends a given share of the log's
questions there (section 5.1: thresholds are calibrated to a share of calls of the strong model), on
predictions of folds that did not hold the question.

The text is the hashed words and word pairs and the surface of ``planner.features.familiarity``; the
classifier is a logistic regression whose strength of regularisation is chosen on the folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from planner.features.familiarity import WIDTH, wording
from search.errors import LogError
from search.log.store import SearchLog
from training.crossfit import folds_of

__all__ = ["Router", "fit_router", "rates"]

Floats = NDArray[np.float64]

_STRENGTHS = (0.003, 0.03, 0.3, 3.0)
_FOLDS, _SEED = 5, 0
#: questions below which nothing is learned
_LEAST = 20


@dataclass(frozen=True, slots=True)
class Router:
    """``crossed``: (P,) chances of the log's questions, each from folds without it. ``strength``: see C of
    scikit-learn."""

    problems: tuple[str, ...]
    crossed: Floats
    strength: float
    model: Any
    centre: Floats
    scale: Floats

    def threshold(self, share: float) -> float:
        """Below it stands this share of the log's questions: they go to the large model."""
        return float(np.quantile(self.crossed, share))

    def chances(self, questions: Sequence[str]) -> Floats:
        """(P,) chances that the small model is right."""
        features = _scaled(_features(questions), self.centre, self.scale)
        return np.asarray(self.model.predict_proba(features)[:, 1])


def rates(log: SearchLog, policy: str) -> pl.DataFrame:
    """problem_id, family, question, and ``rate``: the share of right ones among a policy's answers."""
    right = (
        log.read("samples", ["problem_id", "policy", "correct"])
        .filter(pl.col("policy") == policy)
        .group_by("problem_id")
        .agg(rate=pl.col("correct").cast(pl.Float64).mean())
    )
    told = log.read("problems", ["problem_id", "family", "question"])
    return told.join(right, on="problem_id").sort("problem_id")


def fit_router(log: SearchLog, policy: str) -> Router:
    """Learn when a policy is right. Raises LogError where the log has too few questions or one outcome."""
    rows = rates(log, policy)
    rate = rows["rate"].to_numpy().astype(np.float64)
    if len(rate) < _LEAST or rate.min() == rate.max():
        raise LogError(f"a router needs {_LEAST} questions, some of them right, got {len(rate)} of {policy}")
    raw = _features(rows["question"].to_list())
    surface = raw[:, -_surface() :].toarray()
    centre, scale = surface.mean(axis=0), np.maximum(surface.std(axis=0), 1e-9)
    features = _scaled(raw, centre, scale)
    folds = folds_of(rows["family"].to_list(), _FOLDS, _SEED)
    best: tuple[float, float, Floats] | None = None
    for strength in _STRENGTHS:
        crossed = np.empty(len(rate))
        for number in range(_FOLDS):
            out = folds == number
            model = _fitted(features[~out], rate[~out], strength)
            crossed[out] = model.predict_proba(features[out])[:, 1]
        loss = -float(np.mean(rate * np.log(crossed) + (1.0 - rate) * np.log1p(-crossed)))
        if best is None or loss < best[0]:
            best = loss, strength, crossed
    assert best is not None
    _, strength, crossed = best
    model = _fitted(features, rate, strength)
    return Router(tuple(rows["problem_id"]), crossed, strength, model, centre, scale)


def _fitted(features: csr_matrix, rate: Floats, strength: float) -> LogisticRegression:
    """Every question counts as a right and a wrong answer, by its share of right ones."""
    weights = np.concatenate([rate, 1.0 - rate])
    labels = np.concatenate([np.ones(len(rate)), np.zeros(len(rate))])
    both = csr_matrix(np.concatenate([features.toarray()] * 2))
    kept = weights > 0.0
    model = LogisticRegression(C=strength, max_iter=2000)
    return model.fit(both[kept], labels[kept], sample_weight=weights[kept])


def _surface() -> int:
    return len(wording("How many?").surface)


def _features(questions: Sequence[str]) -> csr_matrix:
    """(P, WIDTH): hashed words, then the surface."""
    found = [wording(question) for question in questions]
    buckets = WIDTH - _surface()
    rows = np.concatenate([np.full(len(one.places), place) for place, one in enumerate(found)])
    words = csr_matrix(
        (
            np.concatenate([one.values for one in found]),
            (rows, np.concatenate([one.places for one in found])),
        ),
        shape=(len(found), buckets),
    )
    return hstack([words, csr_matrix(np.stack([one.surface for one in found]))], format="csr")


def _scaled(features: csr_matrix, centre: Floats, scale: Floats) -> csr_matrix:
    """With a surface of mean 0 and deviation 1."""
    surface = (features[:, -len(centre) :].toarray() - centre) / scale
    # all marks together weigh about as much as all words
    return hstack([features[:, : -len(centre)], csr_matrix(surface / len(centre) ** 0.5)], format="csr")
