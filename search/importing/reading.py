"""Reads files by others one record at a time: JSON lines, one JSON array, CSV, Parquet; ``.gz`` or plain.

Nothing of a file is kept but the record at hand, so memory does not grow with it. Every failure is a
RecordError of one line that names the file and the place.

JSON is read by ``search.plain_json``. A column that comes twice is an error: one of its values would be lost.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from search.errors import RecordError
from search.plain_json import DECODER, Twice, json_value, mended

__all__ = ["LONGEST_RECORD", "array_records", "field_of", "line_records", "rows", "whole_object"]

#: characters of one record; beyond it a file is no list of records
LONGEST_RECORD = 64_000_000

CHUNK = 1 << 16
#: rows of a Parquet file that are read at once
_SLICE = 4096


def line_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, record) for every line of a JSON lines file that is not blank."""
    found = False
    with closing(_opened(path)) as file:
        for number, line in enumerate(_lines(file, path), 1):
            if not line.strip():
                continue
            found = True
            where = f"{path.name} line {number}"
            yield where, _object(_decoded(line, where), where)
    _not_empty(found, path)


def array_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, record) for every object of one JSON array, read piece by piece."""
    with closing(_opened(path)) as file:
        source = _Source(file, path)
        if not source.more():
            _not_empty(False, path)
        if source.next_mark() != "[":
            raise RecordError(f"{path.name}: the records are one JSON array, got {_short(source.rest())}")
        if source.next_mark(take=False) == "]":
            _not_empty(False, path)
        number, mark = 0, ","
        while mark == ",":
            where = f"{path.name} record {number}"
            yield where, _object(source.value(where), where)
            number, mark = number + 1, source.next_mark()
        if mark != "]":
            raise RecordError(
                f"{path.name}: records are parted by commas up to ']', got {mark!r} after {where}"
            )


def whole_object(path: Path) -> dict[str, Any]:
    """The one JSON object that a file is. Raises RecordError."""
    with closing(_opened(path)) as file:
        text = _piece(file, LONGEST_RECORD + 1, path)
    if len(text) > LONGEST_RECORD:
        raise RecordError(f"an object has at most {LONGEST_RECORD:,} characters, got more in {path.name}")
    return _object(_decoded(text, path.name), path.name)


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, row) of a table, by the file's name: ``.csv``, ``.parquet``, ``.jsonl``, or ``.json`` with
    lines or one array."""
    kinds: Mapping[str, Callable[[Path], Iterator[tuple[str, dict[str, Any]]]]] = {
        ".csv": _csv_rows,
        ".parquet": _parquet_rows,
        ".jsonl": _json_rows,
        ".json": _json_rows,
    }
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind not in kinds or (kind == ".parquet" and path.suffix == ".gz"):
        raise RecordError(f"a table is .csv, .jsonl, .json (each also .gz) or .parquet, got {path.name!r}")
    return kinds[kind](path)


def field_of(record: Mapping[str, Any], name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """A column of a record. Raises RecordError when it is missing or of another type."""
    if name not in record:
        raise RecordError(
            f"{where}: column {name!r} is missing, got {', '.join(map(repr, sorted(record))) or 'none'}"
        )
    value = record[name]
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(_NAMES[one] for one in kinds)
        raise RecordError(f"{where}: {name} is {wanted}, got {_short(value)}")
    return value


_NAMES: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
    bool: "true or false",
}


class _Source:
    """The characters of a file, read as they are needed."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at = "", 0
        self._decoder = DECODER

    def more(self) -> bool:
        """Read further; twice as much each time, so that a long record is not scanned over and over."""
        piece = _piece(self._file, max(CHUNK, len(self._text) - self._at), self._path)
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)

    def next_mark(self, *, take: bool = True) -> str:
        """The next character that is no space; '' at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self._at += 1
            if self._at < len(self._text):
                mark = self._text[self._at]
                self._at += take
                return mark
            if not self.more():
                return ""

    def value(self, where: str) -> Any:
        """The JSON value that begins here."""
        self.next_mark(take=False)
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._text, self._at)
            except RecursionError:
                raise RecordError(f"{where}: a record is JSON of bounded depth, got a deeper one") from None
            except Twice as error:
                raise RecordError(f"{where}: {error}") from None
            except json.JSONDecodeError:
                # cut off by the end of what has been read, or broken: more text tells
                if len(self._text) - self._at > LONGEST_RECORD or not self.more():
                    raise RecordError(f"{where}: a record is JSON, got {_short(self.rest())}") from None
            else:
                return mended(value)

    def rest(self) -> str:
        """What has been read and not been used, for messages."""
        return self._text[max(self._at - 1, 0) : self._at + 100]


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Lines, or one array: the first mark tells."""
    with closing(_opened(path)) as file:
        array = _Source(file, path).next_mark() == "["
    if not array:
        return line_records(path)
    # a line may be a broken record that begins with a bracket: only an array of objects is one
    return array_records(path)


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    found = False
    with closing(_opened(path)) as file:
        lines = csv.DictReader(_lines(file, path), strict=True)
        try:
            names = list(lines.fieldnames or ())
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise RecordError(f"{path.name}: a column is named once, got {twice[0]!r} twice")
            for number, row in enumerate(lines, 1):
                where = f"{path.name} row {number}"
                if None in row or None in row.values():
                    count = len(lines.fieldnames or ())
                    raise RecordError(f"{where}: every row has the {count} columns of the first line")
                found = True
                yield where, dict(row)
        except csv.Error as error:
            raise RecordError(f"{path.name}: a .csv table must be CSV, got {error}") from None
    _not_empty(found, path)


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        table = pl.scan_parquet(path, glob=False)
        count = int(table.select(pl.len()).collect().item())
        for start in range(0, count, _SLICE):
            for place, row in enumerate(table.slice(start, _SLICE).collect().iter_rows(named=True)):
                yield f"{path.name} row {start + place + 1}", row
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(f"a .parquet table must be whole, got {str(path)!r}: {reason}") from None
    _not_empty(count > 0, path)


def _opened(path: Path) -> TextIO:
    try:
        if path.suffix == ".gz":
            return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", newline="")
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise RecordError(f"records must be a readable file, got {str(path)!r}: {error.strerror}") from error


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    while True:
        line = _guarded(file.readline, path, LONGEST_RECORD + 1)
        if len(line) > LONGEST_RECORD:
            raise RecordError(f"a record has at most {LONGEST_RECORD:,} characters, got more in {path.name}")
        if not line:
            return
        yield line


def _piece(file: TextIO, size: int, path: Path) -> str:
    return _guarded(file.read, path, size)


def _guarded(read: Callable[[int], str], path: Path, size: int) -> str:
    try:
        return read(size)
    except UnicodeDecodeError as error:
        raise RecordError(
            f"records must be UTF-8 text, got byte {error.object[error.start]:#04x} in {str(path)!r}"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordError(f"a .gz file must be whole gzip, got {str(path)!r}: {error}") from None
    except OSError as error:
        raise RecordError(f"records must be a readable file, got {str(path)!r}: {error.strerror}") from error


def _decoded(line: str, where: str) -> Any:
    try:
        return json_value(line)
    except Twice as error:
        raise RecordError(f"{where}: {error}") from None
    except (json.JSONDecodeError, RecursionError):
        raise RecordError(f"{where}: a record is one JSON object a line, got {_short(line)}") from None


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecordError(f"{where}: a record is a JSON object, got {_short(value)}")
    return value


def _not_empty(found: bool, path: Path) -> None:
    if not found:
        raise RecordError(f"an import needs at least one record, got an empty file {str(path)!r}")


def _short(value: object, characters: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= characters else f"{text[:characters]}..."
