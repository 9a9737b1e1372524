"""The batches of shipped recipes are still those that their weights came from."""

from __future__ import annotations

import hashlib

import pytest

from training.lab.making import policy, prm
from training.lab.making.step_labels import Labelled
from training.lab.problems import problem_set
from training.lab.vocabulary import Vocabulary


def _digest(rows: object) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("size", "expected"), [("s", "6135615abc08c77e"), ("m", "6135615abc08c77e"), ("l", "3580a3e2cd212b3c")]
)
def test_policy_rows(size: str, expected: str) -> None:
    vocabulary, recipe = Vocabulary.of_lab(), policy.POLICIES[size]
    rows = [policy.row_of(vocabulary, recipe, step, place) for step in (0, 500) for place in range(16)]
    assert _digest(rows) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("exact", "21ae4f9f393eb9ec"),
        ("onpolicy", "86dbcaa8ef14aa5a"),
        ("good", "a7d690640981887f"),
        ("weak", "f063abcafc128643"),
    ],
)
def test_prm_rows(name: str, expected: str) -> None:
    vocabulary, recipe = Vocabulary.of_lab(), prm.PRMS[name]
    labelled = [
        Labelled(
            problem_id=p.problem_id,
            domain=p.domain,
            question=p.question,
            steps=steps,
            values=(0.5,) * len(steps),
            exact=(right,) * len(steps),
            correct=right,
        )
        for p, steps in ((w.problem, w.steps) for w in problem_set("train", 40, seed=3))
        for right in ((True, False) if recipe.own else (True,))
    ]
    rows = [
        prm.row_of(vocabulary, recipe, prm.Pool(labelled), step, place)
        for step in (0, 200)
        for place in range(16)
    ]
    assert _digest(rows) == expected
