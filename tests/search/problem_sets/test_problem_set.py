from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import ProblemError
from search.problem import Problem
from search.problem_sets.problem_set import problems_fingerprint, read_problems, write_problems

GOOD = {"problem_id": "a", "family": "f", "domain": "text", "question": "1+1?", "answer": "2"}


def lines(tmp_path: Path, *records: object) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def refused(path: Path, **options: bool) -> str:
    with pytest.raises(ProblemError) as caught:
        read_problems(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_reads_what_it_wrote_plain_and_compressed(tmp_path: Path) -> None:
    problems = [
        Problem("a", "f", "text", "wie groß?", "2", {"inputs": [[1, 2]], "x": None}),
        Problem("b", "g", "code", "two\nlines", "3"),
    ]
    for name in ("p.jsonl", "p.jsonl.gz"):
        write_problems(tmp_path / name, problems)
        assert read_problems(tmp_path / name) == problems
    first = (tmp_path / "p.jsonl.gz").read_bytes()
    write_problems(tmp_path / "p.jsonl.gz", problems)
    assert (tmp_path / "p.jsonl.gz").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.jsonl", "p.jsonl.gz"]


@given(st.lists(st.text(min_size=1).filter(lambda text: text.strip()), min_size=1, max_size=5))
def test_any_question_survives(tmp_path_factory: pytest.TempPathFactory, questions: list[str]) -> None:
    try:
        "".join(questions).encode()
    except UnicodeEncodeError:
        return
    path = tmp_path_factory.mktemp("set") / "p.jsonl"
    problems = [Problem(f"p{i}", "f", "text", question, "x") for i, question in enumerate(questions)]
    write_problems(path, problems)
    assert read_problems(path) == problems


def test_blank_lines_are_passed_over_and_line_numbers_count_them(tmp_path: Path) -> None:
    assert len(read_problems(lines(tmp_path, "", GOOD, "  "))) == 1
    assert "line 3" in refused(lines(tmp_path, GOOD, "", "{"))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "a problem set holds at least one problem, got an empty file"),
        (["{not json"], "problems.jsonl line 1: a problem is one JSON object a line, got '{not json'"),
        (["[1]"], "line 1: a problem is one JSON object a line, got '[1]'"),
        ([{k: v for k, v in GOOD.items() if k != "domain"}], "line 1: column 'domain' is missing, got "),
        ([{k: v for k, v in GOOD.items() if k != "answer"}], "line 1: column 'answer' is missing"),
        ([{**GOOD, "hint": 1}], "columns are problem_id, family, domain, question, answer, meta, got 'hint'"),
        ([GOOD, GOOD], "line 2: a problem id is given once, got 'a' on line 1 too"),
        ([{**GOOD, "answer": None}], "line 1: a problem needs a reference answer, got none for 'a'"),
        ([{**GOOD, "answer": " "}], "a problem needs a reference answer, got none for 'a'"),
        ([{**GOOD, "answer": 2}], "line 1: answer must be a text, got 2"),
        ([{**GOOD, "question": ""}], "question must be a text that is not empty, got ''"),
        ([{**GOOD, "problem_id": 7}], "problem_id must be a text that is not empty, got 7"),
        ([{**GOOD, "meta": []}], "meta must be a JSON object, got []"),
        ([{**GOOD, "question": "9" * 1_000_000}], "a question has at most 100,000 characters, got 1,000,000"),
    ],
)
def test_bad_sets_are_refused_in_one_line(tmp_path: Path, records: list[object], message: str) -> None:
    got = refused(lines(tmp_path, *records))
    assert message in got
    assert len(got) < 300


def test_answers_are_not_needed_online(tmp_path: Path) -> None:
    path = lines(tmp_path, {k: v for k, v in GOOD.items() if k != "answer"})
    assert read_problems(path, need_answers=False)[0].answer is None


def test_files_that_are_no_text(tmp_path: Path) -> None:
    assert "must be a readable file" in refused(tmp_path / "missing.jsonl")
    broken = tmp_path / "p.jsonl.gz"
    broken.write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-9])
    assert "must be whole gzip" in refused(broken)
    broken.write_bytes(b"plain")
    assert "must be whole gzip" in refused(broken)
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"question": "gr\xf6\xdfe"}')
    assert "must be UTF-8 text, got byte 0xf6 at offset 16" in refused(latin)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + (json.dumps(GOOD) + "\n").encode())
    assert [problem.problem_id for problem in read_problems(path)] == ["a"]


def test_half_an_emoji_is_mended_and_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({**GOOD, "question": "Why \ud83d?", "meta": {"x": ["\ude00"]}}) + "\n")
    (problem,) = read_problems(path)
    assert (problem.question, problem.meta) == ("Why \ufffd?", {"x": ["\ufffd"]})
    write_problems(tmp_path / "q.jsonl", [problem])
    assert read_problems(tmp_path / "q.jsonl") == [problem]


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(GOOD)[:-1] + ', "answer": "other"}\n')
    assert refused(path) == "p.jsonl line 1: a key of an object is given once, got 'answer' twice"


def test_the_fingerprint_knows_content_and_order() -> None:
    one, two = Problem("a", "f", "text", "q", "1", {"x": 1, "y": 2}), Problem("b", "f", "text", "q", "1")
    same = Problem("a", "f", "text", "q", "1", {"y": 2, "x": 1})
    assert problems_fingerprint([one, two]) == problems_fingerprint([same, two])
    assert problems_fingerprint([one, two]) != problems_fingerprint([two, one])
    assert problems_fingerprint([one]) != problems_fingerprint(
        [Problem("a", "f", "text", "q", "2", one.meta)]
    )
