"""Where records come from: files of every kind, and datasets by name."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from search.errors import MissingExtraError, ProblemError, RecordError
from search.problem_sets.source import Address, is_hub, records

ROWS = [{"q": "1+1?", "a": "2"}, {"q": "größer\nals 2, 3?", "a": "3"}]


def written(folder: Path, name: str) -> Path:
    path = folder / name
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    if name.endswith(".parquet"):
        pl.DataFrame(ROWS).write_parquet(path)
    elif ".csv" in name:
        text = pl.DataFrame(ROWS).write_csv()
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    elif name.startswith("array"):
        text = " \n" + json.dumps(ROWS)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    else:
        path.write_bytes(gzip.compress(lines.encode()) if name.endswith(".gz") else lines.encode())
    return path


@pytest.mark.parametrize(
    "name",
    ["p.jsonl", "p.jsonl.gz", "p.json", "array.json", "array.json.gz", "p.csv", "p.csv.gz", "p.parquet"],
)
def test_every_kind_of_file_gives_the_same_records(tmp_path: Path, name: str) -> None:
    found = list(records(written(tmp_path, name)))
    assert [record for _, record in found] == ROWS
    assert all(where.startswith(name) for where, _ in found)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    for name, message in (("missing.json", "must be a readable file"), ("p.xlsx", "a table is .csv")):
        with pytest.raises(RecordError, match=message):
            list(records(tmp_path / name))
    (tmp_path / "p.json.gz").write_bytes(b"plain")
    with pytest.raises(RecordError, match="must be whole gzip"):
        list(records(tmp_path / "p.json.gz"))


def test_addresses_of_datasets() -> None:
    whole = Address("hf:openai/gsm8k:main@train[:10]")
    assert (whole.name, whole.config, whole.split) == ("openai/gsm8k", "main", "train[:10]")
    short = Address("hf:json")
    assert (short.name, short.config, short.split) == ("json", None, "test")
    assert is_hub("hf:json")
    assert not is_hub(Path("hf.jsonl"))
    for wrong in ("hf:", "hf:a/b/c", "hf:a b"):
        with pytest.raises(ProblemError, match=r"a dataset is written hf:NAME\[:CONFIG\]\[@SPLIT\], got"):
            Address(wrong)


def test_a_dataset_is_loaded_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, *, split: str) -> list[dict[str, str]]:
        asked.append((name, config, split))
        return ROWS

    package = ModuleType("datasets")
    package.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", package)
    assert list(records("hf:openai/gsm8k:main")) == [
        ("openai/gsm8k row 1", ROWS[0]),
        ("openai/gsm8k row 2", ROWS[1]),
    ]
    assert asked == [("openai/gsm8k", "main", "test")]


def test_a_dataset_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, config: str | None, *, split: str) -> None:
        raise ConnectionError("no network\nand much more")

    package = ModuleType("datasets")
    package.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", package)
    with pytest.raises(ProblemError, match=r"in its cache, got 'a/b' split 'dev': no network$"):
        list(records("hf:a/b@dev"))


def test_without_the_package_the_message_prints_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'test-time-planner\[datasets\]'"):
        list(records("hf:a/b"))
