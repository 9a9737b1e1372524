"""Feedback that came another way than through the server: a file of JSON lines, by a grader say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from planner.traffic.sources import ANYONE, Word
from search.errors import RecordError

__all__ = ["read_feedback"]


def read_feedback(path: Path) -> Mapping[str, Sequence[Word]]:
    """Decision -> what was said of it.

    Each line is an object with ``decision_id``, ``correct`` (true or false) or ``score`` in [0, 1], and
    optionally ``source``, a name that ``--source`` tells more about, and ``created``, seconds since the
    epoch. Raises RecordError for a line that is none.
    """
    found: dict[str, list[Word]] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                name, word = _word(line, f"{path.name}, line {number}")
                found.setdefault(name, []).append(word)
    return found


def _word(line: str, where: str) -> tuple[str, Word]:
    try:
        said = json.loads(line)
        name, correct, score = said["decision_id"], said.get("correct"), said.get("score")
        if not isinstance(name, str) or (correct is None) == (score is None):
            raise ValueError
        if correct is not None and not isinstance(correct, bool):
            raise ValueError
        value = float(correct) if correct is not None else float(score)
        if not 0.0 <= value <= 1.0:
            raise ValueError
        return name, Word(str(said.get("source") or ANYONE), value, float(said.get("created", 0.0)))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise RecordError(
            "feedback has a decision_id and either correct (true or false) or a score in [0, 1], "
            f"got {line.strip()[:80]!r} ({where})"
        ) from None
