"""The search log on disk: a folder of immutable Parquet parts and one manifest.

    LOG/manifest.json                       version, settings, cards (search.log.manifest)
    LOG/table=samples/part-<unit>.parquet   the rows of one unit of work, zstd, never changed again
    LOG/table=outcomes/part-derived.parquet derived tables are one part, replaced whole

A part appears by a rename after a sync, so a reader sees whole parts only and a kill at any moment
costs the unit in work. Files that a killed writer left behind are passed over by readers and removed
by the next writer. The log knows rows and units; what a unit is, is the campaign's business.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from search.atomic import remove_leftovers, written_atomically
from search.cards import ModelCard
from search.errors import LogError, SchemaError
from search.log.manifest import MANIFEST_NAME, Manifest
from search.log.tables import TABLES, Table

__all__ = ["SearchLog"]

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_DERIVED = "derived"


class SearchLog:
    """One search log. Open it with ``open``, ``create`` or ``at`` (open or create).

    Reading needs no lock. Writers take ``writing()``, which admits one process at a time.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._checked: dict[Path, tuple[int, int]] = {}

    def __str__(self) -> str:
        tables = ("problems", "samples", "scores", "runs", "outcomes")
        counts = ", ".join(f"{self.rows(table):,} {table}" for table in tables)
        return f"search log {str(self.path)!r}: {counts}"

    # ---- opening

    @classmethod
    def open(cls, path: str | Path) -> SearchLog:
        """A log that exists. Raises LogError (not a log), SchemaError (another version)."""
        path = Path(path)
        return cls(path, Manifest.read(path))

    @classmethod
    def create(cls, path: str | Path, manifest: Manifest | None = None) -> SearchLog:
        """A new log. Raises LogError when the folder already holds anything."""
        path = Path(path)
        if path.exists() and (not path.is_dir() or _foreign(path)):
            raise LogError(f"a new search log needs a folder that is new or empty, got {str(path)!r}")
        path.mkdir(parents=True, exist_ok=True)
        log = cls(path, manifest or Manifest())
        log.manifest.write(path)
        return log

    @classmethod
    def at(cls, path: str | Path) -> SearchLog:
        """The log at ``path``, created when there is nothing yet."""
        path = Path(path)
        if not path.exists() or (
            path.is_dir() and not (path / MANIFEST_NAME).exists() and not _foreign(path)
        ):
            return cls.create(path)
        return cls.open(path)

    # ---- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The right to write, for one process at a time; ends with the process, however it ends.

        Removes what a killed writer left and reads the manifest anew. Raises LogError when
        another process is writing.
        """
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise LogError(
                    f"one process writes a search log at a time, got a second for {str(self.path)!r}"
                ) from error
            remove_leftovers(self.path)
            self.manifest = Manifest.read(self.path)
            yield
        finally:
            os.close(descriptor)

    def declare(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        policies: Sequence[ModelCard] = (),
        prms: Sequence[ModelCard] = (),
    ) -> None:
        """Bind settings and models to this log before rows of them are written.

        What is known already must agree: FingerprintError says by name what does not.
        """
        added = Manifest(
            settings or {}, {card.name: card for card in policies}, {card.name: card for card in prms}
        )
        joined = self.manifest.joined(added)
        if joined != self.manifest:
            joined.write(self.path)
            self.manifest = joined

    def append(self, table: str, frame: pl.DataFrame, *, unit: str, backend: str = "") -> bool:
        """Add the rows of one unit of work. A unit that is present stays as it is.

        Returns whether the rows were added. ``backend`` says what computed them. ``frame`` has exactly
        the table's columns and types (SchemaError otherwise; optional ones may be left out) and no key twice
        (LogError); rows are stored in key order.
        """
        if not _UNIT.fullmatch(unit) or unit == _DERIVED:
            raise LogError(
                f"a unit's name has letters, digits, '_', '.', '-' and is not {_DERIVED!r}, got {unit!r}"
            )
        path = self.part(table, unit)
        if path.exists():
            return False
        self._write(table, frame, path, unit, backend)
        return True

    def replace(self, table: str, frame: pl.DataFrame) -> None:
        """Put ``frame`` in place of everything a derived table held."""
        self._write(table, frame, self.part(table, _DERIVED), _DERIVED)

    def _write(self, table: str, frame: pl.DataFrame, path: Path, unit: str, backend: str = "") -> None:
        known = _table(table)
        rows = _conforming(known, frame, f"the rows of unit {unit!r}").sort(known.key)
        if rows.select(known.key).is_duplicated().any():
            twice = rows.filter(rows.select(known.key).is_duplicated()).select(known.key).row(0)
            raise LogError(
                f"a key of {table} is given once, got {dict(zip(known.key, twice, strict=True))} twice"
            )
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
        with written_atomically(path) as temporary:
            rows.write_parquet(
                temporary,
                compression="zstd",
                row_group_size=262_144,
                metadata=self.manifest.part_metadata(table, unit, backend),
            )

    # ---- reading

    def units(self, table: str) -> frozenset[str]:
        """Names of the units of work that ``table`` holds."""
        return frozenset(
            path.name.removeprefix("part-").removesuffix(".parquet") for path in self._parts(table)
        )

    def backend(self, table: str, unit: str) -> str:
        """What computed a unit of work; empty where its part does not say."""
        return pl.read_parquet_metadata(self.part(table, unit)).get("planner.backend", "")

    def has(self, table: str, unit: str) -> bool:
        """Whether ``table`` holds a unit of work."""
        return self.part(table, unit).exists()

    def scan(self, table: str, units: Iterable[str] | None = None) -> pl.LazyFrame:
        """The rows of a table (of some units), lazily: only what a query asks for is read.

        A table without parts has no rows. Raises LogError (a part that is not whole), SchemaError,
        FingerprintError before anything is read.
        """
        known = _table(table)
        parts = self._parts(table) if units is None else [self.part(table, unit) for unit in units]
        for path in parts:
            self._check(known, path)
        if not parts:
            return pl.LazyFrame(schema=dict(known.columns))
        return pl.scan_parquet(
            parts,
            schema=dict(known.columns),
            missing_columns="insert" if known.optional else "raise",
            hive_partitioning=False,
            glob=False,
        )

    def read(
        self, table: str, columns: Sequence[str] | None = None, *, units: Iterable[str] | None = None
    ) -> pl.DataFrame:
        """A table in key order, or some of its columns in the order of the parts."""
        if columns is not None:
            return self.scan(table, units).select(columns).collect()
        return self.scan(table, units).sort(_table(table).key).collect()

    def read_unit(self, table: str, unit: str) -> pl.DataFrame:
        """The rows of one unit in key order. Raises LogError when it is not there."""
        path = self.part(table, unit)
        if not path.exists():
            raise LogError(f"a unit must be in the log, got {unit!r} of {table} in {str(self.path)!r}")
        return self.scan(table, [unit]).collect()

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.scan(table).select(pl.len()).collect().item())

    def check(self) -> None:
        """Look at every part of every table. Raises what ``scan`` raises."""
        for table in TABLES:
            self.scan(table)

    def _parts(self, table: str) -> list[Path]:
        return sorted(self._folder(table).glob("part-*.parquet"))

    def _folder(self, table: str) -> Path:
        return self.path / f"table={_table(table).name}"

    def part(self, table: str, unit: str) -> Path:
        """The file of a unit of work, whether it is there or not."""
        return self._folder(table) / f"part-{unit}.parquet"

    def _check(self, table: Table, path: Path) -> None:
        status = path.stat()
        if self._checked.get(path) == (status.st_size, status.st_mtime_ns):
            return
        where = str(path.relative_to(self.path))
        try:
            metadata = pl.read_parquet_metadata(path)
            schema = pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise LogError(
                f"a part must be a whole Parquet file, got {where} in {str(self.path)!r}: {reason}"
            ) from error
        self.manifest.check_part(metadata, where)
        _check_columns(table, dict(schema), where)
        self._checked[path] = (status.st_size, status.st_mtime_ns)


def _table(name: str) -> Table:
    if name not in TABLES:
        raise SchemaError(f"tables of a search log are {', '.join(TABLES)}, got {name!r}")
    return TABLES[name]


def _check_columns(table: Table, got: Mapping[str, pl.DataType], where: str) -> None:
    for name, kind in table.columns.items():
        if name not in got and name in table.optional:
            continue
        if name not in got:
            raise SchemaError(f"column {name!r} of {table.name} is missing in {where}")
        if got[name] != kind:
            raise SchemaError(f"column {name!r} of {table.name} must be {kind}, got {got[name]} in {where}")
    for name in got:
        if name not in table.columns:
            raise SchemaError(f"{table.name} has no column {name!r}, got one in {where}")


def _conforming(table: Table, frame: pl.DataFrame, where: str) -> pl.DataFrame:
    _check_columns(table, dict(frame.schema), where)
    absent = [
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in table.columns.items()
        if name not in frame.columns
    ]
    return frame.with_columns(absent).select(list(table.columns))


def _foreign(folder: Path) -> bool:
    return any(not path.name.endswith(".partial") for path in folder.iterdir())
