"""How a planner does on what it was not learned from: families of problems, a domain, a policy or a PRM
that was left out; and then (but for families) with a few calibration problems of the new one.

A planner names its models, so a new policy or PRM stands under the name of a known one, with its own
samples, rewards and costs. Baselines pick on what the planner was learned from, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.evaluation.slices import calibration_rows, known_as, only, rows_of, sample_flops
from planner.evidence.training_data import TrainingData
from planner.planner import Planner
from search.errors import LogError
from studies.paired_comparison import (
    ComparisonSpec,
    PairedComparison,
    Reached,
    compare,
    replay_all,
)

__all__ = ["CALIBRATION", "Move", "left_out_domain", "left_out_families", "left_out_policy", "left_out_prm"]

#: calibration problems of what is new
CALIBRATION = 200

#: families are left out in so many parts
_PARTS = 5

_RIVALS = ("majority", "mixture", "knn")

#: makes a planner from a log
Fit = Callable[[TrainingData], Planner]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One thing left out. ``kind``: ``families``, ``domain``, ``policy`` or ``prm``; ``told``: ``nothing`` or
    ``calibration``; ``problems``: learned from; ``duels`` per rival."""

    kind: str
    name: str
    told: str
    problems: int
    duels: Mapping[str, tuple[PairedComparison, ...]]


def left_out_families(
    learned: TrainingData, held_out: TrainingData, fit: Fit, spec: ComparisonSpec
) -> tuple[Move, ...]:
    """Every problem decided by a planner that saw no problem of its family: five parts, all judged together.

    Raises LogError with fewer than five families.
    """
    families = sorted(set(held_out.families))
    if len(families) < _PARTS:
        raise LogError(f"families are left out in {_PARTS} parts, got {len(families)}: {', '.join(families)}")
    dealt = np.random.default_rng(spec.seed).permutation(len(families)) % _PARTS
    part = {family: int(dealt[place]) for place, family in enumerate(families)}
    unit = sample_flops(held_out)
    met: dict[str, list[list[Reached]]] = {}
    order: list[str] = []
    seen = 0
    for number in range(_PARTS):
        asked = rows_of(held_out, np.flatnonzero([part[f] == number for f in held_out.families]))
        log = rows_of(learned, np.flatnonzero([part.get(f) != number for f in learned.families]))
        order += asked.families
        seen += len(log)
        for name, reached in replay_all(fit(log), asked, log, spec, _RIVALS, unit).items():
            met.setdefault(name, []).append(reached)
    whole = {name: _joined(parts) for name, parts in met.items() if len(parts) == _PARTS}
    duels = {name: compare(whole["planner"], whole[name], order, spec) for name in _RIVALS if name in whole}
    return (
        Move(kind="families", name=f"{_PARTS} parts", told="nothing", problems=seen // _PARTS, duels=duels),
    )


def _joined(parts: Sequence[Sequence[Reached]]) -> list[Reached]:
    """Per budget, the problems of all parts."""
    return [
        (
            np.concatenate([one[0] for one in same]),
            np.concatenate([one[1] for one in same]),
            np.concatenate([one[2] for one in same]),
        )
        for same in zip(*parts, strict=True)
    ]


def left_out_domain(
    learned: TrainingData, held_out: TrainingData, name: str, fit: Fit, spec: ComparisonSpec
) -> tuple[Move, ...]:
    """Learn without a domain and decide on it alone; then with some of its problems added.

    Raises LogError where either log has no other domain, or not this one.
    """
    inside = np.asarray(learned.domains) == name
    asked = np.asarray(held_out.domains) == name
    if not inside.any() or inside.all() or not asked.any():
        raise LogError(
            f"a domain that is left out must stand in both logs beside others, got {name!r} "
            f"of {', '.join(sorted(set(learned.domains)))}"
        )
    new = np.flatnonzero(inside)
    some = new[calibration_rows(rows_of(learned, new), CALIBRATION, spec.seed)]
    logs = {
        "nothing": rows_of(learned, np.flatnonzero(~inside)),
        "calibration": rows_of(learned, np.sort(np.concatenate([np.flatnonzero(~inside), some]))),
    }
    return _moved(
        kind="domain",
        name=name,
        logs=logs,
        asked=rows_of(held_out, np.flatnonzero(asked)),
        fit=fit,
        spec=spec,
    )


def left_out_policy(
    learned: TrainingData, held_out: TrainingData, name: str, fit: Fit, spec: ComparisonSpec
) -> tuple[Move, ...]:
    """Learn from the policy nearest in size and decide for ``name``; then learn from some of its problems.

    Raises LogError where there is no other policy, or the two share no choice.
    """
    others = [other for other in learned.policies if other != name]
    if name not in learned.policies or name not in held_out.policies or not others:
        raise LogError(
            f"a policy that is left out must stand in both logs beside others, got {name!r} "
            f"of {', '.join(learned.policies)}"
        )
    size = learned.policies[name].parameters
    other = min(others, key=lambda n: (abs(np.log(learned.policies[n].parameters / size)), n))
    old = only(learned, policies=(other,))
    new = known_as(only(learned, policies=(name,)), policies={name: other})
    asked = known_as(only(held_out, policies=(name,)), policies={name: other})
    return _renamed(kind="policy", name=name, old=old, new=new, asked=asked, fit=fit, spec=spec)


def left_out_prm(
    learned: TrainingData,
    held_out: TrainingData,
    name: str,
    stand_in: str,
    fit: Fit,
    spec: ComparisonSpec,
) -> tuple[Move, ...]:
    """Learn with the PRM ``stand_in`` and decide with ``name`` in its place; then learn from problems of it.

    Raises LogError where one of them is missing, or the two share no choice.
    """
    for log in (learned, held_out):
        if name not in log.prms or stand_in not in log.prms or name == stand_in:
            raise LogError(
                f"a PRM that is left out must stand in both logs beside the other, got {name!r} and "
                f"{stand_in!r} of {', '.join(log.prms)}"
            )
    old = only(learned, prms=(stand_in,))
    new = known_as(only(learned, prms=(name,)), prms={name: stand_in})
    asked = known_as(only(held_out, prms=(name,)), prms={name: stand_in})
    return _renamed(kind="prm", name=name, old=old, new=new, asked=asked, fit=fit, spec=spec)


def _renamed(
    *,
    kind: str,
    name: str,
    old: TrainingData,
    new: TrainingData,
    asked: TrainingData,
    fit: Fit,
    spec: ComparisonSpec,
) -> tuple[Move, ...]:
    shared = set(old.choices) & set(new.choices) & set(asked.choices)
    some = rows_of(new, calibration_rows(new, CALIBRATION, spec.seed))
    logs = {"nothing": only(old, choices=shared), "calibration": only(some, choices=shared)}
    return _moved(kind=kind, name=name, logs=logs, asked=only(asked, choices=shared), fit=fit, spec=spec)


def _moved(
    *,
    kind: str,
    name: str,
    logs: Mapping[str, TrainingData],
    asked: TrainingData,
    fit: Fit,
    spec: ComparisonSpec,
) -> tuple[Move, ...]:
    out = []
    for told, log in logs.items():
        planner = fit(log)
        met = replay_all(planner, asked, log, spec, _RIVALS, sample_flops(asked))
        duels = {
            rival: compare(met["planner"], met[rival], asked.families, spec)
            for rival in _RIVALS
            if rival in met
        }
        out.append(Move(kind=kind, name=name, told=told, problems=len(log), duels=duels))
    return tuple(out)
