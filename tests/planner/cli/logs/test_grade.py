"""``planner grade FILE``: pairs are graded in their order, and a bad record stops nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app

TESTS = "def check(candidate):\n    assert candidate(2) == 4\n"


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    good = [
        {"domain": "math", "reference": "\\frac12", "solution": "\\boxed{0.5}", "equal": True},
        {"domain": "math", "reference": 7, "solution": "\\boxed{8}", "kind": "number"},
        {"domain": "math", "reference": "7", "solution": "no idea \ud800"},
        {
            "domain": "python",
            "tests": TESTS,
            "entry_point": "double",
            "solution": "```python\ndef double(x):\n    return 2 * x\n```",
        },
        {"domain": "quantity", "reference": "5 m", "solution": "\\boxed{5.2 m}", "tolerance": 0.1},
    ]
    bad: list[object] = [
        {"domain": "poetry", "reference": "a", "solution": "b"},
        {"domain": "math", "reference": None, "solution": "b"},
        {"domain": "math", "reference": "", "solution": "\\boxed{1}"},
        {"domain": "math", "reference": "1"},
        {"domain": "math", "reference": float("nan"), "solution": "\\boxed{1}"},
        ["a list"],
    ]
    lines = [json.dumps(record).encode() for record in [*good, *bad]]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join([*lines, b"", b"{no json", b'{"a": "\xff"}', b""]))
    return path


def test_every_record_has_its_line_in_order(file: Path) -> None:
    code, out, said = run("grade", file, "--json")
    assert code == 0, said
    rows = json.loads(out)
    assert [row["right"] for row in rows] == [True, False, False, True, True, *[None] * 8]
    assert [row["read"] for row in rows[:3]] == ["1/2", "8", None]
    assert rows[2]["verdict"] == "unreadable"
    for row, told in zip(
        rows[5:],
        (
            "domain must be one of",
            "a reference must be a text, got None",
            "a reference answer is some mathematics, got ''",
            "solution must be a text, got None",
            "a reference must be a finite number, got nan",
            "a record must be an object, got ['a list']",
            "a record must be one line of JSON, got '{no json'",
            "a record must be one line of JSON",
        ),
        strict=True,
    ):
        assert row["read"] is None
        assert told in row["error"]
        assert "\n" not in row["error"]


def test_a_table_for_people(file: Path) -> None:
    code, out, _ = run("grade", file)
    assert code == 0
    assert "unreadable" in out
    assert "record 7: a reference must be a text, got None" in out


def test_an_array_is_taken_too(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps([{"domain": "text", "reference": "a", "solution": "# A"}] * 2, indent=2))
    code, out, _ = run("grade", path, "--json")
    assert (code, [row["right"] for row in json.loads(out)]) == (0, [True, True])


def test_what_is_no_file_of_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    for source, told in (
        (tmp_path / "empty.jsonl", "at least one record"),
        (tmp_path / "none", "a file of records or a search log must exist, got "),
    ):
        code, _, said = run("grade", source, "--json")
        assert code == 2
        assert told in said
    code, _, said = run("grade", tmp_path)
    assert code == 2
    assert "a search log is a folder with a manifest.json" in " ".join(said.split())
