"""Outcomes of adaptive votes and cascades: rows where a log holds what they need, none elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from search.log.bins import bins
from search.log.outcomes import build_outcomes
from search.log.store import SearchLog
from search.plan import Plan

MakeLog = Callable[..., SearchLog]

ADAPTIVE = Plan.parse("adaptive_vote(n=4, stop=1, ahead=1)")
CASCADE = Plan.parse("cascade(first=m: majority(n=2), tau=1, then=m: majority(n=2))")


def rows(log: SearchLog, plan: Plan) -> pl.DataFrame:
    return build_outcomes(log, [Plan.parse("majority(n=4)"), plan]).filter(pl.col("plan") == str(plan))


def test_an_adaptive_vote_that_is_never_sure_costs_the_vote(make_log: MakeLog) -> None:
    log = make_log("yynyny", "ynnnyx", "nnnnnn")
    both = build_outcomes(log, [Plan.parse("majority(n=4)"), ADAPTIVE])
    mine = both.filter(pl.col("plan") == str(ADAPTIVE)).sort("problem_id")
    votes = both.filter(pl.col("plan") == "majority(n=4)").sort("problem_id")
    assert mine["problem_id"].to_list() == votes["problem_id"].to_list() != []
    assert mine["tokens"].to_list() == pytest.approx(votes["tokens"].to_list(), rel=0.02)
    assert mine["accuracy"].to_list() == pytest.approx(votes["accuracy"].to_list(), abs=0.1)


def test_parts_of_one_policy_need_draws_of_their_own(make_log: MakeLog) -> None:
    log = make_log("yynyny", "ynnnyx", "nnnnnn")
    assert len(rows(log, CASCADE)) == len(rows(log, ADAPTIVE)) > 0
    larger = Plan.parse("cascade(first=m: majority(n=4096), tau=1, then=m: majority(n=2))")
    assert rows(log, larger).is_empty()


def test_a_policy_that_was_not_logged_has_no_rows(make_log: MakeLog) -> None:
    other = Plan.parse("cascade(first=m: majority(n=2), tau=1, then=nobody: cot())")
    assert rows(make_log("yynyny", "ynnnyx", "nnnnnn"), other).is_empty()


def test_a_greedy_answer_counts_for_its_credit(make_log: MakeLog) -> None:
    log = make_log("abcdef", credits=[("m", -1, 0.25)])
    cascade = Plan.parse("cascade(first=m: majority(n=2), tau=1, then=m: cot())")
    found = build_outcomes(log, [Plan.of("cot"), cascade])
    assert dict(found.select("plan", "accuracy").iter_rows()) == {"cot()": 0.25, str(cascade): 0.25}


def test_bins_show_them(make_log: MakeLog) -> None:
    small = Plan.parse("adaptive_vote(n=2, stop=0.9, ahead=1)")
    found = bins(make_log("yynyny", "ynnnyx", "nnnnnn"), plans=[Plan.parse("majority(n=2)"), small])
    assert str(small) in found["plan"].to_list()
