"""The shipped mappings: on small records written here, and on every record of the shared files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from search.campaigns.campaign import check_problems
from search.errors import ProblemError
from search.grading.registry import domain
from search.importing.report import Report
from search.problem_sets.problem_set import read_problems, write_problems
from search.problem_sets.shipped import MAPPINGS, mapping_of

DATA = os.environ.get("PLANNER_DATA")
SHARED = {
    "math_test500.jsonl": ("math-500", 500),
    "math_test_aime.jsonl": ("aime24", 30),
    "math_test_amc.jsonl": ("amc23", 40),
    "gsm8k_test.jsonl": ("gsm8k", 1319),
    "scibench_atkins.json": ("scibench", 105),
    "scibench_chemmc.json": ("scibench", 38),
    "scibench_matter.json": ("scibench", 47),
    "scibench_quan.json": ("scibench", 33),
}
PROMPT = 'def double(x: int) -> int:\n    """ Twice a number.\n    >>> double(2)\n    4\n    """\n'
TESTS = "def check(candidate):\n    assert candidate(3) == 6\n"


def mapped(name: str, **record: object) -> object:
    return mapping_of(name).problem(record, "row 1")


def test_math_500() -> None:
    problem = mapped(
        "math-500",
        problem="1?",
        answer="1",
        unique_id="test/a/1.json",
        subject="Algebra",
        level=2,
        solution="x",
    )
    assert problem.problem_id == "math-500/test/a/1.json"
    assert (problem.domain, problem.meta) == ("math", {"subject": "Algebra", "level": 2})


def test_aime_and_amc_in_the_copies_that_go_around() -> None:
    assert mapped("aime24", problem="1?", extracted_groundtruth="025").answer == "025"
    assert mapped("aime24", ID="2024-I-1", Problem="1?", Answer=25).problem_id == "aime24/2024-I-1"
    assert mapped("amc23", problem="1?", solution=27.0, extracted_groundtruth=27.0).answer == "27"
    assert mapped("amc23", id=3, question="1?", answer=27.0).problem_id == "amc23/3"


def test_gsm8k_takes_what_stands_behind_the_mark() -> None:
    assert mapped("gsm8k", question="1?", answer="Half of <<4/2=2>>.\n#### 2,125").answer == "2125"
    with pytest.raises(ProblemError, match=r"a worked answer ends with '#### x', got 'Half\.'"):
        mapped("gsm8k", question="1?", answer="Half.")


def test_humaneval() -> None:
    problem = mapped("humaneval", task_id="HumanEval/0", prompt=PROMPT, entry_point="double", test=TESTS)
    assert problem.problem_id == "humaneval/HumanEval/0"
    assert problem.question.endswith(f"```python\n{PROMPT}```")
    assert "assert" not in problem.question
    assert problem.meta == {"entry_point": "double", "prompt": PROMPT, "public": ["double(2)"]}
    grader = domain(problem.domain)
    right = grader.read(problem, "```python\ndef double(x):\n    return x + x\n```")
    completed = grader.read(problem, "    return 2 * x\n")
    assert grader.grade(problem, right)
    assert grader.equal(problem, right, completed)
    assert not grader.grade(problem, grader.read(problem, "def double(x):\n    return 4"))


def test_scibench_tells_the_unit_and_grades_with_tolerance() -> None:
    problem = mapped(
        "scibench",
        problem_text="What is its energy?",
        answer_number="3.52",
        unit=r"$10^{-19} \mathrm{~J}$",
        source="chemmc",
    )
    assert problem.question == r"What is its energy? Give the answer in $10^{-19} \mathrm{~J}$."
    assert problem.answer == "3.52e-19 J"
    assert problem.meta == {"source": "chemmc", "tolerance": 0.05}
    grader = domain("quantity")
    assert grader.grade(problem, grader.read(problem, r"\boxed{3.6 \times 10^{-19}~\mathrm{J}}"))
    bare = mapped("scibench", problem_text="What is S?", answer_number=1.5, unit=" ")
    assert (bare.question, bare.answer) == ("What is S?", "1.5")


def test_unknown_mappings_are_listed() -> None:
    with pytest.raises(ProblemError, match=r"a mapping must be one of math-500, .*, scibench, got 'mmlu'"):
        mapping_of("mmlu")
    assert all(mapping.hub.startswith("hf:") for mapping in MAPPINGS.values())


def test_what_is_no_problem_is_left_out_and_said(tmp_path: Path) -> None:
    good = {"question": "1?", "answer": "#### 1"}
    rows = [good, {"question": "2?", "answer": "none"}, good, {"question": "", "answer": "#### 1"}]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = Report("gsm8k")
    problems = read_problems(path, mapping="gsm8k", report=report)
    assert [problem.question for problem in problems] == ["1?"]
    assert report.taken["problems"] == 1
    assert {why: (entry.count, entry.first.partition(":")[0]) for why, entry in report.left_out.items()} == {
        "a worked answer ends with '#### x'": (1, "p.jsonl line 2"),
        "a problem is given once": (1, "p.jsonl line 3"),
        "a problem needs a question": (1, "p.jsonl line 4"),
    }
    with pytest.raises(ProblemError, match=r"p\.jsonl line 2: a worked answer ends with"):
        read_problems(path, mapping="gsm8k")
    path.write_text(json.dumps(rows[1]))
    with pytest.raises(ProblemError, match="holds at least one problem, got none in"):
        read_problems(path, mapping="gsm8k", report=Report("gsm8k"))


def test_one_question_with_two_answers_is_told_apart_from_a_double(tmp_path: Path) -> None:
    rows = [{"question": "1?", "answer": f"#### {answer}"} for answer in (1, 2, 1)]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = Report("gsm8k")
    (problem,) = read_problems(path, mapping="gsm8k", report=report)
    assert problem.answer == "1"
    (other, double) = report.left_out.items()
    assert other[0] == "a problem has one question and one reference answer"
    assert "with '2' after '1'" in other[1].first
    assert double[0] == "a problem is given once"


def test_near_duplicates_of_a_set_share_a_family(tmp_path: Path) -> None:
    rows = [
        {"question": f"{name} has {n} apples and eats {n - 1}. How many are left?", "answer": "#### 1"}
        for name, n in (("Tom", 3), ("Ann", 12))
    ]
    rows.append({"question": "Why do cats purr?", "answer": "#### 1"})
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second, third = (problem.family for problem in read_problems(path, mapping="gsm8k"))
    assert first == second != third


@pytest.mark.parametrize("name", SHARED)
def test_every_record_of_the_shared_files_is_taken(name: str, tmp_path: Path) -> None:
    if DATA is None:
        pytest.skip("PLANNER_DATA names no folder of records by others")
    mapping, count = SHARED[name]
    report = Report(mapping)
    problems = read_problems(Path(DATA) / "problem_sets" / name, mapping=mapping, report=report)
    assert (len(problems), report.left_out) == (count, {})
    check_problems(problems)
    write_problems(tmp_path / "p.jsonl.gz", problems)
    assert read_problems(tmp_path / "p.jsonl.gz") == problems
