"""Learns what tells a planner's questions from all others (``planner.features.familiarity``).

Against open-ended prompts and against problems of other kinds (``training.background``) by logistic
regression, and by the words that the log has never seen. The limit is set by cross-fitting: each question is
judged by a model that has seen neither its family nor, for the background, its template, and at most one in a
hundred of the log's questions may be taken for foreign. Kinds of problems that the log seems to hold itself
are left aside.

``planner fit`` learns one with every planner. The shipped planner was fitted before there were any. It got
its own by ``planner train domains models/planner learn.jsonl.gz -o NEW`` from the problems of ``planner train
problems search 1024 --seed 7``: the same model comes out every time, and nothing else changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.features.familiarity import WIDTH, DomainModel, Wording, novelty, scaled, unknown_share, wording
from planner.features.question import SURFACE
from planner.planner import Planner
from search.errors import ArtefactError
from search.problem import Problem
from training.background import Foreign, problems, prompts
from training.crossfit import folds_of
from training.lab.problems import problem_set
from training.study_cache import digest

__all__ = ["FALSE_ALARMS", "fit_domains", "with_domains"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: share of questions of left-out families that may be taken for foreign
FALSE_ALARMS = 0.01

_FOLDS = 20
#: the part of left-out questions, the strangest, whose distances from the others make the tail
_TAIL = 0.1
#: how far the limit goes from where it must be to where open-ended prompts begin
_GENEROSITY = 0.25
#: inverse strength of the penalty of the logistic regressions
_LOOSENESS = 10.0
#: lab problems among the problems of other kinds
_LAB = 400
#: a domain that a fold has not seen
_NEVER = -50.0


@dataclass(frozen=True, slots=True, eq=False)
class _Questions:
    """N wordings, as a sparse (N, WIDTH) matrix too, and the fold of each."""

    words: Sequence[Wording]
    matrix: Any
    fold: Ints

    @classmethod
    def of(
        cls, words: Sequence[Wording], together: Sequence[str], scale: tuple[Floats, Floats], seed: int
    ) -> _Questions:
        return cls(words, _matrix(words, *scale), folds_of(together, _FOLDS, seed))


def fit_domains(
    questions: Sequence[str], domains: Sequence[str], families: Sequence[str], *, seed: int = 0
) -> DomainModel:
    """Learn a domain model from the questions of a log, with the domain and the family of each."""
    words = [wording(question) for question in questions]
    chat, other = list(prompts(seed=seed)), [*problems(seed=seed), *_of_lab(seed)]
    chat_words = [wording(one.question) for one in chat]
    other_words = [wording(one.question) for one in other]
    surfaces = np.stack([one.surface for one in (*words, *chat_words, *other_words)])
    scale = surfaces.mean(axis=0), surfaces.std(axis=0) + 1e-6
    together = families if len(set(families)) > 1 else questions
    own = _Questions.of(words, together, scale, seed)
    open_ended = _Questions.of(chat_words, [one.template for one in chat], scale, seed)
    foreign = _Questions.of(other_words, [one.template for one in other], scale, seed)
    names = tuple(sorted(set(domains)))
    label = np.array([names.index(name) for name in domains])

    everybody = own, open_ended, foreign
    inside = [np.zeros(len(side.words)) for side in everybody]
    unknown = [np.zeros(len(side.words)) for side in everybody]
    for fold in range(_FOLDS):
        weights, bias = _fit_inside(own, label, len(names), open_ended, fold)
        known = _known([one for one, of in zip(words, own.fold, strict=True) if of != fold])
        for side, signs, strange in zip(everybody, inside, unknown, strict=True):
            rows = np.flatnonzero(side.fold == fold)
            signs[rows] = _inside(side.matrix[rows] @ weights + bias)
            strange[rows] = [-unknown_share(side.words[row], known) for row in rows.tolist()]
    kept = _other_kinds(other, *(_signs(inside[at], unknown[at]) for at in (0, 2)))
    against = [np.zeros(len(side.words)) for side in everybody]
    for fold in range(_FOLDS if kept.any() else 0):
        column, offset = _fit_against(own, foreign, kept, fold)
        for side, signs in zip(everybody, against, strict=True):
            rows = np.flatnonzero(side.fold == fold)
            signs[rows] = side.matrix[rows] @ column + offset
    left_out, background = (_signs(inside[at], against[at], unknown[at]) for at in (0, 1))
    edges, tails = _tails(left_out)
    needed = _limit(novelty(left_out, edges, tails))
    begins = float(np.quantile(novelty(background, edges, tails), FALSE_ALARMS))
    limit = needed + _GENEROSITY * max(0.0, begins - needed)

    weights, bias = _fit_inside(own, label, len(names), open_ended, None)
    column, offset = _fit_against(own, foreign, kept, None) if kept.any() else (np.zeros(WIDTH), 0.0)
    model = DomainModel(
        domains=names,
        problems=len(questions),
        centre=scale[0],
        scale=scale[1],
        # what is fitted must be what is loaded
        weights=np.column_stack([weights, column]).astype(np.float32).astype(np.float64),
        bias=np.append(bias, offset),
        known=_known(words),
        edges=edges,
        tails=tails,
        limit=limit,
    )
    # the log's own questions are planned for, but no limit lies where open-ended prompts do
    strangest = limit * max(model.predict(question).score for question in questions)
    return replace(model, limit=max(limit, min(1.001 * strangest, begins)))


def with_domains(planner: Planner, problems: Sequence[Problem]) -> Planner:
    """A planner that was fitted without a domain model, with one. Nothing else of it changes.

    ``problems`` are those that it was learned from. Raises ArtefactError where they are not.
    """
    ordered = sorted(problems, key=lambda problem: problem.problem_id)
    found, wanted = digest([problem.question for problem in ordered]), planner.card.get("questions_sha256")
    if found != wanted:
        raise ArtefactError(
            f"a domain model is learned from the planner's own problems ({str(wanted)[:12]}), "
            f"got {found[:12]}"
        )
    model = fit_domains(
        [problem.question for problem in ordered],
        [problem.domain for problem in ordered],
        [problem.family for problem in ordered],
        seed=int(planner.card.get("seed", 0)),
    )
    return replace(planner, domain_model=model)


def _of_lab(seed: int) -> list[Foreign]:
    drawn = (worked.problem for worked in problem_set("train", _LAB, seed))
    return [Foreign(f"lab {problem.domain}", problem.family, problem.question) for problem in drawn]


def _matrix(words: Sequence[Wording], centre: Floats, scale: Floats) -> Any:
    from scipy.sparse import csr_matrix, hstack

    starts = np.cumsum([0, *(len(one.places) for one in words)])
    places = np.concatenate([one.places for one in words])
    values = np.concatenate([one.values for one in words])
    hashed = csr_matrix((values, places, starts), shape=(len(words), WIDTH - len(SURFACE)))
    surface = scaled(np.stack([one.surface for one in words]), centre, scale)
    return csr_matrix(hstack([hashed, csr_matrix(surface)]))


def _regression(matrix: Any, label: Ints, share: Floats) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_LOOSENESS, max_iter=200).fit(matrix, label, sample_weight=share)


def _fit_inside(
    own: _Questions, label: Ints, domains: int, open_ended: _Questions, fold: int | None
) -> tuple[Floats, Floats]:
    """(WIDTH, K + 1) and (K + 1,): domains, then open-ended prompts. Without a fold, or with all."""
    from scipy.sparse import vstack

    rows, others = np.flatnonzero(own.fold != fold), np.flatnonzero(open_ended.fold != fold)
    labels = np.append(label[rows], np.full(len(others), domains))
    model = _regression(
        vstack([own.matrix[rows], open_ended.matrix[others]]), labels, _halves(len(rows), len(others))
    )
    weights, bias = np.zeros((WIDTH, domains + 1)), np.full(domains + 1, _NEVER)
    if len(model.classes_) == 2:  # one column stands for both
        weights[:, model.classes_] = np.outer(model.coef_[0], (-0.5, 0.5))
        bias[model.classes_] = model.intercept_[0] * np.array((-0.5, 0.5))
    else:
        weights[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return weights, bias


def _fit_against(own: _Questions, foreign: _Questions, kept: Bools, fold: int | None) -> tuple[Floats, float]:
    """(WIDTH,) and its offset: the log's questions against problems of other kinds."""
    from scipy.sparse import vstack

    rows, others = np.flatnonzero(own.fold != fold), np.flatnonzero(kept & (foreign.fold != fold))
    labels = np.append(np.ones(len(rows), np.int64), np.zeros(len(others), np.int64))
    model = _regression(
        vstack([own.matrix[rows], foreign.matrix[others]]), labels, _halves(len(rows), len(others))
    )
    return model.coef_[0], float(model.intercept_[0])


def _halves(first: int, second: int) -> Floats:
    """Weights that give two groups of questions the same weight."""
    whole = (first + second) / 2
    return np.append(np.full(first, whole / first), np.full(second, whole / second))


def _inside(logits: Floats) -> Floats:
    return np.asarray(np.logaddexp.reduce(logits[:, :-1], axis=1) - logits[:, -1])


def _known(words: Sequence[Wording]) -> Ints:
    return np.unique(np.concatenate([checks for one in words for checks in (one.words, one.pairs)]))


def _signs(*columns: Floats) -> Floats:
    return np.stack(columns, axis=1)


def _other_kinds(other: Sequence[Foreign], left_out: Floats, signs: Floats) -> Bools:
    """Problems of kinds that the log does not hold: most of a kind are foreign by the other two signs."""
    edges, tails = _tails(left_out)
    strange = novelty(signs, edges, tails) > _limit(novelty(left_out, edges, tails))
    kinds = np.array([one.kind for one in other])
    return np.isin(kinds, [kind for kind in np.unique(kinds) if strange[kinds == kind].mean() > 0.5])


def _tails(left_out: Floats) -> tuple[Floats, Floats]:
    """Where the strangest tenth of (N, signs) begins, and how far below that it lies on average."""
    edges = np.quantile(left_out, _TAIL, axis=0)
    return edges, np.array([_beyond(edge - signs) for edge, signs in zip(edges, left_out.T, strict=True)])


def _beyond(below: Floats) -> float:
    """The mean of what is above 0."""
    return max(float(below[below > 0].mean()), 1e-3) if (below > 0).any() else 1e-3


def _limit(left_out: Floats) -> float:
    """Of novelty, with at most ``FALSE_ALARMS`` of left-out questions above it.

    Few questions say little about one in a hundred: then an exponential tail beyond the strangest tenth does.
    """
    ordered = np.sort(left_out)
    above = math.floor(FALSE_ALARMS * (len(ordered) + 1))  # a new one has its place among them too
    counted = float(ordered[-1 - max(0, above - 1)])
    edge = float(np.quantile(left_out, 1 - _TAIL))
    return max(counted, edge + _beyond(left_out - edge) * math.log(_TAIL / FALSE_ALARMS), 1e-3)
