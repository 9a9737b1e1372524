"""Programs in Python: read from what models write, graded by tests, one vote by what they output."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import GradingError
from search.grading.programs.python import PythonDomain, examples
from search.grading.programs.sandbox import SandboxLimits
from search.grading.registry import domain
from search.grading.verdict import Verdict
from search.problem import Problem
from search.voting.votes import group, pick

PYTHON = PythonDomain()
PROMPT = '''from typing import List


def largest(numbers: List[int]) -> int:
    """ The largest of some numbers.
    >>> largest([1, 3, 2])
    3
    >>> largest([-1, -5])
    -1
    """
'''
TESTS = """

METADATA = {"author": "somebody"}


def check(candidate):
    assert candidate([1, 3, 2]) == 3
    assert candidate([-4, -2]) == -2
"""
SHORT = "def largest(numbers):\n    return max(numbers)"
LOOP = (
    "def largest(numbers):\n    best = numbers[0]\n    for n in numbers:\n        if n > best:\n"
    "            best = n\n    return best"
)
WRONG = "def largest(numbers):\n    return numbers[-1]"


def posed(answer: str | None = TESTS, **meta: object) -> Problem:
    known = {"entry_point": "largest", "prompt": PROMPT, "public": list(examples(PROMPT))}
    return Problem("HumanEval/35", "f", "python", PROMPT, answer, {**known, **meta})


@pytest.mark.parametrize(
    "text",
    [
        f"I use max.\n```python\n{SHORT}\n```\nDone.",
        f"First try:\n```python\n{WRONG}\n```\nBetter:\n```py\n{SHORT}\n```",
        f"```\n{SHORT}\n```",
        f"```python\n{SHORT}",
        SHORT,
        "def largest(numbers):  # easy\n\n    return (max(numbers))\n",
    ],
)
def test_a_program_is_read_from_the_last_block_or_the_whole(text: str) -> None:
    assert PYTHON.read(posed(), text) == SHORT


def test_a_solution_may_go_on_with_the_prompt() -> None:
    for text in ("    return max(numbers)\n", "```python\n    return max(numbers)\n```"):
        program = PYTHON.read(posed(), text)
        assert program is not None
        assert program.startswith("from typing import List")
        assert PYTHON.grade(posed(), program)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I do not know.",
        "```python\ndef largest(numbers)\n```",
        "def smallest(numbers):\n    return min(numbers)",
        "class largest:\n    pass",
        "x" * 60_000,
        "def largest(x):\n    return " + "(" * 5000 + ")" * 5000,
        "\0",
    ],
)
def test_what_is_no_such_program_is_unreadable(text: str) -> None:
    bare = posed(prompt="")
    assert PYTHON.read(bare, text) is None
    assert PYTHON.judge(bare, PYTHON.read(bare, text)) is Verdict.UNREADABLE


@settings(deadline=None)  # the first case imports a library
@given(st.one_of(st.text(), st.text("def largest(n):\n   return `python#")))
def test_reading_never_raises(text: str) -> None:
    PYTHON.read(posed(), text)


def test_grading_runs_the_tests() -> None:
    assert PYTHON.judge(posed(), SHORT) is PYTHON.judge(posed(), LOOP) is Verdict.RIGHT
    assert PYTHON.judge(posed(), WRONG) is Verdict.WRONG
    assert PYTHON.judge(posed(), "def largest(n):\n    import os\n    os._exit(0)") is Verdict.DIED
    assert PYTHON.judge(posed("assert largest([4, 2]) == 4"), SHORT) is Verdict.RIGHT
    assert not PYTHON.grade(posed("assert largest([4, 2]) == 4"), WRONG)


def test_one_that_hangs_is_named() -> None:
    forever = "def largest(numbers):\n    while True:\n        pass"
    assert PythonDomain(SandboxLimits(seconds=1.0)).judge(posed(), forever) is Verdict.HUNG


def test_tests_that_cannot_be_used_are_refused() -> None:
    for answer in (None, "", "# nothing", "def check("):
        with pytest.raises(GradingError, match="must be tests in Python, got"):
            PYTHON.grade(posed(answer), None)
    with pytest.raises(GradingError, match="need its entry_point, got None in 'HumanEval/35'"):
        PYTHON.grade(posed(entry_point=None), None)
    with pytest.raises(GradingError, match="need its entry_point, got 'a; b'"):
        PYTHON.grade(posed(entry_point="a; b"), None)


def test_programs_are_one_answer_by_what_they_output() -> None:
    assert PYTHON.equal(posed(), SHORT, LOOP)
    assert not PYTHON.equal(posed(), SHORT, WRONG)
    assert not PYTHON.equal(posed(public=[]), SHORT, LOOP)
    assert PYTHON.equal(posed(public=[]), SHORT, SHORT)
    with pytest.raises(GradingError, match="public must be a list of expressions, got 'largest'"):
        PYTHON.equal(posed(public="largest"), SHORT, LOOP)


def test_the_vote_counts_what_programs_do() -> None:
    texts = [WRONG, SHORT, LOOP, "no idea"]
    answers = [PYTHON.read(posed(prompt=""), text) for text in texts]
    groups = group(posed(), domain("python"), answers)
    assert groups == [0, 1, 1, -1]
    assert pick("majority", groups, [0.0] * 4) == 1


def test_examples_are_the_expressions_of_a_docstring() -> None:
    assert examples(PROMPT) == ("largest([1, 3, 2])", "largest([-1, -5])")
    assert examples("def f():\n    pass") == ()
    assert examples(">>> x = 1\n>>> f(x\n>>> f(1)") == ("f(1)",)


def test_it_claims_questions_that_begin_a_function() -> None:
    assert PYTHON.claims(PROMPT)
    assert not PYTHON.claims("What is the largest of 1, 3 and 2?")


def test_a_problem_may_ask_for_packages_that_are_allowed() -> None:
    text = "```python\nimport numpy as np\n\ndef largest(numbers):\n    return int(np.max(numbers))\n```"
    program = PYTHON.read(posed(), text)
    assert PYTHON.judge(posed(), program) is Verdict.WRONG
    assert PYTHON.judge(posed(packages=["numpy"]), program) is Verdict.RIGHT
    assert PYTHON.equal(posed(packages=["numpy"]), program or "", SHORT)
    for wrong in (["pytest"], "numpy"):
        with pytest.raises(GradingError, match=r"packages must be a list of names out of mpmath, .* got"):
            PYTHON.judge(posed(packages=wrong), program)


def test_a_program_with_and_without_usage_is_one_vote() -> None:
    texts = [SHORT, f"```python\n{SHORT}\nprint(largest([1]))\n```", f"```python\n{SHORT}\n```\n```\n3\n```"]
    answers = [PYTHON.read(posed(public=[]), text) for text in texts]
    assert group(posed(public=[]), domain("python"), answers) == [0, 0, 0]


def test_a_program_cannot_bring_its_own_check() -> None:
    program = PYTHON.read(posed(), f"```python\ndef check(candidate):\n    pass\n{WRONG}\n```")
    assert PYTHON.judge(posed(), program) is Verdict.WRONG
