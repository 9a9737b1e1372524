"""Gathers what estimates need from a decision log, block by block, into arrays: some 200 bytes a decision."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from planner.features.question import SURFACE
from planner.server.decisions.store import Store
from planner.traffic.follow import Follower
from planner.traffic.rows import Row, RowStep, blocks, check_feedback
from planner.traffic.sources import DoubleLabels, Kind, Sources, Word
from search.errors import DecisionLogError

__all__ = ["Gathered", "Outcomes", "Ran", "gather"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: policy, PRM and plan that ran last
Ran: TypeAlias = tuple[str, str | None, str]

#: surface features by which decisions with feedback are told from those without
_SEEN = tuple(SURFACE.index(name) for name in ("log_chars", "digits_share", "numbers"))
#: domains that are told apart, the most frequent
_DOMAINS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What is known of N decisions: ``values`` (N,) corrected for their source's mistakes, 0 where not known;
    ``known`` (N,); ``by_user`` (N,) whether a user's word stands and ``sampled`` (N,) a program's or judge's.
    ``users`` (N,) users' own words."""

    values: Floats
    known: Bools
    by_user: Bools
    sampled: Bools


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Gathered:
    """N decisions of at most T stages.

    Parameters
    ----------
    weights:
        (N, T) products of whether the planner takes the logged steps over their propensities; of a decision
        that ended earlier, its last one.
    expected:
        (3, N, T) accuracy, tokens and FLOPs that the planner expects from each stage on; 0 beyond the end.
    spent:
        (2, N, T) tokens and FLOPs of each stage.
    last, clusters:
        (N,) the last stage, and the question as a number from 0.
    covariates:
        (N, K) what was known before anybody could tell right from wrong.
    promised, logged:
        (N,) what the planner that served expected of its last step; what this planner expects of the choice
        that was run. NaN where that is not known.
    choice, choices, domain, domains:
        (N,) places in the choices that were run last, and in the domains.
    propensity:
        (N,) products of propensities.
    words:
        Row -> what was said of it.
    left_out:
        Why decisions were left out, and how many.
    policies:
        Names of policies that logged steps name.
    planners:
        How many of the decisions each planner took, by its fingerprint.
    """

    weights: Floats
    expected: Floats
    spent: Floats
    last: Ints
    clusters: Ints
    covariates: Floats
    promised: Floats
    logged: Floats
    choice: Ints
    choices: tuple[Ran, ...]
    domain: Ints
    domains: tuple[str, ...]
    propensity: Floats
    words: Mapping[int, Sequence[Word]]
    left_out: Mapping[str, int]
    policies: frozenset[str]
    planners: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.last)

    def part(self, rows: Bools) -> Gathered:
        """Some decisions alone: ``rows`` (N,) marks them."""
        places = {int(row): place for place, row in enumerate(np.flatnonzero(rows))}
        return replace(
            self,
            weights=self.weights[rows],
            expected=self.expected[:, rows],
            spent=self.spent[:, rows],
            last=self.last[rows],
            clusters=self.clusters[rows],
            covariates=self.covariates[rows],
            promised=self.promised[rows],
            logged=self.logged[rows],
            choice=self.choice[rows],
            domain=self.domain[rows],
            propensity=self.propensity[rows],
            words={places[row]: words for row, words in self.words.items() if row in places},
        )

    def measured(self, sources: Sources) -> Sources:
        """The sources, with mistakes estimated where decisions were judged twice."""
        doubles = DoubleLabels(sources)
        for words in self.words.values():
            if len(words) > 1:
                doubles.hear(words)
        return doubles.measured()

    def outcomes(self, sources: Sources, kinds: Sequence[Kind] = tuple(Kind)) -> Outcomes:
        """What sources of these kinds say."""
        count = len(self)
        values, known = np.zeros(count), np.zeros(count, bool)
        by_user, sampled = np.zeros(count, bool), np.zeros(count, bool)
        for row, words in self.words.items():
            settled = sources.settle(words, kinds)
            if settled is not None:
                values[row], known[row] = settled[0], True
                (by_user if settled[1] is Kind.USER else sampled)[row] = True
        return Outcomes(values, known, by_user, sampled)


def gather(
    store: Store,
    follower: Follower,
    *,
    extra: Mapping[str, Sequence[Word]] | None = None,
    since: float | None = None,
) -> Gathered:
    """Read a decision log and follow a planner through it.

    ``extra``: feedback that the log does not hold, by decision. ``since``: older decisions are left aside
    (seconds since the epoch). Raises DecisionLogError where no decision can
    be used, naming the reason that most were left out for, and for feedback on decisions that the log lacks.
    """
    check_feedback(store)
    unheard = set(extra or ())
    left_out: Counter[str] = Counter()
    parts, words, count = [], {}, 0
    domains: dict[str, int] = {}
    choices: dict[Ran, int] = {}
    policies: set[str] = set()
    planners: Counter[str] = Counter()
    for block in blocks(store, left_out, extra=extra, since=since):
        fit = []
        for row in block:
            unheard.discard(row.decision_id)
            why = follower.unfit(row)
            if why is None:
                fit.append(row)
            else:
                left_out[why] += 1
        if not fit:
            continue
        parts.append(_part(fit, follower, domains, choices))
        words.update({count + i: row.words for i, row in enumerate(fit) if row.words})
        policies.update(step.policy for row in fit for step in row.steps)
        planners.update(row.planner for row in fit)
        count += len(fit)
    _check_extra(store, unheard)
    if not count:
        raise DecisionLogError(_nothing(left_out))
    joined = _joined(parts, words, left_out, policies, tuple(domains), tuple(choices))
    return replace(joined, planners=dict(planners.most_common()))


def _check_extra(store: Store, unheard: set[str]) -> None:
    """Raises DecisionLogError for feedback on a decision that the log lacks, not one that was left out."""
    for name in sorted(unheard):
        if store.find(name) is None:
            raise DecisionLogError(f"feedback names a decision of the log, got {name!r}, which it lacks")


def _nothing(left_out: Counter[str]) -> str:
    if not left_out:
        return "an estimate needs decisions, got a log without any"
    why, times = left_out.most_common(1)[0]
    if why == "every stage has a propensity":
        return f"an estimate needs decisions with propensities, got none in {left_out.total():,}"
    return (
        f"an estimate needs decisions that it can use, got none of {left_out.total():,}; "
        f"most broke the rule: {why} ({times:,})"
    )


@dataclass(slots=True, eq=False)
class _Part:
    """One block's arrays, as ``Gathered`` has them; ``domain`` (n,) numbers."""

    weights: Floats
    expected: Floats
    spent: Floats
    last: Ints
    question: NDArray[np.uint64]
    seen: Floats
    promised: Floats
    logged: Floats
    choice: Ints
    propensity: Floats
    domain: Ints


def _part(rows: Sequence[Row], follower: Follower, domains: dict[str, int], choices: dict[Ran, int]) -> _Part:
    found = follower.follow(rows)
    sizes = np.array([len(row.steps) for row in rows])
    stages = int(sizes.max())
    steps = [step for row in rows for step in row.steps]
    at = (np.repeat(np.arange(len(rows)), sizes), np.concatenate([np.arange(size) for size in sizes]))
    ratio = np.ones((len(rows), stages))
    ratio[at] = found.takes / np.array([step.propensity for step in steps])
    # products carry the last one on beyond the end
    weights = np.cumprod(ratio, axis=1)
    expected, spent = np.zeros((3, len(rows), stages)), np.zeros((2, len(rows), stages))
    for place, values in enumerate((found.accuracy, found.tokens, found.flops)):
        expected[place][at] = values
    spent[0][at] = [step.tokens for step in steps]
    spent[1][at] = [step.flops for step in steps]
    promised = np.array([row.steps[-1].accuracy for row in rows], np.float64)  # None becomes NaN
    seen = np.column_stack(
        [found.features[:, _SEEN], np.log1p(spent[1].sum(axis=1)), sizes, np.nan_to_num(promised, nan=0.5)]
    )
    return _Part(
        weights=np.asarray(weights, np.float64),
        expected=expected.astype(np.float32),
        spent=spent.astype(np.float32),
        last=sizes - 1,
        question=np.array([_number(row.question) for row in rows], np.uint64),
        seen=seen.astype(np.float32),
        promised=promised,
        logged=found.logged[np.cumsum(sizes) - 1],
        choice=np.array([choices.setdefault(_run(row.steps[-1]), len(choices)) for row in rows]),
        propensity=np.array([math.prod(step.propensity for step in row.steps) for row in rows]),
        domain=np.array([domains.setdefault(row.domain, len(domains)) for row in rows]),
    )


def _joined(
    parts: Sequence[_Part],
    words: Mapping[int, Sequence[Word]],
    left_out: Counter[str],
    policies: set[str],
    domains: tuple[str, ...],
    choices: tuple[Ran, ...],
) -> Gathered:
    stages = max(part.weights.shape[1] for part in parts)

    def padded(values: Floats, edge: bool) -> Floats:
        more = stages - values.shape[-1]
        width = [(0, 0)] * (values.ndim - 1) + [(0, more)]
        return np.pad(values, width, mode="edge") if edge else np.pad(values, width)

    domain = np.concatenate([part.domain for part in parts])
    common = np.argsort(-np.bincount(domain, minlength=len(domains)), kind="stable")[:_DOMAINS]
    seen = np.concatenate([part.seen for part in parts])
    # the first domain is what the others are compared with
    marks = (domain[:, None] == common[None, 1:]).astype(np.float32)
    return Gathered(
        weights=np.concatenate([padded(part.weights, True) for part in parts]),
        expected=np.concatenate([padded(part.expected, False) for part in parts], axis=1),
        spent=np.concatenate([padded(part.spent, False) for part in parts], axis=1),
        last=np.concatenate([part.last for part in parts]),
        clusters=np.unique(np.concatenate([part.question for part in parts]), return_inverse=True)[1],
        covariates=np.concatenate([seen, marks], axis=1),
        promised=np.concatenate([part.promised for part in parts]),
        logged=np.concatenate([part.logged for part in parts]),
        choice=np.concatenate([part.choice for part in parts]),
        choices=choices,
        domain=domain,
        domains=domains,
        propensity=np.concatenate([part.propensity for part in parts]),
        words=words,
        left_out=dict(left_out.most_common()),
        policies=frozenset(policies),
    )


def _run(step: RowStep) -> Ran:
    return step.policy, step.prm, step.plan


def _number(question: str) -> int:
    digest = hashlib.blake2b(question.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
