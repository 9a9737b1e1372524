"""``planner prm-eval`` on a shipped PRM and records of both benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from search.prm_benchmarks.reliability import PrmReliability

STEPS = [["13+64=77", "77+80=157", "#157"], ["13+64=78", "78+80=158", "#158"], ["64+80=144", "#144"]]
PROCESS = [
    {"id": f"{subset}-{i}", "problem": "What is (13+64)+80?", "steps": steps, "label": label}
    for subset in ("gsm8k", "math")
    for i, (steps, label) in enumerate(zip(STEPS, (-1, 0, 1), strict=True))
]
BENCH = [
    {
        "idx": 0,
        "modified_question": "What is (13+64)+80?",
        "modified_process": STEPS[1],
        "error_steps": [1, 2, 3],
        "classification": "deception",
    }
]


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "process.json").write_text(json.dumps(PROCESS))
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in BENCH))
    return [tmp_path / "process.json", tmp_path / "bench.jsonl"]


def test_both_benchmarks_and_a_reliability(files: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "reliability.json"
    code, out, said = run("prm-eval", "lab-prm-weak", *files, "-o", target, "--json")
    assert code == 0, said
    body = json.loads(out)
    assert set(body["processbench"]["subsets"]) == {"gsm8k", "math"}
    assert body["processbench"]["chosen_on"] == "gsm8k"
    assert set(body["prmbench"]["categories"]) == {"deception"}
    assert body["prm_tokens"] > 0
    reliability = PrmReliability.read(target)
    assert reliability.prm == "lab-prm-weak"
    assert reliability.records == 7
    assert reliability.process_f1 == body["processbench"]["average_f1"]


def test_tables_for_people(files: list[Path]) -> None:
    code, out, _ = run("prm-eval", "lab-prm-weak", *files)
    assert code == 0
    for part in ("ProcessBench, lab-prm-weak", "PRMBench, lab-prm-weak", "chosen on gsm8k", "overall"):
        assert part in out


def test_wrong_arguments_end_with_one_line(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text(json.dumps(PROCESS[3]) + "\n")
    for arguments, message in (
        (("nobody", files[0]), "a shipped model must be one of"),
        (("lab-prm-weak", tmp_path / "missing.jsonl"), "records must be a readable file"),
        (("lab-prm-weak", tmp_path / "other.jsonl"), "of the subset 'gsm8k' or given"),
        (("lab-prm-weak", files[0], "--family", "oracle"), "a reward family must be one of"),
        (("lab-prm-weak", files[0], "--threshold", "2"), "'--threshold'"),
    ):
        code, out, said = run("prm-eval", *arguments)
        assert code == 2, said
        assert message in said
        assert out == ""
