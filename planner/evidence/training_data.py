"""Everything that a planner learns from: a search log as arrays (``planner.evidence.pools``).

Only problems for which every model and plan of the log is complete are taken; the others are counted in
``left_out``. It knows nothing of features, values or decisions.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.evidence.arrays import Arrays
from planner.evidence.complete import complete_problems, parts
from planner.evidence.effects import Effects
from planner.evidence.filling import fill, pool_named, tree_of
from planner.evidence.pools import PolicyPool, TreeRuns
from search.cards import ModelCard
from search.choice import Choice
from search.errors import LogError
from search.log.numbering import credit
from search.plan import Plan
from search.strategies.replay import needs_of

__all__ = ["Tables", "TrainingData", "read_training_data", "replayable"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
#: as narrow as the log has them: millions of them lie in memory
Numbers = NDArray[np.number[Any]]


class Tables(Protocol):
    """Whatever gives the tables of a search log (``search.log.store.SearchLog`` does)."""

    def scan(self, table: str) -> pl.LazyFrame:
        """All rows of one table."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Everything a planner learns from. P problems."""

    problem_ids: tuple[str, ...]
    families: tuple[str, ...]
    domains: tuple[str, ...]
    questions: tuple[str, ...]
    right: Bools | Floats  # (P, codes): whether the answer with this number is right, or its mean credit
    pools: Mapping[str, PolicyPool]
    trees: Mapping[Choice, TreeRuns]
    choices: tuple[Choice, ...]
    policies: Mapping[str, ModelCard]
    prms: Mapping[str, ModelCard]
    left_out: int = 0
    #: (policy, PRM) whose scores were left out, since too few whole pools have them
    unscored: frozenset[tuple[str, str]] = frozenset()
    effects: Effects | None = None  # what traffic shows beyond the log
    #: what was measured of these arrays and is asked for again, by what it is of (``training.costs``)
    memo: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.problem_ids)

    @property
    def gaps(self) -> tuple[str, ...]:
        """What of the log was left out because something is missing, a phrase each."""
        lost = () if not self.left_out else (f"{self.left_out} incomplete problems were left out",)
        return lost + tuple(
            f"the scores of {prm} were left out: most pools of {policy} lack some"
            for policy, prm in sorted(self.unscored)
        )

    @property
    def main(self) -> str:
        """The policy with most choices of its own samples alone, of several the largest."""
        counted = {
            name: sum(c.policy == name and not c.plan.is_ordered for c in self.choices)
            for name, pool in self.pools.items()
            if pool.draws
        }
        return max(counted, key=lambda name: (counted[name], self.policies[name].parameters, name))

    def greedy_first(self, policy: str) -> TrainingData:
        """A view in which the greedy answer of a policy is the first draw of its pool. Raises LogError."""
        return replace(self, pools={**self.pools, policy: self.pools[policy].greedy_first()})

    def require(self, choice: Choice) -> None:
        """Raises LogError for a choice that the log cannot replay."""
        if not replayable(choice, self.pools, self.trees):
            raise LogError(f"a planner picks among choices that the log can replay, got {choice}")

    def graded(self, codes: NDArray[np.signedinteger[Any]], begin: int = 0) -> Bools | Floats:
        """Whether answers (P, ...) are right; unreadable ones as far as their records said so.

        Numbers where a record gave partial credit. ``begin``: the problem of the first row.
        """
        where = np.arange(begin, begin + len(codes)).reshape(-1, *(1,) * (codes.ndim - 1))
        said = credit(codes)
        right: Bools | Floats = self.right[where, np.maximum(codes, 0)]
        if right.dtype == np.bool_ and not ((said > 0.0) & (said < 1.0)).any():
            return np.where(codes >= 0, right, said == 1.0)
        return np.where(codes >= 0, right, said)


def replayable(choice: Choice, pools: Mapping[str, PolicyPool], trees: Mapping[Choice, TreeRuns]) -> bool:
    """Whether these pools and runs hold what replaying a choice takes."""
    needs = needs_of(choice)
    if choice.policy not in pools or not needs.runs <= set(trees):
        return False
    return (
        all(policy in pools and count <= pools[policy].draws for policy, count in needs.draws.items())
        and all(policy in pools and pools[policy].greedy_code is not None for policy in needs.greedy)
        and all(prm in pools[policy].prms for policy, prm in needs.scored)
    )


def read_training_data(
    tables: Tables,
    policies: Mapping[str, ModelCard],
    prms: Mapping[str, ModelCard],
    *,
    choices: Sequence[Choice] | None = None,
) -> TrainingData:
    """Read a log into arrays.

    Parameters
    ----------
    tables, policies, prms:
        The log, and the cards by name of the models to read; rows of others are left aside.
    choices:
        What the planner may pick among. None: every choice of the ``outcomes`` table, or, where that is
        empty, ``cot``, votes and best-of-n at powers of four, and every logged tree search.

    Raises
    ------
    TooLittleDataError
        No problem is complete.
    LogError
        A policy has pools of two samplings, rows are not graded, or a choice was never logged.
    """
    named = pl.col("policy").is_in(list(policies))
    judged = pl.col("prm").is_in(list(prms))
    samples = tables.scan("samples").filter(named)
    scores = tables.scan("scores").filter(named & judged)
    runs = tables.scan("runs").filter(named & (judged | (pl.col("prm") == "")))
    complete = complete_problems(tables.scan("problems").collect(), samples, scores, runs)
    for policy, prm in complete.unscored:
        scores = scores.filter((pl.col("policy") != policy) | (pl.col("prm") != prm))
    arrays = Arrays(len(complete.problems))
    for begin, part in parts(complete.problems):
        fill(arrays, begin, part, complete, samples=samples, scores=scores, runs=runs)
    pools = {name: pool_named(arrays, name, complete.draws[name]) for name in sorted(complete.draws)}
    trees = {choice: tree_of(arrays, choice) for choice in sorted(complete.runs, key=str)}
    known = tuple(_logged(tables, pools, trees) if choices is None else choices)
    data = TrainingData(
        problem_ids=tuple(complete.problems["problem_id"]),
        families=tuple(complete.problems["family"]),
        domains=tuple(complete.problems["domain"]),
        questions=tuple(complete.problems["question"]),
        right=arrays.ragged(False, "right"),
        pools=pools,
        trees=trees,
        choices=tuple(sorted(set(known), key=str)),
        policies={name: policies[name] for name in pools},
        prms={name: prms[name] for name in sorted(_prms(pools, trees))},
        left_out=complete.left_out,
        unscored=complete.unscored,
    )
    for choice in known:
        data.require(choice)
    return data


def _prms(pools: Mapping[str, PolicyPool], trees: Mapping[Choice, TreeRuns]) -> set[str]:
    """PRMs that scored a pool or steered a tree."""
    scored = {prm for pool in pools.values() for prm in pool.prms}
    return scored | {choice.prm for choice in trees if choice.prm is not None}


def _logged(
    tables: Tables, pools: Mapping[str, PolicyPool], trees: Mapping[Choice, TreeRuns]
) -> list[Choice]:
    named = tables.scan("outcomes").select("policy", "prm", "plan").unique().collect()
    if not named.is_empty():
        chosen = [Choice(policy, prm or None, Plan.parse(plan)) for policy, prm, plan in named.iter_rows()]
        # a tree's PRM need not have scored the pool: the tree then takes no probe
        return [
            choice
            for choice in chosen
            if (
                choice in trees
                if choice.plan.must_run
                else replayable(choice, pools, trees)
                if choice.plan.is_ordered
                else choice.policy in pools and choice.prm in (None, *pools[choice.policy].prms)
            )
        ]
    chosen = list(trees)
    for name, pool in pools.items():
        if pool.greedy_code is not None:
            chosen.append(Choice(name, None, Plan.of("cot")))
        sizes = [n for n in (1, 4, 16, 64, 256) if 2 * n <= pool.draws]
        chosen += [Choice(name, None, Plan.of("majority", n=n)) for n in sizes]
        for prm in pool.prms:
            chosen += [
                Choice(name, prm, Plan.of(strategy, n=n, score="last"))
                for strategy in ("best_of_n", "weighted_vote")
                for n in sizes[1:]
            ]
    return chosen
