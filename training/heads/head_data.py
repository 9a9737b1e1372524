"""What a head is trained on: a policy's samples in a log, as step ends with what became of them.

The value of a step end is the share of right solutions among the samples that pass through that very prefix:
each is an independent continuation of it by the policy, a rollout (Math-Shepherd, Wang et al., arXiv
2312.08935). A prefix of one sample has that sample's grade. Runs of tree searches are left out: a reward has
chosen what they went on from, so they are no independent continuations.

Knows nothing of torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from search.errors import TooLittleDataError
from search.log.pool import Pool, read_pools, read_problem_table
from search.log.store import SearchLog
from search.problem import Problem
from search.rewards.computed.convention import Convention, Piece
from search.scores import split

__all__ = ["Targets", "Tried", "digest_of", "mixed", "read_tried", "targets_of", "tried_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: problems with right and wrong samples below which there is nothing to learn
_LEAST = 8


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """One problem and the samples of a policy on it.

    Parameters
    ----------
    pool:
        Its N samples.
    prompt:
        Tokens before the first step.
    solutions:
        The distinct ones, step by step; those without steps, or longer than the context, are left out.
    pieces:
        Of each solution, the tokens of its steps.
    nodes:
        Of each solution, the number of each of its step ends; equal prefixes share one.
    which:
        (N,) the solution of each sample, -1 for one that was left out.
    """

    problem: Problem
    pool: Pool
    prompt: tuple[int, ...]
    solutions: tuple[tuple[str, ...], ...]
    pieces: tuple[tuple[Piece, ...], ...]
    nodes: tuple[tuple[int, ...], ...]
    which: Ints

    @property
    def size(self) -> int:
        """Number of distinct step ends."""
        return 1 + max((places[-1] for places in self.nodes), default=-1)

    @property
    def is_mixed(self) -> bool:
        """Whether there are right and wrong samples among those with steps."""
        right = np.asarray(self.pool.correct, float)[self.which >= 0]
        return bool(len(right) and right.min() < 0.5 <= right.max())


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Per step end (R,): the value, and its weight."""

    values: Floats
    weights: Floats


def read_tried(
    log: SearchLog,
    policy: str,
    convention: Convention,
    *,
    context: int,
    delimiter: str,
    limit: int | None = None,
    seed: int = 0,
) -> list[Tried]:
    """The problems of a log with the samples of a policy, by problem id.

    Parameters
    ----------
    convention:
        How questions and steps are spelled in tokens.
    context:
        Most tokens of a solution with its prompt.
    delimiter:
        Ends a step.
    limit:
        Takes that many of the problems, drawn by ``seed``.

    Raises LogError for a policy that the log has not, TooLittleDataError where too few problems have right
    and wrong samples.
    """
    log.manifest.policy(policy)
    problems = read_problem_table(log)
    chosen = sorted(problems)
    if limit is not None and limit < len(chosen):
        drawn = np.random.default_rng(seed).permutation(len(chosen))[:limit]
        chosen = [chosen[place] for place in sorted(drawn)]
    pools = read_pools(log, policy, prms=(), problem_ids=chosen)
    texts = (
        log.scan("samples")
        .filter(pl.col("policy") == policy, pl.col("draw") >= 0, pl.col("problem_id").is_in(chosen))
        .sort("problem_id", "draw")
        .select("problem_id", "text")
        .collect()
    )
    by_problem = {key[0]: part["text"].to_list() for key, part in texts.group_by("problem_id")}
    found = [
        tried_of(problems[name], pool, by_problem[name], convention, context, delimiter)
        for name, pool in pools.items()
    ]
    mixed = sum(one.is_mixed for one in found)
    if mixed < _LEAST:
        raise TooLittleDataError(
            f"a head needs at least {_LEAST} problems with right and wrong samples of {policy}, got {mixed}"
        )
    return found


def tried_of(
    problem: Problem,
    pool: Pool,
    texts: Sequence[str],
    convention: Convention,
    context: int,
    delimiter: str,
) -> Tried:
    """A problem and its samples, whose ``texts`` stand in the order of the pool; else as ``read_tried``."""
    prompt = convention.prompt(problem.question)
    numbers: dict[tuple[str, ...], int] = {}
    pieces: list[tuple[Piece, ...]] = []
    ends: dict[tuple[str, ...], int] = {}
    nodes: list[tuple[int, ...]] = []
    which = np.full(len(texts), -1, np.int64)
    for place, text in enumerate(texts):
        steps = split(text, delimiter)
        if not steps:
            continue
        if steps not in numbers:
            spelled = (convention.first(steps[0]), *map(convention.step, steps[1:]))
            if len(prompt) + sum(len(piece.tokens) for piece in spelled) > context:
                continue
            numbers[steps] = len(numbers)
            pieces.append(spelled)
            nodes.append(
                tuple(ends.setdefault(steps[:length], len(ends)) for length in range(1, len(steps) + 1))
            )
        which[place] = numbers[steps]
    return Tried(problem, pool, prompt, tuple(numbers), tuple(pieces), tuple(nodes), which)


def targets_of(tried: Tried, *, balanced: bool) -> Targets:
    """Values and weights of a problem's step ends.

    A sample's weight is shared out over its steps. ``balanced``: right and wrong samples of a problem weigh
    the same together, and a problem that has not both weighs nothing: which problems are hard is then
    nothing that can be learned. Otherwise each sample weighs the same.
    """
    correct = np.asarray(tried.pool.correct, float)
    used = tried.which >= 0
    weights = used.astype(float)
    if balanced:
        right = float((correct * used).sum())
        wrong = float(used.sum()) - right
        if not tried.is_mixed or min(right, wrong) <= 0.0:
            weights[:] = 0.0
        else:
            weights = used * (0.5 * correct / right + 0.5 * (1.0 - correct) / wrong)
    total, good = np.zeros(tried.size), np.zeros(tried.size)
    for sample in np.flatnonzero(used):
        places = list(tried.nodes[tried.which[sample]])
        share = weights[sample] / len(places)
        total[places] += share
        good[places] += share * correct[sample]
    values = np.divide(good, total, out=np.zeros_like(good), where=total > 0)
    return Targets(values, total)


def mixed(balanced: Targets, natural: Targets, share: float) -> Targets:
    """What is learned: the balanced values, and with this share of the weight the natural ones.

    A problem weighs 1 in either, however many samples it has; without right and wrong ones, its share alone.
    """
    total = float(natural.weights.sum())
    weights = natural.weights * (share / total) if total > 0 else natural.weights
    both = (1.0 - share) * balanced.weights + weights
    good = (1.0 - share) * balanced.weights * balanced.values + weights * natural.values
    return Targets(np.divide(good, both, out=np.zeros_like(good), where=both > 0), both)


def digest_of(tried: Sequence[Tried], **said: Any) -> str:
    """Changes whenever another state would be computed somewhere: of the texts, and what else is said."""
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for one in tried:
        digest.update(json.dumps([one.problem.problem_id, one.prompt, one.solutions]).encode())
    return digest.hexdigest()
