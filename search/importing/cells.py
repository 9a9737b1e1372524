"""Cells of a table: verdicts, scores, counts, rewards, and several samples in one cell.

>>> several("['4', '5']"), several([0.5, 1]), several("4")
(['4', '5'], [0.5, 1], None)
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from typing import Any

from search.errors import RecordError
from search.importing.rewards import shares
from search.plain_json import json_value, text_of

__all__ = ["Skip", "amount", "count", "credit", "listed", "rewards", "same_length", "several"]

_VERDICTS: Mapping[str, float] = {
    **dict.fromkeys(("true", "yes", "y", "t", "correct", "right", "pass", "passed"), 1.0),
    **dict.fromkeys(("false", "no", "n", "f", "incorrect", "wrong", "fail", "failed"), 0.0),
}
_BRACKETS = ("[", "(", "{")


class Skip(Exception):
    """A row or a sample that is left out; the message is the rule."""


def several(cell: Any) -> list[Any] | None:
    """The samples of a cell that holds a list, or text that is one in JSON or Python; None for one value."""
    if isinstance(cell, list | tuple):
        return list(cell)
    if not isinstance(cell, str) or not (cell.strip().startswith("[") and cell.strip().endswith("]")):
        return None
    for read in (json_value, ast.literal_eval):
        try:
            found = read(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return list(found) if isinstance(found, list) else None
    return None


def listed(cell: Any, reference: str) -> list[Any] | None:
    """``several`` of a column of answers, where a text in brackets may be one answer that is a list.

    A text is several samples where its parts are texts, or where the reference answer has no brackets.

    >>> listed("[1, 2]", "[1, 2]"), listed("[4, 5, 4]", "4")
    (None, [4, 5, 4])
    """
    found = several(cell)
    if found is None or not isinstance(cell, str):
        return found
    if not found or any(isinstance(one, list | dict) for one in found):
        return None
    texts = all(isinstance(one, str) or one is None for one in found)
    return found if texts or not reference.lstrip().startswith(_BRACKETS) else None


def credit(cell: Any) -> float | None:
    """A verdict or a score in [0, 1]; None where the cell is empty. Raises Skip.

    >>> credit("yes"), credit(0), credit("0.25"), credit("")
    (1.0, 0.0, 0.25, None)
    """
    said = text_of(cell).casefold()
    if not said:
        return None
    if said in _VERDICTS:
        return _VERDICTS[said]
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise Skip(f"a verdict is yes or no, or a score from 0 to 1, got {said[:40]!r}")
    return value


def count(cell: Any, role: str) -> int | None:
    """A whole number from 0; None where the cell is empty. Raises Skip."""
    given = text_of(cell)
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not (value >= 0 and value == math.floor(value) and value < 2**31):
        raise Skip(f"{role} is a whole number from 0")
    return int(value)


def rewards(cell: Any, logits: bool) -> tuple[float, ...]:
    """Step rewards of one sample; none where the cell is empty. Raises Skip."""
    if cell is None or cell == "":
        return ()
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (json.JSONDecodeError, RecursionError):
            raise Skip("a reward is a number") from None
    found = shares(cell, logits)
    if isinstance(found, str):
        raise Skip(found)
    return found


def amount(cell: Any, role: str) -> float | None:
    """A number from 0, such as a cost; None where the cell is empty. Raises Skip."""
    given = text_of(cell)
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise Skip(f"{role} is a number from 0")
    return value


def same_length(found: Mapping[str, list[Any]], where: str) -> int:
    """How many samples the lists of a row hold. Raises RecordError where they differ."""
    sizes = {role: len(values) for role, values in found.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{size} of {role}" for role, size in sizes.items())
        raise RecordError(f"{where}: the lists of a row hold one entry per sample, got {told}")
    return next(iter(sizes.values()))
