from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from search.errors import LogError
from search.log.bins import ALL, Usual, bin_names, bins, difficulty_bins, usual_pools
from search.log.outcomes import rebuild_outcomes
from search.log.store import SearchLog
from search.plan import Plan

MakeLog = Callable[..., SearchLog]
PLANS = [Plan.of("cot"), Plan.of("majority", n=1), Plan.of("best_of_n", n=2, score="min")]


def cell(table: pl.DataFrame, name: str) -> pl.DataFrame:
    return table.filter(pl.col("bin") == name)


def test_every_cell_has_its_plans_and_one_best(make_log: MakeLog) -> None:
    table = bins(make_log("yyyy", "yyyn", "nnnn", "abnn"), plans=PLANS)
    assert table.columns == [
        *(
            "policy",
            "prm",
            "bin",
            "plan",
            "problems",
            "accuracy",
            "accuracy_se",
            "reward",
            "tokens",
            "flops",
            "best",
        )
    ]
    assert table["bin"].unique(maintain_order=True).to_list() == ["easy", "hard"]
    assert set(table["prm"]) == {"r"}  # plans without a PRM compete in its cells
    assert table.group_by("bin").agg(pl.col("best").sum())["best"].to_list() == [1, 1]
    easy = {row["plan"]: row for row in cell(table, "easy").iter_rows(named=True)}
    assert easy["cot()"]["problems"] == 2
    assert easy["best_of_n(n=2, score=min)"]["accuracy"] == 1.0
    assert easy["best_of_n(n=2, score=min)"]["reward"] == pytest.approx(0.8)
    assert easy["majority(n=1)"]["accuracy"] == pytest.approx(0.75)
    assert easy["cot()"]["best"]  # as right as best_of_n and cheaper
    assert cell(table, "hard").filter(pl.col("plan") != "cot()")["accuracy"].sum() == 0.0


def test_difficulty_is_judged_on_other_samples_than_those_scored(make_log: MakeLog) -> None:
    # even draws right, odd ones wrong: the bin says easy, the scores say 0
    table = bins(make_log("ynynynyn"), plans=[Plan.of("majority", n=4)])
    assert table["bin"].to_list() == ["easy"]
    assert table["accuracy"].to_list() == [0.0]


def test_a_large_n_takes_more_than_half_but_never_all(make_log: MakeLog) -> None:
    log = make_log("ynnnn")
    table = bins(log, plans=[Plan.of("majority", n=4)])
    assert table.select("bin", "accuracy").row(0) == ("easy", 0.0)
    with pytest.raises(
        LogError, match=r"a pool holds more samples than the largest n, .* got 5 of 'm' for 'p0' and n=5"
    ):
        bins(log, plans=[Plan.of("majority", n=5)])


def test_quantiles_split_the_set_evenly(make_log: MakeLog) -> None:
    log = make_log("yyyy", "yyny", "nnnn", "nnnn")
    table = bins(log, quantiles=2, plans=PLANS)
    assert table["bin"].unique(maintain_order=True).to_list() == ["quantile 1", "quantile 2"]
    assert set(table["problems"]) == {2}


def test_a_policy_without_a_prm_has_cells_of_its_own(make_log: MakeLog) -> None:
    table = bins(make_log("yyyy", prm=False), plans=PLANS)
    assert table["prm"].unique().to_list() == [""]
    assert table["plan"].to_list() == ["majority(n=1)", "cot()"]


def test_plans_are_those_of_the_outcomes_when_none_are_named(make_log: MakeLog) -> None:
    log = make_log("yyyynnnn")
    assert "weighted_vote(n=4, score=prod)" in bins(log)["plan"].to_list()
    rebuild_outcomes(log, [Plan.of("majority", n=4), Plan.of("majority", n=8)])
    assert bins(log)["plan"].to_list() == ["majority(n=4)"]


def test_thresholds_are_parameters() -> None:
    assert bin_names((0.7,)) == [">= 0.7", "< 0.7"]
    rates = pl.Series([0.9, 0.3, 0.05])
    assert difficulty_bins(rates, (0.7, 0.2)).to_list() == ["easy", "medium", "hard"]
    for bad in ((), (0.1, 0.5), (0.5, 0.5), (1.5,), (float("nan"),)):
        with pytest.raises(ValueError, match="thresholds"):
            bin_names(bad)
    with pytest.raises(ValueError, match="quantiles must be at least 1, got 0"):
        difficulty_bins(rates, quantiles=0)


def test_a_log_without_samples_says_so(make_log: MakeLog, tmp_path: object) -> None:
    with pytest.raises(LogError, match="bins need samples of every policy of the log, got none of 'm'"):
        bins(make_log(), plans=PLANS)


def test_uneven_pools_are_compared_where_the_largest_n_fits(make_log: MakeLog) -> None:
    # three problems of eight samples, one of two
    log = make_log("yyyyyyyy", "ynynynyn", "nnnnnnnn", "yn")
    assert usual_pools(log) == {"m": Usual(8, 4, 1)}
    table = bins(log).filter(plan="majority(n=4)")
    assert table["problems"].sum() == 3
    assert bins(log, plans=[Plan.of("majority", n=1)])["problems"].sum() == 4


def test_one_sample_each_is_one_bin(make_log: MakeLog) -> None:
    table = bins(make_log("y", "n", "y", "y"))
    assert table.select("bin", "plan", "problems", "accuracy").rows() == [
        (ALL, "majority(n=1)", 4, 0.75),
        (ALL, "cot()", 4, 1.0),
    ]
