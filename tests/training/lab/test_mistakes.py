"""Wrong solutions: their labels agree with the exact check."""

from __future__ import annotations

import random

from training.lab.mistakes import corrupt, mark, stray
from training.lab.problems import family_of, problem_set
from training.lab.vocabulary import Vocabulary


def _text(vocabulary: Vocabulary, steps: tuple[tuple[int, ...], ...]) -> list[str]:
    return ["".join(vocabulary.pieces[token] for token in step) for step in steps]


def test_corruptions_change_one_token_and_are_labelled_exactly() -> None:
    vocabulary, rng = Vocabulary.of_lab(), random.Random(1)
    wrong = 0
    for worked in problem_set("train", 300, seed=5):
        right = mark(vocabulary, worked)
        marked = corrupt(rng, vocabulary, worked)
        flat = [t for step in right.steps for t in step], [t for step in marked.steps for t in step]
        assert sum(a != b for a, b in zip(*flat, strict=True)) == 1
        assert marked.right == family_of(worked.problem).right_so_far(
            worked.problem, _text(vocabulary, marked.steps)
        )
        if marked.slip is not None:
            step, token = marked.slip
            assert not marked.right[step]
            assert all(marked.right[:step])
            assert marked.steps[step][token] != right.steps[step][token]
        wrong += not marked.right[-1]
    assert wrong > 200


def test_strayed_ways_are_true_equations() -> None:
    vocabulary, rng = Vocabulary.of_lab(), random.Random(2)
    puzzles = [w for w in problem_set("train", 400, seed=6) if w.problem.domain == "puzzle"]
    lost = 0
    for worked in puzzles:
        marked = stray(rng, vocabulary, worked)
        for line in _text(vocabulary, marked.steps):
            left, right = line.split(":")[0].split("=")
            assert eval(left) == int(right)
        lost += not marked.right[-1]
    assert lost > len(puzzles) // 3
