from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from search.cards import ModelCard
from search.errors import FingerprintError, LogError, SchemaError
from search.log.records import problem_rows, table_frame
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.problem import Problem

CARD = ModelCard("m", 10, "fp", 64)


def rows(*ids: str) -> pl.DataFrame:
    return table_frame("problems", problem_rows([Problem(i, "f", "text", "q", "1") for i in ids]))


@pytest.fixture
def log(tmp_path: Path) -> SearchLog:
    return SearchLog.create(tmp_path / "log")


def part(log: SearchLog, table: str, unit: str) -> Path:
    return log.path / f"table={table}" / f"part-{unit}.parquet"


def test_rows_come_back_in_key_order_with_their_types(log: SearchLog) -> None:
    assert log.append("problems", rows("b", "c"), unit="u2")
    assert log.append("problems", rows("d", "a"), unit="u1")
    again = SearchLog.open(log.path)
    assert again.read("problems")["problem_id"].to_list() == ["a", "b", "c", "d"]
    assert again.units("problems") == {"u1", "u2"}
    assert again.read_unit("problems", "u1")["problem_id"].to_list() == ["a", "d"]
    assert again.read("problems", ["problem_id"], units=["u2"])["problem_id"].to_list() == ["b", "c"]
    assert again.rows("problems") == 4
    for table in TABLES.values():
        assert dict(again.scan(table.name).collect_schema()) == dict(table.columns)


def test_appending_a_unit_again_changes_nothing(log: SearchLog) -> None:
    assert log.append("problems", rows("a"), unit="u")
    before = part(log, "problems", "u").stat().st_mtime_ns
    assert not log.append("problems", rows("z"), unit="u")
    assert part(log, "problems", "u").stat().st_mtime_ns == before
    assert log.has("problems", "u")
    assert not log.has("problems", "v")


def test_only_the_columns_asked_for_are_read(log: SearchLog) -> None:
    log.append("problems", rows("a"), unit="u")
    assert "1/6 COLUMNS" in log.scan("problems").select("problem_id").explain()


def test_a_derived_table_is_replaced_whole(log: SearchLog) -> None:
    log.replace("problems", rows("a", "b"))
    log.replace("problems", rows("c"))
    assert log.read("problems")["problem_id"].to_list() == ["c"]


@pytest.mark.parametrize("unit", ["", "a/b", "..", "derived", ".hidden", "x" * 101])
def test_unit_names_are_file_names(log: SearchLog, unit: str) -> None:
    with pytest.raises(LogError, match="a unit's name has letters, digits"):
        log.append("problems", rows("a"), unit=unit)


def test_frames_that_do_not_fit_are_refused_and_nothing_is_written(log: SearchLog) -> None:
    with pytest.raises(SchemaError, match="column 'meta' of problems is missing in the rows of unit 'u'"):
        log.append("problems", rows("a").drop("meta"), unit="u")
    with pytest.raises(SchemaError, match="column 'answer' of problems must be String, got Int32 in"):
        log.append("problems", rows("a").with_columns(answer=pl.lit(1)), unit="u")
    with pytest.raises(SchemaError, match="problems has no column 'extra', got one"):
        log.append("problems", rows("a").with_columns(extra=pl.lit(1)), unit="u")
    with pytest.raises(LogError, match=r"a key of problems is given once, got \{'problem_id': 'a'\} twice"):
        log.append("problems", rows("a", "a"), unit="u")
    with pytest.raises(SchemaError, match=r"tables of a search log are problems, samples, .*, got 'sample'"):
        log.scan("sample")
    assert log.units("problems") == frozenset()


def test_what_is_not_a_log_says_so(tmp_path: Path) -> None:
    rule = "a search log is a folder with a manifest.json, got "
    (tmp_path / "empty").mkdir()
    (tmp_path / "q.csv").write_text("question,answer\n")
    for name, got in (
        ("nowhere", "which does not exist"),
        ("empty", "a folder without one"),
        ("q.csv", "a file (planner import makes a log of records)"),
    ):
        with pytest.raises(LogError, match=re.escape(f"{rule}{str(tmp_path / name)!r}, {got}")):
            SearchLog.open(tmp_path / name)
    (tmp_path / "photo.png").write_bytes(b"x")
    for opener in (SearchLog.create, SearchLog.at):
        with pytest.raises(LogError, match=r"manifest.json|new or empty"):
            opener(tmp_path)
    for text in ("{", "[]", '{"kind": 1}', '{"kind": "search log", "schema_version": 1}'):
        folder = tmp_path / "log"
        folder.mkdir(exist_ok=True)
        (folder / "manifest.json").write_text(text)
        with pytest.raises(LogError) as caught:
            SearchLog.open(folder)
        assert "\n" not in str(caught.value)


def test_another_version_says_so(log: SearchLog) -> None:
    log.append("problems", rows("a"), unit="u")
    manifest = json.loads((log.path / "manifest.json").read_text())
    (log.path / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(SchemaError, match="a search log must have schema version 1, got version 99"):
        SearchLog.open(log.path)
    (log.path / "manifest.json").write_text(json.dumps(manifest))
    old = {"planner.schema_version": "0"}
    pl.read_parquet(part(log, "problems", "u")).write_parquet(part(log, "problems", "v"), metadata=old)
    with pytest.raises(
        SchemaError, match=r"a part must have schema version 1, got version 0 in .*part-v.parquet"
    ):
        log.scan("problems")


def test_damaged_and_foreign_parts_say_so(log: SearchLog) -> None:
    log.append("problems", rows("a"), unit="u")
    path = part(log, "problems", "u")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        LogError, match=r"a part must be a whole Parquet file, got .*part-u.parquet"
    ) as caught:
        log.scan("problems")
    assert "\n" not in str(caught.value)
    frame = rows("a")
    frame.write_parquet(path)
    with pytest.raises(SchemaError, match="without a schema version"):
        log.scan("problems")
    metadata = log.manifest.part_metadata("problems", "u")
    frame.drop("answer").write_parquet(path, metadata=metadata)
    with pytest.raises(
        SchemaError, match=r"column 'answer' of problems is missing in table=problems/part-u.parquet"
    ):
        log.check()
    frame.with_columns(pl.lit(1.5).alias("answer")).write_parquet(path, metadata=metadata)
    with pytest.raises(SchemaError, match="column 'answer' of problems must be String, got Float64"):
        log.check()


def test_fingerprints_travel_with_every_part(log: SearchLog) -> None:
    log.declare({"sampling": "t=1"}, policies=[CARD])
    log.append("problems", rows("a"), unit="u")
    metadata = pl.read_parquet_metadata(part(log, "problems", "u"))
    assert json.loads(metadata["planner.fingerprints"]) == {"policy/m": "fp", "setting/sampling": "t=1"}
    other = SearchLog.create(log.path.parent / "other")
    other.declare({"sampling": "t=1"}, policies=[ModelCard("m", 10, "changed", 64)])
    other.append("problems", rows("b"), unit="v")
    os.link(part(other, "problems", "v"), part(log, "problems", "v"))
    with pytest.raises(FingerprintError, match="policy/m must be that of the log, 'fp', got 'changed' in"):
        log.read("problems")


def test_declaring_binds_names(log: SearchLog) -> None:
    log.declare({"sampling": "t=1"}, policies=[CARD])
    log.declare({"sampling": "t=1"}, policies=[CARD], prms=[ModelCard("r", 1, "x", 9)])
    with pytest.raises(
        FingerprintError, match=r"policy 'm' must have the same fingerprint .*, got 'fp' and 'new'"
    ):
        log.declare(policies=[ModelCard("m", 10, "new", 64)])
    with pytest.raises(FingerprintError, match="policy 'm' must have the same card"):
        log.declare(policies=[ModelCard("m", 11, "fp", 64)])
    with pytest.raises(
        FingerprintError, match="sampling must be the same in a log and what is added to it, got 't=1'"
    ):
        log.declare({"sampling": "t=2"})
    again = SearchLog.open(log.path).manifest
    assert again == log.manifest
    assert again.policy("m") == CARD
    with pytest.raises(LogError, match="PRMs of this log are r, got 'q'"):
        again.prm("q")


def test_leftovers_of_a_killed_writer_are_passed_over_and_removed(log: SearchLog) -> None:
    log.append("problems", rows("a"), unit="u")
    leftover = part(log, "problems", "v").with_suffix(".parquet.123.partial")
    leftover.write_bytes(b"half")
    (log.path / "manifest.json.9.partial").write_bytes(b"{")
    assert log.read("problems").height == 1
    assert log.units("problems") == {"u"}
    with log.writing():
        assert not leftover.exists()
    assert sorted(path.name for path in log.path.iterdir()) == ["manifest.json", "table=problems"]


def test_a_failed_write_leaves_nothing(log: SearchLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append("problems", rows("a"), unit="u")

    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(OSError, match="disk full"):
        log.append("problems", rows("b"), unit="v")
    assert [path.name for path in (log.path / "table=problems").iterdir()] == ["part-u.parquet"]


def test_one_process_writes_at_a_time(log: SearchLog) -> None:
    code = f"from search.log.store import SearchLog\nwith SearchLog.open({str(log.path)!r}).writing(): pass"
    root = str(Path(__file__).parents[3])

    def other() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
        )

    with log.writing():
        result = other()
        assert "LogError: one process writes a search log at a time" in result.stderr
    assert other().returncode == 0


def test_equal_openers(tmp_path: Path) -> None:
    opener: Callable[[Path], SearchLog] = SearchLog.at
    log = opener(tmp_path / "new" / "log")
    log.append("problems", rows("a"), unit="u")
    assert opener(tmp_path / "new" / "log").rows("problems") == 1
