"""Logs from before a column was added: they load, are gone on with, and are merged."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import scripted_campaign as scripted

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.errors import LogError
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.merge import merge_logs
from search.log.pool import read_pools
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.strategies.running.candidates import summarize

NEW = TABLES["samples"].optional


GRID = Grid.of({**scripted.GRID, "strategies": ["cot", "majority", "best_of_n"]})


def campaign(log: SearchLog, count: int) -> None:
    Campaign(scripted.problems(count), GRID, log, ReadyLoader([scripted.engine()], [scripted.reward()])).run()


def age(log: SearchLog) -> None:
    """Make every part of the samples one that was written before the columns came."""
    for path in (log.path / "table=samples").glob("part-*.parquet"):
        metadata = {k: v for k, v in pl.read_parquet_metadata(path).items() if k.startswith("planner.")}
        pl.read_parquet(path).drop(*NEW).write_parquet(path, metadata=metadata)


def test_a_new_log_holds_what_the_engine_told(tmp_path: Path) -> None:
    log = SearchLog.at(tmp_path / "log")
    campaign(log, 3)
    for row in log.read("samples").iter_rows(named=True):
        assert "".join(map(chr, row["token_ids"])).rstrip("\x03") == row["text"]
        logprobs = summarize([0.0] * row["tokens"], row["step_tokens"])
        assert tuple(row["step_logprobs"]) == logprobs.steps
        assert len(row["step_logprobs"]) == len(row["step_tokens"])
        assert row["lowest_window_logprob"] == 0.0
        assert row["thought"] == ""


def test_an_old_log_loads_with_nulls_and_is_gone_on_with(tmp_path: Path) -> None:
    old, new = SearchLog.at(tmp_path / "old"), SearchLog.at(tmp_path / "new")
    campaign(old, 3)
    campaign(new, 6)
    pools = read_pools(SearchLog.open(old.path), "m")
    age(old)
    old = SearchLog.open(old.path)
    frame = old.read("samples")
    assert dict(frame.schema) == dict(TABLES["samples"].columns)
    assert frame["token_ids"].null_count() == frame.height
    unit = min(old.units("samples"))
    assert old.read_unit("samples", unit).columns == list(TABLES["samples"].columns)
    assert {name: len(pool) for name, pool in read_pools(old, "m").items()} == {
        name: len(pool) for name, pool in pools.items()
    }
    campaign(old, 6)  # scores of old samples too: nothing is drawn again
    grown = old.read("samples")
    assert grown["token_ids"].null_count() == frame.height
    assert grown.drop(*NEW).equals(new.read("samples").drop(*NEW))
    assert difference(old, new) is not None


def test_an_old_and_a_new_log_are_merged_and_contradictions_are_still_refused(tmp_path: Path) -> None:
    old, new = SearchLog.at(tmp_path / "old"), SearchLog.at(tmp_path / "new")
    campaign(old, 3)
    campaign(new, 6)
    age(old)
    for number, sources in enumerate(([old, new], [new, old])):
        merged = merge_logs([SearchLog.open(log.path) for log in sources], tmp_path / f"merged{number}")
        assert merged.rows("samples") == new.rows("samples")
        assert merged.read("samples").drop(*NEW).equals(new.read("samples").drop(*NEW))
    other = SearchLog.at(tmp_path / "other")
    other.declare(new.manifest.settings, policies=list(new.manifest.policies.values()))
    for unit in new.units("problems"):
        other.append("problems", new.read_unit("problems", unit), unit=unit)
    for unit in new.units("samples"):
        rows = new.read_unit("samples", unit).with_columns(lowest_window_logprob=pl.lit(-1.0, pl.Float32()))
        other.append("samples", rows, unit=unit)
    with pytest.raises(LogError, match="column 'lowest_window_logprob' at"):
        merge_logs([new, other], tmp_path / "refused")
