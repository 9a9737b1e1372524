"""``planner search`` as a person meets it: stopping it, limits, trials, progress."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from planner.cli.progress import bars, campaign_bar, progress_line
from search.campaigns.campaign import Progress
from search.log.comparison import difference
from search.log.store import SearchLog

ROOT = Path(__file__).parents[4]
GRID = """
samples = 6
block = 4
n = [1, 2]
strategies = ["cot", "majority"]
group = 4
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "grid.toml").write_text(GRID)
    made = CliRunner().invoke(
        app, ["train", "problems", "search", "12", "-o", str(folder / "problems.jsonl"), "--seed", "3"]
    )
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture(scope="module")
def unbroken(folder: Path) -> SearchLog:
    assert told(folder, "unbroken")["is_stopped"] is False
    return SearchLog.open(folder / "unbroken")


def arguments(folder: Path, log: str, *options: str) -> list[str]:
    return [
        *("search", str(folder / "problems.jsonl"), "--policy", "lab-policy-s"),
        *("--grid", str(folder / "grid.toml"), "-o", str(folder / log), *options),
    ]


def told(folder: Path, log: str, *options: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*arguments(folder, log, *options), "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_seconds_and_says_how_to_go_on(
    folder: Path, unbroken: SearchLog, number: signal.Signals
) -> None:
    name = f"stopped-{number.name}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-c", "from planner.cli.main import main; main()"]
    process = subprocess.Popen(
        [*program, *arguments(folder, name)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list((folder / name).glob("table=samples/part-*")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "What was logged stays; the same command goes on from there." in errors
    assert "Traceback" not in errors
    again = told(folder, name)
    assert again["tokens"] > 0
    assert difference(SearchLog.open(folder / name), unbroken) is None


def test_a_limit_on_tokens_stops_it_cleanly(folder: Path, unbroken: SearchLog) -> None:
    whole = unbroken.read("samples")["tokens"].sum()
    limit = whole // 2
    done = told(folder, "limited", "--spend", f"tokens={limit}")
    assert done["is_stopped"]
    assert 0 < done["tokens"] <= limit
    assert 0 < done["rows"]["samples"] < unbroken.rows("samples")
    printed = CliRunner().invoke(app, arguments(folder, "limited", "--spend", "tokens=1"))
    assert printed.exit_code == 0
    assert "Stopped before 1 tokens were passed" in printed.output
    assert told(folder, "limited")["is_stopped"] is False
    assert difference(SearchLog.open(folder / "limited"), unbroken) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--spend", "tokens=-5"), "a limit on what is spent must be positive, got -5"),
        (("--spend", "euros=5"), "a spend must be tokens=NUMBER or usd=NUMBER, got 'euros=5'"),
        (("--spend", "tokens=many"), "a spend must be tokens=NUMBER or usd=NUMBER, got 'tokens=many'"),
        (("--spend", "usd=nan"), "a limit on what is spent must be positive, got nan"),
        (("--spend", "usd=5"), "a spend in usd needs prices in a models file"),
    ],
)
def test_a_bad_limit_is_one_line(folder: Path, options: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, arguments(folder, "refused", *options))
    assert done.exit_code != 0
    assert message in " ".join(f"{done.exception or ''} {done.output}".split())
    assert not (folder / "refused").exists()


def test_a_dry_run_measures_lengths_and_speed(folder: Path) -> None:
    cost = told(folder, "never", "--dry-run")
    assert not (folder / "never").exists()
    assumptions = " ".join(cost["assumptions"])
    assert "tokens per second of lab-policy-s (measured on" in assumptions
    assert "tokens per sample of lab-policy-s (measured on" in assumptions
    assert "FLOPs per second" not in assumptions
    assert cost["hours"] > 0


def test_lengths_of_a_trial_come_true(folder: Path, unbroken: SearchLog) -> None:
    cost = told(folder, "never", "--dry-run")
    samples = unbroken.read("samples")
    really = samples["tokens"].sum() + samples.unique(["problem_id", "draw"])["prompt_tokens"].sum()
    assert 0.5 < cost["tokens"] / really < 2.0


def test_solutions_that_are_cut_off_are_counted_and_told(folder: Path) -> None:
    (folder / "short.toml").write_text(GRID + "max_tokens = 8\n")
    options = ("--grid", str(folder / "short.toml"))
    done = told(folder, "short", *options)
    samples = SearchLog.open(folder / "short").read("samples").filter(pl.col("draw") >= 0)
    assert done["cut"]["lab-policy-s"] == pytest.approx((samples["finish_reason"] == "length").mean())
    printed = CliRunner().invoke(app, arguments(folder, "short", *options))
    assert "of the samples reached max_tokens=8" in " ".join(printed.output.split())


def state(done: int, tokens: int, seconds: float, **more: Any) -> Progress:
    return Progress(done, 4, tokens, seconds, "m: samples 0-3", **more)


def test_a_line_tells_tokens_money_speed_and_the_time_left() -> None:
    assert progress_line(state(0, 0, 0.0)) == "0 of 4 units, 0 tokens, m: samples 0-3"
    line = progress_line(state(1, 30_000, 60.0, usd=0.25, left=180.0))
    assert line == "1 of 4 units, 30,000 tokens, 0.2500 USD, 500 tokens/s, 3.0 min left, m: samples 0-3"


def test_where_nothing_moves_there_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0

    def clock() -> float:
        return now

    with campaign_bar(clock=clock, every=10.0) as tell:
        for second in range(25):
            now = float(second)
            tell(state(second // 10, 100 * second, now, left=30.0 - second))
    lines = capsys.readouterr().err.strip().splitlines()
    told = [line.split(",")[0] for line in lines]
    assert told == ["search: 1 of 4 units", "search: 2 of 4 units", "search: 2 of 4 units"]
    assert "left" in lines[0]


def test_every_wait_has_such_lines(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0

    def clock() -> float:
        return now

    with bars(clock=clock, every=10.0) as tell:
        for second in range(26):
            now = float(second)
            tell("fit", second, 25, "best utility 0.5")
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines == ["fit: 10 of 25, best utility 0.5", "fit: 20 of 25, best utility 0.5", "fit: 25 of 25"]


def test_samples_need_no_knowledge_of_block(folder: Path) -> None:
    (folder / "odd.toml").write_text(GRID.replace("samples = 6", "samples = 3"))
    done = told(folder, "odd", "--grid", str(folder / "odd.toml"))
    assert done["rows"]["samples"] == 12 * 4
