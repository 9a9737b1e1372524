"""Files by others, record by record: whole ones come back as they were, broken ones end in one line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.errors import RecordError
from search.importing import reading
from search.importing.reading import array_records, field_of, line_records, rows

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(), VALUES, max_size=3), min_size=1, max_size=6)


@given(records=RECORDS, chunk=st.integers(1, 40), indent=st.sampled_from([None, 1]), zipped=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_an_array_is_read_piece_by_piece(
    tmp_path: Path, records: list[dict[str, Any]], chunk: int, indent: int | None, zipped: bool
) -> None:
    raw = json.dumps(records, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    path = tmp_path / ("a.json.gz" if zipped else "a.json")
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK", chunk)
        found = list(array_records(path))
    assert [record for _, record in found] == records
    assert found[0][0] == f"{path.name} record 0"


@given(records=RECORDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_lines_are_read_one_by_one(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text("\n\n".join(json.dumps(record) for record in records))
    found = list(line_records(path))
    assert [record for _, record in found] == records
    assert [where for where, _ in found] == [f"l.jsonl line {2 * i + 1}" for i in range(len(records))]


def test_only_one_record_is_held(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text('{"a": 1}\n' + "broken\n")
    found = line_records(path)
    assert next(found)[1] == {"a": 1}
    with pytest.raises(RecordError, match=r"long\.jsonl line 2"):
        next(found)


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("a.jsonl", b"", "at least one record, got an empty file"),
        ("a.jsonl", b" \n\n", "at least one record, got an empty file"),
        ("a.jsonl", b"[1]\n", "a.jsonl line 1: a record is a JSON object, got [1]"),
        ("a.jsonl", b'{"a": \n', "a.jsonl line 1: a record is one JSON object a line, got"),
        ("a.jsonl", b"\xff\xfe\n", "records must be UTF-8 text, got byte 0xff in"),
        ("a.jsonl.gz", b"not gzip", "a .gz file must be whole gzip, got"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:-20],
            "a .gz file must be whole gzip, got",
        ),
    ],
)
def test_broken_lines(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(RecordError) as caught:
        list(line_records(tmp_path / name))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("", "at least one record, got an empty file"),
        (" [ ] ", "at least one record, got an empty file"),
        ('{"a": 1}', "the records are one JSON array, got"),
        ('[{"a": 1}', "parted by commas up to ']', got '' after a.json record 0"),
        ('[{"a": 1} {"a": 2}]', "parted by commas up to ']', got '{' after a.json record 0"),
        ('[{"a": 1},', "a.json record 1: a record is JSON, got"),
        ('[{"a": 1}, 5]', "a.json record 1: a record is a JSON object, got 5"),
        ("[" * 100_000, "a.json record 0: a record is JSON of bounded depth"),
    ],
)
def test_broken_arrays(tmp_path: Path, raw: str, said: str) -> None:
    (tmp_path / "a.json").write_text(raw)
    with pytest.raises(RecordError) as caught:
        list(array_records(tmp_path / "a.json"))
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for read in (line_records, array_records):
        with pytest.raises(RecordError, match="records must be a readable file, got"):
            list(read(tmp_path / "gone.json"))


def test_a_table_in_every_format(tmp_path: Path) -> None:
    frame = pl.DataFrame({"q": ["a, b", "c"], "n": [1, 2]})
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.jsonl")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    for name in ("t.csv", "t.csv.gz", "t.parquet", "t.jsonl"):
        found = [{key: str(value) for key, value in row.items()} for _, row in rows(tmp_path / name)]
        assert found == [{"q": "a, b", "n": "1"}, {"q": "c", "n": "2"}]


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("t.txt", b"a", "a table is .csv, .jsonl, .json (each also .gz) or .parquet, got 't.txt'"),
        ("t.parquet", b"PAR1", "a .parquet table must be whole, got"),
        ("t.csv", b"a,b\n1\n", "t.csv row 1: every row has the 2 columns of the first line"),
        ("t.csv", b"a,b\n1,2,3\n", "t.csv row 1: every row has the 2 columns of the first line"),
        ("t.csv", b"a,b\n", "at least one record, got an empty file"),
        ("t.csv", b"", "at least one record, got an empty file"),
    ],
)
def test_broken_tables(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(RecordError) as caught:
        list(rows(tmp_path / name))
    assert said in str(caught.value)


def test_a_parquet_table_without_rows_is_empty(tmp_path: Path) -> None:
    pl.DataFrame({"q": []}, schema={"q": pl.String}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(RecordError, match="empty file"):
        list(rows(tmp_path / "t.parquet"))


def test_columns_have_their_type() -> None:
    assert field_of({"a": 1}, "a", int, "here") == 1
    with pytest.raises(RecordError, match="here: column 'b' is missing, got 'a'"):
        field_of({"a": 1}, "b", int, "here")
    with pytest.raises(RecordError, match="here: a is a text or a list, got 1"):
        field_of({"a": 1}, "a", (str, list), "here")
    with pytest.raises(RecordError, match="here: a is a whole number, got True"):
        field_of({"a": True}, "a", int, "here")
