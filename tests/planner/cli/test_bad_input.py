"""Wrong input through the command line: one line that says rule and value, exit code 2, nothing lost."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from planner.models import PLANNER_MODELS
from search.cards import ModelCard
from search.log.store import SearchLog

PROBLEM = {
    "problem_id": "a-1",
    "family": "arithmetic-sum",
    "domain": "arithmetic",
    "question": "What is 1+2?",
    "answer": "3",
}


def refused(*arguments: str, stdin: str | None = None) -> str:
    """Run a command that must be refused; the one line it says."""
    done = CliRunner().invoke(app, list(arguments), input=stdin)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("planner: ")
    return done.stderr.removeprefix("planner: ").strip()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two checkpoint folders that can be read (the smallest ones), where shipped models are looked for."""
    import numpy as np
    from safetensors.numpy import save_file

    folder = tmp_path / "models"
    for name, architecture in (("p", "Qwen2ForCausalLM"), ("r", "Qwen2ForProcessRewardModel")):
        (folder / name).mkdir(parents=True)
        sizes = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
        config = {"architectures": [architecture], "max_position_embeddings": 64, **dict.fromkeys(sizes, 2)}
        (folder / name / "config.json").write_text(json.dumps(config))
        (folder / name / "tokenizer.json").write_text("{}")
        save_file({"w": np.zeros(2, np.float32)}, folder / name / "model.safetensors")
    monkeypatch.setenv(PLANNER_MODELS, str(folder))
    return folder


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., str]:
    """``planner search`` that must be refused, and must not have made its log."""

    def run(
        *lines: str, grid: str | None = None, pair: tuple[str, ...] = ("--policy", "p", "--prm", "r")
    ) -> str:
        file, output = tmp_path / "problems.jsonl", tmp_path / "log"
        file.write_text("".join(line + "\n" for line in lines))
        arguments = ["search", str(file), "-o", str(output), *pair]
        if grid is not None:
            (tmp_path / "grid.toml").write_text(grid)
            arguments += ["--grid", str(tmp_path / "grid.toml")]
        said = refused(*arguments)
        assert not output.exists()
        return said

    return run


Search = Callable[..., str]


def changed(**columns: object) -> str:
    return json.dumps({**PROBLEM, **columns})


def test_an_empty_file(search: Search) -> None:
    assert search().startswith("a problem set holds at least one problem, got an empty file '")


def test_no_json(search: Search) -> None:
    said = search(json.dumps(PROBLEM), "What is 1+2?")
    assert said == "problems.jsonl line 2: a problem is one JSON object a line, got 'What is 1+2?'"


def test_a_missing_column(search: Search) -> None:
    said = search(json.dumps({name: value for name, value in PROBLEM.items() if name != "family"}))
    assert said.startswith("problems.jsonl line 1: column 'family' is missing, got 'answer', 'domain',")


def test_a_problem_with_no_answer(search: Search) -> None:
    said = search(changed(answer=None))
    assert said == "problems.jsonl line 1: a problem needs a reference answer, got none for 'a-1'"


def test_an_unknown_domain(search: Search) -> None:
    assert "domain must be one of" in search(changed(domain="poetry"))


def test_a_question_of_a_megabyte(search: Search) -> None:
    said = search(changed(question="x" * 1_000_000))
    assert said == "problems.jsonl line 1: a question has at most 100,000 characters, got 1,000,000"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    said = refused("search", str(tmp_path / "gone"), "-o", str(tmp_path / "log"), "--policy", "p")
    assert said.startswith("a problem set must be a readable file, got '")
    assert not (tmp_path / "log").exists()


def test_half_a_gzip_file(tmp_path: Path) -> None:
    file = tmp_path / "problems.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(PROBLEM).encode())[:-9])
    said = refused("search", str(file), "-o", str(tmp_path / "log"), "--policy", "p")
    assert said.startswith("a .gz problem set must be whole gzip, got '")


def test_an_unknown_strategy_in_a_grid(search: Search) -> None:
    said = search(json.dumps(PROBLEM), grid='strategies = ["guess"]')
    assert said.startswith("grid.toml: strategies.0: ")
    assert said.endswith("got 'guess'")


def test_n_that_width_does_not_divide(search: Search) -> None:
    said = search(json.dumps(PROBLEM), grid='strategies = ["dvts"]\ntree_n = [10]\nwidth = [4]')
    assert said == "grid.toml: n must be divisible by width, got n=10, width=4"


def test_a_grid_that_is_not_toml(search: Search) -> None:
    assert search(json.dumps(PROBLEM), grid="strategies: [dvts]").startswith("a grid must be TOML, got '")


def test_neither_grid_nor_policy(search: Search) -> None:
    assert search(json.dumps(PROBLEM), pair=()) == "a campaign needs --policy or --grid, got neither"


def test_a_prm_without_a_policy(search: Search) -> None:
    said = search(json.dumps(PROBLEM), pair=("--prm", "r"))
    assert said == "a PRM is paired with a policy, got --prm r without --policy"


def test_an_unknown_model(search: Search, models: Path) -> None:
    said = search(json.dumps(PROBLEM), pair=("--policy", "q"))
    assert said == "a model must be a folder or the name of a shipped one (p, r), got 'q'"


def test_a_models_folder_that_is_missing(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLANNER_MODELS, "/nowhere")
    said = search(json.dumps(PROBLEM))
    assert said == "PLANNER_MODELS must name a folder of models, got '/nowhere'"


def test_the_demo_without_models_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLANNER_MODELS, "/nowhere")
    assert "PLANNER_MODELS must name a folder" in refused("demo", "-o", str(tmp_path / "demo"))
    assert not (tmp_path / "demo").exists()


def test_the_demo_keeps_what_others_have_written(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("mine")
    said = refused("demo", "-o", str(tmp_path / "demo"))
    assert said.startswith("a demo writes into a folder that is new or empty, got '")
    assert contents(tmp_path / "demo") == {"mine.txt": b"mine"}


def test_a_log_that_is_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text(json.dumps(PROBLEM))
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "mine.txt").write_text("mine")
    refused("search", str(tmp_path / "problems.jsonl"), "-o", str(tmp_path / "log"), "--policy", "p")
    refused("bins", str(tmp_path / "log"))
    refused("fit", str(tmp_path / "log"), "-o", str(tmp_path / "planner"))
    assert contents(tmp_path / "log") == {"mine.txt": b"mine"}
    assert not (tmp_path / "planner").exists()


def test_a_log_of_other_models_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text(json.dumps(PROBLEM))
    log = SearchLog.create(tmp_path / "log")
    with log.writing():
        log.declare(policies=[ModelCard("p", 2, "another", 64)])
    before = contents(tmp_path / "log")
    said = refused("search", str(tmp_path / "problems.jsonl"), "-o", str(tmp_path / "log"), "--policy", "p")
    assert "fingerprint" in said
    assert "another" in said
    assert contents(tmp_path / "log") == before


def test_an_empty_log_has_nothing_to_show_or_learn_from(tmp_path: Path) -> None:
    SearchLog.create(tmp_path / "log")
    assert refused("bins", str(tmp_path / "log")).startswith("bins need a log with samples, got none in '")
    refused("fit", str(tmp_path / "log"), "-o", str(tmp_path / "planner"))
    assert not (tmp_path / "planner").exists()


@pytest.mark.parametrize("thresholds", ["0.1,0.5", "0.5,0.5", "2", "0"])
def test_thresholds_that_do_not_fall(thresholds: str) -> None:
    said = refused("bins", "log", "--thresholds", thresholds)
    assert said.endswith(f"thresholds fall and lie between 0 and 1, got '{thresholds}'")


def test_thresholds_that_are_no_numbers() -> None:
    assert refused("bins", "log", "--thresholds", "easy").endswith("parted by commas, got 'easy'")


def test_a_fit_does_not_write_over_anything(tmp_path: Path) -> None:
    (tmp_path / "planner").mkdir()
    said = refused("fit", str(tmp_path / "log"), "-o", str(tmp_path / "planner"))
    assert said == f"a planner is written to a new folder, got '{tmp_path / 'planner'}', which exists"


@pytest.mark.parametrize("command", ["recommend", "solve"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tokens", "-1"], "a budget cannot be negative, got tokens=-1"),
        (["--flops", "nan"], "a budget is a number, got flops=nan"),
        (["--target", "1.5"], "an accuracy must be in (0, 1], got accuracy=1.5"),
        (
            ["--tokens", "9", "--confidence", "0.9"],
            "a confidence goes with an accuracy, got confidence=0.9 without",
        ),
        (["--price", "-2"], "a price is a finite number of at least 0, got --price -2"),
        ([], "--mean-flops, --mean-tokens, --price, got none"),
        (
            ["--mean-flops", "9", "--accuracy", "0.5"],
            "a budget has one of a mean, an accuracy and a price, got mean_flops=9.0 and accuracy=0.5",
        ),
        (["--tokens", "9", "--prices", "1,2"], "prices are P,G,R in dollars per million tokens, got '1,2'"),
        (["--samples", "many"], "unable to parse string as an integer, got 'many'"),
        (["--tokens", "many"], "unable to parse string as an integer, got 'many'"),
        (["--tokens", "9", "--planner", "gone"], "got 'gone'"),
    ],
)
def test_a_request_that_makes_no_sense(command: str, options: list[str], said: str) -> None:
    assert refused(command, "What is 1+2?", *options).endswith(said)


@pytest.mark.parametrize("command", ["recommend", "solve"])
def test_a_question_of_a_megabyte_on_standard_input(command: str) -> None:
    said = refused(command, "-", "--tokens", "9", stdin="x" * 1_000_000)
    assert said == "a question has at most 100,000 characters, got more than 100,000"


@pytest.mark.parametrize("command", ["recommend", "solve"])
def test_an_empty_question(command: str) -> None:
    assert (
        refused(command, "-", "--tokens", "9", stdin="\n")
        == "a question must hold some text, got only white space"
    )


def test_a_damaged_planner(tmp_path: Path) -> None:
    (tmp_path / "planner").mkdir()
    (tmp_path / "planner" / "manifest.json").write_text("{")
    refused("recommend", "What is 1+2?", "--tokens", "9", "--planner", str(tmp_path / "planner"))


def test_problems_are_not_written_over_others(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("mine")
    said = refused("train", "problems", "search", "3", "-o", str(tmp_path / "p.jsonl"))
    assert said == f"problems are written to a new file, got '{tmp_path / 'p.jsonl'}', which exists"
    assert (tmp_path / "p.jsonl").read_text() == "mine"


def test_a_split_and_a_size_that_do_not_exist(tmp_path: Path) -> None:
    said = refused("train", "problems", "exam", "3", "-o", str(tmp_path / "p.jsonl"))
    assert said == "a split must be one of test, search, check, train, got 'exam'"
    assert not (tmp_path / "p.jsonl").exists()
    for kind in ("policy", "prm"):
        said = refused("train", kind, "xxl", "--models", str(tmp_path / "new"))
        assert said.endswith("got 'xxl'")
    assert not (tmp_path / "new").exists()


def test_help_and_version_load_nothing_heavy() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from planner.cli.main import app\n"
        "for arguments in (['--help'], ['--version'], ['search', '--help'], ['demo', '--help'], []):\n"
        "    assert CliRunner().invoke(app, arguments).exit_code == 0, arguments\n"
        "heavy = {'torch', 'lightgbm', 'polars', 'optuna', 'sklearn', 'transformers'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
