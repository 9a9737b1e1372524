"""The locked sets of test problems: generated once, hashed, put away before any method was tuned.

Nothing that is trained, tuned or chosen may read a locked set before its one table of results is made. Its
questions lie in a split of their own, so no model was trained on them. The fingerprint is the lock: a set
that differs in one letter is refused.

``SPENT`` has problems of the families that models are trained on. Its results were looked at while methods
were developed, so it confirms nothing any more. ``LOCKED`` has families that nothing was trained on or
developed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from search.errors import ProblemError
from search.problem import Problem
from search.problem_sets.problem_set import problems_fingerprint, read_problems, write_problems
from training.lab.family import Family
from training.lab.problems import FAMILIES, LOCKED_FAMILIES, problem_set

__all__ = ["LOCKED", "SPENT", "LockedSet"]


@dataclass(frozen=True, slots=True)
class LockedSet:
    """Problems that follow from a seed and families. ``file`` is their name in ``models/lab``."""

    file: str
    families: Mapping[str, Family]
    size: int
    seed: int
    fingerprint: str

    def write(self, path: Path) -> str:
        """Generate and write the problems (JSON lines, compressed); returns their fingerprint."""
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = problem_set("test", self.size, self.seed, families=self.families)
        problems = [worked.problem for worked in drawn]
        write_problems(path, problems)
        return problems_fingerprint(problems)

    def read(self, path: Path) -> list[Problem]:
        """The locked problems. Raises ProblemError if they are not those that were locked."""
        problems = read_problems(path)
        found = problems_fingerprint(problems)
        if found != self.fingerprint:
            raise ProblemError(
                f"the test problems must be the locked ones ({self.fingerprint[:12]}), got {found[:12]}"
            )
        return problems


SPENT = LockedSet(
    file="test.jsonl.gz",
    families=FAMILIES,
    size=2400,
    seed=20261123,
    fingerprint="73192bf141cc4d1aa1eb2d5bd630da4b00576dfc16523887c21cf087158034e4",
)
LOCKED = LockedSet(
    file="locked.jsonl.gz",
    families=LOCKED_FAMILIES,
    size=640,
    seed=20261130,
    fingerprint="398e338a5d881be018d45462a2107bd04b0cae12624af91dd3ac7ea47148c571",
)
