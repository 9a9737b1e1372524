"""Wrong solutions: their labels agree with the exact check."""

from __future__ import annotations

import random
import re

from training.lab.mistakes import corrupt, find_slip, mark, stray
from training.lab.problems import family_of, problem_set
from training.lab.vocabulary import Vocabulary


def _text(vocabulary: Vocabulary, steps: tuple[tuple[int, ...], ...]) -> list[str]:
    return ["".join(vocabulary.pieces[token] for token in step) for step in steps]


def test_corruptions_change_one_token_and_are_labelled_exactly() -> None:
    vocabulary, rng = Vocabulary.of_lab(), random.Random(1)
    wrong, slips = 0, []
    for worked in problem_set("train", 300, seed=5):
        right = mark(vocabulary, worked)
        marked = corrupt(rng, vocabulary, worked)
        flat = [t for step in right.steps for t in step], [t for step in marked.steps for t in step]
        assert sum(a != b for a, b in zip(*flat, strict=True)) == 1
        assert marked.right == family_of(worked.problem).right_so_far(
            worked.problem, _text(vocabulary, marked.steps)
        )
        slips += [(right, marked)] * (marked.slip is not None)
        wrong += not marked.right[-1]
    assert wrong > 200
    assert slips
    for right, marked in slips:
        assert marked.slip is not None
        step, token = marked.slip
        assert not marked.right[step]
        assert all(marked.right[:step])
        assert marked.steps[step][token] != right.steps[step][token]


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


def test_a_slip_is_where_a_spoilt_result_first_differs() -> None:
    rng, found = random.Random(3), 0
    for worked in problem_set("train", 200, seed=7):
        steps = list(worked.steps)
        equations = [k for k, step in enumerate(steps) if re.search(r"=[0-9]", step)]
        if not equations:
            continue
        at = rng.choice(equations)
        result = re.search(r"=([0-9]+)", steps[at])
        assert result is not None
        place = result.start(1) + rng.randrange(len(result.group(1)))
        digit = str((int(steps[at][place]) + 1) % 10)
        spoilt = steps[at][:place] + digit + steps[at][place + 1 :]
        if ":" in spoilt:  # what is left names the result once more
            wrong = spoilt[result.start(1) : result.end(1)]
            spoilt = spoilt[: len(spoilt) - len(wrong)] + wrong
        steps[at] = spoilt
        right = family_of(worked.problem).right_so_far(worked.problem, steps)
        slip = -1 if all(right) else find_slip(worked.problem, steps)
        assert slip in (place, -1)
        found += slip >= 0
    assert found > 100


def test_a_right_solution_and_a_wrong_idea_have_no_slip() -> None:
    for worked in problem_set("train", 60, seed=8):
        problem, steps = worked.problem, worked.steps
        assert find_slip(problem, steps) == -1
        nonsense = ["1+1=2 and so on", *steps[1:]]
        assert find_slip(problem, nonsense) == -1
