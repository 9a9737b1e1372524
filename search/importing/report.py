"""What an import took, what it left out and why, and what it had to assume.

>>> report = Report("table")
>>> report.take("samples", 8)
>>> report.leave_out("a problem needs a reference answer", "answers.csv line 7")
>>> report.left_out["a problem needs a reference answer"].count
1
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LeftOut", "Report"]


@dataclass(slots=True)
class LeftOut:
    """How much was left out for one reason, and where that happened first."""

    first: str
    count: int = 0


@dataclass(slots=True)
class Report:
    """The account of one import, filled while it runs.

    ``taken`` counts rows per table of the log. ``left_out`` maps each reason, in the order in which
    it first appeared, to how often and where. ``notes`` say what was assumed; each is said once.
    """

    format: str
    taken: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, table: str, rows: int) -> None:
        """Count rows that the log now holds."""
        self.taken[table] += rows

    def leave_out(self, why: str, where: str, count: int = 1) -> None:
        """Count what was left out. ``why`` states the rule; ``where`` names the record and the value."""
        entry = self.left_out.setdefault(why, LeftOut(where))
        entry.count += count

    def note(self, text: str) -> None:
        """Say once what was assumed or what a reader should know."""
        if text not in self.notes:
            self.notes.append(text)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for programs."""
        return {
            "format": self.format,
            "taken": dict(sorted(self.taken.items())),
            "left_out": [
                {"why": why, "count": entry.count, "first": entry.first}
                for why, entry in self.left_out.items()
            ],
            "notes": list(self.notes),
        }
