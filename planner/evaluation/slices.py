"""Parts of a log's data: some problems, some models, or models that stand under another's name.

What is left out is left out everywhere: pools, tree searches, choices and cards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.evidence.training_data import TrainingData
from search.cards import ModelCard
from search.choice import Choice
from search.errors import LogError, TooLittleDataError

__all__ = ["calibration_rows", "known_as", "only", "rows_of", "sample_flops"]

Ints = NDArray[np.int64]


def rows_of(data: TrainingData, at: Ints) -> TrainingData:
    """Some problems alone, in this order. Raises TooLittleDataError for none."""
    if not len(at):
        raise TooLittleDataError("a part of a log must hold at least one problem, got none")

    def texts(values: Sequence[str]) -> tuple[str, ...]:
        return tuple(values[i] for i in at)

    return replace(
        data,
        problem_ids=texts(data.problem_ids),
        families=texts(data.families),
        domains=texts(data.domains),
        questions=texts(data.questions),
        right=data.right[at],
        pools=_rows(data.pools, at),
        trees=_rows(data.trees, at),
    )


def only(
    data: TrainingData,
    *,
    policies: Collection[str] | None = None,
    prms: Collection[str] | None = None,
    choices: Collection[Choice] | None = None,
) -> TrainingData:
    """Some models alone, and some choices; None keeps all. Raises LogError where no choice is left."""
    kept = tuple(data.policies if policies is None else policies)
    judges = tuple(data.prms if prms is None else prms)

    def stays(choice: Choice) -> bool:
        known = choice.policy in kept and (choice.prm is None or choice.prm in judges)
        return known and (choices is None or choice in choices)

    left = tuple(choice for choice in data.choices if stays(choice))
    if not left:
        raise LogError(f"a part of a log must hold a choice, got none of {', '.join((*kept, *judges))}")
    pools = {
        name: replace(pool, prms={prm: held for prm, held in pool.prms.items() if prm in judges})
        for name, pool in data.pools.items()
        if name in kept
    }
    return replace(
        data,
        pools=pools,
        trees={choice: runs for choice, runs in data.trees.items() if stays(choice)},
        choices=left,
        policies={name: card for name, card in data.policies.items() if name in pools},
        prms={n: c for n, c in data.prms.items() if any(n in pool.prms for pool in pools.values())},
    )


def known_as(
    data: TrainingData,
    *,
    policies: Mapping[str, str] | None = None,
    prms: Mapping[str, str] | None = None,
) -> TrainingData:
    """The same with models under other names; their cards, and so what they cost, stay their own."""
    people, judges = policies or {}, prms or {}

    def renamed(choice: Choice) -> Choice:
        prm = None if choice.prm is None else judges.get(choice.prm, choice.prm)
        return Choice(people.get(choice.policy, choice.policy), prm, choice.plan)

    def cards(held: Mapping[str, ModelCard], names: Mapping[str, str]) -> dict[str, ModelCard]:
        return {
            names.get(name, name): replace(card, name=names.get(name, name)) for name, card in held.items()
        }

    return replace(
        data,
        pools={
            people.get(name, name): replace(
                pool, prms={judges.get(prm, prm): held for prm, held in pool.prms.items()}
            )
            for name, pool in data.pools.items()
        },
        trees={renamed(choice): runs for choice, runs in data.trees.items()},
        choices=tuple(sorted(map(renamed, data.choices), key=str)),
        policies=cards(data.policies, people),
        prms=cards(data.prms, judges),
    )


def calibration_rows(data: TrainingData, count: int, seed: int) -> Ints:
    """At most ``count`` problems, drawn over families in turn so that few still cover them."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data))
    families = np.asarray(data.families)[order]
    number = np.unique(families, return_inverse=True)[1]
    grouped = np.argsort(number, kind="stable")
    sizes = np.bincount(number)
    turn = np.empty(len(order), np.int64)
    turn[grouped] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[np.argsort(turn, kind="stable")[:count]])


def sample_flops(data: TrainingData, policy: str | None = None) -> float:
    """One sample-equivalent: mean logical FLOPs of one sample of a policy, by default the main one."""
    name = data.main if policy is None else policy
    pool = data.pools[name]
    return data.policies[name].flops(float(pool.tokens.mean() + pool.prompt.mean()))


def _rows(value: Any, at: Ints) -> Any:
    if isinstance(value, np.ndarray):
        return value[at]
    if isinstance(value, Mapping):
        return {name: _rows(inner, at) for name, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: _rows(getattr(value, field.name), at) for field in fields(value)}
        )
    return value
