"""Drivers that share a log on a real server of the S3 protocol, and die around a put."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import polars as pl
import pytest

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.loader import ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.storage.place import storage_of

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tests" / "search" / "scripted_campaign.py"
#: as the script, but the process is killed at a put: before it is sent, or before its answer is known
DIES = """
import os, runpy, signal, sys
from search.storage.objects import ObjectStorage
create, count = ObjectStorage.create, 0
def dying(self, name, write):
    global count
    count += "table=samples" in name or "table=runs" in name
    if count == 3 and {when!r} == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    done = create(self, name, write)
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
ObjectStorage.create = dying
sys.argv = [{script!r}, {bucket!r}]
runpy.run_path({script!r}, run_name="__main__")
"""


def scripted() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scripted_campaign", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    module, log = scripted(), SearchLog.at(tmp_path_factory.mktemp("unbroken") / "log")
    loader = ReadyLoader([module.engine()], [module.reward()])
    Campaign(module.problems(8), Grid.of(module.GRID), log, loader).run()
    return log


@pytest.fixture
def versioned(bucket: str) -> str:
    """The same; the store keeps every version of what is put."""
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
    client.put_bucket_versioning(Bucket="logs", VersioningConfiguration={"Status": "Enabled"})
    client.close()
    return bucket


def versions(bucket: str) -> dict[str, int]:
    """How often each part was put, as the store counts it."""
    prefix = bucket.removeprefix("s3://logs/") + "/table="
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
    found: dict[str, int] = {}
    for page in client.get_paginator("list_object_versions").paginate(Bucket="logs", Prefix=prefix):
        for one in page.get("Versions", ()):
            found[one["Key"]] = found.get(one["Key"], 0) + 1
    client.close()
    return found


def start(words: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
    return subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL)


def parts(bucket: str) -> set[str]:
    storage = storage_of(bucket)
    return {name for table in TABLES for name in storage.names(f"table={table}", ".parquet")}


def test_two_drivers_of_which_one_is_killed_put_each_unit_once(versioned: str, unbroken: SearchLog) -> None:
    both = [start([str(SCRIPT), versioned]) for _ in range(2)]
    while len(parts(versioned)) < 8 and all(one.poll() is None for one in both):
        time.sleep(0.02)
    both[0].kill()
    seen: list[int] = []
    while both[1].poll() is None:
        log = SearchLog.open(versioned)
        seen.append(log.read("samples").height)  # whole units, at any moment
        time.sleep(0.02)
    assert [one.wait() for one in both] == [-signal.SIGKILL, 0]
    assert seen == sorted(seen)
    found = SearchLog.open(versioned)
    assert difference(found, unbroken) is None
    count = versions(versioned)
    assert set(count.values()) == {1}
    assert len(count) == sum(len(found.units(table)) for table in TABLES)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_driver_that_dies_at_a_put_leaves_whole_units(
    versioned: str, unbroken: SearchLog, when: str
) -> None:
    died = start(["-c", DIES.format(when=when, script=str(SCRIPT), bucket=versioned)])
    assert died.wait() == -signal.SIGKILL
    log = SearchLog.open(versioned)
    log.check()
    drawn = len(log.units("samples")) + len(log.units("runs"))
    assert drawn == {"before": 2, "after": 3}[when]
    assert start([str(SCRIPT), versioned]).wait() == 0
    assert difference(SearchLog.open(versioned), unbroken) is None
    assert set(versions(versioned).values()) == {1}


def test_a_unit_of_many_megabytes_is_put_once_and_whole(versioned: str) -> None:
    storages = [storage_of(versioned) for _ in range(4)]

    def put(number: int) -> bool:
        def write(into: Any) -> None:
            into.write(bytes([number]) * (24 * 2**20))

        return storages[number].create("table=samples/part-big.parquet", write)

    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(put, range(4)))
    assert created.count(True) == 1
    held = storages[0].read("table=samples/part-big.parquet")
    assert held is not None
    assert held.data == bytes([created.index(True)]) * (24 * 2**20)
    assert set(versions(versioned).values()) == {1}


def test_a_part_larger_than_a_request_is_read_where_it_lies(bucket: str) -> None:
    frame = pl.DataFrame({"number": range(2_000_000)}).sample(fraction=1.0, shuffle=True, seed=1)
    storage = storage_of(bucket)
    assert storage.create("wide.parquet", lambda into: frame.write_parquet(into))
    assert pl.read_parquet_schema(BytesIO(storage.read("wide.parquet").data)) == frame.schema  # type: ignore[union-attr]
    assert pl.scan_parquet(storage.source("wide.parquet")).collect().equals(frame)
