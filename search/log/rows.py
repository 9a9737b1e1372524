"""Rows of a search log on their way to arrays. Whoever makes arrays of a log reads its rows here.

Pools of any size (``search.log.pool``) and the equal pools that planners learn from
(``planner.evidence.training_data``) hold to the same rules:

- a row counts where its problem is asked for; draw -1 is a policy's greedy answer, all others are its pool;
- rows of one policy, or of one policy and PRM, come by problem, then by draw (or run), however parts lie;
- a problem's prompt has the tokens that its first draw says, and counts once per model;
- a sample is worth the credit that its record gave it, else whether it is right (``search.log.credits``);
- a sample was cut off where its finish reason says so; one that failed left no row;
- a solution without step rewards has none, and so has one whose rewards are missing.

Only columns that are asked for are read, so that what a log keeps for other uses (texts above all) costs no
memory. It knows nothing of votes, values or decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from search.choice import Choice
from search.engines.protocol import FinishReason
from search.log.credits import credit_rows
from search.plan import Plan

__all__ = [
    "TRUNCATED",
    "filled",
    "first_of",
    "greedy_of",
    "placed",
    "pool_of",
    "rewards_of",
    "rows_of",
    "run_rows",
    "sample_rows",
    "score_rows",
    "spans",
    "worth",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: whether a sample was cut off, from a row of ``samples``
TRUNCATED = pl.col("finish_reason").is_in(FinishReason.TRUNCATED).alias("truncated")

_CANDIDATES = pl.col("candidates").list.eval(
    pl.struct(pl.element().struct.field("answer"), pl.element().struct.field("step_rewards"))
)


def placed(problems: pl.DataFrame) -> pl.DataFrame:
    """Rows of ``problems`` in order of their ids, each with its place ``at``."""
    return problems.sort("problem_id").with_columns(at=pl.int_range(pl.len()))


def rows_of(problems: pl.DataFrame, table: pl.LazyFrame, *columns: str | pl.Expr) -> pl.DataFrame:
    """These columns of a table's rows of some problems, with ``at``, in no order."""
    # units of work lie in their problems' order: most files and row groups are passed over
    first, last = problems["problem_id"].min(), problems["problem_id"].max()
    near = table.filter(pl.col("problem_id").is_between(pl.lit(first), pl.lit(last)))
    place = problems.lazy().select("problem_id", "at")
    return near.select("problem_id", *columns).join(place, on="problem_id").drop("problem_id").collect()


def sample_rows(
    problems: pl.DataFrame, samples: pl.LazyFrame, *columns: str | pl.Expr
) -> dict[str, pl.DataFrame]:
    """policy -> its samples of these problems: ``at``, ``draw``, ``answer``, ``correct``, ``credit`` (null
    where a record gave none) and these columns. Policies come in order of their names."""
    rows = rows_of(problems, samples, "policy", "draw", "answer", "correct", *columns)
    found = credit_rows(problems).join(problems.select("problem_id", "at"), on="problem_id")
    rows = rows.join(found.drop("problem_id"), on=["at", "policy", "draw"], how="left")
    parts = _parted(rows, "policy")
    return {str(policy): _in_order(part, "draw") for (policy,), part in parts.items()}


def score_rows(
    problems: pl.DataFrame, scores: pl.LazyFrame, *columns: str | pl.Expr
) -> dict[tuple[str, str], pl.DataFrame]:
    """(policy, PRM) -> what the PRM says of the policy's samples: ``at``, ``draw``, ``step_rewards``,
    ``prompt_tokens``, ``prm_tokens`` and these columns."""
    told = ("policy", "prm", "draw", "step_rewards", "prompt_tokens", "prm_tokens", *columns)
    parts = _parted(rows_of(problems, scores, *told), "policy", "prm")
    return {(str(policy), str(prm)): _in_order(part, "draw") for (policy, prm), part in parts.items()}


def run_rows(
    problems: pl.DataFrame, runs: pl.LazyFrame, *columns: str | pl.Expr
) -> dict[Choice, pl.DataFrame]:
    """choice -> its runs on these problems: ``at``, ``run``, ``answer``, ``correct``, ``policy_tokens``,
    ``prm_tokens``, ``candidates`` (``answer`` and ``step_rewards`` of each) and these columns.

    Choices come by policy, plan and PRM."""
    told = ("policy", "prm", "plan", "run", "answer", "correct", "policy_tokens", "prm_tokens", _CANDIDATES)
    rows = rows_of(problems, runs, *told, *columns)
    return {
        Choice(str(policy), str(prm) or None, Plan.parse(str(plan))): _in_order(part, "run")
        for (policy, plan, prm), part in _parted(rows, "policy", "plan", "prm").items()
    }


def pool_of(rows: pl.DataFrame, most: int | None = None) -> pl.DataFrame:
    """The rows of the pool; of each problem ``most`` at most, the first ones."""
    pooled = rows.filter(pl.col("draw") >= 0) if (rows["draw"] < 0).any() else rows
    return pooled if most is None else first_of(pooled, most)


def first_of(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """The first rows of each problem, ``most`` at most."""
    begins, sizes = spans(rows)
    if (sizes <= most).all():
        return rows
    return rows.filter(np.arange(len(rows)) - np.repeat(begins, sizes) < most)


def greedy_of(rows: pl.DataFrame) -> pl.DataFrame:
    """The greedy answers, one of a problem that has any."""
    return rows.filter(pl.col("draw") == -1).unique("at", keep="first", maintain_order=True)


def spans(rows: pl.DataFrame) -> tuple[Ints, Ints]:
    """Where the rows of each problem that has any begin, and how many they are."""
    at = rows["at"].to_numpy()
    begins = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])[: len(at)]
    return begins, np.diff(np.r_[begins, len(at)])


def worth(rows: pl.DataFrame) -> pl.Series:
    """What each answer is worth by its own record: its credit, else 1 if it is right; 0 where unknown."""
    right = rows["correct"].fill_null(False).cast(pl.Float64)
    return rows["credit"].cast(pl.Float64).fill_null(right) if "credit" in rows.columns else right


def filled(column: pl.Series, unknown: float = 0) -> NDArray[Any]:
    """A column as an array, with ``unknown`` where nothing is known. Of numbers NaN is unknown too."""
    if column.dtype == pl.Boolean:
        return column.fill_null(bool(unknown)).to_numpy()
    known = column.fill_null(unknown)
    return (known.fill_nan(unknown) if known.dtype.is_float() else known).to_numpy()


def rewards_of(step_rewards: pl.Series) -> tuple[NDArray[np.float32], Ints]:
    """All rewards one after the other, 0 where one is missing, and how many belong to each row."""
    lengths = step_rewards.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = step_rewards.explode(empty_as_null=False, keep_nulls=False).fill_null(0.0)
    return flat.to_numpy(), lengths


def _parted(rows: pl.DataFrame, *by: str) -> Mapping[tuple[Any, ...], pl.DataFrame]:
    """The rows of each of these names, in order of the names, without the columns of the names."""
    parts = rows.partition_by(*by, as_dict=True, include_key=False)
    return dict(sorted(parts.items()))


def _in_order(rows: pl.DataFrame, number: str) -> pl.DataFrame:
    """The rows by problem and by number, which is -1 or more."""
    key = (rows["at"].to_numpy().astype(np.int64) << 32) + rows[number].to_numpy()
    return rows if (key[1:] >= key[:-1]).all() else rows[np.argsort(key, kind="stable")]
