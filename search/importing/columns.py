"""Which column of a table plays which role, and the policies of a wide table.

>>> columns = Columns({"answer": "*_says"})
>>> row = {"question": "1+1?", "reference": "2", "a_says": "2", "b_says": "3"}
>>> [(policy, cells["answer"]) for policy, cells in columns.entries(row)]
[('a', '2'), ('b', '3')]
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from search.errors import RecordError
from search.plain_json import text_of

__all__ = ["Columns", "option_text"]

_ANSWERS = ("answer", "text")
_VERDICTS = ("correct", "score")
_REFERENCES = ("reference", "solution")
#: role -> another name that tables commonly give it
_USUAL = {"policy": "model"}
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")


class Columns:
    """The columns of a table by role; a name with ``*`` stands for one column per policy.

    Parameters
    ----------
    columns:
        Role -> column; a role that is left out is its own column. ``model`` is the policy's where there is no
        column ``policy``.
    models:
        What ``*`` may stand for; anything that is not the column of another role where there are none.
    """

    def __init__(self, columns: Mapping[str, str], models: Sequence[str] = ()) -> None:
        self._given = dict(columns)
        self._columns = dict(columns)
        self._models = tuple(models)
        self._wide = {role: name for role, name in columns.items() if "*" in name}
        for role, name in self._wide.items():
            if name.count("*") > 1:
                raise RecordError(f"a column of a wide table has one '*', got {role}={name}")
            if name == "*" and not models:
                raise RecordError(f"a column '*' needs models that it stands for, got none for {role}=*")

    def check(self, row: Mapping[str, Any], where: str) -> None:
        """Refuse a table that lacks a column, before any row of it is taken. Raises RecordError."""
        flat = _flat(row)
        usual = {role: name for role, name in _USUAL.items() if role not in flat and name in flat}
        self._columns = usual | self._given
        needed = {self._columns.get("question", "question")}
        named = {name for role, name in self._columns.items() if role not in self._wide}
        if not self._has(flat, _REFERENCES) and not self._has(flat, _VERDICTS):
            needed.add(self._columns.get("reference", "reference"))
        missing = sorted((needed | named) - set(flat))
        if missing:
            raise RecordError(f"{where}: column {missing[0]!r} is missing, got {_told(row)}")
        for role, name in self._wide.items():
            if not self._matches(flat, name):
                raise RecordError(f"{where}: no column is {role}={name}, got {_told(row)}")
        if not self._has(flat, (*_ANSWERS, *_VERDICTS)):
            names = " or ".join(repr(self._columns.get(role, role)) for role in _ANSWERS)
            raise RecordError(f"{where}: a table has a column {names}, got {_told(row)}")

    @property
    def policy(self) -> str:
        """The column that names the policy of a row."""
        return self._columns.get("policy", "policy")

    def unread(self, row: Mapping[str, Any], roles: Collection[str]) -> list[str]:
        """The columns of a row that play none of these roles, in order."""
        flat = _flat(row)
        used = {self._columns.get(role, role) for role in roles}
        used |= {column for name in self._wide.values() for column in self._matches(flat, name).values()}
        used |= {name.partition(".")[0] for name in used if name in flat and name not in row}
        return [name for name in row if name not in used]

    def judged_only(self, row: Mapping[str, Any]) -> bool:
        """Whether the table has verdicts and no column for a reference."""
        flat = _flat(row)
        return self._has(flat, _VERDICTS) and not self._has(flat, _REFERENCES)

    def shared(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Role -> cell, of the roles that are no policy's own."""
        flat = _flat(row)
        return {
            role: flat[name]
            for role, name in {**{name: name for name in flat}, **self._columns}.items()
            if role not in self._wide and name in flat
        }

    def entries(self, row: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """(policy, role -> cell) per policy of a row; the policy is "" where the table is not wide.

        A policy of a wide table without any cell in this row is passed over.
        """
        shared = self.shared(row)
        if not self._wide:
            yield "", shared
            return
        flat = _flat(row)
        by_policy: dict[str, dict[str, Any]] = {}
        for role, name in self._wide.items():
            for policy, column in self._matches(flat, name).items():
                if text_of(flat[column]):
                    by_policy.setdefault(policy, {})[role] = flat[column]
        for policy, cells in by_policy.items():
            yield policy, {**shared, **cells}

    def _has(self, flat: Mapping[str, Any], roles: Sequence[str]) -> bool:
        return any(
            bool(self._matches(flat, self._wide[role]))
            if role in self._wide
            else self._columns.get(role, role) in flat
            for role in roles
        )

    def _matches(self, flat: Mapping[str, Any], pattern: str) -> dict[str, str]:
        """Policy -> column of a pattern."""
        before, _, after = pattern.partition("*")
        if self._models:
            named = {model: f"{before}{model}{after}" for model in self._models}
            return {model: column for model, column in named.items() if column in flat}
        taken = {name for role, name in self._columns.items() if role not in self._wide}
        size = len(before) + len(after)
        return {
            column[len(before) : len(column) - len(after)]: column
            for column in flat
            if len(column) > size and column.startswith(before) and column.endswith(after)
            if column not in taken
        }


def option_text(said: str, options: Sequence[Any] | None) -> str:
    """The text of an option that is named by its letter; anything else as it is.

    >>> option_text("(B)", ["red", "blue"]), option_text("blue", ["red", "blue"]), option_text("B", None)
    ('blue', 'blue', 'B')
    """
    if not options:
        return said
    letter = _LETTER.fullmatch(said.strip())
    if letter is None or said.strip() in map(str, options):
        return said
    place = ord(letter[1].upper()) - ord("A")
    return text_of(options[place]) if place < len(options) else said


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, and ``a.b`` for each entry of a column that holds objects."""
    inside = {
        f"{name}.{key}": cell
        for name, value in row.items()
        if isinstance(value, dict)
        for key, cell in value.items()
    }
    return {**row, **inside}


def _told(row: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, sorted(row))) or "none"
