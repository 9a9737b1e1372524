"""Read and grade a log again with the present graders: what changed, and a log that says so.

Texts, tokens, seeds and step rewards stay. Answers are read from the texts again, grades given again, and
tree runs vote again over their candidates. ``outcomes`` is derived, so it is built anew. Parts in which
nothing changed are kept as they are. The new log appears whole or not at all, in place of the old one or
beside it.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from search.atomic import exchange
from search.errors import GradingError, LogError
from search.grading.registry import domain
from search.log.manifest import MANIFEST_NAME
from search.log.outcomes import build_outcomes
from search.log.pool import read_problem_table
from search.log.records import table_frame
from search.log.revote import Row, revoted
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan
from search.problem import Problem
from search.storage.place import folder_of

__all__ = ["Change", "Regrading", "regrade"]

#: tables with answers in them
_GRADED = ("samples", "runs")


@dataclass(frozen=True, slots=True)
class Change:
    """What grading again changed in the rows of one table, domain and policy.

    ``newly_readable`` had no answer and have one now, ``newly_unreadable`` the other way round;
    ``other_answer`` have another one than before (written otherwise, perhaps), graded alike.
    """

    table: str
    domain: str
    policy: str
    rows: int
    newly_right: int = 0
    newly_wrong: int = 0
    newly_readable: int = 0
    newly_unreadable: int = 0
    other_answer: int = 0


@dataclass(frozen=True, slots=True)
class Regrading:
    """All changes, one per table, domain and policy; rows and units that differ now; where the log is."""

    changes: tuple[Change, ...]
    changed_rows: int
    changed_units: int
    path: Path


@dataclass(slots=True)
class _Reader:
    """Reads and grades, each text of a problem once."""

    problems: Mapping[str, Problem]
    known: dict[tuple[str, str], tuple[str | None, bool]] = field(default_factory=dict)

    def problem(self, problem_id: str) -> Problem:
        if problem_id not in self.problems:
            raise LogError(f"a row belongs to a problem of the log, got {problem_id!r}")
        return self.problems[problem_id]

    def read(self, problem_id: str, text: str) -> tuple[str | None, bool]:
        """(answer, whether it is right)."""
        key = (problem_id, text)
        if key not in self.known:
            problem = self.problem(problem_id)
            answer = domain(problem.domain).read(problem, text)
            self.known[key] = (answer, self.grade(problem_id, answer))
        return self.known[key]

    def grade(self, problem_id: str, answer: str | None) -> bool:
        problem = self.problem(problem_id)
        try:
            return domain(problem.domain).grade(problem, answer)
        except GradingError as error:
            raise GradingError(f"problem {problem_id!r}: {error}") from error


def regrade(
    log: SearchLog,
    target: str | Path | None = None,
    *,
    dry: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Regrading:
    """Grade a log again.

    Parameters
    ----------
    target:
        A new or empty folder for the graded log, whose source stays as it is; None: in its place.
    dry:
        Whether only to say what would change.
    progress:
        Called with the units graded and their number.

    Raises LogError (damaged; another writer; ``target`` is not new), GradingError (a problem whose domain
    or reference the present graders do not know).
    """
    goal = log.path if target is None else folder_of(target)
    if target is not None and goal.exists() and (not goal.is_dir() or any(goal.iterdir())):
        raise LogError(f"a graded log needs a target that is new or empty, got {str(goal)!r}")
    if dry:
        frames, changes, rows = _graded(log, progress)
        return Regrading(changes, rows, len(frames), goal)
    with log.writing():
        frames, changes, rows = _graded(log, progress)
        if frames or target is not None:
            _write(log, frames, goal)
    return Regrading(changes, rows, len(frames), goal)


def _graded(
    log: SearchLog, progress: Callable[[int, int], None]
) -> tuple[dict[tuple[str, str], pl.DataFrame], tuple[Change, ...], int]:
    """Units that changed, as they are now; the changes; how many rows differ."""
    reader = _Reader(read_problem_table(log))
    units = [(table, unit) for table in _GRADED for unit in sorted(log.units(table))]
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    frames: dict[tuple[str, str], pl.DataFrame] = {}
    changed = 0
    for done, (table, unit) in enumerate(units):
        progress(done, len(units))
        before = log.read_unit(table, unit)
        rows = list(before.iter_rows(named=True))
        again = [_sample(row, reader) if table == "samples" else _run(row, reader) for row in rows]
        for old, new in zip(rows, again, strict=True):
            key = (table, reader.problem(str(old["problem_id"])).domain, str(old["policy"]))
            _count(counts.setdefault(key, Counter()), old, new)
        differing = sum(old != new for old, new in zip(rows, again, strict=True))
        if differing:
            changed += differing
            frames[table, unit] = table_frame(table, again)
    progress(len(units), len(units))
    return frames, tuple(_change(key, counts[key]) for key in sorted(counts)), changed


def _change(key: tuple[str, str, str], counts: Counter[str]) -> Change:
    table, name, policy = key
    return Change(
        table,
        name,
        policy,
        rows=counts["rows"],
        newly_right=counts["newly_right"],
        newly_wrong=counts["newly_wrong"],
        newly_readable=counts["newly_readable"],
        newly_unreadable=counts["newly_unreadable"],
        other_answer=counts["other_answer"],
    )


def _sample(row: Row, reader: _Reader) -> Row:
    if row["text"] is None:  # imported without it: there is nothing to read again
        return row
    answer, correct = reader.read(str(row["problem_id"]), str(row["text"]))
    return {**row, "answer": answer, "correct": correct}


def _run(row: Row, reader: _Reader) -> Row:
    name, plan = str(row["problem_id"]), Plan.parse(str(row["plan"]))
    candidates: list[Row] = row["candidates"] or []
    if not candidates or any(candidate["text"] is None for candidate in candidates):
        return row
    described = plan.described
    again = [
        one
        if one["answer"] is None and not described.reads
        else {**one, "answer": reader.read(name, str(one["text"]))[0]}
        for one in candidates
    ]

    def grade(answer: str | None) -> bool:
        return reader.grade(name, answer)

    chosen = None if described.picks else (_picked(candidates, again, row),)
    return revoted({**row, "candidates": again}, plan, reader.problem(name), grade, chosen)


def _picked(candidates: Sequence[Row], again: Sequence[Row], row: Row) -> int | None:
    """The candidate that gave the run's answer, as it was logged: nobody asks a model again. The last one
    that can be read where there was none."""
    for place, one in enumerate(candidates):
        if one["answer"] == row["answer"] is not None:
            return place if again[place]["answer"] is not None else None
    return max((place for place, one in enumerate(again) if one["answer"] is not None), default=None)


def _count(counts: Counter[str], old: Row, new: Row) -> None:
    counts["rows"] += 1
    counts["newly_right"] += bool(new["correct"]) and not old["correct"]
    counts["newly_wrong"] += bool(old["correct"]) and not new["correct"]
    counts["newly_readable"] += old["answer"] is None and new["answer"] is not None
    counts["newly_unreadable"] += old["answer"] is not None and new["answer"] is None
    both = old["answer"] is not None and new["answer"] is not None
    counts["other_answer"] += both and old["answer"] != new["answer"] and old["correct"] == new["correct"]


def _write(log: SearchLog, frames: Mapping[tuple[str, str], pl.DataFrame], goal: Path) -> None:
    """The log with some units replaced, whole, at ``goal``."""
    unfinished = goal.with_name(f"{goal.name}.grading")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        shutil.copyfile(log.path / MANIFEST_NAME, unfinished / MANIFEST_NAME)
        for table in TABLES:
            for unit in log.units(table):
                if (table, unit) not in frames:
                    _keep(log, table, unit, unfinished)
        graded = SearchLog.open(unfinished)
        for (table, unit), frame in frames.items():
            graded.append(table, frame, unit=unit, backend=log.backend(table, unit))
        plans = graded.read("outcomes", ["plan"])["plan"].unique().sort().to_list()
        if plans:
            key = ["policy", "prm", "plan"]
            held = graded.read("outcomes", key).unique()
            frame = build_outcomes(graded, [Plan.parse(text) for text in plans])
            graded.replace("outcomes", frame.join(held, on=key, how="semi"))
        if goal == log.path:
            exchange(unfinished, goal)
        else:
            if goal.exists():
                goal.rmdir()
            unfinished.rename(goal)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _keep(log: SearchLog, table: str, unit: str, folder: Path) -> None:
    """A part that stays: parts never change, so both logs may have the same file."""
    source = log.part(table, unit)
    target = folder / source.relative_to(log.path)
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
