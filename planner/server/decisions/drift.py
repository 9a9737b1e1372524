"""How far live features and PRM rewards have drifted from what the planner was fitted on.

A planner artefact knows the range of each feature, not its distribution. So two things are measured:

- ``outside``: the share of live values beyond the range seen in fitting (a tenth of it allowed, as the
  planner's own warning has it);
- against a reference, the first decisions that this planner took here (or quantiles of the fit, once an
  artefact has them: ``Distribution.of`` takes any sample): the population stability index over the
  reference's deciles, and the Kolmogorov-Smirnov distance over their edges.

PSI = sum over bins of (live - reference) * ln(live / reference), with half an observation added to each bin
(Siddiqi, Credit Risk Scorecards, 2006: above 0.25 is a shift). Without any drift it is about
(bins - 1) * (1 / n + 1 / m) for samples of n and m; that is taken off before it is compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from planner.deciding.fitted import Fitted
from planner.evidence.probe import feature_names
from planner.server.decisions.store import Store

__all__ = ["Distribution", "DriftReport", "Shift", "measure_drift"]

Floats = NDArray[np.float64]

#: PSI, less what chance makes, from which a feature counts as drifted; and the share outside its range
SHIFTED = 0.25
STRANGE = 0.15


@dataclass(frozen=True, slots=True)
class Distribution:
    """A sample, summed up: ``edges`` (B - 1,) ascending, ``counts`` (B,) between and beyond them."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: Floats, bins: int = 10) -> Distribution:
        """Deciles of a sample (n,); equal ones are one. Beyond the largest value is a bin of its own."""
        quantiles = np.quantile(values, np.arange(bins) / bins, method="inverted_cdf")
        edges = np.unique([*quantiles, np.nextafter(values.max(), np.inf)])
        return cls(tuple(edges.tolist()), tuple(_counts(edges, values).tolist()))

    def compare(self, values: Floats) -> tuple[float, float, float]:
        """(PSI, what chance alone makes of it, Kolmogorov-Smirnov distance) of a live sample (n,)."""
        live, kept = _counts(np.array(self.edges), values), np.array(self.counts)
        size, here = int(kept.sum()), len(values)
        p = (kept + 0.5) / (size + 0.5 * len(kept))
        q = (live + 0.5) / (here + 0.5 * len(kept))
        psi = float(((q - p) * np.log(q / p)).sum())
        distance = float(np.abs(np.cumsum(live) / here - np.cumsum(kept) / size).max())
        return psi, (int((kept > 0).sum()) - 1) * (1.0 / size + 1.0 / here), distance


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How one feature (or a PRM's last rewards, ``look`` then names the PRM) has moved.

    ``outside`` is None for rewards, whose range is [0, 1]. ``psi``, ``chance`` and ``distance`` are None
    while there is nothing to compare: fewer decisions than the reference takes.
    """

    look: str
    feature: str
    live: int
    outside: float | None
    psi: float | None
    chance: float | None
    distance: float | None
    mean: float

    @property
    def drifted(self) -> bool:
        """Whether this needs a look."""
        moved = self.psi is not None and self.chance is not None and self.psi - self.chance > SHIFTED
        return moved or (self.outside is not None and self.outside > STRANGE)


@dataclass(frozen=True, slots=True)
class DriftReport:
    """All shifts of one planner, the largest first. ``reference`` decisions are compared with."""

    planner: str
    reference: int
    shifts: tuple[Shift, ...]

    @property
    def drifted(self) -> tuple[Shift, ...]:
        """Those that need a look."""
        return tuple(shift for shift in self.shifts if shift.drifted)

    def to_json(self) -> Mapping[str, Any]:
        """Plain values, for pages."""
        names = ("look", "feature", "live", "outside", "psi", "chance", "distance", "mean", "drifted")
        return {
            "planner": self.planner,
            "reference": self.reference,
            "drifted": len(self.drifted),
            "shifts": [{name: getattr(shift, name) for name in names} for shift in self.shifts],
        }


def measure_drift(
    store: Store, planner: Fitted, fingerprint: str, *, reference: int = 500, live: int = 500
) -> DriftReport:
    """Compare the newest decisions of a planner with what it was fitted on.

    Parameters
    ----------
    fingerprint:
        As decisions name the planner.
    reference:
        The first so many rows of each look are the reference. Their summary is kept in the log, so that
        retention may delete the decisions themselves.
    live:
        At most so many of the newest rows are compared; the reference's own are none of them.

    Blocks: reads the log, and writes a summary once.
    """
    if reference < 20 or live < 1:
        raise ValueError(f"a reference has at least 20 rows and 1 is compared, got {reference}, {live}")
    shifts: list[Shift] = []
    for series in _all_series(store, planner, fingerprint):
        kept = _kept(store, series, f"drift/{fingerprint}/{series.look}", reference)
        after, distributions = (None, None) if kept is None else kept
        table = series.table(series.read(live, True, after))[1]
        if len(table):
            shifts += _shifts(series, table, distributions)
    shifts.sort(key=lambda s: (not s.drifted, (s.chance or 0.0) - (s.psi or 0.0), -(s.outside or 0.0)))
    return DriftReport(fingerprint, reference, tuple(shifts))


#: limit, newest first, created after -> (created, vector) rows
_Read: TypeAlias = Callable[[int, bool, float | None], list[tuple[float, bytes]]]


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """What is watched together: the features of a look, or the last rewards of a PRM (``last`` only)."""

    look: str
    names: tuple[str, ...]
    read: _Read
    lowest: Floats | None = None
    highest: Floats | None = None
    last: bool = False

    def table(self, rows: Sequence[tuple[float, bytes]]) -> tuple[list[float], Floats]:
        """Times, and values (rows, names). Rows of another width or not finite are passed over."""
        times, values = [], []
        for created, vector in rows:
            row = np.frombuffer(vector, "<f8")[-1 if self.last else 0 :]
            if len(row) == len(self.names) and np.isfinite(row).all():
                times.append(created)
                values.append(row)
        return times, np.array(values).reshape(-1, len(self.names))


def _all_series(store: Store, planner: Fitted, fingerprint: str) -> list[_Series]:
    found = []
    for stage in planner.stages:
        names = tuple(feature_names(stage.probe, planner.encoder.dimensions, stage.thoughts))
        read = partial(store.features, fingerprint, str(stage.probe))
        found.append(
            _Series(look=str(stage.probe), names=names, read=read, lowest=stage.lowest, highest=stage.highest)
        )
    for prm in planner.prms:
        found.append(_Series(prm, ("last_reward",), partial(store.rewards, fingerprint, prm), last=True))
    return found


def _kept(
    store: Store, series: _Series, name: str, size: int
) -> tuple[float, tuple[Distribution, ...]] | None:
    """Until when the reference goes, and its distributions; None while there are too few decisions."""
    text = store.value(name)
    if text is None:
        times, table = series.table(series.read(size, False, None))
        if len(table) < size:
            return None
        summed = [Distribution.of(column) for column in table.T]
        content = {"until": times[-1], "features": [[d.edges, d.counts] for d in summed]}
        text = store.setting(name, json.dumps(content))
    read = json.loads(text)
    return read["until"], tuple(Distribution(tuple(edges), tuple(n)) for edges, n in read["features"])


def _shifts(series: _Series, table: Floats, reference: tuple[Distribution, ...] | None) -> list[Shift]:
    outside: list[float] | None = None
    if series.lowest is not None and series.highest is not None:
        slack = 0.1 * (series.highest - series.lowest) + 1e-9
        strange = (table < series.lowest - slack) | (table > series.highest + slack)
        outside = strange.mean(axis=0).tolist()
    shifts = []
    for at, name in enumerate(series.names):
        psi, chance, distance = (None, None, None)
        if reference is not None:
            psi, chance, distance = reference[at].compare(table[:, at])
        beyond = None if outside is None else outside[at]
        mean = float(table[:, at].mean())
        shifts.append(
            Shift(
                look=series.look,
                feature=name,
                live=len(table),
                outside=beyond,
                psi=psi,
                chance=chance,
                distance=distance,
                mean=mean,
            )
        )
    return shifts


def _counts(edges: Floats, values: Floats) -> NDArray[np.int64]:
    """How many values lie in each bin; a value on an edge belongs to the bin above."""
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
