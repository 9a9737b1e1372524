"""Small records, made here: nothing by others is part of the project."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from search.importing.registry import importer
from search.importing.report import Report
from search.importing.write import import_records
from search.log.store import SearchLog

Import = Callable[..., tuple[SearchLog, Report]]
WriteLines = Callable[..., Path]


@pytest.fixture
def write_lines(tmp_path: Path) -> WriteLines:
    """Write records as JSON lines (or one array, ``array=True``), gzipped where the name says so."""

    def write(name: str, records: Sequence[Any], *, array: bool = False) -> Path:
        text = json.dumps(records) if array else "".join(json.dumps(record) + "\n" for record in records)
        raw = text.encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return write


@pytest.fixture
def run_import(tmp_path: Path) -> Import:
    """Import files into a new log; the log and the report."""

    def run(form: str, *files: Path, options: Mapping[str, object] | None = None, **how: Any) -> Any:
        output = tmp_path / f"log-{len(list(tmp_path.glob('log-*')))}"
        report = import_records(importer(form, options), list(files), output, **how)
        log = SearchLog.open(output)
        log.check()
        return log, report

    return run


@pytest.fixture
def data() -> Path:
    """The folder of records by others; skips where ``PLANNER_DATA`` does not name one."""
    if "PLANNER_DATA" not in os.environ:
        pytest.skip("PLANNER_DATA names no folder of records by others")
    return Path(os.environ["PLANNER_DATA"])
