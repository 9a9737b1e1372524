"""Pools: the i.i.d. samples of one policy on one problem, as arrays.

A pool is what every sampling strategy at every n is derived from (``search.log.subsets``). It is
built once from the log's frames; after that no text and no equality of answers is looked at again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl

from search.errors import LogError
from search.grading.registry import domain
from search.log.credits import credit_rows
from search.log.store import SearchLog
from search.problem import Problem
from search.scores import SCORES
from search.strategies.adaptive.weights import LOGGED
from search.voting.votes import group

__all__ = ["Pool", "PoolScores", "aggregate", "read_pools", "read_problem_table"]

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
    frame = log.read("problems")
    return {
        row["problem_id"]: Problem(
            problem_id=row["problem_id"],
            family=row["family"],
            domain=row["domain"],
            question=row["question"],
            answer=row["answer"],
            meta=json.loads(row["meta"]),
        )
        for row in frame.iter_rows(named=True)
    }


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
    wanted = None if problem_ids is None else list(problem_ids)
    samples = _narrowed(log.scan("samples"), policy, wanted).sort("problem_id", "draw")
    frame = samples.select(
        *("problem_id", "draw", "answer", "correct", "tokens", "prompt_tokens"), *LOGGED.values()
    ).collect()
    if frame["correct"].null_count():
        first = frame.filter(pl.col("correct").is_null()).row(0, named=True)
        raise LogError(
            f"samples must be graded, got draw {first['draw']} of {first['problem_id']!r} without a grade"
        )
    scores = _scores(log, policy, None if prms is None else list(prms), wanted)
    problems = read_problem_table(log)
    frame = _with_credits(frame, log, policy)
    columns = {name: frame[name].to_numpy() for name in ("draw", "correct", "tokens", "prompt_tokens")}
    known = {
        name: frame[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        for name, column in LOGGED.items()
    }
    signals = {name: values for name, values in known.items() if not np.isnan(values).all()}
    answers = frame["answer"].to_list()
    pools: dict[str, Pool] = {}
    for problem_id, start, stop in _runs(frame["problem_id"]):
        if problem_id not in problems:
            raise LogError(f"a sample belongs to a problem of the log, got {problem_id!r}")
        problem = problems[problem_id]
        draws = columns["draw"][start:stop].astype(np.int64)
        pools[problem_id] = Pool(
            problem_id=problem_id,
            policy=policy,
            draws=draws,
            group=np.asarray(group(problem, domain(problem.domain), answers[start:stop]), dtype=np.int64),
            correct=columns["correct"][start:stop],
            tokens=columns["tokens"][start:stop].astype(np.int64),
            prompt_tokens=int(columns["prompt_tokens"][start]),
            mean_logprob=known["mean"][start:stop],
            min_logprob=known["min"][start:stop],
            signals={name: values[start:stop] for name, values in signals.items()},
            scores=MappingProxyType(
                {
                    prm: part
                    for prm, (scored, part) in scores.get(problem_id, {}).items()
                    if len(scored) == len(draws) and bool((scored == draws).all())
                }
            ),
        )
    return pools


def _with_credits(frame: pl.DataFrame, log: SearchLog, policy: str) -> pl.DataFrame:
    """``correct`` as numbers where samples of the policy have partial credit; else the frame as it is."""
    credits = credit_rows(log.read("problems", ["problem_id", "meta"])).filter(policy=policy)
    if credits.is_empty():
        return frame
    joined = frame.join(credits, on=["problem_id", "draw"], how="left", maintain_order="left")
    known = pl.coalesce(pl.col("credit").cast(pl.Float64), pl.col("correct").cast(pl.Float64))
    return joined.with_columns(known.alias("correct"))


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


def _scores(
    log: SearchLog, policy: str, prms: list[str] | None, wanted: list[str] | None
) -> dict[str, dict[str, tuple[Ints, PoolScores]]]:
    """problem id -> PRM -> (draws scored, scores)."""
    query = _narrowed(log.scan("scores"), policy, wanted)
    if prms is not None:
        query = query.filter(pl.col("prm").is_in(prms))
    columns = ("prm", "problem_id", "draw", "step_rewards", "prompt_tokens", "prm_tokens")
    frame = query.sort("prm", "problem_id", "draw").select(columns).collect()
    lengths = frame["step_rewards"].list.len().to_numpy().astype(np.int64)
    flat = frame["step_rewards"].explode(empty_as_null=False).cast(pl.Float64).to_numpy()
    by_name = aggregate(flat, lengths)
    draws, tokens = (frame[name].to_numpy().astype(np.int64) for name in ("draw", "prm_tokens"))
    prompts = frame["prompt_tokens"].to_numpy()
    found: dict[str, dict[str, tuple[Ints, PoolScores]]] = {}
    for prm, prm_start, prm_stop in _runs(frame["prm"]):
        for problem_id, start, stop in _runs(frame["problem_id"][prm_start:prm_stop]):
            here = slice(prm_start + start, prm_start + stop)
            part = PoolScores(
                MappingProxyType({name: values[here] for name, values in by_name.items()}),
                tokens[here],
                int(prompts[here].max()),
            )
            found.setdefault(problem_id, {})[prm] = (draws[here], part)
    return found


def _narrowed(query: pl.LazyFrame, policy: str, problem_ids: list[str] | None) -> pl.LazyFrame:
    query = query.filter(pl.col("policy") == policy, pl.col("draw") >= 0)
    return query if problem_ids is None else query.filter(pl.col("problem_id").is_in(problem_ids))


def _runs(column: pl.Series) -> list[tuple[str, int, int]]:
    """(value, start, stop) for each run of equal values in a sorted column."""
    lengths = column.rle().struct.unnest()
    stops = lengths["len"].cum_sum().to_list()
    return [
        (value, stop - length, stop)
        for value, length, stop in zip(
            lengths["value"].to_list(), lengths["len"].to_list(), stops, strict=True
        )
    ]
