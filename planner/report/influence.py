"""Which features moved decisions, by how many points, and which way: one panel per probe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.deciding.decision import Rule
from planner.deciding.replay import Replay, replay
from planner.evidence.matrix import Matrices
from planner.evidence.probe import Probe, feature_names
from planner.planner import Planner
from planner.report.findings import Effect, Panel
from planner.report.paired_comparison import effects, paired_comparison
from planner.report.words import feature

__all__ = ["influence", "probe_text"]

Floats = NDArray[np.float64]

#: effects of less than a twentieth of a point are not worth a line
_SILENT = 5e-4


def influence(
    planner: Planner, matrices: Matrices, price: float, *, decisions: int = 100, features: int = 8
) -> tuple[Panel, ...]:
    """The ``features`` that moved decisions most at a price per FLOP, per probe that was reached.

    At most ``decisions`` rows of each probe are explained, evenly spread. A probe at which no feature moved
    anything has no panel.
    """
    done = replay(planner.stages, matrices, [Rule(price=price)])
    return tuple(
        panel
        for place in range(len(planner.stages))
        if (
            panel := _panel(
                planner=planner, done=done, place=place, price=price, decisions=decisions, features=features
            )
        )
        is not None
    )


def probe_text(probe: Probe) -> str:
    """What had been seen, as a heading.

    >>> probe_text(Probe("p", 0)), probe_text(Probe("p", 4, "good"))
    ('the question', '4 samples, scored by good')
    """
    if not probe.samples:
        return "the question"
    drawn = "1 sample" if probe.samples == 1 else f"{probe.samples} samples"
    if probe.greedy:
        drawn = "greedy answer" + (f" and {probe.samples - 1} more" if probe.samples > 1 else "")
    return drawn + (f", scored by {probe.prm}" if probe.prm else "")


def _panel(
    *, planner: Planner, done: Replay, place: int, price: float, decisions: int, features: int
) -> Panel | None:
    stage, table = planner.stages[place], done.matrices[place]
    rows = np.flatnonzero(done.reached[place][:, 0])
    if not len(rows):
        return None
    rows = rows[np.linspace(0, len(rows) - 1, min(decisions, len(rows))).astype(np.int64)]
    menu = stage.menu(table.features[rows], table.characters[rows])
    moved = np.stack(
        [
            effects(
                stage,
                table.features[row],
                paired_comparison(stage, menu, at, int(done.made[place][row, 0]), price),
            )
            for at, row in enumerate(rows)
        ]
    )
    size = np.abs(moved).mean(axis=0)
    loudest = [int(f) for f in np.argsort(-size, kind="stable")[:features] if size[f] > _SILENT]
    if not loudest:
        return None
    ngrams = planner.encoder.dimensions
    names = feature_names(stage.probe, ngrams, stage.thoughts)
    found = tuple(
        Effect(
            feature=feature(names[f]),
            effects=tuple(float(x) for x in moved[:, f]),
            ranks=tuple(float(x) for x in _ranks(table.features[rows, f])),
            size=float(size[f]),
        )
        for f in loudest
    )
    return Panel(probe_text(stage.probe), len(rows), found)


def _ranks(values: Floats) -> Floats:
    """Mean ranks in [0, 1]; equal values rank equally, and a constant ranks in the middle.

    >>> _ranks(np.array([5.0, 1.0, 5.0])).tolist()
    [0.75, 0.0, 0.75]
    """
    if len(values) < 2:
        return np.full(len(values), 0.5)
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((below + upto - 1) / 2.0 / (len(values) - 1))
