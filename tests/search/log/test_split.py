"""Two halves of a log: families whole, sizes balanced, every table cut along the same problems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from search.errors import LogError
from search.log.comparison import difference
from search.log.merge import merge_logs
from search.log.outcomes import rebuild_outcomes
from search.log.split import families_split, split_log
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan

MakeLog = Callable[..., SearchLog]


def grouped(log: SearchLog, families: str) -> SearchLog:
    """A log whose problems have these families, one letter each, and outcomes of two plans."""
    frame = log.read("problems")
    for part in (log.path / "table=problems").iterdir():
        part.unlink()
    log.append("problems", frame.with_columns(pl.Series("family", list(families))), unit="problems")
    rebuild_outcomes(log, [Plan.parse("majority(n=2)"), Plan.parse("best_of_n(n=2, score=last)")])
    return log


def test_both_halves_are_logs_of_their_own_problems(make_log: MakeLog, tmp_path: Path) -> None:
    log = grouped(make_log("yyn-", "nnyy", "abcd", "yyyy"), "aabb")
    train, test = split_log(log, tmp_path / "halves")
    assert [train.path.name, test.path.name] == ["train", "test"]
    for half in (train, test):
        half.check()
        assert half.manifest == log.manifest
        assert half.rows("problems") == 2
        assert half.read("problems")["family"].n_unique() == 1
        for table in TABLES:
            problems = half.read(table)["problem_id"].unique().to_list()
            expected = log.read(table).filter(pl.col("problem_id").is_in(half.read("problems")["problem_id"]))
            assert_frame_equal(half.read(table), expected)
            assert set(problems) <= set(half.read("problems")["problem_id"])
    assert train.rows("outcomes") == test.rows("outcomes") == log.rows("outcomes") // 2 > 0
    assert difference(merge_logs([train, test], tmp_path / "again"), log) is None


def test_equal_arguments_give_equal_halves(make_log: MakeLog, tmp_path: Path) -> None:
    log = grouped(make_log(*["yn"] * 12), "abcdefghijkl")
    first = split_log(log, tmp_path / "first", seed=3)
    (tmp_path / "empty").mkdir()
    again = split_log(log, tmp_path / "empty", seed=3)
    other = split_log(log, tmp_path / "other", seed=4)
    assert all(difference(one, two) is None for one, two in zip(first, again, strict=True))
    assert difference(first[0], other[0]) is not None
    assert [half.rows("problems") for half in (*first, *other)] == [6, 6, 6, 6]


def test_a_log_without_outcomes_has_halves_without(make_log: MakeLog, tmp_path: Path) -> None:
    log = grouped(make_log("yy", "nn"), "ab")
    for part in (log.path / "table=outcomes").iterdir():
        part.unlink()
    assert [half.rows("outcomes") for half in split_log(log, tmp_path / "halves")] == [0, 0]


def test_what_cannot_be_split_is_refused_and_nothing_is_written(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log("yy", "nn")
    with pytest.raises(LogError, match=r"a split by family needs a log of at least 2 families, got 1 \(f\)"):
        split_log(log, tmp_path / "halves")
    log = grouped(log, "ab")
    for share in (0.0, 1.0, -0.5, 2.0, float("nan"), float("inf")):
        with pytest.raises(LogError, match="the share of a split's first half is between 0 and 1, got "):
            split_log(log, tmp_path / "halves", share=share)
    with pytest.raises(LogError, match="the seed of a split is at least 0, got -1"):
        split_log(log, tmp_path / "halves", seed=-1)
    with pytest.raises(LogError, match="at least 2 families, got none"):
        split_log(SearchLog.create(tmp_path / "bare"), tmp_path / "halves")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare", "log"]
    (tmp_path / "file").write_text("")
    for taken in ("bare", "file"):
        with pytest.raises(LogError, match="a split needs a target that is new or empty, got .*" + taken):
            split_log(log, tmp_path / taken)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=20),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 5),
)
def test_families_stay_whole_and_sizes_are_near_the_share(sizes: list[int], share: float, seed: int) -> None:
    families = [f"f{place}" for place, size in enumerate(sizes) for _ in range(size)]
    inside = families_split(families, share=share, seed=seed)
    sides = {name: set(inside[np.asarray(families) == name].tolist()) for name in set(families)}
    assert all(len(side) == 1 for side in sides.values())
    assert 0 < inside.sum() < len(families)
    # no further off than one family of the largest size
    assert abs(inside.sum() - share * len(families)) <= max(sizes)
    np.testing.assert_array_equal(inside, families_split(families, share=share, seed=seed))
