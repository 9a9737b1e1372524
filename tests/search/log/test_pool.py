from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import LogError
from search.log.pool import Greedy, aggregate, read_greedy, read_pools
from search.log.store import SearchLog
from search.scores import SCORES, score

MakeLog = Callable[..., SearchLog]


def test_pools_hold_what_the_log_says(make_log: MakeLog) -> None:
    log = make_log("yan-ya", "nnnn")
    pools = read_pools(log, "m")
    assert list(pools) == ["p0", "p1"]
    pool = pools["p0"]
    assert pool.group.tolist() == [0, 1, 2, -1, 0, 1]
    assert pool.correct.tolist() == [True, False, False, False, True, False]
    assert pool.draws.tolist() == [0, 1, 2, 3, 4, 5]
    assert (len(pool), pool.prompt_tokens, pool.tokens.tolist()) == (6, 4, [10] * 6)
    assert pool.pass_rate == pytest.approx(1 / 3)
    assert pool.readable.sum() == 5
    assert pool.score("r", "min") == pytest.approx([0.8, 0.3, 0.3, 0.0, 0.8, 0.3])
    assert pool.score("r", "prod") == pytest.approx([0.72, 0.18, 0.18, 0.0, 0.72, 0.18])
    assert (pool.scores["r"].prompt_tokens, pool.scores["r"].tokens.tolist()) == (6, [5] * 6)


def test_pools_can_be_narrowed(make_log: MakeLog) -> None:
    log = make_log("yy", "nn")
    assert list(read_pools(log, "m", problem_ids=["p1"])) == ["p1"]
    assert read_pools(log, "m", prms=[])["p0"].scores == {}
    assert read_pools(log, "nobody") == {}


def test_a_prm_that_has_not_scored_every_draw_is_left_out(make_log: MakeLog) -> None:
    log = make_log("yy", "nn")
    extra = log.read("samples").filter(pl.col("draw") == 1, pl.col("problem_id") == "p0")
    log.append("samples", extra.with_columns(draw=pl.lit(2, pl.Int32)), unit="extra")
    pools = read_pools(log, "m")
    assert list(pools["p0"].scores) == []
    assert list(pools["p1"].scores) == ["r"]
    with pytest.raises(LogError, match="every draw of a pool must be scored by a PRM that is used, got 'r'"):
        pools["p0"].score("r", "min")


def test_parts_of_a_pool_are_disjoint(make_log: MakeLog) -> None:
    pool = read_pools(make_log("yan-ya"), "m")["p0"]
    even, odd = pool.halves()
    assert sorted([*even.draws, *odd.draws]) == list(range(6))
    assert even.score("r", "last") == pytest.approx(pool.score("r", "last")[::2])
    first, rest = pool.split(2)
    assert (first.draws.tolist(), rest.draws.tolist()) == ([0, 1], [2, 3, 4, 5])
    assert pool.take([3, 0]).group.tolist() == [-1, 0]
    with pytest.raises(ValueError, match="a pool of 6 is split at 0 to 6, got 7"):
        pool.split(7)


def test_a_pool_counts_credits_where_records_gave_some(make_log: MakeLog) -> None:
    pool = read_pools(make_log("yn-", credits=[("m", 1, 0.25), ("m", 2, 0.5)]), "m")["p0"]
    assert pool.correct.tolist() == [1.0, 0.25, 0.5]
    assert read_pools(make_log("yn-", name="bare"), "m")["p0"].correct.dtype == np.bool_


def test_greedy_answers_are_read_with_what_they_are_worth(make_log: MakeLog) -> None:
    log = make_log("yn", "nn", credits=[("m", -1, 0.75)])
    assert read_greedy(log, "m") == {name: Greedy(True, 0.75, 12, 4) for name in ("p0", "p1")}
    assert read_greedy(log, "nobody") == {}


def test_ungraded_and_orphaned_samples_say_so(make_log: MakeLog) -> None:
    log = make_log("yy")
    stray = log.read("samples").filter(pl.col("draw") == 0)
    log.append("samples", stray.with_columns(problem_id=pl.lit("ghost")), unit="stray")
    with pytest.raises(LogError, match="a sample belongs to a problem of the log, got 'ghost'"):
        read_pools(log, "m")
    log = make_log("yy", name="ungraded")
    null = pl.lit(None, pl.Boolean).alias("correct")
    log.append("samples", stray.with_columns(null, draw=pl.lit(7, pl.Int32)), unit="null")
    with pytest.raises(LogError, match="samples must be graded, got draw 7 of 'p0' without a grade"):
        read_pools(log, "m")


@given(st.lists(st.lists(st.floats(0, 1), max_size=5), max_size=8))
def test_aggregate_agrees_with_score(solutions: list[list[float]]) -> None:
    flat = np.asarray([value for rewards in solutions for value in rewards], dtype=np.float64)
    lengths = np.asarray([len(rewards) for rewards in solutions], dtype=np.int64)
    results = aggregate(flat, lengths)
    for name in SCORES:
        assert results[name].tolist() == pytest.approx([score(rewards, name) for rewards in solutions])
