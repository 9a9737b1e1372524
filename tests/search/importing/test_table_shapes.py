"""Tables as people have them: wide ones, several samples in a cell, scores, prices, options, programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from planner.evidence.labels import draw_probes, values_of
from planner.evidence.probe import Probe
from planner.evidence.training_data import read_training_data
from search.choice import Choice
from search.errors import RecordError
from search.importing.pricing import FLOPS_PER_TOKEN, Price
from search.importing.report import Report
from search.log.store import SearchLog
from search.plan import Plan

Import = Callable[..., tuple[SearchLog, Report]]
Write = Callable[..., Path]

BASE: dict[str, Any] = {"question": "Capital of Italy?", "reference": "Rome", "tokens": 4}


def accuracy(log: SearchLog, plan: str = "majority(n=1)") -> dict[str, float]:
    outcomes = log.read("outcomes").filter(plan=plan).group_by("policy").agg(pl.col("accuracy").mean())
    return dict(outcomes.sort("policy").iter_rows())


def value(log: SearchLog, policy: str, n: int) -> float:
    """The mean value that a planner would learn of a vote over n samples."""
    data = read_training_data(log, log.manifest.policies, log.manifest.prms)
    choice = Choice(policy, None, Plan.of("majority", n=n))
    draws = draw_probes(
        len(data), data.pools[policy].draws, held=0, probes=1, resamples=64, seed=0, longest=n
    )
    return float(values_of(data, choice, Probe(policy, 0), draws).mean())


def test_an_answer_that_cannot_be_read_keeps_the_verdict_of_its_row(
    write_lines: Write, run_import: Import
) -> None:
    rows = [
        {
            "question": f"{i}?",
            "reference": "5",
            "text": "the thing is five",
            "correct": i % 4 != 0,
            "tokens": 9,
        }
        for i in range(20)
    ]
    log, report = run_import("table", write_lines("t.jsonl", rows), options={"domain": "math"})
    samples = log.read("samples")
    assert samples["answer"].null_count() == 20
    assert samples["correct"].mean() == accuracy(log)["policy"] == value(log, "policy", 1) == 0.75
    assert any("no answer can be read from 20 samples, 15 of them right" in note for note in report.notes)


def test_it_has_no_vote_where_others_can_be_read(write_lines: Write, run_import: Import) -> None:
    said = [("no idea", True), ("\\boxed{1}", False), ("\\boxed{1}", False), ("hm", True)]
    rows = [
        {"question": "2+3?", "reference": "5", "text": text, "correct": right, "tokens": 9}
        for text, right in said
    ]
    log, _ = run_import("table", write_lines("t.jsonl", rows), options={"domain": "math"})
    assert accuracy(log)["policy"] == 0.5
    # of two draws only the pair that cannot be read is right: one of six
    assert accuracy(log, "majority(n=2)")["policy"] == pytest.approx(1 / 6, abs=0.03)
    assert value(log, "policy", 2) == pytest.approx(1 / 6, abs=0.12)
    assert value(log, "policy", 4) == 0.0


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.parquet"])
def test_a_wide_table_has_a_column_per_model(
    tmp_path: Path, write_lines: Write, run_import: Import, name: str
) -> None:
    rows = [
        {
            "question": f"{q}?",
            "reference": "Rome",
            "big says": "Rome",
            "small says": "Bonn",
            "big n": 7,
            "small n": 3,
        }
        for q in ("x", "y")
    ]
    if name.endswith(".json"):
        file = write_lines(name, rows, array=True)
    elif name.endswith(".jsonl"):
        file = write_lines(name, rows)
    else:
        file = tmp_path / name
        frame = pl.DataFrame(rows)
        (frame.write_csv if name.endswith("csv") else frame.write_parquet)(file)
    log, _ = run_import("table", file, options={"columns": {"answer": "* says", "tokens": "* n"}})
    assert accuracy(log) == {"big": 1.0, "small": 0.0}
    assert dict(log.read("samples").select("policy", "tokens").unique().iter_rows()) == {"big": 7, "small": 3}


def test_models_by_name_and_columns_of_objects(write_lines: Write, run_import: Import) -> None:
    rows = [{**BASE, "big": "Rome", "small": "", "note": "x", "ok": {"big": True, "small": False}}]
    options = {"columns": {"answer": "*", "correct": "ok.*"}, "models": ("big", "small")}
    log, _ = run_import("table", write_lines("t.jsonl", rows), options=options)
    # small has a verdict and no answer
    assert log.read("samples").select("policy", "answer", "correct").rows() == [
        ("big", "rome", True),
        ("small", None, False),
    ]
    with pytest.raises(RecordError, match=r"a column '\*' needs models that it stands for"):
        run_import("table", write_lines("t.jsonl", rows), options={"columns": {"answer": "*"}})
    with pytest.raises(RecordError, match=r"no column is answer=\*_says, got 'big'"):
        run_import("table", write_lines("t.jsonl", rows), options={"columns": {"answer": "*_says"}})


@pytest.mark.parametrize(
    "cell", [["Rome", "Bonn", "Rome"], '["Rome", "Bonn", "Rome"]', "['Rome', 'Bonn', \"Rome\"]"]
)
@pytest.mark.parametrize("correct", [None, [True, False, True], "[1, 0, 1]"])
def test_several_samples_in_a_cell(
    write_lines: Write, run_import: Import, cell: object, correct: object
) -> None:
    row = {**BASE, "answer": cell, "correct": correct}
    log, _ = run_import("table", write_lines("t.jsonl", [row]))
    samples = log.read("samples")
    assert samples["answer"].to_list() == ["rome", "bonn", "rome"]
    assert samples["correct"].to_list() == [True, False, True]


def test_a_list_that_is_one_answer_stays_one(write_lines: Write, run_import: Import) -> None:
    rows = [{"question": "Which?", "reference": "[1, 2]", "answer": "[1, 2]", "tokens": 3}]
    log, _ = run_import("table", write_lines("t.jsonl", rows))
    assert log.read("samples")["correct"].to_list() == [True]
    rows = [{"question": "Which?", "reference": "4", "answer": "[4, 5, 4]", "tokens": 3}]
    log, _ = run_import("table", write_lines("t.jsonl", rows))
    assert log.read("samples")["correct"].to_list() == [True, False, True]


def test_lists_of_two_lengths_are_refused(write_lines: Write, run_import: Import) -> None:
    row = {**BASE, "answer": ["a", "b"], "correct": [True]}
    with pytest.raises(RecordError, match="hold one entry per sample, got 2 of answer, 1 of correct"):
        run_import("table", write_lines("t.jsonl", [row]))


def test_scores_between_0_and_1_are_kept_or_cut_on_request(write_lines: Write, run_import: Import) -> None:
    rows = [
        {**BASE, "question": f"{i}?", "answer": "Rome", "score": score}
        for i, score in enumerate((0.25, 1, 0))
    ]
    file = write_lines("t.jsonl", rows)
    log, report = run_import("table", file)
    assert accuracy(log)["policy"] == pytest.approx(1.25 / 3)
    assert value(log, "policy", 1) == pytest.approx(1.25 / 3)
    assert any("1 samples have a score between 0 and 1, on average 0.250" in note for note in report.notes)
    for threshold, right in ((0.2, 2 / 3), (0.5, 1 / 3)):
        log, _ = run_import("table", file, options={"threshold": threshold})
        assert accuracy(log)["policy"] == value(log, "policy", 1) == pytest.approx(right)
    with pytest.raises(RecordError, match="a threshold lies above 0 and up to 1, got 2"):
        run_import("table", file, options={"threshold": 2.0})


def test_fractions_of_unreadable_answers_and_of_greedy_ones(write_lines: Write, run_import: Import) -> None:
    rows = [
        {"question": "2+3?", "reference": "5", "text": "hm", "score": 0.5, "tokens": 9},
        {
            "question": "2+3?",
            "reference": "5",
            "text": "\\boxed{5}",
            "score": 0.75,
            "tokens": 9,
            "plan": "cot()",
        },
    ]
    log, _ = run_import("table", write_lines("t.jsonl", rows), options={"domain": "math"})
    assert value(log, "policy", 1) == 0.5
    assert accuracy(log, "cot()") == {"policy": 0.75}


def test_a_table_with_verdicts_needs_no_reference(write_lines: Write, run_import: Import) -> None:
    rows = [{"question": f"{i}?", "answer": "x", "correct": i < 3, "tokens": 2} for i in range(4)]
    log, _ = run_import("table", write_lines("t.jsonl", rows))
    assert accuracy(log) == {"policy": 0.75}
    assert log.read("problems")["answer"].null_count() == 4


def test_gold_as_a_worked_solution(write_lines: Write, run_import: Import) -> None:
    rows = [
        {"question": "1?", "solution": "3 + 4 = 7\n#### 1,007", "answer": "1007", "tokens": 2},
        {"question": "2?", "solution": "So it is $\\boxed{\\frac12}$.", "answer": "0.5", "tokens": 2},
    ]
    log, _ = run_import("table", write_lines("t.jsonl", rows), options={"domain": "math"})
    assert log.read("samples")["correct"].to_list() == [True, True]


def test_efforts_are_policies(write_lines: Write, run_import: Import) -> None:
    rows = [{**BASE, "answer": "Rome", "policy": "o3", "effort": effort} for effort in ("low", "high")]
    log, _ = run_import("table", write_lines("t.jsonl", rows), options={"sizes": {"o3": 7}})
    assert {name: card.parameters for name, card in log.manifest.policies.items()} == {
        "o3-low": 7,
        "o3-high": 7,
    }


def test_prices_costs_and_seconds_stand_for_flops(write_lines: Write, run_import: Import) -> None:
    row = {**BASE, "answer": "Rome", "prompt_tokens": 100, "tokens": 10, "policy": "m"}
    prices = {"m": Price(1.0, 4.0)}
    log, _ = run_import("table", write_lines("t.jsonl", [row]), options={"prices": prices})
    # 25 + 10 tokens of 4 millionths of a dollar
    assert log.read("outcomes")["flops"].item() == pytest.approx(140 * FLOPS_PER_TOKEN)
    log, _ = run_import("table", write_lines("t.jsonl", [{**row, "cost": 0.00014}]))
    assert log.read("outcomes")["flops"].item() == pytest.approx(140 * FLOPS_PER_TOKEN)
    timed = {name: cell for name, cell in row.items() if name != "tokens"} | {"seconds": 1.5}
    log, _ = run_import("table", write_lines("t.jsonl", [timed]))
    assert log.read("samples")["tokens"].item() == 1500
    with pytest.raises(RecordError, match="a price of generated tokens is above 0, got 0"):
        Price(1.0, 0.0)


def test_letters_of_shuffled_options_become_their_texts(write_lines: Write, run_import: Import) -> None:
    rows = [
        {
            "problem_id": "q",
            "question": f"Which is red? {options}",
            "reference": reference,
            "options": options,
            "answer": answer,
            "tokens": 1,
        }
        for options, reference, answer in (
            (["blood", "grass"], "A", "A"),
            (["grass", "blood"], "B", "A"),
            (["grass", "blood"], "(B)", "b."),
            (["grass", "blood"], "blood", "blood"),
        )
    ]
    log, report = run_import("table", write_lines("t.jsonl", rows))
    samples = log.read("samples")
    assert samples["answer"].to_list() == ["blood", "grass", "blood", "blood"]
    assert samples["correct"].to_list() == [True, False, True, True]
    assert log.read("problems")["answer"].to_list() == ["blood"]
    assert not report.left_out


def test_programs_have_an_entry_point(write_lines: Write, run_import: Import) -> None:
    prompt = 'def double(x):\n    """Twice.\n\n    >>> double(2)\n    4\n    """\n'
    row = {
        "question": prompt,
        "reference": "assert double(3) == 6",
        "text": "```python\ndef double(x):\n    return 2 * x\n```",
        "entry_point": "double",
        "correct": True,
    }
    log, _ = run_import("table", write_lines("t.jsonl", [row]), options={"domain": "python"})
    meta = json.loads(log.read("problems")["meta"].item())
    assert (meta["entry_point"], meta["prompt"], meta["public"]) == ("double", prompt.strip(), ["double(2)"])


@pytest.mark.parametrize("cell", ["NaN", '"nan"', '""', "null"])
def test_nan_is_no_reference(tmp_path: Path, run_import: Import, cell: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        f'{{"question": "1?", "reference": {cell}, "answer": "nan", "tokens": 1}}\n'
        '{"question": "2?", "reference": "2", "answer": "2", "tokens": 1}\n'
    )
    log, report = run_import("table", path)
    assert log.read("problems")["answer"].to_list() == ["2"]
    assert list(report.left_out) == ["a problem needs a reference answer"]


def test_numbers_are_not_rewritten(tmp_path: Path, run_import: Import) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"question": "1?", "reference": 1e-07, "answer": 0.00000010, "tokens": 1}\n')
    log, _ = run_import("table", path, options={"domain": "math"})
    assert log.read("problems")["answer"].item() == "0.0000001"
    assert log.read("samples")["correct"].item() is True


def test_a_twin_column_is_refused(tmp_path: Path, run_import: Import) -> None:
    path = tmp_path / "t.csv"
    path.write_text("question,reference,answer,answer,tokens\n1?,1,1,2,3\n")
    with pytest.raises(RecordError, match=r"t\.csv: a column is named once, got 'answer' twice"):
        run_import("table", path)


def test_half_an_emoji_is_mended_and_told(tmp_path: Path, run_import: Import) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"question": "Why \\ud83d?", "reference": "\\ud83d", "text": "\\ud83d", "tokens": 1}\n')
    log, report = run_import("table", path)
    assert log.read("problems")["question"].item() == "Why \ufffd?"
    assert log.read("samples")["correct"].item() is True
    assert any("texts hold U+FFFD" in note for note in report.notes)


def test_near_duplicates_share_a_family(write_lines: Write, run_import: Import) -> None:
    rows = [
        {"question": f"{name} has {n} apples and eats one. How many are left?", "reference": str(n - 1)}
        for name, n in (("Tom", 3), ("Ann", 12), ("Olga", 7))
    ]
    rows.append({"question": "Why do cats purr at night?", "reference": "joy"})
    rows = [{**row, "answer": "x", "tokens": 1} for row in rows]
    log, report = run_import("table", write_lines("t.jsonl", rows), block=2)
    families = dict(log.read("problems").select("answer", "family").iter_rows())
    assert families["2"] == families["11"] == families["6"] != families["joy"]
    assert any("4 problems that name none are of 2" in note for note in report.notes)
    assert {path.name for path in log.path.iterdir()} == {
        *("manifest.json", "table=problems", "table=samples", "table=outcomes")
    }


def test_a_plan_that_nobody_knows_is_named_with_a_hint(write_lines: Write, run_import: Import) -> None:
    plans = ["best-of-16", "Self-Consistency@40", "greedy", "magic", "cot()"]
    rows = [{**BASE, "answer": "Rome", "plan": plan} for plan in plans]
    _, report = run_import("table", write_lines("t.jsonl", rows))
    rule = "a plan is one that the grammar knows, got"
    assert list(report.left_out)[:3] == [
        f"{rule} 'best-of-16': did you mean best_of_n(n=16)?",
        f"{rule} 'Self-Consistency@40': did you mean majority(n=40)?",
        f"{rule} 'greedy': did you mean cot()?",
    ]
    assert list(report.left_out)[3].startswith(f"{rule} 'magic': plans are cot, majority, ")


def test_letters_of_choices_mean_what_their_own_row_showed(tmp_path: Path, run_import: Import) -> None:
    orders = [["Rome", "Oslo", "Bonn"], ["Oslo", "Rome", "Bonn"], ["Bonn", "Rome", "Oslo"]]
    rows = [
        {
            "question": "Capital of Norway?",
            "options": order,
            "reference": "ABC"[order.index("Oslo")],
            "text": "The answer is (B).",
        }
        for order in orders
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    log, _ = run_import("table", path, options={"domain": "choice"})
    samples = log.read("samples").sort("draw")
    assert samples["answer"].to_list() == ["Oslo", "Rome", "Rome"]
    assert samples["correct"].to_list() == [True, False, False]
    assert log.read("problems")["answer"].to_list() == ["Oslo"]
