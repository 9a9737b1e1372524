"""What a user calls a log, and where it lies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from search.errors import LogError
from search.log.store import SearchLog
from search.storage.place import folder_of, is_remote, storage_of, url_of

WITHOUT = """
import sys
sys.modules["obstore"] = None
from search.errors import MissingExtraError
from search.log.store import SearchLog
SearchLog.at(sys.argv[1])
try:
    SearchLog.open("s3://bucket/log")
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "place", ["s3://bucket/a/log", Path("s3://bucket/a/log"), "S3://bucket/a/log/", "s3:/bucket/a/log"]
)
def test_an_address_is_read_however_it_is_spelled(place: str | Path) -> None:
    assert url_of(place) == "s3://bucket/a/log"
    assert is_remote(place)


@pytest.mark.parametrize("place", ["log", "/a/log", "a:b", Path("logs/s3"), "c3:x/y"])
def test_anything_else_is_a_folder(place: str | Path) -> None:
    assert url_of(place) is None
    assert storage_of(place).folder == folder_of(place) == Path(place)


@pytest.mark.parametrize(
    ("place", "said"), [("ftp://host/log", "got ftp://host/log"), ("s3://", "names a bucket, got s3://")]
)
def test_other_addresses_are_refused_in_one_line(place: str, said: str) -> None:
    with pytest.raises(LogError, match=said) as caught:
        SearchLog.at(place)
    assert "\n" not in str(caught.value)


def test_what_needs_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="written into a folder"):
        folder_of("s3://bucket/log")


def test_one_machine_needs_no_obstore(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path / "log")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert "pip install 'test-time-planner[s3]'" in done.stdout
