"""Pools: the i.i.d. samples of one policy on one problem, as arrays.

A pool is what every sampling strategy at every n is derived from (``search.log.subsets``). It is built once
from the log's rows (``search.log.rows``); after that no text and no equality of answers is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl

from search.errors import LogError
from search.log.numbering import codes_of, numbered, problem_of
from search.log.rows import filled, greedy_of, placed, rewards_of, sample_rows, score_rows, spans, worth
from search.log.store import SearchLog
from search.problem import Problem
from search.scores import SCORES
from search.strategies.adaptive.weights import LOGGED

__all__ = ["Greedy", "Pool", "PoolScores", "aggregate", "read_greedy", "read_pools", "read_problem_table"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PoolScores:
    """What one PRM says of a pool of N samples.

    ``by_name`` maps each of ``min``, ``last``, ``mean``, ``prod`` to N scores; ``tokens`` are the N
    logical PRM tokens (steps and separators); ``prompt_tokens`` count once per problem.
    """

    by_name: Mapping[str, Floats]
    tokens: Ints
    prompt_tokens: int

    def take(self, indices: Ints) -> PoolScores:
        """The scores of some samples."""
        chosen = {name: values[indices] for name, values in self.by_name.items()}
        return PoolScores(MappingProxyType(chosen), self.tokens[indices], self.prompt_tokens)


@dataclass(frozen=True, slots=True)
class Greedy:
    """The greedy answer of one policy to one problem. ``worth``: its credit, else whether it is right."""

    readable: bool
    worth: float
    tokens: int
    prompt_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """N i.i.d. samples of one policy on one problem, in draw order.

    Parameters
    ----------
    draws:
        (N,) numbers of the draws in the log.
    group:
        (N,) equal numbers for equal answers, -1 for an unreadable one.
    correct:
        (N,) whether the answer is right; numbers where a record gave partial credit
        (``search.log.credits``). An answer that cannot be read may be right by its record's verdict.
    tokens:
        (N,) generated tokens; ``prompt_tokens`` come once per problem.
    mean_logprob, min_logprob:
        (N,) per token, NaN where they were not asked for.
    signals:
        Name -> (N,), those of ``search.strategies.adaptive.weights.SIGNALS`` that the log has; NaN: not
        known.
    scores:
        PRM name -> scores of every sample.
    """

    problem_id: str
    policy: str
    draws: Ints
    group: Ints
    correct: Bools | Floats
    tokens: Ints
    prompt_tokens: int
    mean_logprob: Floats
    min_logprob: Floats
    scores: Mapping[str, PoolScores]
    signals: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.group)

    @property
    def pass_rate(self) -> float:
        """Pass@1 over the pool: the share of right samples. NaN for an empty pool."""
        return float(self.correct.mean()) if len(self) else float("nan")

    @property
    def readable(self) -> Bools:
        """(N,) whether an answer could be read."""
        return self.group >= 0

    def score(self, prm: str, name: str) -> Floats:
        """(N,) scores. Raises LogError when this PRM has not scored the whole pool."""
        if prm not in self.scores:
            raise LogError(
                f"every draw of a pool must be scored by a PRM that is used, got {prm!r} for problem "
                f"{self.problem_id!r} of {self.policy!r}, which has {', '.join(self.scores) or 'none'}"
            )
        return self.scores[prm].by_name[name]

    def take(self, indices: Sequence[int] | Ints) -> Pool:
        """The pool of some samples, in the order given."""
        at = np.asarray(indices, dtype=np.int64)
        return Pool(
            problem_id=self.problem_id,
            policy=self.policy,
            draws=self.draws[at],
            group=self.group[at],
            correct=self.correct[at],
            tokens=self.tokens[at],
            prompt_tokens=self.prompt_tokens,
            mean_logprob=self.mean_logprob[at],
            min_logprob=self.min_logprob[at],
            scores=MappingProxyType({prm: scores.take(at) for prm, scores in self.scores.items()}),
            signals={name: values[at] for name, values in self.signals.items()},
        )

    def halves(self) -> tuple[Pool, Pool]:
        """Two disjoint pools, of the even and of the odd places. They share no sample."""
        places = np.arange(len(self))
        return self.take(places[::2]), self.take(places[1::2])

    def split(self, first: int) -> tuple[Pool, Pool]:
        """The first ``first`` samples and the rest. Raises ValueError outside 0..N."""
        if not 0 <= first <= len(self):
            raise ValueError(f"a pool of {len(self)} is split at 0 to {len(self)}, got {first}")
        places = np.arange(len(self))
        return self.take(places[:first]), self.take(places[first:])


def read_problem_table(log: SearchLog) -> dict[str, Problem]:
    """The log's problems by id."""
    return {row["problem_id"]: problem_of(row) for row in log.read("problems").iter_rows(named=True)}


def read_pools(
    log: SearchLog,
    policy: str,
    *,
    prms: Iterable[str] | None = None,
    problem_ids: Iterable[str] | None = None,
) -> dict[str, Pool]:
    """The pools of a policy, by problem id in sorted order. The greedy draw is no part of a pool.

    ``prms`` and ``problem_ids`` narrow what is read; left out, all are. A PRM that has not scored
    every draw of a pool is left out of that pool. Raises LogError for samples that are not graded
    or belong to no problem of the log.
    """
    drawn = pl.col("policy") == policy, pl.col("draw") >= 0
    samples, scores = (log.scan(table).filter(*drawn) for table in ("samples", "scores"))
    if problem_ids is not None:
        samples = samples.filter(pl.col("problem_id").is_in(list(problem_ids)))
    if prms is not None:
        scores = scores.filter(pl.col("prm").is_in(list(prms)))
    every, found = log.read("problems"), samples.select("problem_id").unique().collect()
    problems = placed(every.join(found, on="problem_id", how="semi"))
    if len(problems) < len(found):
        stray = found.join(every, on="problem_id", how="anti")["problem_id"].min()
        raise LogError(f"a sample belongs to a problem of the log, got {stray!r}")
    if problems.is_empty():
        return {}
    rows = sample_rows(problems, samples, "tokens", "prompt_tokens", *LOGGED.values())[policy]
    ungraded = rows.filter(pl.col("correct").is_null())
    if len(ungraded):
        at, draw = ungraded.select("at", "draw").row(0)
        name = problems["problem_id"][at]
        raise LogError(f"samples must be graded, got draw {draw} of {name!r} without a grade")
    numbers = np.maximum(codes_of(rows, numbered(problems, [rows])), -1)
    correct = worth(rows).to_numpy() if rows["credit"].count() else rows["correct"].to_numpy()
    draws, tokens = (rows[name].to_numpy().astype(np.int64) for name in ("draw", "tokens"))
    nothing = float("nan")
    known = {name: filled(rows[column].cast(pl.Float64), nothing) for name, column in LOGGED.items()}
    signals = {name: values for name, values in known.items() if not np.isnan(values).all()}
    prompts = rows["prompt_tokens"].to_numpy()
    judged = _scores(problems, scores)
    pools: dict[str, Pool] = {}
    for problem_id, begin, size in zip(problems["problem_id"], *spans(rows), strict=True):
        mine = slice(begin, begin + size)
        pools[problem_id] = Pool(
            problem_id=problem_id,
            policy=policy,
            draws=draws[mine],
            group=numbers[mine],
            correct=correct[mine],
            tokens=tokens[mine],
            prompt_tokens=int(prompts[begin]),
            mean_logprob=known["mean"][mine],
            min_logprob=known["min"][mine],
            signals={name: values[mine] for name, values in signals.items()},
            scores=MappingProxyType(
                {
                    prm: part
                    for prm, (scored, part) in judged.get(problem_id, {}).items()
                    if np.array_equal(scored, draws[mine])
                }
            ),
        )
    return pools


def read_greedy(log: SearchLog, policy: str) -> dict[str, Greedy]:
    """A policy's greedy answers by problem id. Raises LogError for one without a grade."""
    greedy = log.scan("samples").filter(pl.col("policy") == policy, pl.col("draw") == -1)
    problems = placed(log.read("problems"))
    names = problems["problem_id"]
    found: dict[str, Greedy] = {}
    for rows in sample_rows(problems, greedy, "tokens", "prompt_tokens").values():
        if rows["correct"].null_count():
            raise LogError(f"samples must be graded, got a greedy draw of {policy!r} without a grade")
        told = greedy_of(rows.with_columns(worth(rows).alias("worth")))
        columns = ("at", pl.col("answer").is_not_null(), "worth", "tokens", "prompt_tokens")
        found |= {names[at]: Greedy(*one) for at, *one in told.select(*columns).iter_rows()}
    return found


def aggregate(values: Floats, lengths: Ints) -> dict[str, Floats]:
    """Scores of many solutions at once: name -> one score per solution.

    ``values`` are all step rewards one after another, ``lengths`` how many belong to each
    solution. Agrees with ``search.scores.score``; a solution without steps scores 0.0.
    """
    results = {name: np.zeros(len(lengths)) for name in SCORES}
    some = lengths > 0
    if not some.any():
        return results
    ends = np.cumsum(lengths)
    starts = (ends - lengths)[some]
    results["min"][some] = np.minimum.reduceat(values, starts)
    results["last"][some] = values[ends[some] - 1]
    results["mean"][some] = np.add.reduceat(values, starts) / lengths[some]
    results["prod"][some] = np.multiply.reduceat(values, starts)
    return results


def _scores(problems: pl.DataFrame, scores: pl.LazyFrame) -> dict[str, dict[str, tuple[Ints, PoolScores]]]:
    """problem id -> PRM -> (draws scored, scores)."""
    names = problems["problem_id"]
    found: dict[str, dict[str, tuple[Ints, PoolScores]]] = {}
    for (_, prm), rows in score_rows(problems, scores).items():
        flat, lengths = rewards_of(rows["step_rewards"])
        by_name = aggregate(flat.astype(np.float64), lengths)
        draws, tokens = (rows[name].to_numpy().astype(np.int64) for name in ("draw", "prm_tokens"))
        at, prompts = rows["at"].to_numpy(), rows["prompt_tokens"].to_numpy()
        for begin, size in zip(*spans(rows), strict=True):
            here = slice(begin, begin + size)
            some = MappingProxyType({name: values[here] for name, values in by_name.items()})
            part = PoolScores(some, tokens[here], int(prompts[begin]))
            found.setdefault(names[int(at[begin])], {})[prm] = (draws[here], part)
    return found
