"""Tables of any shape: roles, samples and plans, and what each broken row is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from search.errors import RecordError
from search.importing.report import Report
from search.log.store import SearchLog

Import = Callable[..., tuple[SearchLog, Report]]

ROWS: list[dict[str, Any]] = [
    {
        "question": f"Capital of {'ab'[q]}?",
        "reference": "Rome",
        "answer": "rome" if i % 2 else "Bonn",
        "tokens": 5 + i,
    }
    for q in range(2)
    for i in range(4)
]


def csv(tmp_path: Path, rows: list[dict[str, Any]], name: str = "t.csv") -> Path:
    path = tmp_path / name
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_one_row_per_sample(tmp_path: Path, run_import: Import, name: str) -> None:
    frame = pl.DataFrame(ROWS)
    {"t.csv": frame.write_csv, "t.parquet": frame.write_parquet, "t.jsonl": frame.write_ndjson}[name](
        tmp_path / name
    )
    log, report = run_import("table", tmp_path / name, options={"policy": "m", "parameters": 100})
    samples = log.read("samples")
    assert report.taken == {"problems": 2, "samples": 8}
    assert samples["correct"].to_list() == [False, True, False, True] * 2
    assert samples["draw"].to_list() == [0, 1, 2, 3] * 2
    assert samples["tokens"].to_list() == [5, 6, 7, 8] * 2
    assert log.manifest.policies["m"].parameters == 100
    assert not log.manifest.prms


def test_a_column_model_names_policies_and_columns_without_a_role_are_told(
    tmp_path: Path, run_import: Import
) -> None:
    rows = [{**row, "model": name, "seed": 3} for row in ROWS for name in ("big", "small")]
    log, report = run_import("table", csv(tmp_path, rows))
    assert sorted(log.manifest.policies) == ["big", "small"]
    assert "policies are named by the column 'model'" in report.notes
    assert "columns without a role: seed (--column ROLE=NAME)" in report.notes

    named = [{**row, "policy": "p", "model": "graded by this"} for row in ROWS]
    log, report = run_import("table", csv(tmp_path, named, "named.csv"))
    assert sorted(log.manifest.policies) == ["p"]
    assert "columns without a role: model (--column ROLE=NAME)" in report.notes


def test_columns_of_other_names(tmp_path: Path, run_import: Import) -> None:
    rows = [
        {
            **{
                "qid": "q1",
                "prompt": "Half of one?",
                "gold": "1/2",
                "model": "big",
                "out": "So \\boxed{0.5}",
            },
            **{"ok": "no", "prm": "[0.25, 0.75]", "n_in": 9, "n_rm": 30, "set": "halves"},
        }
    ]
    columns = {
        **{"problem_id": "qid", "question": "prompt", "reference": "gold", "policy": "model", "text": "out"},
        **{"correct": "ok", "rewards": "prm", "prompt_tokens": "n_in", "prm_tokens": "n_rm", "family": "set"},
    }
    options = {"columns": columns, "domain": "math", "sizes": {"big": 5}, "prm": "judge", "prm_parameters": 3}
    log, report = run_import("table", csv(tmp_path, rows), options=options)
    sample, scored = log.read("samples").row(0, named=True), log.read("scores").row(0, named=True)
    assert (sample["problem_id"], sample["policy"], sample["answer"]) == ("q1", "big", "1/2")
    # the verdict of the row is kept, though the answer is right
    assert sample["correct"] is False
    assert (sample["prompt_tokens"], sample["tokens"], scored["prm_tokens"]) == (9, 5, 30)
    assert (scored["prm"], scored["step_rewards"]) == ("judge", [0.25, 0.75])
    assert log.read("problems")["family"].item() == "halves"
    assert log.manifest.policies["big"].parameters == 5
    assert any("by the length of the text" in note for note in report.notes)


def test_one_row_per_problem_and_plan(tmp_path: Path, run_import: Import) -> None:
    plans = ["majority(n=1)", "cot()", "majority(16)", "majority( n = 16 )", "majority(n=16)"]
    rows = [{**ROWS[1], "plan": plan, "tokens": 10 * (i + 1)} for i, plan in enumerate(plans)]
    log, report = run_import("table", csv(tmp_path, rows), options={"parameters": 4})
    samples = log.read("samples").select("policy", "draw", "tokens")
    assert sorted(samples.iter_rows()) == [
        ("policy", -1, 20),
        ("policy", 0, 10),
        ("policy majority(n=16)", 0, 40),
        ("policy majority(n=16)", 1, 50),
    ]
    assert list(report.left_out) == [
        "a plan is one that the grammar knows, got 'majority(16)': did you mean majority(n=16)?"
    ]
    assert {card.parameters for card in log.manifest.policies.values()} == {4}
    outcomes = log.read("outcomes")
    assert set(outcomes.filter(plan="cot()")["tokens"]) == {20.0 + 5}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"question": ""}, "a problem needs a question"),
        ({"reference": None}, "a problem needs a reference answer"),
        ({"correct": "perhaps"}, "a verdict is yes or no, or a score from 0 to 1, got 'perhaps'"),
        ({"correct": "1.5"}, "a verdict is yes or no, or a score from 0 to 1, got '1.5'"),
        (
            {"plan": "best-of-8"},
            "a plan is one that the grammar knows, got 'best-of-8': did you mean best_of_n(n=8)?",
        ),
        ({"tokens": "many"}, "tokens is a whole number from 0"),
        ({"tokens": "-3"}, "tokens is a whole number from 0"),
        ({"tokens": "nan"}, "tokens is a whole number from 0"),
        ({"tokens": ""}, "a row has a count of tokens, or a text to estimate it from"),
        ({"rewards": "NaN"}, "a reward is finite"),
        ({"rewards": "[0.1,"}, "a reward is a number"),
        ({"rewards": "3"}, "a reward lies in [0, 1] unless rewards are said to be logits"),
        ({"problem_id": "q"}, "a problem id names one question with one reference answer"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_and_told(
    tmp_path: Path, run_import: Import, changed: dict[str, Any], why: str
) -> None:
    base = {"correct": "yes", "rewards": "0.5", "problem_id": ""}
    rows = [{**row, "tokens": str(row["tokens"]), **base} for row in ROWS]
    rows[0] |= {"problem_id": "q"}
    rows[5] |= changed
    log, report = run_import("table", csv(tmp_path, rows))
    assert {reason: (left.count, left.first) for reason, left in report.left_out.items()} == {
        why: (1, "t.csv row 6")
    }
    assert log.rows("samples") == 7


def test_a_second_greedy_answer_is_left_out(tmp_path: Path, run_import: Import) -> None:
    rows = [{**ROWS[0], "plan": "cot()"}] * 2 + [{**ROWS[0], "plan": ""}]
    _, report = run_import("table", csv(tmp_path, rows))
    assert list(report.left_out) == ["a policy has one greedy answer per problem"]


@pytest.mark.parametrize("role", ["question", "reference"])
def test_a_missing_column_is_named(tmp_path: Path, run_import: Import, role: str) -> None:
    rows = [{name: value for name, value in row.items() if name != role} for row in ROWS]
    with pytest.raises(RecordError, match=f"t.csv row 1: column '{role}' is missing, got 'answer'"):
        run_import("table", csv(tmp_path, rows))


def test_a_column_that_an_option_names_must_be_there(tmp_path: Path, run_import: Import) -> None:
    with pytest.raises(RecordError, match="column 'gold' is missing"):
        run_import("table", csv(tmp_path, ROWS), options={"columns": {"reference": "gold"}})


def test_a_table_without_answers_is_refused(tmp_path: Path, run_import: Import) -> None:
    rows = [{"question": "q", "reference": "r"}]
    with pytest.raises(
        RecordError, match="a table has a column 'answer' or 'text', got 'question', 'reference'"
    ):
        run_import("table", csv(tmp_path, rows))


@pytest.mark.parametrize(
    ("domain", "question", "reference", "answer"),
    [
        ("math", "Half?", r"\frac12", "0.50"),
        ("arithmetic", "1+1?", "2", "2"),
        ("game24", "4 5 6 10", "24", "(10-6)+4*5"),
        ("chemistry", "Mass?", "18 g/mol", "18.0 g/mol"),
        ("text", "Who?", "Ada", "ADA"),
    ],
)
def test_a_bare_answer_is_read_by_every_domain(
    tmp_path: Path, run_import: Import, domain: str, question: str, reference: str, answer: str
) -> None:
    rows = [{"question": question, "reference": reference, "answer": answer, "tokens": 1}]
    log, _ = run_import("table", csv(tmp_path, rows), options={"domain": domain})
    assert log.read("samples")["correct"].to_list() == [True]


def test_a_reference_that_its_domain_cannot_read_is_left_out(tmp_path: Path, run_import: Import) -> None:
    rows = [{**ROWS[0], "reference": "many"}, {**ROWS[4], "reference": "7"}]
    _, report = run_import("table", csv(tmp_path, rows), options={"domain": "arithmetic"})
    assert list(report.left_out) == ["a reference answer is one that its domain can read"]
