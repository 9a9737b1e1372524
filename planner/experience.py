"""What a search log holds, as arrays: pools of samples, their scores, runs of tree searches.

Problems lie along the first axis everywhere, draws along the second. Answers are whole numbers per
problem (equal by the domain's equality, equal numbers, whichever policy wrote them), -1 where unreadable.
Only problems for which every model and plan of the log is complete are taken; the others are counted
in ``left_out``. It knows nothing of features, values or decisions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.features.probe import SUMMARY, summarise_padded
from search.cards import ModelCard
from search.choice import Choice
from search.errors import LogError, TooLittleDataError
from search.grading.registry import domain
from search.plan import Plan
from search.problem import Problem
from search.scores import SCORES
from search.votes import group

__all__ = ["Experience", "PolicyPool", "PrmPool", "Tables", "TreeRuns", "read_experience"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Tables(Protocol):
    """Whatever gives the tables of a search log (``search.log.store.SearchLog`` does)."""

    def scan(self, table: str) -> pl.LazyFrame:
        """All rows of one table."""
        ...


@dataclass(frozen=True, slots=True)
class PrmPool:
    """A PRM's view of a pool: tokens ``prompt`` (P,) and ``tokens`` (P, D); ``summary`` (P, D, 8)."""

    prompt: Floats
    tokens: Floats
    summary: NDArray[np.float32]

    def score(self, name: str) -> NDArray[np.float32]:
        """(P, D) scores; ``name`` is one of ``search.scores.SCORES``."""
        return self.summary[:, :, SCORES.index(name)]


@dataclass(frozen=True, slots=True)
class PolicyPool:
    """A policy's pool, arrays (P, D) unless said otherwise. ``greedy_*`` (P,) are None if not logged."""

    codes: Ints
    prompt: Floats  # (P,)
    tokens: Floats
    steps: Floats
    mean_logprob: Floats
    min_logprob: Floats
    truncated: Floats
    greedy_code: Ints | None
    greedy_tokens: Floats | None
    prms: Mapping[str, PrmPool]

    @property
    def draws(self) -> int:
        """D: samples per problem."""
        return int(self.codes.shape[1])


@dataclass(frozen=True, slots=True)
class TreeRuns:
    """Runs of one tree-search choice: ``code`` (P, R) is each run's answer, tokens (P, R) are logical,
    ``codes`` and ``scores`` (P, R, M) are the candidates' (-1 and 0 beyond their number)."""

    code: Ints
    policy_tokens: Floats
    prm_tokens: Floats
    codes: Ints
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Experience:
    """Everything a planner learns from. P problems."""

    problem_ids: tuple[str, ...]
    families: tuple[str, ...]
    domains: tuple[str, ...]
    questions: tuple[str, ...]
    right: Bools  # (P, codes): whether the answer with this number is right
    pools: Mapping[str, PolicyPool]
    trees: Mapping[Choice, TreeRuns]
    choices: tuple[Choice, ...]
    policies: Mapping[str, ModelCard]
    prms: Mapping[str, ModelCard]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.problem_ids)

    @property
    def main(self) -> str:
        """The policy with most choices, of several the largest."""
        counted = {name: sum(c.policy == name for c in self.choices) for name in self.pools}
        return max(counted, key=lambda name: (counted[name], self.policies[name].parameters, name))

    def require(self, choice: Choice) -> None:
        """Raises LogError for a choice that the log cannot replay."""
        pool = self.pools.get(choice.policy)
        fits = pool is not None and (
            choice in self.trees
            if choice.plan.is_tree
            else pool.greedy_code is not None
            if choice.plan.strategy == "cot"
            else choice.plan.n <= pool.draws and (choice.prm is None or choice.prm in pool.prms)
        )
        if not fits:
            raise LogError(f"a planner picks among choices that the log can replay, got {choice}")

    def graded(self, codes: Ints) -> Bools:
        """Whether answers (P, ...) are right; unreadable ones are not."""
        where = np.arange(len(codes)).reshape(-1, *(1,) * (codes.ndim - 1))
        return np.where(codes >= 0, self.right[where, np.maximum(codes, 0)], False)


def read_experience(
    tables: Tables,
    policies: Mapping[str, ModelCard],
    prms: Mapping[str, ModelCard],
    *,
    choices: Sequence[Choice] | None = None,
) -> Experience:
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
    problems = tables.scan("problems").collect()
    samples = (
        tables.scan("samples")
        .filter(pl.col("policy").is_in(list(policies)))
        .select(
            "problem_id",
            "policy",
            "sampling",
            "draw",
            "answer",
            "correct",
            "prompt_tokens",
            "tokens",
            pl.col("step_tokens").list.len().alias("steps"),
            "mean_logprob",
            "min_logprob",
            (pl.col("finish_reason") == "length").alias("truncated"),
        )
        .collect()
    )
    judged = pl.col("policy").is_in(list(policies)) & pl.col("prm").is_in(list(prms))
    runs = (
        tables.scan("runs")
        .filter(judged)
        .drop("seconds", "physical_policy_tokens", "physical_prm_tokens", "seed")
        .collect()
    )
    scores = tables.scan("scores").filter(judged).drop("physical_prm_tokens").collect()
    pooled = samples.filter(pl.col("draw") >= 0)
    for (name,), samplings in pooled.select("policy", "sampling").unique().group_by("policy"):
        if len(samplings) > 1:
            raise LogError(
                f"a policy's pool has one sampling, got {sorted(samplings['sampling'])} for {name!r}"
            )
    if pooled.is_empty():
        raise TooLittleDataError(
            "a planner learns from problems with pools of samples, got a log without samples"
        )
    if samples["correct"].null_count() or runs["correct"].null_count():
        missing = samples["correct"].null_count() + runs["correct"].null_count()
        raise LogError(f"samples and runs must be graded, got {missing} without a grade")
    complete, draws = _complete(problems, pooled, scores, runs)
    if complete.is_empty():
        raise TooLittleDataError(
            "a planner learns from problems with complete pools, got none that is complete"
        )
    left_out = len(problems) - len(complete)
    keep = complete.select("problem_id", pl.int_range(pl.len()).alias("at"))
    samples, scores, runs = (frame.join(keep, on="problem_id") for frame in (samples, scores, runs))
    numbers, right = _numbers(complete, samples, runs)
    samples = samples.join(numbers, on=["at", "answer"], how="left").with_columns(
        pl.col("code").fill_null(-1)
    )
    pools = {
        str(name): _pool(
            samples.filter(pl.col("policy") == name), scores.filter(pl.col("policy") == name), draws[name]
        )
        for name in sorted(draws)
    }
    trees = {}
    for (policy, prm, plan), part in runs.group_by("policy", "prm", "plan"):
        trees[Choice(str(policy), str(prm), Plan.parse(str(plan)))] = _runs(
            part, numbers, Plan.parse(str(plan))
        )
    known = tuple(_logged(tables, pools, trees) if choices is None else choices)
    experience = Experience(
        tuple(complete["problem_id"]),
        tuple(complete["family"]),
        tuple(complete["domain"]),
        tuple(complete["question"]),
        right,
        pools,
        dict(sorted(trees.items(), key=lambda item: str(item[0]))),
        tuple(sorted(set(known), key=str)),
        {name: policies[name] for name in pools},
        {name: prms[name] for name in sorted(_prms(pools, trees))},
        left_out,
    )
    for choice in known:
        experience.require(choice)
    return experience


def _complete(
    problems: pl.DataFrame, pooled: pl.DataFrame, scores: pl.DataFrame, runs: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Problems for which nothing is missing, in order, and the draws of each policy's pool."""
    complete = problems.sort("problem_id")
    draws: dict[str, int] = {}
    sizes = pooled.group_by("policy", "problem_id").len()
    for (name,), part in sizes.group_by("policy", maintain_order=True):
        size = int(part["len"].value_counts().sort("count", "len", descending=True)["len"][0])
        draws[str(name)] = size
        complete = complete.join(part.filter(pl.col("len") >= size), on="problem_id", how="semi")
    scored = scores.filter(pl.col("draw") >= 0).group_by("policy", "prm", "problem_id").len()
    for (policy, _), part in scored.group_by("policy", "prm"):
        enough = part.filter(pl.col("len") >= draws[str(policy)])
        complete = complete.join(enough, on="problem_id", how="semi")
    ran = runs.group_by("policy", "prm", "plan", "problem_id").len()
    for _, part in ran.group_by("policy", "prm", "plan"):
        complete = complete.join(part.filter(pl.col("len") >= part["len"].min()), on="problem_id", how="semi")
    return complete, draws


def _numbers(problems: pl.DataFrame, samples: pl.DataFrame, runs: pl.DataFrame) -> tuple[pl.DataFrame, Bools]:
    """A number for every answer of every problem, and (P, numbers) which of them are right.

    Answers that the domain finds equal share a number. It is right if most of its graded answers are
    (closeness within a tolerance is not transitive).
    """
    inside = runs.select(
        "at", pl.col("candidates").list.eval(pl.element().struct.field("answer")).alias("answer")
    )
    graded = pl.concat([samples.sort("policy", "draw"), runs.sort("policy", "plan", "run")], how="diagonal")
    every = pl.concat(
        [
            graded.select("at", "answer", "correct"),
            inside.explode("answer").select("at", "answer", pl.lit(None, pl.Boolean).alias("correct")),
        ]
    )
    answers = (
        every.drop_nulls("answer")
        .group_by("at", "answer", maintain_order=True)
        .agg(pl.col("correct").sum().alias("yes"), pl.col("correct").is_not_null().sum().alias("graded"))
        .sort("at", maintain_order=True)
    )
    codes = np.zeros(len(answers), np.int64)
    where = answers["at"].to_numpy()
    texts = answers["answer"].to_list()
    for at, row in enumerate(problems.iter_rows(named=True)):
        start, stop = np.searchsorted(where, [at, at + 1])
        meta = json.loads(row["meta"] or "{}")
        problem = Problem(
            row["problem_id"], row["family"], row["domain"], row["question"], row["answer"], meta
        )
        codes[start:stop] = group(problem, domain(row["domain"]), texts[start:stop])
    width = 1 + int(codes.max(initial=0))
    flat = where * width + codes
    yes = np.bincount(flat, answers["yes"].to_numpy(), minlength=len(problems) * width)
    known = np.bincount(flat, answers["graded"].to_numpy(), minlength=len(problems) * width)
    # an answer that only tree searches hold and none of them gave cannot win a vote that a probe joins
    right = (2.0 * yes > known).reshape(len(problems), width)
    return answers.select("at", "answer", pl.Series("code", codes)), right


def _pool(samples: pl.DataFrame, scores: pl.DataFrame, draws: int) -> PolicyPool:
    def table(frame: pl.DataFrame, column: str, dtype: type = np.float64) -> NDArray[np.float64]:
        values = (
            frame[column].fill_null(0).fill_nan(0)
            if frame[column].dtype.is_float()
            else frame[column].fill_null(0)
        )
        return values.to_numpy().astype(dtype).reshape(-1, draws)

    pool = _first(samples, draws)
    greedy = samples.filter(pl.col("draw") == -1).unique(["at"]).sort("at")
    has_greedy = len(greedy) == len(pool) // draws
    prms = {}
    for (name,), part in scores.group_by("prm", maintain_order=True):
        rows = _first(part, draws)
        prms[str(name)] = PrmPool(
            table(rows, "prompt_tokens")[:, 0],
            table(rows, "prm_tokens"),
            _summaries(rows["step_rewards"]).reshape(-1, draws, len(SUMMARY)).astype(np.float32),
        )
    return PolicyPool(
        table(pool, "code", np.int64).astype(np.int64),
        table(pool, "prompt_tokens")[:, 0],
        table(pool, "tokens"),
        table(pool, "steps"),
        table(pool, "mean_logprob"),
        table(pool, "min_logprob"),
        table(pool, "truncated"),
        greedy["code"].to_numpy().astype(np.int64) if has_greedy else None,
        greedy["tokens"].to_numpy().astype(np.float64) if has_greedy else None,
        dict(sorted(prms.items())),
    )


def _first(frame: pl.DataFrame, draws: int) -> pl.DataFrame:
    """The first ``draws`` pool rows of every problem, in order."""
    rows = frame.filter(pl.col("draw") >= 0).sort("at", "draw")
    return rows.filter(pl.int_range(pl.len()).over("at") < draws)


def _summaries(step_rewards: pl.Series) -> Floats:
    lengths = step_rewards.list.len().fill_null(0).to_numpy().astype(np.int64)
    padded = np.zeros((len(lengths), max(1, int(lengths.max(initial=0)))), np.float32)
    flat = step_rewards.explode(empty_as_null=False, keep_nulls=False).fill_null(0.0).to_numpy()
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = flat
    return summarise_padded(padded, lengths)


def _runs(part: pl.DataFrame, numbers: pl.DataFrame, plan: Plan) -> TreeRuns:
    runs = int(part.group_by("at").len()["len"].to_numpy().min(initial=2**31))
    rows = part.sort("at", "run").filter(pl.int_range(pl.len()).over("at") < runs).with_row_index("row")
    code = rows.join(numbers, on=["at", "answer"], how="left", maintain_order="left")["code"].fill_null(-1)
    inside = (
        rows.select("row", "at", "candidates")
        .filter(pl.col("candidates").list.len() > 0)
        .explode("candidates")
        .unnest("candidates")
        .join(numbers, on=["at", "answer"], how="left", maintain_order="left")
        .with_columns(pl.col("code").fill_null(-1), pl.int_range(pl.len()).over("row").alias("place"))
    )
    most = 1 + int(inside["place"].to_numpy().max(initial=0))
    codes, scores = np.full((len(rows), most), -1, np.int64), np.zeros((len(rows), most), np.float32)
    at = (inside["row"].to_numpy(), inside["place"].to_numpy())
    codes[at] = inside["code"].to_numpy()
    scores[at] = _summaries(inside["step_rewards"])[:, SCORES.index(str(plan.score))]

    def grid(values: NDArray[np.generic]) -> Floats:
        return values.astype(np.float64).reshape(-1, runs)

    return TreeRuns(
        code.to_numpy().astype(np.int64).reshape(-1, runs),
        grid(rows["policy_tokens"].to_numpy()),
        grid(rows["prm_tokens"].to_numpy()),
        codes.reshape(-1, runs, most),
        scores.reshape(-1, runs, most),
    )


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
                if choice.plan.is_tree
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
