"""What logs of real campaigns hold, and what every plan that they can replay was worth on each problem.

Problems are compared in groups: those of one problem set that hold the same things (draws and greedy answers
of some policies), so that every figure of a group is about the same problems. While a campaign runs, a larger
policy that has come a part of the way has a group of its own, beside that of all problems of the smaller one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.evaluation.baselines.fixed import sizes
from search.choice import Choice
from search.engines.protocol import FinishReason
from search.log.orders import order_outcomes
from search.log.outcomes import greedy_outcomes, pool_outcomes
from search.log.pool import Pool, read_pools
from search.log.store import SearchLog
from search.plan import Plan

__all__ = ["Group", "Holding", "Source", "Table", "groups_of", "halves", "logged", "read", "table_of"]

Floats = NDArray[np.float64]
Pools = Mapping[str, Mapping[str, Pool]]

#: the share of problems that must hold something for the others to be left out
HELD = 0.9
#: what is tried of each strategy
STOPS, AHEAD, TAUS = (0.8, 0.9, 0.95), (1, 4), (0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Source:
    """A log in memory: policies from the smallest to the largest, their pools and greedy answers.

    ``families`` and ``sets``: problem -> its family, its problem set.
    """

    name: str
    log: SearchLog
    policies: tuple[str, ...]
    pools: Pools
    greedy: Mapping[str, frozenset[str]]
    families: Mapping[str, str]
    sets: Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Holding:
    """What a problem may hold of a policy: ``draws`` or ``greedy``."""

    policy: str
    kind: str

    def __str__(self) -> str:
        return f"the greedy answer of {self.policy}" if self.kind == "greedy" else f"draws of {self.policy}"


@dataclass(frozen=True, slots=True)
class Group:
    """Problems of one set that hold the same. ``draws``: policy -> samples that each of them has, at least.

    ``lacks``: what too few of them hold -> a sentence that says how many do.
    """

    problem_set: str
    problems: tuple[str, ...]
    holds: tuple[Holding, ...]
    draws: Mapping[str, int]
    lacks: Mapping[Holding, str]

    @property
    def policies(self) -> tuple[str, ...]:
        """Those of which it holds anything, the smallest first."""
        return tuple(dict.fromkeys(holding.policy for holding in self.holds))


@dataclass(frozen=True, slots=True)
class Table:
    """Expected accuracy and logical cost, (P, C), of every choice on every problem."""

    problems: tuple[str, ...]
    families: tuple[str, ...]
    choices: tuple[Choice, ...]
    accuracy: Floats
    tokens: Floats
    flops: Floats


def read(path: Path) -> Source:
    """A log. Raises LogError where it is none."""
    log = SearchLog.open(path)
    cards = log.manifest.policies
    policies = tuple(sorted(cards, key=lambda name: (cards[name].parameters, name)))
    greedy = {
        policy: frozenset(
            log.scan("samples")
            .filter(pl.col("policy") == policy, pl.col("draw") < 0)
            .select("problem_id")
            .collect()["problem_id"]
        )
        for policy in policies
    }
    rows = log.read("problems", ["problem_id", "family", "domain"]).rows()
    return Source(
        "/".join(path.resolve().parts[-2:]),
        log,
        policies,
        {policy: read_pools(log, policy) for policy in policies},
        greedy,
        {problem: family for problem, family, _ in rows},
        {problem: set_of(problem, domain) for problem, _, domain in rows},
    )


def set_of(problem: str, domain: str) -> str:
    """The problem set: what stands before the first stroke of an id, else the domain.

    >>> set_of("gsm8k/17", "math"), set_of("p1", "math")
    ('gsm8k', 'math')
    """
    name, stroke, _ = problem.partition("/")
    return name if stroke else domain


def logged(source: Source) -> list[dict[str, object]]:
    """One row per policy, problem set and kind of sample: how much there is, and how well it came out.

    ``cut``: the share that reached the most tokens; ``unreadable``: without an answer that could be read.
    """
    named = pl.DataFrame(
        {"problem_id": list(source.sets), "problem_set": list(source.sets.values())},
        schema={"problem_id": pl.String, "problem_set": pl.String},
    )
    kind = pl.when(pl.col("draw") < 0).then(pl.lit("greedy")).otherwise(pl.lit("draws"))
    cut = pl.col("finish_reason").is_in([FinishReason.LENGTH, FinishReason.THOUGHT])
    frame = (
        source.log.scan("samples")
        .select(
            "problem_id", "policy", "draw", "answer", "correct", "tokens", "prompt_tokens", "finish_reason"
        )
        .join(named.lazy(), on="problem_id")
        .with_columns(kind=kind)
        .group_by("policy", "problem_set", "kind")
        .agg(
            questions=pl.col("problem_id").n_unique(),
            samples=pl.len(),
            tokens=pl.col("tokens").sum().cast(pl.Int64),
            mean_tokens=pl.col("tokens").mean(),
            # a prompt is asked once for all samples of a question
            mean_prompt_tokens=pl.col("prompt_tokens").mean(),
            cut=cut.mean(),
            unreadable=pl.col("answer").is_null().mean(),
            right=pl.col("correct").mean(),
        )
        .sort("policy", "problem_set", "kind")
        .collect()
    )
    return frame.to_dicts()


# ---- groups


def groups_of(source: Source) -> list[Group]:
    """The groups of every problem set, in the order of the sets' names."""
    return [
        group
        for name in sorted(set(source.sets.values()))
        for group in _groups(source, name, {one for one, named in source.sets.items() if named == name})
    ]


def _groups(source: Source, name: str, members: set[str]) -> list[Group]:
    held: dict[Holding, frozenset[str]] = {}
    draws = {}
    for place, policy in enumerate(source.policies):
        pools = {one: len(pool) for one, pool in source.pools[policy].items() if one in members and len(pool)}
        draws[policy] = _common(list(pools.values()))
        drawn = frozenset(one for one, size in pools.items() if size >= draws[policy])
        two = (Holding(policy, "draws"), drawn), (Holding(policy, "greedy"), source.greedy[policy] & members)
        # the smallest policy is there to be sampled, the larger ones to be compared with
        held.update(two if place == 0 else reversed(two))
    found: list[Group] = []
    for holding, problems in held.items():
        if not found:
            if problems:
                found.append(_group(name, problems, (holding,), draws))
            continue
        last = found[-1]
        both = problems & set(last.problems)
        grown = (*last.holds, holding)
        if len(both) >= HELD * len(last.problems):
            found[-1] = replace(_group(name, both, grown, draws), lacks=last.lacks)
            continue
        why = f"{holding}: logged for {len(both)} of these {len(last.problems)} problems"
        found[-1] = replace(last, lacks={**last.lacks, holding: why})
        if both:
            found.append(_group(name, both, grown, draws))
    return found


def _group(
    name: str, problems: frozenset[str], holds: tuple[Holding, ...], draws: Mapping[str, int]
) -> Group:
    held = {holding.policy: draws[holding.policy] for holding in holds if holding.kind == "draws"}
    return Group(name, tuple(sorted(problems)), holds, held, {})


def _common(pools: Sequence[int]) -> int:
    """The largest pool that nearly all problems have: the others would cost too many problems."""
    fitting = [size for size in pools if sum(other >= size for other in pools) >= HELD * len(pools)]
    return max(fitting, default=0)


# ---- what plans are worth


def table_of(source: Source, group: Group, pools: Pools | None = None) -> Table:
    """Every choice that the group can replay; ``pools`` in place of those of the log."""
    mine: dict[str, dict[str, Pool]] = {
        policy: {one: (source.pools if pools is None else pools)[policy][one] for one in group.problems}
        for policy in group.draws
    }
    parts = [greedy_outcomes(source.log, one.policy) for one in group.holds if one.kind == "greedy"]
    for policy, drawn in mine.items():
        most = min(map(len, drawn.values()))
        if most == 0:
            continue
        votes = [Plan.of("majority", n=n) for n in sizes(most)]
        parts.append(pool_outcomes(source.log, drawn.values(), votes))
        parts.append(order_outcomes(source.log, {policy: drawn}, adaptive_votes(most)))
    asked = {policy: mine.get(policy, {}) for policy in group.policies}
    parts.append(order_outcomes(source.log, asked, cascades(group, asked)))
    rows = pl.concat(parts).filter(pl.col("problem_id").is_in(list(group.problems)))
    return _table(source, group, rows)


def adaptive_votes(most: int) -> list[Plan]:
    """Votes of ``most`` samples, of half and of a quarter as many, under several rules to stop."""
    numbers = sorted({n for n in (most // 4, most // 2, most) if n > 2})
    return [
        Plan.of("adaptive_vote", n=n, stop=stop, ahead=ahead)
        for n, stop, ahead in product(numbers, STOPS, AHEAD)
        if ahead <= n
    ]


def cascades(group: Group, pools: Pools) -> list[Plan]:
    """A vote of one policy, and where it is not of one mind an answer of a larger one."""
    found = []
    greedy = {one.policy for one in group.holds if one.kind == "greedy"}
    for place, small in enumerate(group.policies):
        most = min(map(len, pools[small].values()), default=0)
        for large in group.policies[place + 1 :]:
            ends = [Plan.of("cot")] if large in greedy else []
            largest = min(map(len, pools[large].values()), default=0)
            if largest > 0:
                ends.append(Plan.of("majority", n=largest))
            firsts = (
                [Choice(small, None, Plan.of("majority", n=n)) for n in sizes(most) if n > 1] if most else []
            )
            found += [
                Plan.of("cascade", first=first, tau=tau, then=Choice(large, None, end))
                for first, tau, end in product(firsts, TAUS, ends)
                # any answer that can be read has one vote: at such a tau the larger would hardly be asked
                if tau * first.plan.n > 1.0
            ]
    return found


def _table(source: Source, group: Group, rows: pl.DataFrame) -> Table:
    families = tuple(source.families[one] for one in group.problems)
    whole = rows.with_columns(count=pl.len().over("policy", "plan")).filter(
        pl.col("count") == len(group.problems)
    )
    keys = whole.select("policy", "plan").unique().sort("policy", "plan").rows()
    choices = [Choice(policy, None, Plan.parse(plan)) for policy, plan in keys]
    ordered = whole.sort("policy", "plan", "problem_id")
    shape = (len(keys), len(group.problems))
    columns = [
        np.asarray(ordered[name].to_numpy(), np.float64).reshape(shape).T
        for name in ("accuracy", "tokens", "flops")
    ]
    order = np.argsort(columns[2].mean(axis=0), kind="stable")
    accuracy, tokens, flops = (column[:, order] for column in columns)
    return Table(group.problems, families, tuple(choices[place] for place in order), accuracy, tokens, flops)


def halves(source: Source, group: Group, policy: str) -> tuple[dict[str, float], Pools] | None:
    """(Pass@1 of each problem in half of its draws, the pools without that half); None for single draws."""
    if group.draws.get(policy, 0) < 2:
        return None
    both = {one: source.pools[policy][one].halves() for one in group.problems}
    judged = {one: judge.pass_rate for one, (judge, _) in both.items()}
    return judged, {**source.pools, policy: {one: scored for one, (_, scored) in both.items()}}
