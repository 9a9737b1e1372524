"""Every reference answer of the shared problem sets: equal to itself in any dress, to nothing near it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.grading.mathematics.math import MathDomain
from search.grading.verdict import Verdict
from search.problem import Problem

DATA = os.environ.get("PLANNER_DATA")
SETS = {
    "math_test500.jsonl": (500, "answer"),
    "math_test_aime.jsonl": (30, "extracted_groundtruth"),
    "math_test_amc.jsonl": (40, "extracted_groundtruth"),
    "gsm8k_test.jsonl": (1319, "answer"),
}
MATH = MathDomain()


def references(name: str) -> list[str]:
    if DATA is None:
        pytest.skip("PLANNER_DATA names no folder of records by others")
    count, column = SETS[name]
    lines = (Path(DATA) / "problem_sets" / name).read_text(encoding="utf-8").splitlines()
    found = [str(json.loads(line)[column]).rpartition("####")[2].strip() for line in lines]
    assert len(found) == count
    return found


def posed(answer: str) -> Problem:
    return Problem("p", "f", "math", "How much?", answer)


def solutions(answer: str) -> Iterator[str]:
    """The answer as people and models state it."""
    yield rf"We add both sides. Therefore the final answer is \boxed{{{answer}}}."
    yield rf"First \boxed{{17.31}}, no. So: \[ \boxed{{ {answer} }} \] as claimed."
    yield f"Some steps.\n#### {answer}"
    yield f"Reasoning.\nThe final answer is: ${answer}$. I hope it is correct."
    # as models write it: other sizes of brackets and fractions, a dressed unit
    dressed = answer.replace("\\left", "\\bigl").replace("\\right", "\\bigr").replace("\\frac", "\\dfrac")
    yield rf"\boxed{{ {dressed} }}"


def perturbed(answer: str) -> str:
    """Something else: the last digit is another one; without digits, another word or one more."""
    # a unit's power is no part of the answer
    digits = list(re.finditer(r"[0-9]", re.split(r"\\mbox|\\text", answer)[0]))
    if digits:
        place = digits[-1].start()
        return f"{answer[:place]}{(int(answer[place]) + 1) % 10}{answer[place + 1 :]}"
    if answer.startswith("\\text"):
        return "\\text{(Q)}" if "(" in answer else "\\text{nobody}"
    return f"{answer}+1"


@pytest.mark.parametrize("name", SETS)
def test_every_reference_equals_itself_in_any_dress(name: str) -> None:
    for answer in references(name):
        problem = posed(answer)
        assert MATH.grade(problem, answer), answer
        for text in solutions(answer):
            read = MATH.read(problem, text)
            assert MATH.judge(problem, read) is Verdict.RIGHT, (answer, text, read)


@pytest.mark.parametrize("name", SETS)
def test_every_reference_differs_from_a_perturbed_one(name: str) -> None:
    for answer in references(name):
        other = perturbed(answer)
        read = MATH.read(posed(answer), rf"So it is \boxed{{{other}}}.")
        assert MATH.judge(posed(answer), read) is Verdict.WRONG, (answer, other)


def test_the_perturbation_of_a_number_is_another_number() -> None:
    assert [perturbed(text) for text in ("025", r"\frac{1}{9}", "p - q", r"\text{(C)}", r"\text{east}")] == [
        "026",
        r"\frac{1}{0}",
        "p - q+1",
        r"\text{(Q)}",
        r"\text{nobody}",
    ]
