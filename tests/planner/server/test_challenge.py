"""Requests are drawn between a champion and a challenger, and the log tells which."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import httpx
import pytest
from houses import QUESTION, House

from planner.planner import Planner
from planner.server.challenge import Challenge, ChallengeWatch, place_of, promotion_of
from planner.server.current import Current
from planner.server.decisions.log import DecisionLog
from planner.server.decisions.recorder import DecisionQuery, Feedback
from planner.server.service import Service
from search.errors import ServeError

Make = Callable[..., Service]


@pytest.fixture(scope="session")
def challenger(planner: Planner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another planner of the same models."""
    stages = tuple(replace(stage, centre=stage.centre + 0.01) for stage in planner.stages)
    folder = tmp_path_factory.mktemp("challenger") / "planner"
    replace(planner, stages=stages).save(folder)
    return folder


def challenged(
    service: Service, challenger: Path, log: DecisionLog, share: float, *, promotes: bool = False
) -> ChallengeWatch:
    current = Current(challenger, service.models.cards, allow_foreign=True)
    drawn = Challenge(current, share, "seed", promotes=promotes)
    service.challenge = ChallengeWatch(drawn, service.current, log, every=1e6, clock=lambda: 1e6)
    return service.challenge


def test_shares_are_kept_and_repeated() -> None:
    places = [place_of(b"seed", f"id-{i}") for i in range(4000)]
    assert places == [place_of(b"seed", f"id-{i}") for i in range(4000)]
    assert sum(place < 0.05 for place in places) == pytest.approx(200, abs=60)
    assert place_of(b"other", "id-1") != places[1]
    with pytest.raises(ServeError, match="in \\(0, 1\\), got 1"):
        Challenge(None, 1.0, "seed")  # type: ignore[arg-type]


def test_the_log_tells_which_planner_was_asked(
    service_of: Make, serving: Callable[[Service], House], challenger: Path, tmp_path: Path
) -> None:
    log = DecisionLog.open(tmp_path / "log.db")
    service = service_of(recorder=log)
    watch = challenged(service, challenger, log, 0.5)
    house = serving(service)
    body = {"model": "planner", "messages": [{"role": "user", "content": QUESTION}], "seed": 1}
    names = []
    for _ in range(8):
        answered = httpx.post(f"{house.v1}/chat/completions", json=body, timeout=60.0)
        assert answered.status_code == 200, answered.text
        names.append(answered.json()["id"])
    forced = {**body, "model": "planner/majority(n=2)"}
    other = httpx.post(f"{house.v1}/chat/completions", json=forced, timeout=60.0).json()["id"]
    told = {name: httpx.get(f"{house.v1}/decisions/{name}").json() for name in [*names, other]}
    assert "assignment" not in told[other]
    fingerprints = dict(
        zip(("champion", "challenger"), watch.challenge.pair(service.current.served), strict=True)
    )
    for name in names:
        said = told[name]["assignment"]
        assert said["arm"] == ("challenger" if place_of(b"seed", name) < 0.5 else "champion")
        assert said["chance"] == 0.5
        assert told[name]["planner"] == fingerprints[said["arm"]]
    now = httpx.get(f"{house.v1}/now").json()["challenge"]
    assert (now["challenger"], now["share"], now["promoted"]) == (fingerprints["challenger"], 0.5, None)


def test_a_better_challenger_is_promoted_once_and_for_every_process(
    service_of: Make, challenger: Path, tmp_path: Path
) -> None:
    async def check() -> None:
        log = DecisionLog.open(tmp_path / "log.db")
        service = service_of(recorder=log)
        watch = challenged(service, challenger, log, 0.5, promotes=True)
        champion = service.current.served
        await watch.look()
        assert watch.state is None
        random = Random(0)
        for i in range(300):
            served, assignment = watch.challenge.draw(champion, f"d{i}")
            mine = assignment.arm == "challenger"
            assert served.fingerprint == (assignment.challenger if mine else assignment.champion)
            log.record(_decision(f"d{i}", float(i), assignment))
            right = random.random() < (0.95 if mine else 0.2)
            assert await log.feedback(Feedback(f"d{i}", i + 1.0, correct=right))
        await watch.look()
        assert watch.state is not None
        assert watch.state.state == "better"
        pair = watch.challenge.pair(champion)
        assert watch.challenge.promoted == pair
        served, assignment = watch.challenge.draw(champion, "later")
        assert (served.fingerprint, assignment.chance) == (pair[1], 1.0)
        promotion = promotion_of(log.store, *pair)
        assert promotion is not None
        assert promotion["words"] == 300
        assert watch.to_json()["promoted"] == promotion
        # another process of the same log, and one that is not told to promote
        other = challenged(service, challenger, log, 0.5, promotes=True)
        await other.look()
        assert other.challenge.promoted == pair
        plain = challenged(service, challenger, log, 0.5)
        await plain.look()
        assert plain.challenge.promoted is None
        assert len(await log.search(DecisionQuery(limit=1000))) == 300
        json.dumps(watch.to_json())
        await log.close()

    asyncio.run(check())


def _decision(name: str, created: float, assignment: object) -> object:
    from planner.server.decisions.recorder import Decision
    from search.result import Spend

    return Decision(
        decision_id=name, created=created, endpoint="chat", key=None, question=QUESTION, domain="math",
        planner="p", budget={}, budget_source="default", reason=None, policy="small", prm=None, plan="cot()",
        answer="51", outcome="answered", accuracy=0.5, tokens=1.0, flops=1.0, seconds=None, usd=None,
        propensity=1.0, steps=(), candidates=(), chosen=None, spend=Spend(), spent_usd=None,
        assignment=assignment,  # type: ignore[arg-type]
    )  # fmt: skip
