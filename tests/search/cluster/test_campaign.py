"""Campaigns by actors that are threads of this process: the logic of deaths, errors, limits and room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import scripted_campaign as scripted

from search.campaigns.campaign import Campaign
from search.campaigns.grid import Grid
from search.campaigns.spending import SpendLimit
from search.cluster import campaign as cluster_campaign
from search.cluster.campaign import ClusterCampaign
from search.cluster.fake_ray import FakeRay
from search.cluster.placement import Placement
from search.errors import CheckpointError, ClusterError, GridError
from search.loader import Loader, ReadyLoader
from search.log.comparison import difference
from search.log.store import SearchLog

GRID = {**scripted.GRID, "group": 2, "runs": 1}


@dataclass
class Events:
    """What happens in actors: called with each question that an engine is asked."""

    hear: Callable[[str], None] = lambda question: None
    loads: int = 0
    fault: Exception | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


EVENTS = Events()


@pytest.fixture(autouse=True)
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    monkeypatch.setattr(cluster_campaign, "PAUSE", 0.0)
    EVENTS.hear, EVENTS.loads, EVENTS.fault = (lambda question: None), 0, None
    return EVENTS


def models(hear: Callable[[str], None] = lambda question: None) -> Loader:
    return ReadyLoader([scripted.engine(hear=hear)], [scripted.reward()])


def loader() -> Loader:
    """In an actor."""
    with EVENTS.lock:
        EVENTS.loads += 1
    if EVENTS.fault is not None:
        raise EVENTS.fault
    return models(lambda question: EVENTS.hear(question))


def campaign(ray: FakeRay, log: SearchLog, count: int = 6, **options: Any) -> ClusterCampaign:
    placements = options.pop("placements", {"m": Placement(replicas=2)})
    return ClusterCampaign(
        scripted.problems(count),
        Grid.of(GRID),
        log,
        models(),
        ray=ray,
        make_loader=loader,
        placements=placements,
        **options,
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> SearchLog:
    log = SearchLog.at(tmp_path_factory.mktemp("unbroken") / "log")
    Campaign(scripted.problems(6), Grid.of(GRID), log, models()).run()
    return log


def test_the_log_is_that_of_one_process_and_nothing_is_left_to_do(
    tmp_path: Path, unbroken: SearchLog
) -> None:
    ray, log = FakeRay(), SearchLog.at(tmp_path / "log")
    states: list[int] = []
    last = campaign(ray, log).run(lambda state: states.append(state.done))
    assert last.done == last.total == states[-1]
    assert states == sorted(states)
    assert difference(log, unbroken) is None
    assert len(ray.actors) == 2  # the PRM is beside the policy
    assert all(actor.is_killed for actor in ray.actors)
    again = campaign(FakeRay(), log).run()
    assert (again.done, again.tokens) == (again.total, 0)


def test_what_is_placed_is_asked_of_the_cluster(tmp_path: Path) -> None:
    ray = FakeRay()
    placed = {"m": Placement(replicas=3, cpus=2.0, gpus=1.0)}
    campaign(ray, SearchLog.at(tmp_path / "log"), placements=placed).run()
    assert [(one["num_cpus"], one["num_gpus"], one["max_restarts"]) for one in ray.options] == [
        (2.0, 1.0, -1)
    ] * 3


def test_actors_that_die_cost_what_they_were_doing(
    tmp_path: Path, unbroken: SearchLog, events: Events
) -> None:
    ray, log = FakeRay(restarts=3), SearchLog.at(tmp_path / "log")
    heard: list[str] = []

    def hear(question: str) -> None:
        with events.lock:
            heard.append(question)
            victim = ray.actors[len(heard) % 2] if len(heard) in (3, 20, 60, 61) else None
        if victim is not None:
            victim.die()

    events.hear = hear
    last = campaign(ray, log).run()
    assert last.done == last.total
    assert events.loads > 2  # made anew
    assert difference(log, unbroken) is None


def test_a_driver_that_ends_goes_on_from_its_log(tmp_path: Path, unbroken: SearchLog) -> None:
    class Enough(Exception):
        pass

    def stop(state: Any) -> None:
        if state.done >= 5:
            raise Enough

    log = SearchLog.at(tmp_path / "log")
    with pytest.raises(Enough):
        campaign(FakeRay(), log).run(stop)
    before = {table: log.units(table) for table in ("samples", "scores", "runs")}
    assert 0 < sum(map(len, before.values())) < 15
    campaign(FakeRay(), SearchLog.open(tmp_path / "log")).run()
    assert difference(log, unbroken) is None


@pytest.mark.parametrize("how", ["raises", "dies"])
def test_one_problem_that_cannot_be_done_is_recorded_and_stops_no_other(
    tmp_path: Path, unbroken: SearchLog, events: Events, how: str
) -> None:
    ray, log = FakeRay(), SearchLog.at(tmp_path / "log")

    def hear(question: str) -> None:
        if question == "which is 3?":
            if how == "dies":
                ray.actors[0].die()
            raise ValueError("nobody knows")

    events.hear = hear
    last = campaign(ray, log, deaths=3, placements={"m": Placement()}).run()
    assert last.done == last.total
    failures = log.read("failures")
    assert failures["problem_id"].unique().to_list() == ["p03"]
    assert set(failures["stage"]) == {"samples", "runs"}
    for table in ("samples", "scores", "runs"):
        kept = unbroken.read(table).filter(pl.col("problem_id") != "p03")
        assert log.read(table, ["problem_id"]).height == kept.height
    again = campaign(FakeRay(), log).run()
    assert (again.done, again.tokens) == (again.total, 0)


def test_where_nothing_ever_succeeds_the_fault_is_not_the_problems(tmp_path: Path, events: Events) -> None:
    def hear(question: str) -> None:
        raise ValueError("no such device")

    events.hear = hear
    with pytest.raises(
        ClusterError, match=r"some unit must succeed, got 8 problems that failed: .*no such device"
    ):
        campaign(FakeRay(), SearchLog.at(tmp_path / "log"), 12).run()


def test_a_model_that_cannot_be_loaded_ends_it_in_one_line(tmp_path: Path, events: Events) -> None:
    events.fault = CheckpointError("a folder must hold weights, got none")
    with pytest.raises(ClusterError, match=r"actors of 'm' must start, got .*a folder must hold weights"):
        campaign(FakeRay(), SearchLog.at(tmp_path / "log")).run()


@pytest.mark.parametrize("tokens", [60, 400, 1000])
def test_a_limit_holds_for_all_actors_together(tmp_path: Path, unbroken: SearchLog, tokens: int) -> None:
    log = SearchLog.at(tmp_path / "log")
    last = campaign(FakeRay(), log, limit=SpendLimit(tokens=tokens)).run()
    assert last.is_stopped
    assert last.tokens <= tokens
    campaign(FakeRay(), log).run()
    assert difference(log, unbroken) is None


def test_no_actor_holds_more_than_keeps_it_busy(tmp_path: Path) -> None:
    ray = FakeRay()
    campaign(ray, SearchLog.at(tmp_path / "log"), 12, placements={"m": Placement()}).run()
    (actor,) = ray.actors
    # one unit that it works on and one that waits, where the order of units decides the bits
    assert actor.most_open == 2


@pytest.mark.parametrize(("field", "value"), [("replicas", 0), ("gpus", -1.0), ("cpus", float("nan"))])
def test_a_placement_that_no_node_can_give_is_refused(field: str, value: float) -> None:
    with pytest.raises(GridError, match="got"):
        Placement(**{field: value})  # type: ignore[arg-type]
