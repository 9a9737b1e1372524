"""One of several parts of a problem set, for machines that know nothing of each other.

    planner search problems.jsonl ... -o log-1 --shard 1/3     # on each machine its own
    planner merge log-1 log-2 log-3 -o log

A shard holds whole groups of problems, since a group is what shares a batch: so the merged logs are those of
one machine bit for bit where its engine promises that. Groups are made of problems in the order of their ids,
whatever their order in the file (``search.campaigns.campaign``), and dealt out in turn, so shards differ by
one group at most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from search.campaigns.unit import groups_of
from search.errors import GridError
from search.problem import Problem

__all__ = ["Shard"]

_TEXT = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` of ``count``, counted from 1.

    >>> Shard.parse("2/3")
    Shard(number=2, count=3)
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 1 or not 1 <= self.number <= self.count:
            raise GridError(f"a shard must be i/n with i from 1 to n, got {self}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``i/n``. Raises GridError."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise GridError(f"a shard must be i/n with i from 1 to n, got {text!r}")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, problems: Sequence[Problem], group: int) -> list[Problem]:
        """The problems of this shard, in the order of the campaign's. ``group``: problems per group.

        Raises GridError where there are fewer groups than shards, since some would have nothing to do.
        """
        groups = groups_of(problems, group)
        if len(groups) < self.count:
            raise GridError(
                f"shards must be at most as many as groups of problems, got {self.count} shards of "
                f"{len(groups)} {'group' if len(groups) == 1 else 'groups'} ({len(problems)} problems, "
                f"group = {group})"
            )
        mine = {problem.problem_id for part in groups[self.number - 1 :: self.count] for problem in part}
        return [problem for problem in problems if problem.problem_id in mine]
