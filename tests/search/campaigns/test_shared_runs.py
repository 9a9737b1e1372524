"""Plans that differ only in how they pick the answer share their runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from search.campaigns.campaign import Campaign, Progress
from search.campaigns.estimate import estimate
from search.campaigns.grid import Grid
from search.errors import EngineError
from search.loader import ReadyLoader
from search.log.store import SearchLog
from search.log.tables import TABLES
from search.plan import Plan
from tests.search.scripted_campaign import engine, problems, reward

TREES = ["beam_search(n=4)", "rebase(n=4)", "particle_filter(n=4)", "lookahead(n=4, width=2, depth=1)"]


def grid(*plans: str, **more: Any) -> Grid:
    pair = [{"policy": "m", "prm": "r"}]
    return Grid.of({"pair": pair, "strategies": [], "group": 3, "seed": 5, "plan": [*plans], **more})


class Counting:
    """A loader, and how many requests were sent."""

    def __init__(self) -> None:
        self.engine = engine()
        self.sent = 0
        submit = self.engine.submit

        def counted(request: Any) -> Any:
            self.sent += 1
            return submit(request)

        self.engine.submit = counted  # type: ignore[method-assign]
        self.loader = ReadyLoader([self.engine], [reward()])


def run(path: Path, plans: Grid, count: int = 5) -> tuple[SearchLog, int]:
    """A campaign's log, and the requests it took."""
    log, counting = SearchLog.at(path), Counting()
    Campaign(problems(count), plans, log, counting.loader).run()
    return log, counting.sent


def rows(log: SearchLog, plan: str) -> pl.DataFrame:
    table = TABLES["runs"]
    found = log.read("runs").filter(pl.col("plan") == str(Plan.parse(plan))).sort(table.key)
    return found.drop(table.timings)


@pytest.mark.parametrize("plan", TREES)
def test_a_tree_is_run_once_for_every_score_and_vote(plan: str, tmp_path: Path) -> None:
    others = [
        str(Plan.parse(plan).with_(score=score, vote=vote))
        for score, vote in (("last", "majority"), ("min", "weighted"))
    ]
    shared, sent = run(tmp_path / "shared", grid(plan, *others), count=3)
    alone, once = run(tmp_path / "alone", grid(plan), count=3)
    assert sent == once > 0
    assert rows(shared, plan).equals(rows(alone, plan))
    # it is what running it by itself gives, costs included
    apart, again = run(tmp_path / "apart", grid(others[1]), count=3)
    assert again == once
    assert rows(shared, others[1]).equals(rows(apart, others[1]))
    assert len(rows(shared, plan)) == 6
    physical = shared.read("runs").filter(pl.col("plan") != str(Plan.parse(plan)))["physical_policy_tokens"]
    assert physical.to_list() == [0] * 12  # nothing was sent for them


def test_another_vote_costs_nothing_afterwards(tmp_path: Path) -> None:
    run(tmp_path / "log", grid("rebase(n=4, vote=majority)"))
    log, sent = run(tmp_path / "log", grid("rebase(n=4, score=min, vote=max)"))
    assert sent == 0
    assert len(rows(log, "rebase(n=4, score=min, vote=max)")) == 10
    more, sent = run(tmp_path / "log", grid("rebase(n=4, score=min, vote=max)", "rebase(n=4)"), count=7)
    assert sent > 0  # two more problems
    assert len(rows(more, "rebase(n=4)")) == 14


def test_plans_that_grow_otherwise_share_nothing(tmp_path: Path) -> None:
    _, once = run(tmp_path / "one", grid("beam_search(n=4)"))
    log, sent = run(tmp_path / "two", grid("beam_search(n=4)", "beam_search(n=4, prune=min)"))
    assert sent > once
    assert not rows(log, "beam_search(n=4)")["seed"].equals(rows(log, "beam_search(n=4, prune=min)")["seed"])


def test_a_campaign_that_is_stopped_between_a_tree_and_its_votes_ends_alike(tmp_path: Path) -> None:
    plans = grid("rebase(n=4)", "rebase(n=4, vote=majority)", runs=1)
    whole, _ = run(tmp_path / "whole", plans)

    def stop(progress: Progress) -> None:
        if progress.done == 2:
            raise EngineError("stopped")

    log = SearchLog.at(tmp_path / "stopped")
    with pytest.raises(EngineError, match="stopped"):
        Campaign(problems(5), plans, log, Counting().loader).run(stop)
    assert 0 < log.read("runs").height < whole.read("runs").height
    again, _ = run(tmp_path / "stopped", plans)
    for plan in plans.plans():
        assert rows(again, str(plan)).equals(rows(whole, str(plan)))


def test_a_dry_run_counts_a_tree_once() -> None:
    one = estimate(problems(5), grid("rebase(n=4)"), Counting().loader)
    two = estimate(problems(5), grid("rebase(n=4)", "rebase(n=4, vote=majority)"), Counting().loader)
    assert one.tokens == two.tokens > 0
    assert len(two.stages) == 1
