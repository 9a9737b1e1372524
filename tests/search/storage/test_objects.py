"""A log on a real server of the S3 protocol: what a folder promises, and several writers at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import scripted_campaign as scripted

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.cards import ModelCard
from search.errors import FingerprintError, LogError
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.merge import merge_logs
from search.log.records import problem_rows, table_frame
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.problem import Problem
from search.storage.place import storage_of

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tests" / "search" / "scripted_campaign.py"


def rows(*ids: str) -> pl.DataFrame:
    return table_frame("problems", problem_rows([Problem(name, "f", "text", "q", "1") for name in ids]))


def campaign(module: Any, log: SearchLog) -> Campaign:
    loader = ReadyLoader([module.engine()], [module.reward()])
    return Campaign(module.problems(8), Grid.of(module.GRID), log, loader)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    log = SearchLog.at(tmp_path_factory.mktemp("unbroken") / "log")
    campaign(scripted, log).run()
    return log


def test_rows_come_back_and_a_unit_stays_as_it_is(bucket: str) -> None:
    assert not SearchLog.exists(bucket)
    log = SearchLog.create(bucket)
    assert SearchLog.exists(bucket)
    assert log.append("problems", rows("b", "a"), unit="u2", backend="here")
    assert not log.append("problems", rows("z"), unit="u2")
    assert log.append("problems", rows("c"), unit="u1")
    again = SearchLog.open(Path(bucket))
    assert again.where == bucket
    assert again.read("problems")["problem_id"].to_list() == ["a", "b", "c"]
    assert again.read_unit("problems", "u2")["problem_id"].to_list() == ["a", "b"]
    assert (again.units("problems"), again.backend("problems", "u2")) == ({"u1", "u2"}, "here")
    assert (again.rows("problems"), again.has("problems", "u3")) == (3, False)
    for table in TABLES.values():
        assert dict(again.scan(table.name).collect_schema()) == dict(table.columns)
    with pytest.raises(LogError, match="new or empty"):
        SearchLog.create(bucket)
    with pytest.raises(LogError, match="in a folder"):
        _ = again.path


def test_what_is_derived_is_replaced_and_read_whole(bucket: str) -> None:
    log = SearchLog.at(bucket)
    empty = pl.DataFrame(schema=dict(TABLES["outcomes"].columns))
    log.replace("outcomes", empty)
    waiting = log.scan("outcomes")
    log.replace("outcomes", empty)
    assert waiting.collect().height == 0
    assert log.units("outcomes") == {"derived"}


def test_of_all_who_write_one_unit_one_succeeds(bucket: str) -> None:
    SearchLog.create(bucket)
    logs = [SearchLog.open(bucket) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        added = list(
            pool.map(lambda place: logs[place].append("problems", rows(f"p{place}"), unit="u"), range(8))
        )
    assert added.count(True) == 1
    assert SearchLog.open(bucket).read("problems")["problem_id"].to_list() == [f"p{added.index(True)}"]


def test_all_who_declare_are_heard_and_contradictions_refused(bucket: str) -> None:
    SearchLog.create(bucket)
    logs = [SearchLog.open(bucket) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(
                lambda place: logs[place].declare(policies=[ModelCard(f"m{place}", 1, "fp", 64)]), range(6)
            )
        )
    assert set(SearchLog.open(bucket).manifest.policies) == {f"m{place}" for place in range(6)}
    with pytest.raises(FingerprintError):
        logs[0].declare(policies=[ModelCard("m5", 1, "other", 64)])


def test_a_footer_longer_than_its_first_guess_is_read_whole(bucket: str) -> None:
    storage = storage_of(bucket)
    frame = pl.DataFrame({f"column {number}": [number] for number in range(2000)})
    storage.create("wide.parquet", lambda into: frame.write_parquet(into, metadata={"a": "b" * 70_000}))
    footer = storage.footer("wide.parquet")
    assert isinstance(footer, BytesIO)
    assert len(pl.read_parquet_schema(footer)) == 2000
    storage.create("damaged.parquet", lambda into: into.write(b"PAR1no"))  # type: ignore[union-attr,arg-type]
    with pytest.raises(pl.exceptions.PolarsError):
        pl.read_parquet_metadata(storage.footer("damaged.parquet"))


def test_two_drivers_write_one_log_and_it_is_that_of_one(bucket: str, unbroken: SearchLog) -> None:
    module = scripted
    logs = [SearchLog.at(bucket), SearchLog.at(bucket)]
    created: list[bool] = []
    for log in logs:
        append = log.append

        def counted(*given: Any, append: Any = append, **named: Any) -> bool:
            created.append(append(*given, **named))
            return created[-1]

        log.append = counted  # type: ignore[method-assign]
    both = [threading.Thread(target=campaign(module, log).run) for log in logs]
    for one in both:
        one.start()
    seen: list[int] = []
    while any(one.is_alive() for one in both):
        seen.append(SearchLog.open(bucket).rows("samples"))  # whole parts only, at any moment
    for one in both:
        one.join()
    assert seen == sorted(seen)
    found = SearchLog.open(bucket)
    assert difference(found, unbroken) is None
    units = sum(len(found.units(table)) for table in TABLES)
    assert created.count(True) == units
    again = campaign(module, SearchLog.open(bucket)).run()
    assert (again.done, again.tokens) == (again.total, 0)


def test_kill_dash_nine_loses_and_repeats_nothing(bucket: str, unbroken: SearchLog) -> None:
    chance, storage = random.Random(3), storage_of(bucket)
    before: dict[str, object] = {}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
    killed = 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, str(SCRIPT), bucket], env=environment)
        wanted = len(before) + chance.randint(2, 6)
        while process.poll() is None and len(parts(bucket)) < wanted:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += process.returncode == -signal.SIGKILL
        now = parts(bucket)
        assert {name: now[name] for name in before} == before
        before = now
    assert killed >= 2
    subprocess.run(
        [sys.executable, str(SCRIPT), bucket], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    now = parts(bucket)
    assert {name: now[name] for name in before} == before
    assert difference(SearchLog.open(storage), unbroken) is None


def parts(bucket: str) -> dict[str, object]:
    storage = storage_of(bucket)
    return {
        name: storage.stamp(name) for table in TABLES for name in storage.names(f"table={table}", ".parquet")
    }


def test_logs_are_merged_into_a_store_and_out_of_it(bucket: str, unbroken: SearchLog, tmp_path: Path) -> None:
    there = merge_logs([unbroken], bucket)
    assert difference(there, unbroken) is None
    back = merge_logs([there], tmp_path / "back")
    assert difference(back, unbroken) is None
    assert back.manifest == unbroken.manifest
    with pytest.raises(LogError, match="new or empty"):
        merge_logs([unbroken], bucket)


def test_a_store_that_does_not_answer_is_one_line(bucket: str) -> None:
    with pytest.raises(LogError, match=r"the store must answer, got 's3://other/log'") as caught:
        SearchLog.at("s3://other/log")
    assert "\n" not in str(caught.value)
    with pytest.raises(LogError, match=r"a search log is a folder with a manifest"):
        SearchLog.open(f"{bucket}/nothing")
