"""Fills a log's arrays, a few thousand problems at a time, and makes pools and runs of them.

What counts, and in which order, is said in ``search.log.rows``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from planner.evidence.arrays import Arrays
from planner.evidence.complete import Complete
from planner.evidence.pools import PolicyPool, PrmPool, TreeRuns
from planner.features.probe import SUMMARY, summarise_padded
from search.choice import Choice
from search.engines.protocol import FinishReason
from search.errors import LogError
from search.log.numbering import codes_of, numbered, right_of
from search.log.rows import (
    TRUNCATED,
    filled,
    first_of,
    greedy_of,
    pool_of,
    rewards_of,
    run_rows,
    sample_rows,
    score_rows,
)
from search.scores import SCORES
from search.strategies.adaptive.weights import LOGGED

__all__ = ["fill", "pool_named", "summaries", "tree_of"]

#: what is read of each table, beside what is always read
_SAMPLES: tuple[str | pl.Expr, ...] = (
    *("prompt_tokens", "tokens", *LOGGED.values()),
    pl.col("step_tokens").list.len().alias("steps"),
    TRUNCATED,
    pl.col("thought_tokens").cast(pl.Float32).alias("thought"),
    pl.coalesce("thought_cut", pl.col("finish_reason") == FinishReason.THOUGHT).alias("thought_cut"),
)


def fill(
    arrays: Arrays,
    begin: int,
    problems: pl.DataFrame,
    complete: Complete,
    *,
    samples: pl.LazyFrame,
    scores: pl.LazyFrame,
    runs: pl.LazyFrame,
) -> None:
    """Read the rows of some problems into their places, which ``begin`` there."""
    drawn, ran = sample_rows(problems, samples, *_SAMPLES), run_rows(problems, runs)
    numbers = numbered(problems, drawn.values(), ran.values())
    credited = any(rows["credit"].count() for rows in drawn.values())
    arrays.add(right_of(numbers, len(problems), credited=credited), "right")
    known: dict[str, NDArray[np.generic]] = {}
    for name, draws in complete.draws.items():
        greedy, pool = greedy_of(drawn[name]), pool_of(drawn.pop(name), draws)
        known[name] = pool["draw"].to_numpy()
        # a policy's greedy answers stand in the place of a pool, where it has none
        _put_draws(arrays, begin, pool if draws else greedy, numbers, name, draws=draws or 1)
        if draws and len(greedy) == len(problems):
            _put_draws(arrays, begin, greedy, numbers, name, "greedy", draws=1)
    for choice, count in complete.runs.items():
        _put_runs(arrays, begin, choice, ran.pop(choice), numbers, count)
    for (policy, prm), rows in score_rows(problems, scores).items():
        draws, greedy = complete.draws.get(policy, 0), greedy_of(rows)
        scored = pool_of(rows, draws)
        if len(scored):
            if not np.array_equal(scored["draw"].to_numpy(), known[policy]):
                raise LogError(f"a PRM scores the draws of a pool, got others of {policy!r} by {prm!r}")
            _put_scores(arrays, begin, scored, policy, "prms", prm, draws=draws)
        if draws and len(greedy) == len(problems):
            _put_scores(arrays, begin, greedy, policy, "greedy", "prms", prm, draws=1)


def _put_draws(
    arrays: Arrays, begin: int, rows: pl.DataFrame, numbers: pl.DataFrame, *name: str, draws: int
) -> None:
    def put(column: str, values: NDArray[np.generic]) -> None:
        arrays.put(begin, values.reshape(-1, draws), *name, column)

    put("codes", codes_of(rows, numbers).astype(np.int32))
    for column in ("tokens", "steps"):
        put(column, filled(rows[column]).astype(np.int32))
    for column in ("mean_logprob", "min_logprob"):
        put(column, filled(rows[column]).astype(np.float32))
    for column in ("truncated", "thought_cut"):
        put(column, filled(rows[column]))
    nothing = float("nan")
    put("thought", filled(rows["thought"], nothing))
    for signal, column in LOGGED.items():
        values = filled(rows[column].cast(pl.Float32), nothing)
        if not np.isnan(values).all():
            arrays.put(begin, values.reshape(-1, draws), *name, "signals", signal)
    arrays.put(begin, filled(rows["prompt_tokens"])[::draws].astype(np.float64), *name, "prompt")


def _put_scores(arrays: Arrays, begin: int, rows: pl.DataFrame, *name: str, draws: int) -> None:
    tokens, found = filled(rows["prm_tokens"]).astype(np.int32), summaries(rows["step_rewards"])
    arrays.put(begin, tokens.reshape(-1, draws), *name, "tokens")
    arrays.put(begin, filled(rows["prompt_tokens"])[::draws].astype(np.float64), *name, "prompt")
    arrays.put(begin, found.reshape(-1, draws, found.shape[1]), *name, "summary")


def _put_runs(
    arrays: Arrays, begin: int, choice: Choice, ran: pl.DataFrame, numbers: pl.DataFrame, runs: int
) -> None:
    rows = first_of(ran, runs).with_row_index("row")
    inside = (
        rows.select("row", "at", "candidates")
        .filter(pl.col("candidates").list.len() > 0)
        .explode("candidates")
        .unnest("candidates")
        .with_columns(pl.int_range(pl.len()).over("row").alias("place"))
    )
    most = 1 + int(inside["place"].to_numpy().max(initial=0))
    codes, scores = np.full((len(rows), most), -1, np.int64), np.zeros((len(rows), most), np.float32)
    at = (inside["row"].to_numpy(), inside["place"].to_numpy())
    codes[at] = codes_of(inside, numbers)
    if choice.plan.score is not None:
        scores[at] = summaries(inside["step_rewards"])[:, SCORES.index(choice.plan.score)]
    name = str(choice)
    arrays.put(begin, codes_of(rows, numbers).reshape(-1, runs), name, "code")
    for column in ("policy_tokens", "prm_tokens"):
        arrays.put(begin, rows[column].to_numpy().astype(np.float64).reshape(-1, runs), name, column)
    arrays.add(codes.reshape(-1, runs, most), name, "codes")
    arrays.add(scores.reshape(-1, runs, most), name, "scores")


def summaries(step_rewards: pl.Series) -> NDArray[np.float32]:
    """(rows, 8) what ``planner.features.probe`` keeps of each list of rewards."""
    flat, lengths = rewards_of(step_rewards)
    most = max(1, int(lengths.max(initial=0)))
    ends = np.cumsum(lengths)
    out = np.empty((len(lengths), len(SUMMARY)), np.float32)
    step = max(1, 2_000_000 // most)
    for begin in range(0, len(lengths), step):
        size = lengths[begin : begin + step]
        padded = np.zeros((len(size), most), np.float32)
        inside = slice(ends[begin] - lengths[begin], ends[begin + len(size) - 1])
        padded[np.arange(most) < size[:, None]] = flat[inside]
        out[begin : begin + step] = summarise_padded(padded, size)
    return out


def pool_named(arrays: Arrays, name: str, draws: int) -> PolicyPool:
    """The pool of a policy that was filled in; ``draws`` 0: its greedy answers alone."""
    found = replace(_drawn(arrays, name), is_greedy=draws == 0)
    if draws and arrays.full(name, "greedy", "codes"):
        found = replace(found, greedy=_drawn(arrays, name, "greedy", thinks=found.thinks))
    one = found.greedy if draws else found
    if one is None:
        return found
    code, tokens = one.codes[:, 0].astype(np.int64), one.tokens[:, 0].astype(np.float64)
    return replace(found, greedy_code=code, greedy_tokens=tokens)


def _drawn(arrays: Arrays, *name: str, thinks: bool = False) -> PolicyPool:
    """The pool under a name, without what is known of greedy answers beside it.

    ``thinks``: whether its thoughts are kept where all of them are empty.
    """
    prms = {}
    for prm in arrays.names(*name, "prms"):
        if arrays.full(*name, "prms", prm, "summary"):
            prompt, tokens, summary = (
                arrays.all(*name, "prms", prm, part) for part in ("prompt", "tokens", "summary")
            )
            prms[prm] = PrmPool(prompt, tokens, summary)
    signals = [one for one in arrays.names(*name, "signals") if arrays.full(*name, "signals", one)]
    thought, cut = arrays.all(*name, "thought"), arrays.all(*name, "thought_cut")
    thinks = thinks or bool((np.nan_to_num(thought) > 0).any())
    return PolicyPool(
        codes=arrays.all(*name, "codes"),
        prompt=arrays.all(*name, "prompt"),
        tokens=arrays.all(*name, "tokens"),
        steps=arrays.all(*name, "steps"),
        mean_logprob=arrays.all(*name, "mean_logprob"),
        min_logprob=arrays.all(*name, "min_logprob"),
        truncated=arrays.all(*name, "truncated"),
        greedy_code=None,
        greedy_tokens=None,
        prms=prms,
        signals={signal: arrays.all(*name, "signals", signal) for signal in signals},
        is_greedy=True,
        thought=thought if thinks else None,
        thought_cut=cut if thinks else None,
    )


def tree_of(arrays: Arrays, choice: Choice) -> TreeRuns:
    """The runs of a choice that were filled in."""
    name = str(choice)
    return TreeRuns(
        code=arrays.all(name, "code"),
        policy_tokens=arrays.all(name, "policy_tokens"),
        prm_tokens=arrays.all(name, "prm_tokens"),
        codes=arrays.ragged(-1, name, "codes"),
        scores=arrays.ragged(0, name, "scores"),
    )
