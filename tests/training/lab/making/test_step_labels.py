"""Monte-Carlo step labels: shares of right rollouts, restarts by group, files that come back equal."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from search.engines.scripted import TURN, ScriptedEngine
from training.lab.making.step_labels import LabelRecipe, label_steps, read_labels
from training.lab.problems import problem_set

RECIPE = LabelRecipe("scripted", problems=12, samples=3, rollouts=4, seed=5)
(NEWLINE,) = ScriptedEngine(lambda text, rng: "").prompt("\n")[:1]
SOLUTIONS = {w.problem.question: w.solution for w in problem_set("train", 12, 5)}


def _write(so_far: str, rng: random.Random) -> str:
    """The worked solution, with one digit spoilt in half of the draws."""
    question, done = so_far.split(TURN)
    rest = SOLUTIONS[question][len(done) :]  # a spoilt digit keeps the length
    places = [k for k, letter in enumerate(rest) if letter.isdigit()]
    if places and rng.random() < 0.5:
        place = rng.choice(places)
        rest = rest[:place] + str((int(rest[place]) + 1) % 10) + rest[place + 1 :]
    return rest


def test_labels_lie_between_never_and_always_and_end_with_the_grade(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl.gz"
    asyncio.run(label_steps(ScriptedEngine(_write), RECIPE, path, newline=NEWLINE, at_once=4))
    rows = read_labels(path)
    assert rows
    for row in rows:
        assert len(row.values) == len(row.steps) == len(row.exact)
        assert row.values[-1] == float(row.correct)
        assert all(value * RECIPE.rollouts == int(value * RECIPE.rollouts) for value in row.values)
    assert {row.correct for row in rows} == {True, False}
    again = tmp_path / "again.jsonl.gz"
    asyncio.run(label_steps(ScriptedEngine(_write), RECIPE, again, newline=NEWLINE, at_once=4))
    assert again.read_bytes() == path.read_bytes()


def test_pooled_labels_are_the_share_of_right_samples_through_a_prefix(tmp_path: Path) -> None:
    path, recipe = tmp_path / "labels.jsonl.gz", replace(RECIPE, samples=6, rollouts=0, pooled=True)
    asyncio.run(label_steps(ScriptedEngine(_write), recipe, path, newline=NEWLINE))
    rows = read_labels(path)
    through: dict[tuple[str, ...], list[bool]] = defaultdict(list)
    for row in rows:
        for end in range(1, len(row.steps)):
            through[(row.problem_id, *row.steps[:end])].append(row.correct)
    assert any(len(set(ends)) == 2 for ends in through.values())
    for row in rows:
        for end in range(1, len(row.steps)):
            ends = through[(row.problem_id, *row.steps[:end])]
            assert row.values[end - 1] == pytest.approx(sum(ends) / len(ends))
    slipped = [row for row in rows if row.slip >= 0]
    assert slipped
    for row in slipped:
        first = row.true.index(False)
        worked = SOLUTIONS[row.question].split("\n")[first]
        assert worked[: row.slip] == row.steps[first][: row.slip]
        assert worked[row.slip : row.slip + 1] != row.steps[first][row.slip : row.slip + 1]


def test_labels_need_something_to_tell_them() -> None:
    with pytest.raises(ValueError, match="rollouts must be at least 1, or 0 when pooled, got 0"):
        replace(RECIPE, rollouts=0)


def test_a_group_that_is_there_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl.gz"

    def stop(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        asyncio.run(
            label_steps(ScriptedEngine(_write), RECIPE, path, newline=NEWLINE, at_once=4, progress=stop)
        )
    parts = sorted((tmp_path / "labels.jsonl.gz.parts").iterdir())
    assert len(parts) == 2
    asked: list[str] = []

    def watched(so_far: str, rng: random.Random) -> str:
        asked.append(so_far)
        return _write(so_far, rng)

    kept = {row.question for part in parts for row in read_labels(part)}
    asyncio.run(label_steps(ScriptedEngine(watched), RECIPE, path, newline=NEWLINE, at_once=4))
    assert asked
    assert not kept & {text.split(TURN)[0] for text in asked}
    assert kept < {row.question for row in read_labels(path)}
