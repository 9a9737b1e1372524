"""Split a search log into two halves by family, one to learn from and one to test on.

A family is never cut: questions of one template, with other numbers, would otherwise stand in both halves
and a test would ask what was learned. The largest family is placed first, each where most problems are still
wanted (longest processing time first: Graham 1969), so the sizes are as balanced as the families allow.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from search.errors import LogError
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.storage.place import folder_of

__all__ = ["TEST", "TRAIN", "families_split", "split_log"]

#: the folders of the two halves
TRAIN, TEST = "train", "test"

#: derived from the others, and one part
_DERIVED = "outcomes"


def split_log(
    source: SearchLog, target: str | Path, *, share: float = 0.5, seed: int = 0
) -> tuple[SearchLog, SearchLog]:
    """Two new logs, ``target/train`` and ``target/test``, with the rows of ``source``.

    Each has the manifest of the source and, of every table, the rows of its own problems. Equal arguments
    give equal logs, whatever the cut of the source into parts.

    Parameters
    ----------
    share:
        Of the problems, in the first half: in (0, 1). Families are whole, so it is met about.
    seed:
        Which of the families of one size go where.

    Raises LogError where ``share`` is outside (0, 1), the log has fewer than two families, or ``target`` is
    not new. The target appears whole or not at all.
    """
    target = folder_of(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LogError(f"a split needs a target that is new or empty, got {str(target)!r}")
    problems = source.read("problems")
    chosen = families_split(problems["family"].to_list(), share=share, seed=seed)
    unfinished = target.absolute().with_name(f"{target.absolute().name}.splitting")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        for name, inside in ((TRAIN, chosen), (TEST, ~chosen)):
            _part(source, problems["problem_id"].filter(pl.Series(inside)), unfinished / name)
        if target.exists():
            target.rmdir()
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return SearchLog.open(target / TRAIN), SearchLog.open(target / TEST)


def families_split(families: Sequence[str], *, share: float = 0.5, seed: int = 0) -> NDArray[np.bool_]:
    """Whether each problem is in the first half; problems of one family are in one half, and none is empty.

    Raises LogError as ``split_log`` does.

    >>> families_split(["a", "a", "b", "b", "c", "d"], seed=0).sum()
    np.int64(3)
    """
    if not 0.0 < share < 1.0:
        raise LogError(f"the share of a split's first half is between 0 and 1, got {share:g}")
    if seed < 0:
        raise LogError(f"the seed of a split is at least 0, got {seed}")
    names, inverse, sizes = np.unique(
        np.asarray(families, dtype=np.str_), return_inverse=True, return_counts=True
    )
    if len(names) < 2:
        held = f"{len(names)} ({names[0]})" if len(names) else "none"
        raise LogError(f"a split by family needs a log of at least 2 families, got {held}")
    wanted = np.array([share, 1.0 - share]) * sizes.sum()
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    side = np.zeros(len(names), np.int64)
    for family in order:
        side[family] = wanted.argmax()
        wanted[side[family]] -= sizes[family]
    if len(set(side.tolist())) == 1:  # a small share of large families: the smallest one
        side[order[-1]] = 1 - side[order[-1]]
    return np.asarray(side[inverse] == 0)


def _part(source: SearchLog, problems: pl.Series, path: Path) -> None:
    """A log of some problems of another."""
    part = SearchLog.create(path, source.manifest)
    for table in TABLES:
        for unit in sorted(source.units(table)) if table != _DERIVED else ():
            rows = source.read_unit(table, unit).filter(pl.col("problem_id").is_in(problems.implode()))
            if rows.height:
                part.append(table, rows, unit=unit, backend=source.backend(table, unit))
    if source.units(_DERIVED):
        derived = source.scan(_DERIVED).filter(pl.col("problem_id").is_in(problems.implode()))
        part.replace(_DERIVED, derived.collect())
