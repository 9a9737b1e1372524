"""The locked test problems: generated once, hashed, put away before any method was tuned.

Nothing that is trained, tuned or chosen may read them; the one table of results does. Their questions
lie in a split of their own, so no model was trained on them. ``FINGERPRINT`` is the lock: a set that
differs in one letter is refused.
"""

from __future__ import annotations

from pathlib import Path

from search.errors import ProblemError
from search.problem import Problem
from search.problem_set import problems_fingerprint, read_problems, write_problems
from training.lab.problems import problem_set

__all__ = ["FINGERPRINT", "SEED", "SIZE", "make_test_set", "read_test_set"]

SIZE, SEED = 2400, 20261123
FINGERPRINT = "73192bf141cc4d1aa1eb2d5bd630da4b00576dfc16523887c21cf087158034e4"


def make_test_set(path: Path) -> str:
    """Generate and write the test problems (JSON lines, compressed); returns their fingerprint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    problems = [worked.problem for worked in problem_set("test", SIZE, SEED)]
    write_problems(path, problems)
    return problems_fingerprint(problems)


def read_test_set(path: Path) -> list[Problem]:
    """The locked problems. Raises ProblemError if they are not those that were locked."""
    problems = read_problems(path)
    found = problems_fingerprint(problems)
    if found != FINGERPRINT:
        raise ProblemError(
            f"the test problems must be the locked ones ({FINGERPRINT[:12]}), got {found[:12]}"
        )
    return problems
