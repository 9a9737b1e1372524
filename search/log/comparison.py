"""Whether two search logs hold the same rows, timings and the cut into parts aside."""

from __future__ import annotations

import polars as pl

from search.log.store import SearchLog
from search.log.tables import TABLES, Table

__all__ = ["difference", "first_conflict"]


def difference(first: SearchLog, second: SearchLog) -> str | None:
    """The first thing two logs differ in, in one line; ``None`` when they are equal."""
    if first.manifest != second.manifest:
        return f"manifests differ: {first.manifest} and {second.manifest}"
    for table in TABLES.values():
        one, two = first.read(table.name), second.read(table.name)
        if one.height != two.height:
            return f"{table.name} has {one.height} and {two.height} rows"
        if not one.select(table.key).equals(two.select(table.key)):
            return f"{table.name} has other keys"
        conflict = first_conflict(table, one, two)
        if conflict is not None:
            return f"{table.name} differs: {conflict}"
    return None


def first_conflict(
    table: Table, one: pl.DataFrame, two: pl.DataFrame, *, null_agrees: bool = False
) -> str | None:
    """Which column differs first, and at which key, between frames with equal keys in equal order.

    ``null_agrees``: whether a null in an optional column agrees with any value (an older log never had it).
    """
    for name, kind in table.columns.items():
        if name in table.timings or one[name].equals(two[name]):
            continue
        if null_agrees and name in table.optional:
            both = one[name].is_not_null() & two[name].is_not_null()
            if one[name].filter(both).equals(two[name].filter(both)):
                continue
        if kind.is_nested():
            pairs = zip(one[name].to_list(), two[name].to_list(), strict=True)
            unequal = pl.Series([left != right for left, right in pairs])
        else:
            unequal = one[name].ne_missing(two[name])
        row = unequal.arg_max()
        key = one.select(table.key).row(row or 0, named=True)
        return f"column {name!r} at {key}"
    return None
