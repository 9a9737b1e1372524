"""``planner demo``: the commands that it ends with."""

from __future__ import annotations

from pathlib import Path

from planner.cli.demo import next_steps


def test_rivals_pick_on_the_log_that_the_planner_learned_from() -> None:
    evaluate, report, solve = next_steps(Path("here"))
    assert evaluate == "planner evaluate here/held-out-log --planner here/planner --training here/log --all"
    assert "--training here/log" in report
    assert report.endswith("-o here/report.html")
    assert solve.startswith("planner solve")
