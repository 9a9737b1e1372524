"""Merge search logs: rows of all, refused by name where they contradict each other.

Rows that several logs hold equally are kept once, as the first of them has them (a log from before an
optional column has nulls there, which contradict nothing); rows with one key and two contents are refused,
and then nothing is written. ``outcomes`` is derived: it is built anew, for the choices that the logs held
(a pool may have grown).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from search.errors import LogError
from search.log.comparison import first_conflict
from search.log.manifest import MANIFEST_NAME, Manifest
from search.log.outcomes import build_outcomes
from search.log.store import SearchLog
from search.log.tables import TABLES, Table
from search.plan import Plan
from search.storage.place import is_remote, storage_of
from search.storage.protocol import Storage

__all__ = ["merge_logs"]

#: derived from the others
_DERIVED = "outcomes"


def merge_logs(sources: Sequence[SearchLog], target: str | Path) -> SearchLog:
    """A new log at ``target`` with the rows of all ``sources``.

    Raises FingerprintError (settings or models disagree, by name), LogError (one key, two
    contents; or ``target`` is not new). The target appears whole or not at all: on an object store by its
    manifest, which is put last.
    """
    if not sources:
        raise LogError("a merge needs at least one log, got none")
    if is_remote(target):
        storage = storage_of(target)
        if not storage.is_new():
            raise LogError(f"a merge needs a target that is new or empty, got {storage.where!r}")
        with TemporaryDirectory() as folder:
            return _put(merge_logs(sources, Path(folder) / "merged"), storage)
    target = Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LogError(f"a merge needs a target that is new or empty, got {str(target)!r}")
    manifest = Manifest()
    for source in sources:
        manifest = manifest.joined(source.manifest, "merged logs")
    unfinished = target.with_name(f"{target.name}.merging")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        merged = SearchLog.create(unfinished, manifest)
        for table in TABLES.values():
            if table.name != _DERIVED:
                _merge_table(table, sources, merged)
        _merge_outcomes(sources, merged)
        if target.exists():
            target.rmdir()
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return SearchLog.open(target)


def _put(merged: SearchLog, storage: Storage) -> SearchLog:
    for table in TABLES:
        for unit in sorted(merged.units(table)):
            file = merged.part(table, unit)
            storage.create(str(file.relative_to(merged.path)), partial(_copy, file))
    storage.create(MANIFEST_NAME, partial(_copy, merged.path / MANIFEST_NAME))
    return SearchLog.open(storage)


def _copy(file: Path, into: Path | BytesIO) -> None:
    if isinstance(into, Path):
        shutil.copyfile(file, into)
    else:
        into.write(file.read_bytes())


def _merge_table(table: Table, sources: Sequence[SearchLog], merged: SearchLog) -> None:
    key = list(table.key)
    for source in sources:
        present = merged.read(table.name, key)
        incoming = source.read(table.name, key)
        shared = incoming.join(present, on=key, how="semi") if present.height else incoming.clear()
        if shared.height:
            mine = merged.scan(table.name).join(shared.lazy(), on=key, how="semi").sort(key).collect()
            theirs = source.scan(table.name).join(shared.lazy(), on=key, how="semi").sort(key).collect()
            conflict = first_conflict(table, mine, theirs, null_agrees=True)
            if conflict is not None:
                raise LogError(
                    f"rows of {table.name} with one key must be equal in merged logs, "
                    f"got another {conflict} in {source.where!r}"
                )
        for unit in sorted(source.units(table.name)):
            rows = source.read_unit(table.name, unit)
            if shared.height:
                rows = rows.join(shared, on=key, how="anti")
            backend = source.backend(table.name, unit)
            if rows.height and not merged.append(table.name, rows, unit=unit, backend=backend):
                _append_beside(table, merged, rows, unit, backend)


def _merge_outcomes(sources: Sequence[SearchLog], merged: SearchLog) -> None:
    choice = ["policy", "prm", "plan"]
    held = pl.concat([source.read(_DERIVED, choice) for source in sources]).unique()
    if held.height:
        plans = [Plan.parse(text) for text in held["plan"].unique().sort()]
        merged.replace(_DERIVED, build_outcomes(merged, plans).join(held, on=choice, how="semi"))


def _append_beside(table: Table, merged: SearchLog, rows: pl.DataFrame, unit: str, backend: str) -> None:
    """A unit's name is taken by other rows (a part was merged before): take the next free name."""
    taken = merged.units(table.name)
    number = 2
    while f"{unit}.{number}" in taken:
        number += 1
    merged.append(table.name, rows, unit=f"{unit}.{number}", backend=backend)
