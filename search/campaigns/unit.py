"""Units of work of a campaign, and which of them a log already holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem

__all__ = ["Finished", "Unit", "groups_of"]

#: what tells rows of one log apart, sampling aside: a log has one
_KEYS = {
    "samples": ("problem_id", "policy", "draw"),
    "scores": ("problem_id", "policy", "prm", "draw"),
    "runs": ("problem_id", "policy", "prm", "plan", "run"),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work. ``first`` is a block's first draw (-1: greedy) or a run's number. ``source``: the
    plan whose logged runs hold the candidates, so that nothing has to be run."""

    table: str
    name: str
    problems: tuple[Problem, ...]
    policy: str
    prm: str
    plan: Plan
    first: int
    source: Plan | None = None

    @property
    def stage(self) -> str:
        """What is done, for people."""
        what = {
            "samples": "greedy answers"
            if self.first < 0
            else f"samples {self.first}-{self.first + self.plan.n - 1}",
            "scores": f"scores by {self.prm} of samples {self.first}-{self.first + self.plan.n - 1}",
            "runs": f"{self.plan}{f' under {self.prm}' if self.prm else ''}, run {self.first}"
            + ("" if self.source is None else f", from that of {self.source}"),
        }
        return f"{self.policy}: {what[self.table]}"


class Finished:
    """Which units a log holds: by name, or (in a merged log) row by row under other names."""

    def __init__(self, log: SearchLog, units: Sequence[Unit]) -> None:
        ours = {unit.name for unit in units}
        self._present: dict[str, set[tuple[object, ...]]] = {}
        self._names: dict[str, frozenset[str]] = {}
        for table, columns in _KEYS.items():
            self._names[table] = log.units(table)
            others = sorted(self._names[table] - ours)
            self._present[table] = set(log.read(table, columns, units=others).iter_rows())

    def holds(self, unit: Unit) -> bool:
        """Whether there is nothing left to do for a unit."""
        return unit.name in self._names[unit.table] or _keys_of(unit) <= self._present[unit.table]

    def without_present(self, unit: Unit, frame: pl.DataFrame) -> pl.DataFrame:
        """A unit's rows without those that the log holds under another unit's name."""
        present = self._present[unit.table] & _keys_of(unit)
        if not present:
            return frame
        rows = frame.select(_KEYS[unit.table]).iter_rows()
        return frame.filter(pl.Series([row not in present for row in rows]))


def groups_of(problems: Sequence[Problem], size: int) -> list[tuple[Problem, ...]]:
    """Groups of ``size`` problems, the last one of what is left, in the order of their ids: which problems
    share a batch does not depend on their order in a file.

    >>> some = [Problem(name, "f", "text", "?", "1") for name in ("b", "c", "a")]
    >>> [[problem.problem_id for problem in group] for group in groups_of(some, 2)]
    [['a', 'b'], ['c']]
    """
    ordered = sorted(problems, key=lambda problem: problem.problem_id)
    return [tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)]


def _keys_of(unit: Unit) -> set[tuple[object, ...]]:
    numbers = range(unit.first, unit.first + (1 if unit.table == "runs" else unit.plan.n))
    middle: tuple[object, ...] = (unit.policy,)
    if unit.table != "samples":
        middle += (unit.prm,)
    if unit.table == "runs":
        middle += (str(unit.plan),)
    return {(problem.problem_id, *middle, number) for problem in unit.problems for number in numbers}
