"""The locked test set: it is what the seed gives, of its own split, and large enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.models import models_folder
from search.errors import ProblemError
from search.problem_set import read_problems, write_problems
from training.lab.held_out import FINGERPRINT, make_test_set, read_test_set
from training.lab.identity import split_of


def test_the_shipped_set_is_the_locked_one_and_follows_from_its_seed(tmp_path: Path) -> None:
    shipped = read_test_set(models_folder() / "lab/test.jsonl.gz")
    assert len(shipped) >= 2000
    assert {split_of(problem.question) for problem in shipped} == {"test"}
    assert make_test_set(tmp_path / "again.jsonl.gz") == FINGERPRINT


def test_another_set_is_refused(tmp_path: Path) -> None:
    problems = read_problems(models_folder() / "lab/test.jsonl.gz")
    write_problems(tmp_path / "fewer.jsonl.gz", problems[1:])
    with pytest.raises(ProblemError, match="must be the locked ones"):
        read_test_set(tmp_path / "fewer.jsonl.gz")
