"""``planner refit``: what traffic shows is learned, and a better planner is not replaced."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import synthetic
from traffic_log import question, serve
from typer.testing import CliRunner

import planner
from planner.cli.main import app
from planner.planner import Planner
from planner.traffic.comparison import Comparison, OnLog
from planner.traffic.estimates import Estimate

BUDGET = {"mean_flops": 3e8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign, a planner fitted on it, and its traffic, in which the large policy is broken."""
    folder = tmp_path_factory.mktemp("refit")
    made = synthetic.make_log(90, draws=6, ns=(2,), policies=("small", "large"), prms=(), seed=1)
    synthetic.write_log(folder / "log", made, policies=("small", "large"), prms=())
    planner.fit(folder / "log", trials=0).save(folder / "old")
    old = Planner.load(folder / "old")
    serve(old, str(folder / "log.db"), 1200, budget=BUDGET, share=0.5, chance=broken, seed=2)
    return folder


def broken(policy: str, prm: str | None, plan: str) -> float:
    """The large policy answers nothing any more."""
    return 0.05 if "large" in (policy, *plan.replace("(", " ").replace(":", " ").split()) else 0.6


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["refit", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_a_policy_that_broke_is_learned_of_and_left(folder: Path, tmp_path: Path) -> None:
    given = ("--log", folder / "log", "--decisions", folder / "log.db", "-o", tmp_path / "new")
    code, out, said = run(*given, "--planner", folder / "old", "--json")
    assert code == 0, said
    told = json.loads(out)
    refit = told["card"]["refit"]
    assert refit["left_out_gain"] > 0.05
    assert refit["lost"]["large"] > 0.7
    assert "small" not in refit["lost"]
    assert refit["outcomes"] < 1200  # a third of the questions judges
    assert told["refused"] is None
    old, new = planner.load(folder / "old"), planner.load(tmp_path / "new")
    used = {
        name: Counter(
            "large" in str(one.recommend(question(i), domain="arithmetic", mean_flops=3e8).choice)
            for i in range(40)
        )[True]
        for name, one in (("old", old), ("new", new))
    }
    assert used["new"] <= used["old"]
    assert used["new"] == 0


def refused(*arguments: str | Path) -> str:
    code, out, said = run(*arguments)
    assert (code, out) == (2, ""), (out, said)
    return said.removeprefix("planner: ").strip()


def test_what_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    given = ("--log", folder / "log", "--decisions", folder / "log.db")
    assert "new folder" in refused(*given, "-o", folder / "old")
    old = Planner.load(folder / "old")
    few = str(tmp_path / "few.db")
    serve(old, few, 30, budget=BUDGET, share=0.1)
    assert refused("--log", folder / "log", "--decisions", few, "-o", tmp_path / "new").startswith(
        "a refit takes outcomes of an effective size of at least 50, got"
    )
    assert not (tmp_path / "new").exists()


def between(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half)


def on_log(campaign: float, asked: float | None = None) -> OnLog:
    """Of two domains, of which the second one is asked now."""
    other = campaign if asked is None else asked
    return OnLog(
        {"math": 2 * campaign - other, "code": other}, {"math": 0.5, "code": 0.5}, {"code": 1.0, "math": 0.0}
    )


@pytest.mark.parametrize(
    ("value", "flops", "log", "refuses"),
    [
        (between(-0.05, 0.02), between(0.0, 0.1), on_log(0.01), True),
        (between(-0.05, 0.02), between(-0.5, 0.1), on_log(0.01), True),  # surely cheaper, but much worse
        (
            between(-0.01, 0.005),
            between(-0.5, 0.1),
            on_log(0.01),
            False,
        ),  # a little worse, but surely cheaper
        (between(0.01, 0.08), between(0.0, 0.1), on_log(-0.001), True),  # it may be much worse
        (between(0.01, 0.08), between(0.0, 0.1), None, True),
        (between(0.01, 0.08), between(0.0, 0.1), on_log(0.01), False),  # the log speaks for it
        (between(-0.01, 0.02), between(0.0, 0.1), on_log(-0.01), True),
        (between(-0.01, 0.02), between(0.0, 0.1), on_log(0.01), False),
        (between(0.01, 0.02), between(0.0, 0.1), on_log(-0.01), False),
        # better at what is asked now and on average, but bad at what may be asked again
        (between(0.05, 0.02), between(0.0, 0.1), on_log(0.01, 0.10), True),
        (None, None, on_log(0.01, -0.01), True),  # worse at what is asked now
        (None, None, on_log(-0.01), True),
        (None, None, on_log(-0.001), False),
        (None, None, None, False),
    ],
)
def test_a_better_planner_is_kept(
    value: Estimate | None, flops: Estimate | None, log: OnLog | None, refuses: bool
) -> None:
    found = Comparison(value=value, flops=flops, why="not enough overlap", log=log)
    assert found.refusal.startswith("a planner must not replace a better one") == refuses
    assert (found.refusal == "") != refuses


def test_shares_of_domains_are_those_that_the_log_has() -> None:
    log = on_log(0.02).weighted({"code": 0.3, "law": 0.6})
    assert log.asked == {"math": 0.0, "code": 1.0}
    assert on_log(0.02).weighted({"law": 1.0}).asked == {}
    assert on_log(0.02, -0.02).least == pytest.approx(-0.02)
    assert on_log(0.02, -0.02).worst == ("code", -0.02)
