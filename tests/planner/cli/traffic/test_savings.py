"""``planner savings``: what it prints of a log, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from planner.server.decisions.comparison import Comparison, Expected
from planner.server.decisions.recorder import Decision
from planner.server.decisions.store import Store
from search.result import Spend


def decision(at: int, *, compared: bool = True) -> Decision:
    plain = Expected(policy="big", prm=None, plan="cot()", accuracy=0.6, tokens=100.0, flops=1e9, usd=0.01)
    planned = Expected(
        policy="big", prm=None, plan="majority(n=4)", accuracy=0.7, tokens=300.0, flops=3e9, usd=0.03
    )
    return Decision(
        decision_id=f"d{at}", created=float(at), endpoint="chat", key=None, question=f"question {at}",
        domain="math", planner=None, budget={}, budget_source="default", reason="shadow", policy="big",
        prm=None, plan="cot()", answer=None, outcome="answered", accuracy=None, tokens=None, flops=None,
        seconds=None, usd=None, propensity=1.0, steps=(), candidates=(), chosen=None,
        spend=Spend(110, 0, flops=1.1e9), spent_usd=0.011,
        comparison=Comparison(plain=plain, planned=planned) if compared else None,
    )  # fmt: skip


def log(folder: Path, decisions: list[Decision]) -> str:
    store = Store.open(folder / "decisions.db")
    store.write(decisions)
    store.close()
    return str(folder / "decisions.db")


def test_figures_are_printed_with_their_intervals(tmp_path: Path) -> None:
    where = log(tmp_path, [decision(at) for at in range(40)])
    done = CliRunner().invoke(app, ["savings", where])
    assert done.exit_code == 0
    assert "40 plain answers; the planner would have planned 40." in done.stdout
    assert "Expected cost of those: $0.4 as they were answered, $1.2 planned." in done.stdout
    assert "+10.0 points" in done.stdout
    assert "+200%" in done.stdout
    assert "not enough decisions" in done.stdout  # nothing was run beside
    told = json.loads(CliRunner().invoke(app, ["savings", where, "--json"]).stdout)
    assert told["accuracy"]["value"] == pytest.approx(0.1)
    assert told["measured_cost"]["is_known"] is False
    assert "30 different questions" in told["rule"]


def test_a_figure_that_says_nothing_is_withheld(tmp_path: Path) -> None:
    where = log(tmp_path, [decision(at) for at in range(5)])
    done = CliRunner().invoke(app, ["savings", where])
    assert "points" not in done.stdout.split("Measured")[0]
    assert "not enough decisions" in done.stdout


@pytest.mark.parametrize(
    ("made", "said"),
    [([], "got none among 0 decisions"), ([decision(0, compared=False)], "got none among 1 decisions")],
)
def test_a_log_without_shadow_mode_is_refused(tmp_path: Path, made: list[Decision], said: str) -> None:
    done = CliRunner().invoke(app, ["savings", log(tmp_path, made)])
    assert done.exit_code == 2
    assert said in done.output


def test_a_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["savings", str(tmp_path / "none.db")])
    assert done.exit_code == 2
    assert "a decision log is a file that exists" in done.output
