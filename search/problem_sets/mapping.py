"""Mappings: how a record of somebody's problem set becomes a problem.

A mapping names the columns of each role. Where it names several, the first that a record has is taken, so
that one mapping serves the copies of a set that go around. Values are texts or numbers; ``27.0`` is ``27``.

>>> mapping = ProblemMapping("mine", "math", question=("q",), answer=("a",))
>>> mapping.problem({"q": "1+1?", "a": 2.0}, "mine.csv row 1").answer
'2'
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from search.errors import ProblemError
from search.importing.protocol import UNNAMED
from search.plain_json import plain_number
from search.problem import Problem
from search.seeds import seed_of

__all__ = ["ROLES", "ProblemMapping", "text_of"]

#: what a column can be
ROLES = ("problem_id", "family", "question", "answer")


@dataclass(frozen=True, slots=True)
class ProblemMapping:
    """Columns by role. Subclasses make questions and answers of what a set has.

    Parameters
    ----------
    name:
        Of the set; begins every problem id.
    domain:
        Names the grader of all its problems.
    question, answer:
        Columns, the preferred one first.
    problem_id:
        Columns; without one of them a problem is named by a hash of its question.
    family:
        Columns; without one of them a set's near-duplicates share one (``search.problem_sets.families``),
        which ``read_mapped`` finds: a problem alone has none, "".
    meta:
        Columns that go into ``Problem.meta`` under their own name, where a record has them.
    hub:
        Where the set lies on the Hugging Face hub, for documentation.
    """

    name: str
    domain: str
    question: tuple[str, ...] = ("question",)
    answer: tuple[str, ...] = ("answer",)
    problem_id: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    meta: tuple[str, ...] = ()
    hub: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.domain.strip():
            raise ProblemError(f"a mapping needs a name and a domain, got {self.name!r}, {self.domain!r}")
        for role in ("question", "answer"):
            if not getattr(self, role):
                raise ProblemError(f"a mapping needs a column for the {role}, got none in {self.name!r}")

    def with_columns(self, columns: Mapping[str, str], domain: str | None = None) -> ProblemMapping:
        """The same with other columns for some roles, or another domain. Raises ProblemError."""
        for role in columns:
            if role not in ROLES:
                raise ProblemError(f"a role must be one of {', '.join(ROLES)}, got {role!r}")
        changes: dict[str, Any] = {role: (column,) for role, column in columns.items()}
        return replace(self, domain=domain or self.domain, **changes)

    def problem(self, record: Mapping[str, Any], where: str) -> Problem:
        """The problem that a record holds. Raises ProblemError, which names the place and the rule."""
        question = self.ask(record, where)
        if not question.strip():
            raise ProblemError(f"{where}: a problem needs a question, got {question!r}")
        answer = self.reference(record, where)
        if not answer.strip():
            raise ProblemError(f"{where}: a problem needs a reference answer, got {answer!r}")
        named = _optional(record, self.problem_id, where)
        identity = named if named is not None else f"{seed_of(self.name, question):016x}"
        family = _optional(record, self.family, where) or UNNAMED
        return Problem(
            problem_id=f"{self.name}/{identity}",
            family=family,
            domain=self.domain,
            question=question,
            answer=answer,
            meta=self.notes(record, where),
        )

    def ask(self, record: Mapping[str, Any], where: str) -> str:
        """The question as the policy sees it."""
        return text_of(record, self.question, where).strip()

    def reference(self, record: Mapping[str, Any], where: str) -> str:
        """The reference answer in the domain's notation."""
        return text_of(record, self.answer, where).strip()

    def notes(self, record: Mapping[str, Any], where: str) -> dict[str, Any]:
        """What goes into ``Problem.meta``."""
        return {name: record[name] for name in self.meta if record.get(name) is not None}


def text_of(record: Mapping[str, Any], columns: tuple[str, ...], where: str) -> str:
    """The first of some columns that a record has, as text. Raises ProblemError when it has none."""
    found = _optional(record, columns, where)
    if found is None:
        known = ", ".join(map(repr, sorted(record))) or "none"
        raise ProblemError(
            f"{where}: one of the columns {', '.join(map(repr, columns))} is needed, got {known}"
        )
    return found


def _optional(record: Mapping[str, Any], columns: tuple[str, ...], where: str) -> str | None:
    for name in columns:
        value = record.get(name)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ProblemError(f"{where}: {name} must be a text or a number, got {str(value)[:60]!r}")
        return plain_number(value) if isinstance(value, float) else str(value)
    return None
