"""Grades pairs: one JSON object a line with a reference and a solution, each by the grader of its domain.

A record has ``domain``, ``reference`` and ``solution``; programs have ``tests`` in place of ``reference``
and perhaps ``prompt``, ``entry_point`` and ``public``. ``question`` is optional. Every other field
(``tolerance``, say) is handed to the grader as ``Problem.meta``. A record that cannot be graded is told in
its own row and stops nothing.

>>> rows = grade_pairs(['{"domain": "text", "reference": "Paris", "solution": "# paris"}', "[]"])
>>> [(row.read, row.right, row.error) for row in rows]
[('paris', True, None), (None, None, 'a record must be an object, got []')]
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import GradingError, MissingExtraError, RecordError
from search.grading.registry import domain
from search.grading.verdict import Verdict
from search.problem import Problem

__all__ = ["GradedPair", "grade_pairs", "read_pairs"]

#: fields that are not handed on as ``Problem.meta``; ``equal``, ``right``, ``kind`` are labels of test sets
_OWN = frozenset({"domain", "reference", "solution", "tests", "question", "equal", "right", "kind"})
#: characters of a message about a record
_SAID = 300


@dataclass(frozen=True, slots=True)
class GradedPair:
    """What became of one record.

    Parameters
    ----------
    domain:
        As the record says; None where it says none.
    read:
        The answer in canonical notation; None where none can be read.
    right:
        None where the record could not be graded; ``error`` says why.
    verdict:
        How the grading ended; None with an error.
    """

    domain: str | None
    read: str | None = None
    right: bool | None = None
    verdict: Verdict | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values; ``error`` only where there is one."""
        row: dict[str, Any] = {"read": self.read, "right": self.right}
        if self.error is not None:
            return {**row, "error": self.error}
        return {**row, "verdict": None if self.verdict is None else str(self.verdict)}


def read_pairs(path: str | Path) -> list[str | bytes]:
    """The lines of a file that are not blank; a JSON array counts as one record per item.

    Raises RecordError for a file without any record. Lines are not decoded here: one that is no UTF-8 is
    that record's error.
    """
    content = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")
    lines: list[str | bytes] = [line.strip() for line in content.split(b"\n") if line.strip()]
    if content.lstrip().startswith(b"[") and (items := _array(content)) is not None:
        lines = [json.dumps(item) for item in items]
    if not lines:
        raise RecordError(f"a file of pairs needs at least one record, got none in {str(path)!r}")
    return lines


def grade_pairs(lines: Iterable[str | bytes], workers: int | None = None) -> list[GradedPair]:
    """Grade every record, in order. ``workers``: records at a time; one per core by default.

    Raises MissingExtraError where a grader's package is not installed, and nothing about a single record.
    """
    with ThreadPoolExecutor(workers or os.cpu_count() or 1, "grade") as pool:
        return list(pool.map(_graded, lines))


def _graded(line: str | bytes) -> GradedPair:
    name: str | None = None
    try:
        record = _record(line)
        name = _text(record, "domain")
        reader = domain(name)
        problem = _problem(record, name)
        answer = reader.read(problem, _text(record, "solution"))
        verdict = reader.judge(problem, answer)
    except MissingExtraError:
        raise
    except GradingError as error:
        return GradedPair(name, error=_short(str(error)))
    except Exception as error:  # a fault of a grader is told for its record; the others are graded
        return GradedPair(name, error=_short(f"{type(error).__name__}: {error}"))
    return GradedPair(name, answer, verdict is Verdict.RIGHT, verdict)


def _record(line: str | bytes) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        said = _short(repr(text), 80)
        raise GradingError(f"a record must be one line of JSON, got {said}: {error}") from error
    if not isinstance(record, dict):
        raise GradingError(f"a record must be an object, got {_short(repr(record), 80)}")
    return record


def _problem(record: Mapping[str, Any], name: str) -> Problem:
    question = record.get("question") or record.get("prompt")
    meta = {key: value for key, value in record.items() if key not in _OWN and value is not None}
    return Problem(
        problem_id="pair",
        family="pairs",
        domain=name,
        question=question if isinstance(question, str) and question.strip() else "?",
        answer=_reference(record),
        meta=meta,
    )


def _reference(record: Mapping[str, Any]) -> str:
    """The reference, or the tests of a program. Numbers are taken as they are written."""
    value = record.get("reference")
    if value is None:
        value = record.get("tests")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise GradingError(f"a reference must be a text, got {_short(repr(value), 80)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise GradingError(f"a reference must be a finite number, got {value}")
    return str(value)


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise GradingError(f"{key} must be a text, got {_short(repr(value), 80)}")
    return value


def _array(content: bytes) -> Sequence[Any] | None:
    """The items of a JSON array; None for what is no JSON (lines that happen to begin with a bracket)."""
    try:
        items = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return items if isinstance(items, list) and all(isinstance(item, dict) for item in items) else None


def _short(text: str, characters: int = _SAID) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[:characters]}..."
