"""The search log: immutable Parquet parts and one manifest, in a folder or on an object store.

    LOG/manifest.json                       version, settings, cards (search.log.manifest)
    LOG/table=samples/part-<unit>.parquet   the rows of one unit of work, zstd, never changed again
    LOG/table=outcomes/part-derived.parquet derived tables are one part, replaced whole

A part appears whole (``search.storage``: by a rename after a sync, or by one conditional put), so a log can
be read while it is written and a kill at any moment costs the unit in work. Files that a killed writer left
behind are passed over by readers and removed by the next writer. The log knows rows and units; what a unit
is, is the campaign's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from search.cards import ModelCard
from search.errors import LogError, SchemaError
from search.log.manifest import MANIFEST_NAME, Manifest
from search.log.tables import TABLES, Table
from search.storage.place import storage_of
from search.storage.protocol import Storage

__all__ = ["SearchLog"]

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_DERIVED = "derived"


class SearchLog:
    """One search log. Open it with ``open``, ``create`` or ``at`` (open or create).

    Reading needs no lock. Writers take ``writing()``, which admits one process at a time to a folder; on an
    object store as many as there are, and of each unit the first one stays.

    Parameters
    ----------
    place:
        A folder, an address (``s3://bucket/log``), or a storage.
    """

    def __init__(self, place: str | Path | Storage, manifest: Manifest) -> None:
        self._storage = place if isinstance(place, Storage) else storage_of(place)
        self.manifest = manifest
        self._checked: dict[str, object] = {}

    def __str__(self) -> str:
        tables = ("problems", "samples", "scores", "runs", "outcomes")
        counts = ", ".join(f"{self.rows(table):,} {table}" for table in tables)
        return f"search log {self.where!r}: {counts}"

    @property
    def where(self) -> str:
        """The folder or the address, for people and for ``open``."""
        return self._storage.where

    @property
    def path(self) -> Path:
        """The folder. Raises LogError for a log on an object store."""
        if self._storage.folder is None:
            raise LogError(f"this needs a search log in a folder, got {self.where!r}")
        return self._storage.folder

    # ---- opening

    @classmethod
    def open(cls, place: str | Path | Storage) -> SearchLog:
        """A log that exists. Raises LogError (not a log), SchemaError (another version)."""
        storage = place if isinstance(place, Storage) else storage_of(place)
        return cls(storage, Manifest.stored(storage)[0])

    @classmethod
    def create(cls, place: str | Path | Storage, manifest: Manifest | None = None) -> SearchLog:
        """A new log. Raises LogError when anything is there already."""
        storage = place if isinstance(place, Storage) else storage_of(place)
        made = manifest or Manifest()
        if not storage.is_new() or not storage.swap(MANIFEST_NAME, made.serialize(), None):
            raise LogError(f"a new search log needs a folder that is new or empty, got {storage.where!r}")
        return cls(storage, made)

    @classmethod
    def at(cls, place: str | Path | Storage) -> SearchLog:
        """The log at ``place``, created when there is nothing yet."""
        storage = place if isinstance(place, Storage) else storage_of(place)
        if storage.is_new():
            made = Manifest()
            if storage.swap(MANIFEST_NAME, made.serialize(), None):
                return cls(storage, made)
        return cls.open(storage)  # there before, or somebody else was first

    @classmethod
    def exists(cls, place: str | Path) -> bool:
        """Whether a log is there."""
        return storage_of(place).exists(MANIFEST_NAME)

    # ---- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The right to write, for one process at a time; ends with the process, however it ends.

        Removes what a killed writer left and reads the manifest anew. Raises LogError when
        another process is writing into the folder.
        """
        with self._storage.writing():
            self.manifest = Manifest.stored(self._storage)[0]
            yield

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
        while True:
            joined = self.manifest.joined(added)
            if joined == self.manifest:
                return
            known, stamp = Manifest.stored(self._storage)
            joined = known.joined(added)
            if self._storage.swap(MANIFEST_NAME, joined.serialize(), stamp):
                self.manifest = joined
                return
            self.manifest = known  # somebody else declared something meanwhile

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
        name = _name(table, unit)
        if self._storage.exists(name):
            return False
        rows = self._rows(table, frame, unit)
        return self._storage.create(name, partial(self._write, rows, table, unit, backend))

    def replace(self, table: str, frame: pl.DataFrame) -> None:
        """Put ``frame`` in place of everything a derived table held."""
        rows = self._rows(table, frame, _DERIVED)
        self._storage.replace(_name(table, _DERIVED), partial(self._write, rows, table, _DERIVED, ""))

    def _rows(self, table: str, frame: pl.DataFrame, unit: str) -> pl.DataFrame:
        known = _table(table)
        rows = _conforming(known, frame, f"the rows of unit {unit!r}").sort(known.key)
        if rows.select(known.key).is_duplicated().any():
            twice = rows.filter(rows.select(known.key).is_duplicated()).select(known.key).row(0)
            raise LogError(
                f"a key of {table} is given once, got {dict(zip(known.key, twice, strict=True))} twice"
            )
        return rows

    def _write(self, rows: pl.DataFrame, table: str, unit: str, backend: str, into: Path | BytesIO) -> None:
        rows.write_parquet(
            into,
            compression="zstd",
            row_group_size=262_144,
            metadata=self.manifest.part_metadata(table, unit, backend),
        )

    # ---- reading

    def units(self, table: str) -> frozenset[str]:
        """Names of the units of work that ``table`` holds."""
        return frozenset(
            name.rpartition("/")[2].removeprefix("part-").removesuffix(".parquet")
            for name in self._parts(table)
        )

    def backend(self, table: str, unit: str) -> str:
        """What computed a unit of work; empty where its part does not say."""
        footer = self._storage.footer(_name(table, unit))
        return pl.read_parquet_metadata(footer).get("planner.backend", "")

    def has(self, table: str, unit: str) -> bool:
        """Whether ``table`` holds a unit of work."""
        return self._storage.exists(_name(table, unit))

    def scan(self, table: str, units: Iterable[str] | None = None) -> pl.LazyFrame:
        """The rows of a table (of some units), lazily: only what a query asks for is read.

        A table without parts has no rows. Raises LogError (a part that is not whole), SchemaError,
        FingerprintError before anything is read.
        """
        known = _table(table)
        parts = self._parts(table) if units is None else [_name(table, unit) for unit in units]
        self._storage.look(parts, partial(self._check, known))
        if not parts:
            return pl.LazyFrame(schema=dict(known.columns))
        sources: Any = [self._storage.source(part) for part in parts]
        return pl.scan_parquet(
            sources,
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
        if not self.has(table, unit):
            raise LogError(f"a unit must be in the log, got {unit!r} of {table} in {self.where!r}")
        return self.scan(table, [unit]).collect()

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return int(self.scan(table).select(pl.len()).collect().item())

    def check(self) -> None:
        """Look at every part of every table. Raises what ``scan`` raises."""
        for table in TABLES:
            self.scan(table)

    def _parts(self, table: str) -> list[str]:
        folder = f"table={_table(table).name}"
        parts = self._storage.names(folder, ".parquet")
        return [name for name in parts if name.startswith(f"{folder}/part-")]

    def part(self, table: str, unit: str) -> Path:
        """The file of a unit of work, whether it is there or not. Raises LogError without a folder."""
        return self.path / _name(table, unit)

    def _check(self, table: Table, name: str) -> None:
        try:
            stamp = self._storage.stamp(name)
            if self._checked.get(name) == stamp:
                return
            metadata = pl.read_parquet_metadata(self._storage.footer(name))
            schema = pl.read_parquet_schema(self._storage.footer(name))
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise LogError(
                f"a part must be a whole Parquet file, got {name} in {self.where!r}: {reason}"
            ) from error
        self.manifest.check_part(metadata, name)
        _check_columns(table, dict(schema), name)
        self._checked[name] = stamp


def _name(table: str, unit: str) -> str:
    return f"table={_table(table).name}/part-{unit}.parquet"


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
