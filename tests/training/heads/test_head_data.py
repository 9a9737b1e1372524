"""What heads learn from: shares of right samples through a prefix, and weights that hide hard problems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.cards import ModelCard
from search.errors import LogError, TooLittleDataError
from search.log.manifest import Manifest
from search.log.records import problem_rows, table_frame
from search.log.store import SearchLog
from search.problem import Problem
from search.rewards.computed.convention import Convention, Piece
from training.heads.head_data import Tried, digest_of, mixed, read_tried, targets_of

SOLUTIONS = ["a\nb\n# 1", "a\nb\n# 1", "a\nc\n# 2", "a", "", "a\n" + "x" * 90]
CORRECT = [True, True, False, True, False, False]


class Letters(Convention):
    """A token a character."""

    def prompt(self, question: str) -> tuple[int, ...]:
        return tuple(map(ord, question))

    def step(self, step: str) -> Piece:
        tokens = tuple(map(ord, step + "\n"))
        return Piece(tokens, len(tokens) - 1)


def make_log(path: Path, problems: int = 10, mixed: int = 10) -> SearchLog:
    """Problems with the samples above; beyond ``mixed`` all of them are right."""
    known = [Problem(f"p{i:02d}", f"f{i % 3}", "text", f"q{i}", "1") for i in range(problems)]
    card = ModelCard("m", 100, "f", 64)
    log = SearchLog.create(path, Manifest({"sampling": "temperature=1, top_p=1, top_k=0"}, {"m": card}))
    rows = [
        {
            "problem_id": problem.problem_id,
            "policy": "m",
            "sampling": "temperature=1, top_p=1, top_k=0",
            "draw": draw,
            "seed": 1,
            "text": text,
            "answer": text[-1:] or None,
            "correct": right or place >= mixed,
            "prompt_tokens": 2,
            "tokens": len(text) + 1,
            "step_tokens": [len(text) + 1],
            "mean_logprob": -0.1 * draw,
            "min_logprob": -1.0,
            "finish_reason": "end",
        }
        for place, problem in enumerate(known)
        for draw, (text, right) in enumerate(zip(SOLUTIONS, CORRECT, strict=True))
    ]
    with log.writing():
        log.append("problems", table_frame("problems", problem_rows(known)), unit="u")
        log.append("samples", table_frame("samples", rows), unit="u")
    return log


def read(log: SearchLog, **changes: object) -> list[Tried]:
    given = {"context": 64, "delimiter": "\n"} | changes
    return read_tried(log, "m", Letters(), **given)  # type: ignore[arg-type]


def test_equal_prefixes_are_one_step_end(tmp_path: Path) -> None:
    one = read(make_log(tmp_path / "log"))[0]
    assert one.solutions == (("a", "b", "# 1"), ("a", "c", "# 2"), ("a",))
    assert one.nodes == ((0, 1, 2), (0, 3, 4), (0,))
    assert one.size == 5
    # a solution without steps, and one that is too long, have no state
    assert one.which.tolist() == [0, 0, 1, 2, -1, -1]
    assert [len(piece.tokens) for piece in one.pieces[0]] == [2, 2, 4]


def test_a_value_is_the_share_of_right_samples_through_a_prefix(tmp_path: Path) -> None:
    one = read(make_log(tmp_path / "log"))[0]
    natural = targets_of(one, balanced=False)
    # through "a": two right samples of three steps, a wrong one, and one that ends there, right
    assert natural.values.tolist() == pytest.approx([(2 / 3 + 1) / (3 / 3 + 1), 1.0, 1.0, 0.0, 0.0])
    assert natural.weights.sum() == pytest.approx(4.0)
    balanced = targets_of(one, balanced=True)
    assert balanced.weights.sum() == pytest.approx(1.0)
    assert (balanced.weights * balanced.values).sum() == pytest.approx(0.5)


def test_problems_without_both_kinds_teach_nothing(tmp_path: Path) -> None:
    tried = read(make_log(tmp_path / "log", problems=12, mixed=10))
    weights = [targets_of(one, balanced=True).weights.sum() for one in tried]
    assert weights == pytest.approx([1.0] * 10 + [0.0] * 2)
    assert [one.is_mixed for one in tried] == [True] * 10 + [False] * 2
    assert targets_of(tried[-1], balanced=False).values.min() == 1.0
    with pytest.raises(
        TooLittleDataError, match="at least 8 problems with right and wrong samples of m, got 7"
    ):
        read(make_log(tmp_path / "other", problems=12, mixed=7))


def test_a_part_of_the_problems(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log", problems=20, mixed=20)
    names = [[one.problem.problem_id for one in read(log, limit=9, seed=seed)] for seed in (1, 1, 2)]
    assert names[0] == names[1] != names[2]
    assert len(set(names[0])) == 9
    assert len(read(log, limit=99)) == 20
    with pytest.raises(LogError, match="policies of this log are m, got 'x'"):
        read_tried(log, "x", Letters(), context=64, delimiter="\n")


def test_a_digest_is_of_everything_that_is_computed(tmp_path: Path) -> None:
    tried = read(make_log(tmp_path / "log"))
    other = read(make_log(tmp_path / "log2"), context=40)
    longer = read(make_log(tmp_path / "log3"), context=99)
    known = {digest_of(each, policy=p) for each in (tried, longer) for p in ("a", "b")}
    assert len(known) == 4
    assert digest_of(other, policy="a") == digest_of(tried, policy="a")
    assert not np.array_equal(longer[0].which, tried[0].which)


def test_what_is_learned_is_a_mixture(tmp_path: Path) -> None:
    tried = read(make_log(tmp_path / "log", problems=12, mixed=10))
    for one, weight in ((tried[0], 1.0), (tried[-1], 0.25)):
        balanced, natural = (targets_of(one, balanced=kind) for kind in (True, False))
        both = mixed(balanced, natural, 0.25)
        assert both.weights.sum() == pytest.approx(weight)
        for share, alone in ((0.0, balanced), (1.0, natural)):
            known = mixed(balanced, natural, share)
            assert known.values[known.weights > 0] == pytest.approx(alone.values[alone.weights > 0])
