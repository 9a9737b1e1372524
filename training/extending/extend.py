"""Extends a planner by a policy or a PRM that was not there when it was fitted, from a small log.

What the planner knows stays. The accuracies of the new model's choices are learned by their likeness to the
known ones (``training.extending.growing``), and what decides at each price is judged again on the new log
(``training.extending.extension_check``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from planner.evaluation.baselines.rules import with_rules
from planner.evidence.matrix import Matrices
from planner.evidence.training_data import Tables, TrainingData, read_training_data, replayable
from planner.planner import Planner
from search.cards import ModelCard
from search.drawing import Drawing
from search.errors import ArtefactError, LogError, TooLittleDataError
from search.prompts import Prompting
from training.crossfit import folds_of
from training.extending.extension_check import check
from training.extending.growing import Growth, growth_of, involves
from training.extending.pooling import logits
from training.study_cache import digest

__all__ = ["ENOUGH_PROBLEMS", "extend", "extend_training_data", "new_model"]

Floats = NDArray[np.float64]

#: fewer than this say nothing about a model
ENOUGH_PROBLEMS = 50
ENOUGH_FAMILIES = 3
_FOLDS = 5


def extend(
    planner: Planner,
    tables: Tables,
    policies: Mapping[str, ModelCard],
    prms: Mapping[str, ModelCard],
    *,
    seed: int = 0,
    date: str = "",
    promptings: Mapping[str, Prompting] = MappingProxyType({}),
    drawings: Mapping[str, Drawing] = MappingProxyType({}),
) -> Planner:
    """A planner that decides about one more model.

    Parameters
    ----------
    planner:
        Fitted by this version of the project.
    tables, policies, prms:
        A log and the cards of its models: one that the planner does not know, and any that it knows. A PRM's
        log holds the samples that it scored.
    date, promptings, drawings:
        As ``training.study.fit`` takes them.

    Raises
    ------
    ArtefactError
        The planner is of a version without rules.
    LogError
        The log holds no new model or several, a known one under another fingerprint, no choice of the new one
        or no count of its tokens, or problems of other domains or families.
    TooLittleDataError
        The log holds fewer than 50 complete problems, or of fewer than three families.
    """
    name = new_model(planner, policies, prms)
    known = {**planner.policies, **planner.prms}
    data = read_training_data(
        tables,
        {one: card for one, card in policies.items() if one in known or one == name},
        {one: card for one, card in prms.items() if one in known or one == name},
    )
    extended = extend_training_data(planner, data, seed=seed, date=date)
    asked = {one: how for one, how in promptings.items() if one == name and name in extended.policies}
    drawn = {one: how for one, how in drawings.items() if one == name and name in extended.policies}
    return replace(
        extended, promptings={**planner.promptings, **asked}, drawings={**planner.drawings, **drawn}
    )


def new_model(planner: Planner, policies: Mapping[str, ModelCard], prms: Mapping[str, ModelCard]) -> str:
    """The one model of a log that a planner does not know. Raises LogError for none, several or a clash."""
    for kind, given, others, kept in (
        ("policy", policies, planner.prms, planner.policies),
        ("PRM", prms, planner.policies, planner.prms),
    ):
        for name, card in given.items():
            if name in others:
                raise LogError(
                    f"a model has one name, got the {kind} {name!r}, and the planner's "
                    f"{'policy' if kind == 'PRM' else 'PRM'} of that name"
                )
            if name in kept and kept[name].fingerprint != card.fingerprint:
                raise LogError(
                    f"a {kind} of the planner keeps its fingerprint: {name!r} has "
                    f"{kept[name].fingerprint!r} there, got {card.fingerprint!r}; a new one needs a new name"
                )
    new = [name for name in (*policies, *prms) if name not in planner.policies and name not in planner.prms]
    if len(new) != 1:
        known = ", ".join(sorted({*planner.policies, *planner.prms}))
        raise LogError(
            f"a log that extends a planner holds one model beside its own ({known}), "
            f"got {', '.join(sorted(new)) or 'none'}"
        )
    return new[0]


def extend_training_data(planner: Planner, data: TrainingData, *, seed: int = 0, date: str = "") -> Planner:
    """``extend`` on a log that has been read already."""
    name = new_model(planner, data.policies, data.prms)
    stage = planner.stages[0]
    if stage.trust is None:
        raise ArtefactError(
            "a planner that is extended holds rules, got one of an older version: "
            "make it again with planner fit"
        )
    by_problem = dict(planner.card.get("quality", {})).get("folds") == "problem"
    _check_problems(planner, data, by_problem)
    if name in data.pools and not data.pools[name].tokens.any():
        raise LogError(
            f"a policy is learned from samples whose tokens are counted, got none for {name!r}: "
            "planner import --tokens N tells what an answer takes"
        )
    data = with_rules(data, seed=seed)
    kept = [c for c in data.choices if replayable(c, data.pools, data.trees)]
    data = replace(data, choices=tuple(kept))
    if not any(involves(choice, name) for choice in kept):
        raise LogError(f"a log that extends a planner holds a choice of the new model, got none of {name!r}")
    matrices = Matrices(data, planner.encoder, seed=seed)
    folds = folds_of(data.problem_ids if by_problem else data.families, _FOLDS, seed)
    growth = growth_of(planner.stages, matrices, name, planner.frontier.prices, folds, seed)
    judged = check(planner, growth, folds, seed=seed)
    card = dict(planner.card)
    quality = dict(card.get("quality", {}))
    quality |= {
        "prices": [float(price) for price in judged.frontier.prices],
        "accuracy": [float(value) for value in judged.frontier.accuracy],
        "sample_equivalents": [float(value) for value in judged.frontier.flops / planner.sample_flops],
    }
    told = {
        "model": name,
        "kind": "policy" if name in data.policies else "prm",
        "date": date,
        "seed": seed,
        "problems": len(data),
        "left_out_problems": data.left_out,
        "families": sorted(set(data.families)),
        "questions_sha256": digest(data.questions),
        "choices": [str(choice) for choice in growth.choices],
        "like": _likeness(growth),
        "known_measured": judged.measured,
    }
    card |= {
        "date": date,
        "families": sorted({*card.get("families", ()), *data.families}),
        "choices": [*card.get("choices", ()), *map(str, growth.choices)],
        "quality": quality,
        "verdict": judged.verdict,
        "extended": [*card.get("extended", ()), told],
    }
    return replace(
        planner,
        stages=judged.stages,
        frontier=judged.frontier,
        # what is known keeps its place and its card
        policies={**planner.policies, **data.policies, **planner.policies},
        prms={**planner.prms, **data.prms, **planner.prms},
        card=card,
    )


def _likeness(growth: Growth) -> dict[str, float]:
    """Known policy or PRM pair -> how its best choice's predicted accuracies go along with those of the new
    model's best choice over the log's questions: the correlation of their logits. The most alike first."""
    first = growth.stages[0]
    if first.matrix is None:
        return {}
    stage = first.stage_of(np.ones(len(growth.data), np.bool_))
    menu = stage.menu(first.matrix.features, first.matrix.characters)
    told = logits(menu.level[:, None] + menu.advantage)
    known = len(first.stage.choices)
    best = known + int(first.matrix.values.mean(axis=0).argmax())
    found: dict[str, float] = {}
    for at, choice in enumerate(stage.choices[:known]):
        who = choice.policy if choice.prm is None else f"{choice.policy} x {choice.prm}"
        if told[:, at].std() > 1e-9 and told[:, best].std() > 1e-9:
            alike = float(np.corrcoef(told[:, at], told[:, best])[0, 1])
            found[who] = max(found.get(who, -1.0), alike)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _check_problems(planner: Planner, data: TrainingData, by_problem: bool) -> None:
    """Raises TooLittleDataError for too few problems, LogError for those of other domains or families."""
    families = set(data.families)
    if len(data) < ENOUGH_PROBLEMS:
        raise TooLittleDataError(
            f"a model is learned from at least {ENOUGH_PROBLEMS} complete problems, got {len(data)}; "
            "a hundred would do well"
        )
    if len(families) < ENOUGH_FAMILIES and not by_problem:
        raise TooLittleDataError(
            f"a model is learned from problems of at least {ENOUGH_FAMILIES} families, "
            f"got {len(data)} of {len(families)}"
        )
    foreign = sorted(set(data.domains) - set(planner.domains))
    if foreign:
        raise LogError(
            f"a model is learned from problems of the planner's domains ({', '.join(planner.domains)}), "
            f"got {', '.join(foreign)}"
        )
    known = set(map(str, planner.card.get("families", ())))
    # where nearly every problem is a family of its own, other problems are of other families
    kinds = 2 * len(known) <= int(planner.card.get("problems", 0)) and 2 * len(families) <= len(data)
    if known and kinds and not known & families:
        raise LogError(
            f"a model is learned from problems of the planner's families ({_some(known)}), got "
            f"{_some(families)}"
        )


def _some(names: set[str], most: int = 5) -> str:
    ordered = sorted(names)
    more = len(ordered) - most
    return ", ".join(ordered[:most]) + (f" and {more} more" if more > 0 else "")
