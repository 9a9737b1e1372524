"""The locked test sets: each is what its seed gives, of its own split, and large enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.models import shipped
from search.errors import ProblemError
from search.problem_sets.problem_set import read_problems, write_problems
from training.lab.held_out import LOCKED, SPENT, LockedSet
from training.lab.identity import split_of
from training.lab.problems import FAMILIES
from training.lab.vocabulary import Vocabulary

SETS = pytest.mark.parametrize("locked", [SPENT, LOCKED], ids=["spent", "locked"])


@SETS
def test_the_shipped_set_is_the_locked_one_and_follows_from_its_seed(
    locked: LockedSet, tmp_path: Path
) -> None:
    problems = locked.read(shipped("lab") / locked.file)
    assert len(problems) == locked.size
    assert {split_of(problem.question) for problem in problems} == {"test"}
    assert {problem.family for problem in problems} == set(locked.families)
    assert locked.write(tmp_path / "again.jsonl.gz") == locked.fingerprint


@SETS
def test_another_set_is_refused(locked: LockedSet, tmp_path: Path) -> None:
    problems = read_problems(shipped("lab") / locked.file)
    write_problems(tmp_path / "fewer.jsonl.gz", problems[1:])
    with pytest.raises(ProblemError, match="must be the locked ones"):
        locked.read(tmp_path / "fewer.jsonl.gz")


def test_the_locked_families_are_new_and_use_known_words_only() -> None:
    assert not set(LOCKED.families) & set(FAMILIES)
    vocabulary = Vocabulary.of_lab()
    for problem in LOCKED.read(shipped("lab") / LOCKED.file):
        assert vocabulary.unknown not in vocabulary.prompt(problem.question), problem.question
