"""All families of the lab, and problem sets drawn from them.

A problem set is a pure function of its seed, split and mix. Splits follow from the question's hash
(``training.lab.identity``), so sets of different splits never share a question.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from search.problem import Problem
from training.lab import arithmetic, chemistry, code, puzzle
from training.lab.family import DIFFICULTIES, Family, Worked
from training.lab.identity import split_of

__all__ = ["DOMAINS", "FAMILIES", "LOCKED_FAMILIES", "Mix", "draw", "family_of", "problem_set"]

#: every template family that problems to learn from are drawn of, by name
FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (*arithmetic.FAMILIES, *puzzle.FAMILIES, *code.FAMILIES, *chemistry.FAMILIES)
}

#: families that only ``training.lab.held_out`` draws of, by name
LOCKED_FAMILIES: Mapping[str, Family] = {
    family.name: family
    for module in (arithmetic, puzzle, code, chemistry)
    for family in module.LOCKED_FAMILIES
}

#: the lab's domains, in the order that tables show
DOMAINS = ("arithmetic", "puzzle", "code", "chemistry")

#: a family may be out of new questions at a level: how often to try before another level is taken
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each domain and each difficulty is drawn. Weights need not sum to one."""

    domains: Mapping[str, float] = field(
        default_factory=lambda: {"arithmetic": 0.36, "puzzle": 0.30, "code": 0.17, "chemistry": 0.17}
    )
    difficulties: Sequence[int] = tuple(DIFFICULTIES)


def family_of(problem: Problem) -> Family:
    """The family that made a problem."""
    found = FAMILIES.get(problem.family)
    return LOCKED_FAMILIES[problem.family] if found is None else found


def draw(rng: random.Random, split: str, mix: Mix, families: Mapping[str, Family] = FAMILIES) -> Worked:
    """One worked problem of a split."""
    names = tuple(mix.domains)
    (domain,) = rng.choices(names, [mix.domains[name] for name in names])
    family = rng.choice([family for family in families.values() if family.domain == domain])
    while True:
        difficulty = rng.choice(mix.difficulties)
        for _ in range(_TRIES):
            worked = family.draw(rng, difficulty)
            if split_of(worked.problem.question) == split:
                return worked


def problem_set(
    split: str,
    count: int,
    seed: int,
    mix: Mix | None = None,
    families: Mapping[str, Family] = FAMILIES,
) -> Iterator[Worked]:
    """``count`` different worked problems of a split, determined by the seed and the families."""
    rng = random.Random(f"{split}:{seed}")
    seen: set[str] = set()
    while len(seen) < count:
        worked = draw(rng, split, mix or Mix(), families)
        if worked.problem.problem_id not in seen:
            seen.add(worked.problem.problem_id)
            yield worked
