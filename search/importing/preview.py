"""The first samples of an import, as they would be read. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from search.errors import GradingError, RecordError
from search.grading.registry import domain
from search.importing.protocol import Importer, Record
from search.importing.report import Report
from search.problem import Problem

__all__ = ["Shown", "preview"]

#: records looked at, and samples or runs shown of each
_RECORDS, _EACH = 5, 3


@dataclass(frozen=True, slots=True)
class Shown:
    """One sample or run of a record. ``correct`` is None where nothing can grade it."""

    where: str
    question: str
    reference: str | None
    policy: str
    answer: str | None
    correct: bool | None
    credit: float | None
    tokens: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for programs."""
        return asdict(self)


def preview(importer: Importer, files: Sequence[Path], records: int = _RECORDS) -> list[Shown]:
    """The first samples of the first ``records`` records.

    Raises RecordError where a file cannot be read, or no record of it can be taken.
    """
    report = Report(importer.name)
    shown = [one for record in islice(importer.records(files, report), records) for one in _of(record)]
    if not shown:
        why = next(iter(report.left_out.items()), None)
        told = "no record" if why is None else f"none: {why[0]} ({why[1].first})"
        raise RecordError(f"an import needs at least one record that can be taken, got {told}")
    return shown


def _of(record: Record) -> list[Shown]:
    problem = record.problem
    drawn = [
        (draw.policy, draw.answer, draw.correct, draw.credit, draw.tokens) for draw in record.draws[:_EACH]
    ]
    ran = [
        (f"{run.policy} {run.plan}", run.answer, run.correct, None, run.policy_tokens)
        for run in record.runs[:_EACH]
    ]
    return [
        Shown(
            record.where,
            problem.question,
            problem.answer,
            policy,
            answer,
            _graded(problem, answer) if correct is None else correct,
            credit,
            tokens,
        )
        for policy, answer, correct, credit, tokens in (*drawn, *ran)
    ]


def _graded(problem: Problem, answer: str | None) -> bool | None:
    try:
        return domain(problem.domain).grade(problem, answer)
    except GradingError:
        return None
