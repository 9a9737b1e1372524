from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from search.cards import ModelCard
from search.errors import FingerprintError, LogError
from search.log.comparison import difference
from search.log.merge import merge_logs
from search.log.outcomes import build_outcomes, rebuild_outcomes
from search.log.store import SearchLog
from search.plan import Plan

MakeLog = Callable[..., SearchLog]


def test_disjoint_logs_become_one(make_log: MakeLog, tmp_path: Path) -> None:
    one, two = make_log("yyn-", name="one"), make_log("nnyy", "abcd", name="two", first=1)
    merged = merge_logs([one, two], tmp_path / "both")
    assert merged.rows("samples") == 4 + 8 + 3
    assert merged.read("problems")["problem_id"].to_list() == ["p0", "p1", "p2"]
    assert difference(merged, merge_logs([two, one], tmp_path / "other-way")) is None
    whole = make_log("yyn-", "nnyy", "abcd", name="whole")
    assert difference(merged, whole) is None


def test_equal_rows_are_kept_once_even_in_other_units(make_log: MakeLog, tmp_path: Path) -> None:
    one, same = make_log("yyn-", name="one"), make_log("yyn-", name="same")
    assert difference(merge_logs([one, same], tmp_path / "a"), one) is None
    wide = SearchLog.create(tmp_path / "wide", one.manifest)
    more = make_log("yyn-", "nnnn", name="more")
    for table in ("problems", "samples", "scores"):
        wide.append(table, more.read(table), unit="everything")
    assert difference(merge_logs([one, wide], tmp_path / "b"), more) is None
    assert difference(merge_logs([wide, one], tmp_path / "c"), more) is None


def test_a_units_name_taken_by_other_rows_loses_nothing(make_log: MakeLog, tmp_path: Path) -> None:
    one, two = make_log("yy", name="one"), make_log("nn", name="two", first=5)
    for log, name in ((one, "a"), (two, "b")):
        log.append("runs", log.read("runs"), unit="same-name")
        frame = log.read("problems").with_columns(pl.lit(name).alias("problem_id"))
        log.append("problems", frame, unit="same-name")
    merged = merge_logs([one, two], tmp_path / "both")
    assert merged.read("problems")["problem_id"].to_list() == ["a", "b", "p0", "p5"]


def test_contradictions_are_refused_by_name_and_nothing_is_written(make_log: MakeLog, tmp_path: Path) -> None:
    one, two = make_log("yyn-", name="one"), make_log("yyy-", name="two")
    with pytest.raises(LogError, match=r"rows of samples with one key .*column 'text' at .*'draw': 2.*two"):
        merge_logs([one, two], tmp_path / "both")
    other = SearchLog.create(tmp_path / "three")
    other.declare({"sampling": "temperature=2, top_p=1, top_k=0"})
    with pytest.raises(
        FingerprintError, match="sampling must be the same in merged logs, got 'temperature=1, "
    ):
        merge_logs([one, other], tmp_path / "both")
    changed = SearchLog.create(tmp_path / "four")
    changed.declare(policies=[ModelCard("m", 1000, "m2", 99)])
    with pytest.raises(FingerprintError, match="policy 'm' must have the same fingerprint in merged logs"):
        merge_logs([one, changed], tmp_path / "both")
    assert not (tmp_path / "both").exists()
    assert not (tmp_path / "both.merging").exists()
    with pytest.raises(LogError, match="a merge needs a target that is new or empty"):
        merge_logs([one], tmp_path / "two")
    with pytest.raises(LogError, match="a merge needs at least one log, got none"):
        merge_logs([], tmp_path / "both")


def test_outcomes_are_those_of_the_whole_log(make_log: MakeLog, tmp_path: Path) -> None:
    one, two = make_log("yyn-", name="one"), make_log("nnyy", "abcd", name="two", first=1)
    whole = make_log("yyn-", "nnyy", "abcd", name="whole")
    plans = [Plan.parse("majority(n=2)"), Plan.parse("best_of_n(n=2, score=last)")]
    rebuild_outcomes(one, plans[:1])
    rebuild_outcomes(two, plans)
    merged = merge_logs([one, two], tmp_path / "both")
    expected = build_outcomes(whole, plans)
    assert expected.height
    assert_frame_equal(merged.read("outcomes").sort(expected.columns[:4]), expected)
    assert merge_logs([one], tmp_path / "alone").read("outcomes")["plan"].unique().to_list() == [
        "majority(n=2)"
    ]


def test_difference_names_what_differs(make_log: MakeLog) -> None:
    one = make_log("yyn-", name="one")
    assert difference(one, make_log("yyn-", name="same")) is None
    assert "column 'text' at" in str(difference(one, make_log("yyb-", name="text")))
    assert "has 1 and 2 rows" in str(difference(one, make_log("yyn-", "y", name="more")))
    assert "other keys" in str(difference(one, make_log("yyn-", name="shifted", first=3)))
    assert "manifests differ" in str(difference(one, make_log("yyn-", name="poor", prm=False)))
    nested = make_log("yyn-", name="nested")
    path = next((nested.path / "table=scores").iterdir())
    frame = nested.read("scores")
    path.unlink()
    changed = pl.Series("step_rewards", [[0.9, 0.8], [0.9, 0.7], [0.3, 0.6], []], dtype=pl.List(pl.Float32))
    nested.append("scores", frame.with_columns(changed), unit="u")
    assert "column 'step_rewards' at" in str(difference(one, nested))
    assert "'draw': 1" in str(difference(one, nested))
