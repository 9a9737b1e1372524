"""``planner import``: makes a log, says what it took, and refuses what is wrong with one line."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from planner.cli.printing import brief
from planner.evidence.training_data import read_training_data
from planner.planner import Planner
from search.log.store import SearchLog

ROW = {"question": "Capital of Italy?", "reference": "Rome", "answer": "Rome", "tokens": 4}


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["import", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["import", *arguments])
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("planner: ").strip()


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    """A table of these rows as JSON lines."""

    def write(*rows: dict[str, Any]) -> str:
        (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(tmp_path / "t.jsonl")

    return write


def test_a_log_and_its_account(tmp_path: Path, table: Callable[..., str]) -> None:
    file = table(ROW, {**ROW, "reference": None})
    said = run("table", file, "-o", str(tmp_path / "log"), "--policy", "m", "--parameters", "1.5B")
    assert SearchLog.open(tmp_path / "log").manifest.policies["m"].parameters == 1_500_000_000
    for part in ("from table", "samples", "Left out", "a problem needs a reference answer", "t.jsonl line 2"):
        assert part in said
    assert said.rstrip().endswith(f"Next: planner fit {tmp_path / 'log'} -o MODEL")


def test_the_account_as_json(tmp_path: Path, table: Callable[..., str]) -> None:
    said = json.loads(run("table", table(ROW), "-o", str(tmp_path / "log"), "--json"))
    assert said["log"] == str(tmp_path / "log")
    assert said["taken"] == {"problems": 1, "samples": 1}
    assert said["left_out"] == []
    assert said["format"] == "table"


def test_columns_and_sizes_are_named_by_options(tmp_path: Path, table: Callable[..., str]) -> None:
    file = table({"q": "Half?", "gold": "1/2", "said": "0.5", "who": "big", "rm": 0.0, "tokens": 2})
    roles = {"question": "q", "reference": "gold", "answer": "said", "policy": "who", "rewards": "rm"}
    columns = [part for role, name in roles.items() for part in ("--column", f"{role}={name}")]
    options = [
        "--domain",
        "math",
        "--size",
        "big=7b",
        "--prm",
        "judge",
        "--prm-parameters",
        "72e9",
        "--logits",
    ]
    run("table", file, "-o", str(tmp_path / "log"), *columns, *options)
    log = SearchLog.open(tmp_path / "log")
    assert log.manifest.policies["big"].parameters == 7_000_000_000
    assert log.manifest.prms["judge"].parameters == 72_000_000_000
    assert log.read("scores")["step_rewards"].to_list() == [[0.5]]
    assert log.read("samples")["correct"].to_list() == [True]


@pytest.mark.parametrize(
    ("form", "options", "said"),
    [
        (
            "csv",
            [],
            "format must be one of search-and-learn, tree-of-thoughts, gsm8k-solutions, qwen-math-rm, ",
        ),
        ("gsm8k-solutions", ["--plan", "cot()"], "gsm8k-solutions takes samples, got plan"),
        ("table", ["--domain", "poetry"], "domain must be one of "),
        (
            "table",
            ["--parameters", "many"],
            "a size is a number of parameters such as 7B or 1.5e9, got 'many'",
        ),
        ("table", ["--parameters", "0"], "a size is a number of parameters such as 7B or 1.5e9, got '0'"),
        ("table", ["--column", "question"], "it is written ROLE=NAME, got 'question'"),
        ("table", ["--column", "color=c"], "roles of columns are question, "),
        ("table", ["--size", "big=", "--policy", "m"], "it is written POLICY=N, got 'big='"),
        ("table", ["--temperature", "-1"], "temperature cannot be negative but got -1.0"),
        ("search-and-learn", ["--plan", "guess(n=4)"], "strategy must be one of "),
        ("search-and-learn", ["--plan", "cot()"], "files of samples need no plan"),
        ("gsm8k-solutions", ["--samples", "0"], "a verifier chooses among at least 1 sample, got 0"),
    ],
)
def test_options_that_make_no_sense(
    tmp_path: Path, table: Callable[..., str], form: str, options: list[str], said: str
) -> None:
    assert said in refused(form, table(ROW), "-o", str(tmp_path / "log"), *options)
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("form", "content", "said"),
    [
        ("table", "", "an import needs at least one record, got an empty file"),
        ("table", "no json\n", "t.jsonl line 1: a record is one JSON object a line, got 'no json\\n'"),
        ("table", '{"question": "q"}\n', "t.jsonl line 1: column 'reference' is missing, got 'question'"),
        (
            "table",
            '{"question": "q", "reference": null, "answer": "a", "tokens": 1}\n',
            "can be taken, got none: a problem needs a reference answer (t.jsonl line 1)",
        ),
        (
            "table",
            '{"question": "q", "reference": "r", "answer": "a", "tokens": 1, "rewards": NaN}\n',
            "can be taken, got none: a reward is finite (t.jsonl line 1)",
        ),
        ("search-and-learn", "{}\n", "t.jsonl line 1: column 'problem' is missing, got none"),
        ("gsm8k-solutions", "[]\n", "t.jsonl line 1: a record is a JSON object, got []"),
        ("qwen-math-rm", '{"question": "q"}\n', "t.jsonl line 1: column 'gt' is missing, got 'question'"),
        ("tree-of-thoughts", "{}", "the records are one JSON array, got '{}'"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, form: str, content: str, said: str) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    assert said in refused(form, str(tmp_path / "t.jsonl"), "-o", str(tmp_path / "log"))
    assert {path.name for path in tmp_path.iterdir()} == {"t.jsonl"}


def test_a_file_that_is_not_there_and_a_log_that_is(tmp_path: Path, table: Callable[..., str]) -> None:
    said = refused("table", str(tmp_path / "gone.csv"), "-o", str(tmp_path / "log"))
    assert said.startswith("records must be a readable file, got '")
    run("table", table(ROW), "-o", str(tmp_path / "log"))
    said = refused("table", table(ROW), "-o", str(tmp_path / "log"))
    assert said.startswith("an import writes into a folder that is new or empty, got '")


def test_bins_read_what_was_imported(tmp_path: Path) -> None:
    if "PLANNER_DATA" not in os.environ:
        pytest.skip("PLANNER_DATA names no folder of records by others")
    file = Path(os.environ["PLANNER_DATA"]) / "qwen_math_rm8" / "math_cot_100.jsonl"
    run("qwen-math-rm", str(file), "-o", str(tmp_path / "log"))
    done = CliRunner().invoke(app, ["bins", str(tmp_path / "log"), "--json"])
    assert done.exit_code == 0, done.output
    cells = json.loads(done.stdout)
    assert {cell["bin"] for cell in cells} <= {"easy", "medium", "hard"}
    assert "majority(n=4)" in {cell["plan"] for cell in cells}


def solved(number: int, samples: int, rng: random.Random) -> dict[str, Any]:
    """A problem as search-and-learn writes it: the longer, the harder; the PRM tells right from wrong."""
    right = [rng.random() < 0.9 - 0.1 * (number % 8) for _ in range(samples)]
    return {
        "problem": f"What is {number} plus one{' and one' * (number % 8)} of {chr(97 + number % 23)}?",
        "answer": str(number),
        "subject": f"sums {number % 6}",
        "level": number % 8,
        "completions": [f"So.\n\n\\boxed{{{number + (0 if good else rng.randint(1, 9))}}}" for good in right],
        "scores": [[0.5, 0.7 if good else 0.4 * rng.random()] for good in right],
        "completion_tokens": [rng.randint(20, 40) for _ in right],
    }


def test_a_planner_is_fitted_on_what_was_imported_and_evaluated(tmp_path: Path) -> None:
    rng = random.Random(0)
    records = [solved(number, 8, rng) for number in range(72)]
    names = ("best_of_n.jsonl", "beam_search_0.jsonl", "beam_search_1.jsonl")
    for name in names:
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    files = [str(tmp_path / name) for name in names]
    run("search-and-learn", *files, "-o", str(tmp_path / "log"), "--plan", "beam_search(n=8)")
    log = SearchLog.open(tmp_path / "log")
    data = read_training_data(log, log.manifest.policies, log.manifest.prms)
    rates = data.graded(data.pools["policy"].codes).mean(axis=1)
    assert (len(data), data.left_out, data.pools["policy"].draws) == (72, 0, 8)
    assert rates.mean() == pytest.approx(log.read("samples")["correct"].mean())
    fitted = CliRunner().invoke(
        app, ["fit", str(tmp_path / "log"), "-o", str(tmp_path / "planner"), "--trials", "0", "--json"]
    )
    assert fitted.exit_code == 0, fitted.output
    known = {f"{choice.prm} {brief(choice.plan)}" for choice in data.choices}
    assert {"None majority(n=4)", "prm best_of_n(n=4)", "prm beam_search(n=8)"} <= known
    done = CliRunner().invoke(
        app,
        [
            "evaluate",
            str(tmp_path / "log"),
            "--planner",
            str(tmp_path / "planner"),
            "--budgets",
            "4",
            "--json",
        ],
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["budgets"][0]["planner"]["accuracy"] > rates.mean() - 0.05


def test_systems_that_answered_once_can_be_planned_with(tmp_path: Path) -> None:
    rng = random.Random(1)
    chances = {
        "6b_finetuning": 0.2,
        "6b_verification": 0.4,
        "175b_finetuning": 0.35,
        "175b_verification": 0.7,
    }
    records = [
        {
            "question": f"Ann has {number} eggs{' and more' * (number % 5)}. How many in all?",
            "ground_truth": f"A: {number}",
            **{
                name: {"solution": f"She has.\nA: {number + (not good)}", "is_correct": good}
                for name, good in ((name, rng.random() < chance) for name, chance in chances.items())
            },
        }
        for number in range(80)
    ]
    (tmp_path / "g.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    run("gsm8k-solutions", str(tmp_path / "g.jsonl"), "-o", str(tmp_path / "log"))
    options = [str(tmp_path / "log"), "-o", str(tmp_path / "planner"), "--trials", "0", "--json"]
    # all questions are of one template
    refused_fit = CliRunner().invoke(app, ["fit", *options])
    assert refused_fit.exit_code == 2
    assert "got 80 problems of 1; --folds problem fits for requests of these kinds" in refused_fit.stderr
    fitted = CliRunner().invoke(app, ["fit", *options, "--folds", "problem"])
    assert fitted.exit_code == 0, fitted.output
    planner = Planner.load(tmp_path / "planner")
    question = str(records[0]["question"])
    # 2 x 6e9 FLOPs a token: one solution fits, 200 do not, nor does any of the larger model
    assert planner.recommend(question, flops=1e12).choice.policy == "gpt3-6b"
    assert planner.recommend(question, flops=1e16).choice.policy == "gpt3-175b-verified"
    # one sample of each policy: compared and shown all the same
    for command in (
        ["evaluate", str(tmp_path / "log"), "--planner", str(tmp_path / "planner"), "--budgets", "1,64"],
        ["bins", str(tmp_path / "log")],
        [
            "report",
            str(tmp_path / "log"),
            "--planner",
            str(tmp_path / "planner"),
            "-o",
            str(tmp_path / "r.html"),
        ],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    assert "gpt3-175b-verified" in (tmp_path / "r.html").read_text()


def test_a_dry_run_shows_the_first_samples_and_writes_nothing(
    tmp_path: Path, table: Callable[..., str]
) -> None:
    file = table({**ROW, "answer": ["Rome", "Bonn"]}, {**ROW, "answer": "Rome", "score": 0.25})
    said = run("table", file, "--dry-run")
    for part in (
        "as they would be read",
        "Capital of Italy?",
        "t.jsonl line 1",
        "0.25",
        "Nothing was written.",
    ):
        assert part in said
    shown = json.loads(run("table", file, "--dry-run", "-o", str(tmp_path / "log"), "--json"))
    assert [(one["answer"], one["correct"]) for one in shown] == [
        ("rome", True),
        ("bonn", False),
        ("rome", False),
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"t.jsonl"}
    assert "an import writes a log, got no -o LOG" in refused("table", file)
    assert "a problem needs a question" in refused("table", table({**ROW, "question": ""}), "--dry-run")


def test_options_of_wide_tables_with_prices(tmp_path: Path, table: Callable[..., str]) -> None:
    file = table(
        {"question": "1?", "reference": "1", "a": "1", "b": "2", "tokens": 2, "ok": {"a": 0.5, "b": 0}}
    )
    options = ["--column", "answer=*", "--column", "correct=ok.*", "--model", "a", "--model", "b"]
    run("table", file, "-o", str(tmp_path / "log"), *options, "--price", "a=1,2", "--threshold", "0.5")
    log = SearchLog.open(tmp_path / "log")
    assert log.read("samples").select("policy", "correct").rows() == [("a", True), ("b", False)]
    assert log.manifest.policies["a"].flops_per_token == 1.6e11
    for wrong, said in (
        (["--price", "a=1"], "a price is written POLICY=IN,OUT, got a=1"),
        (["--price", "a=1,0"], "a price of generated tokens is above 0, got 0"),
        (
            ["--column", "answer=x", "--column", "answer=y"],
            "ROLE is given once, got answer twice: 'answer=y'",
        ),
        (["--threshold", "7"], "a threshold lies above 0 and up to 1, got 7"),
    ):
        assert said in refused("table", file, "-o", str(tmp_path / "other"), *wrong)


@pytest.mark.parametrize("samples", [1, 2])
def test_a_policy_of_one_sample_beside_one_of_many(
    tmp_path: Path, table: Callable[..., str], samples: int
) -> None:
    rng = random.Random(5)
    words = ("red", "moon", "cat", "ship", "stone", "rain", "lamp", "road", "leaf", "salt")
    questions = [f"{' '.join(rng.choice(words) for _ in range(12))}?" for _ in range(70)]
    rows = [
        {
            "question": question,
            "reference": "1",
            "policy": policy,
            "answer": [str(rng.randint(1, 2)) for _ in range(count)],
            "rewards": [[rng.random()] for _ in range(count)],
            "tokens": 5,
        }
        for question in questions
        for policy, count in (("many", 8), ("one", samples))
    ]
    log, model = str(tmp_path / "log"), str(tmp_path / "model")
    run("table", table(*rows), "-o", log)
    for command in (
        ["fit", log, "-o", model, "--trials", "0"],
        ["evaluate", log, "--planner", model, "--budgets", "2"],
        ["bins", log],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output


def templated(number: int, samples: int, rng: random.Random) -> dict[str, Any]:
    """One of eight stories with other numbers and names; its family is a hash that splits the stories."""
    verbs = ("buys", "sells", "finds", "eats", "draws", "counts", "loses", "paints")
    things = (
        "red pens",
        "old coins",
        "green apples",
        "maps",
        "wild swans",
        "long stones",
        "small keys",
        "doors",
    )
    story = number % 8
    name = rng.choice(("Ann", "Tom", "Olga"))
    right = [rng.random() < 0.2 + 0.1 * story for _ in range(samples)]
    first = f"{name} {verbs[story]} {number} {things[story]}."
    return {
        "question": f"{first} {things[story]} weigh {rng.randint(1, 9)} each.",
        "reference": "1",
        "family": f"bucket-{number % 5}",
        "answer": ["1" if good else "0" for good in right],
        "tokens": 5,
    }


def test_folds_that_look_alike_are_warned_of(tmp_path: Path, table: Callable[..., str]) -> None:
    rng = random.Random(3)
    rows = [templated(number, 2, rng) for number in range(80)]
    folded, kept = str(tmp_path / "folded"), str(tmp_path / "kept")
    run("table", table(*rows), "-o", folded)
    run("table", table(*({**row, "family": ""} for row in rows)), "-o", kept)
    said = {}
    for log in (folded, kept):
        done = CliRunner().invoke(app, ["fit", log, "-o", f"{log}-model", "--trials", "0", "--json"])
        assert done.exit_code == 0, done.output
        said[log] = (json.loads(done.stdout)["warnings"], "warning: folds look alike" in done.stderr)
    assert said[kept] == ([], False)
    (warning,), printed = said[folded]
    assert printed
    assert warning.startswith(
        "folds look alike: 100.0% of the questions have a near-duplicate in another family"
    )
    by_problem = [
        "fit",
        folded,
        "-o",
        str(tmp_path / "third"),
        "--trials",
        "0",
        "--json",
        "--folds",
        "problem",
    ]
    done = CliRunner().invoke(app, by_problem)
    assert json.loads(done.stdout)["warnings"] == []
    for options, told in (([], True), (["--training", kept], True)):
        command = ["evaluate", folded, "--planner", f"{folded}-model", "--budgets", "2", "--json", *options]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert any("look alike" in note for note in json.loads(done.stdout)["notes"]) is told


@pytest.mark.slow
@pytest.mark.published
@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("gsm8k-solutions", ["problem_sets/gsm8k_example_model_solutions.jsonl"]),
        ("llmrouter", ["llmrouter/test.json.gz", "llmrouter/prices.json"]),
        ("qwen-math-rm", ["qwen_math_rm8/math_cot_100.jsonl"]),
        (
            "tree-of-thoughts",
            [f"tot_game24/{name}_100.json.gz" for name in ("naive_cot_sample", "naive_standard_sample")]
            + ["tot_game24/propose1_value3_greedy5.json.gz"],
        ),
    ],
)
def test_a_published_log_becomes_a_fitted_planner_in_two_commands(
    tmp_path: Path, form: str, files: list[str]
) -> None:
    if "PLANNER_DATA" not in os.environ:
        pytest.skip("PLANNER_DATA names no folder of records by others")
    data = Path(os.environ["PLANNER_DATA"])
    log, model = str(tmp_path / "log"), str(tmp_path / "model")
    run(form, *(str(data / file) for file in files), "-o", log)
    for command in (
        ["fit", log, "-o", model, "--trials", "0"],
        ["evaluate", log, "--planner", model],
        ["bins", log],
        ["report", log, "--planner", model, "-o", str(tmp_path / "r.html")],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
