"""From folders to findings: opens the logs and the planner, compares, and collects what a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from planner.evaluation.evaluate import evaluate
from planner.evidence.training_data import TrainingData, read_training_data
from planner.planner import Planner
from planner.report.collect import collect
from planner.report.findings import Findings
from search.errors import LogError
from search.log.bins import bins
from search.log.store import SearchLog

if TYPE_CHECKING:
    import polars as pl

__all__ = ["make"]

#: decisions that are timed
_TIMED = 400


def make(
    log: Path,
    planner: Path,
    training: Path | None = None,
    *,
    budgets: Sequence[float] | None = None,
    seed: int = 0,
    clustered: bool = False,
    timed: int = _TIMED,
) -> Findings:
    """What a report on a planner and a log shows.

    Parameters
    ----------
    log, planner, training:
        Folders. ``training`` is the log that baselines pick on; None: they pick by cross-fitting.
    budgets, seed, clustered, timed:
        As ``planner.evaluation.evaluate.evaluate`` takes them.

    Raises LogError, ArtefactError (a folder is not what it should be, or its models are not the planner's),
    TooLittleDataError, BudgetError.
    """
    opened, decider = SearchLog.open(log), Planner.load(planner)
    learned = None if training is None else _read(SearchLog.open(training), decider)
    data = _read(opened, decider)
    found = evaluate(
        decider,
        data,
        training=learned,
        budgets=budgets,
        seed=seed,
        clustered=clustered,
        timed=timed,
    )
    cells, left_out = _bins(opened)
    collected = collect(
        decider,
        data,
        found,
        tables=opened,
        cells=cells,
        names=(_name(log), _name(planner), None if training is None else _name(training)),
        seed=seed,
    )
    return replace(collected, notes=(*collected.notes, *left_out))


def _read(log: SearchLog, planner: Planner) -> TrainingData:
    """The rows of the planner's models: a log may hold others beside them."""
    policies, prms = planner.logged(log.manifest)
    return read_training_data(log, policies, prms)


def _bins(log: SearchLog) -> tuple[pl.DataFrame | None, tuple[str, ...]]:
    """The table of bins, or why there is none: pools may be too small to set samples aside."""
    try:
        return bins(log), ()
    except LogError as error:
        return None, (f"there is no heat map: {error}",)


def _name(folder: Path) -> str:
    """The folder alone: where it lies on somebody's disk is nobody's business."""
    return folder.resolve().name
