"""Signals of drift from a decision log, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from made import candidate, decision, step

from planner.evidence.probe import feature_names
from planner.planner import Planner
from planner.server.current import InUse, Served
from planner.server.decisions.log import DecisionLog
from planner.server.decisions.recorder import Decision, Feedback
from planner.server.decisions.store import Store
from planner.server.drift import Watch, told
from planner.traffic.signals import REFERENCE, new_problems, read_drift

NAME = "p" * 64
DAY, WEEK = 86_400.0, 604_800.0
#: a day that begins no week, and some time in it
BEGIN, NOW = 10 * WEEK + DAY, 10 * WEEK + 2 * DAY - 1.0


def asked(
    planner: Planner, count: int, begin: float, *, moved: float = 0.0, seed: int = 0, prefix: str = "d"
) -> list[Decision]:
    """Decisions a second apart whose questions' first feature is moved."""
    names = feature_names(planner.stages[0].probe, planner.encoder.dimensions)
    features = np.random.default_rng(seed).normal(size=(count, len(names)))
    features[:, 0] += moved
    return [
        decision(
            f"{prefix}{i:05d}",
            begin + i,
            planner=NAME,
            prm=next(iter(planner.prms)),
            steps=(step("question", features=tuple(row.tolist())),),
        )
        for i, row in enumerate(features)
    ]


def judged(decisions: Sequence[Decision], right: Sequence[bool]) -> list[Feedback]:
    return [
        Feedback(one.decision_id, one.created + 1.0, correct=bool(said))
        for one, said in zip(decisions, right, strict=True)
    ]


def log(where: str, *parts: tuple[Sequence[Decision], Sequence[Feedback]]) -> Store:
    store = Store.open(where)
    for decisions, said in parts:
        store.write(decisions)
        store.write([], said)
    return store


def test_questions_that_move_are_found_and_dated(planner: Planner, where: str) -> None:
    before = asked(planner, REFERENCE + 1, BEGIN - DAY)
    same = asked(planner, 100, BEGIN, seed=1, prefix="e")
    other = asked(planner, 120, BEGIN + 1000.0, moved=3.0, seed=2, prefix="f")
    store = log(where, (before, ()), (same, ()))
    quiet = read_drift(store, planner, NAME, now=BEGIN + 999.0)
    assert quiet.raised == ()
    assert (quiet.problems, quiet.words, quiet.widening) == (0, 0, (0.0, 0.0))
    store.write(other)
    found = read_drift(store, planner, NAME, now=NOW)
    assert [signal.name for signal in found.raised] == ["questions"]
    signal = found.raised[0]
    assert signal.detail == feature_names(planner.stages[0].probe, 0)[0].replace("_", " ")
    assert signal.since is not None
    assert signal.raised is not None
    assert BEGIN + 50.0 <= signal.since <= signal.raised
    assert found.problems == new_problems(planner)
    assert found.widening == (-1.0, 1.0)
    # it stays raised through the next week, with what was known then, and no longer
    later = read_drift(store, planner, NAME, now=NOW + WEEK)
    assert [one.since for one in later.raised] == [signal.since]
    assert read_drift(store, planner, NAME, now=NOW + 2 * WEEK).raised == ()
    store.close()


def test_promises_that_are_missed(planner: Planner, tmp_path: Path) -> None:
    decisions = asked(planner, 300, BEGIN)  # 75% are promised
    rng = np.random.default_rng(0)
    store = log(str(tmp_path / "log.db"), (decisions, judged(decisions, rng.random(300) < 0.75)))
    assert read_drift(store, planner, NAME, now=NOW).raised == ()
    worse = asked(planner, 300, BEGIN + 1000.0, prefix="e")
    store.write(worse, [])
    store.write([], judged(worse, rng.random(300) < 0.3))
    found = read_drift(store, planner, NAME, now=NOW)
    assert [signal.name for signal in found.raised] == ["promises"]
    assert "right where 75% were promised" in found.raised[0].detail
    low, high = found.widening
    assert -0.7 < low < -0.45  # 45 points were missed since
    assert high == 0.0
    assert found.words == 385
    assert "promises since" in told(found)
    store.close()


def scored(decisions: Sequence[Decision], right: Sequence[bool], rewards: Sequence[float]) -> list[Decision]:
    return [
        replace(one, candidates=(candidate("2", rewards=(0.5, float(reward))),), accuracy=float(said))
        for one, said, reward in zip(decisions, right, rewards, strict=True)
    ]


def test_a_prm_that_no_longer_tells_right_from_wrong(planner: Planner, where: str) -> None:
    rng = np.random.default_rng(0)
    right = rng.random(160) < 0.5
    good = scored(asked(planner, 160, BEGIN), right, 0.5 * right + 0.4 * rng.random(160))
    store = log(where, (good, judged(good, right)))
    later = rng.random(400) < 0.5
    bad = scored(asked(planner, 400, BEGIN + 1000.0, prefix="e"), later, rng.random(400))
    assert read_drift(store, planner, NAME, now=BEGIN + 900.0).raised == ()
    store.write(bad)
    store.write([], judged(bad, later))
    found = read_drift(store, planner, NAME, now=NOW)
    prm = next(iter(planner.prms))
    assert [signal.name for signal in found.raised] == [f"PRM {prm}"]
    assert found.bad_prms == {prm}
    assert "of pairs" in found.raised[0].detail
    store.close()


def test_the_server_says_so_once_in_an_interval(
    planner: Planner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Here(InUse):
        place, served = "here", Served(planner, NAME, frozenset())

        async def reload(self) -> Served:
            return self.served

    async def check() -> None:
        kept = DecisionLog.open(tmp_path / "log.db")
        decisions = asked(planner, 300, BEGIN)
        kept.store.write(decisions)
        kept.store.write([], judged(decisions, [False] * 300))
        clock = [NOW]
        watch = Watch(cast("InUse", Here()), kept, clock=lambda: clock[0], say_every=3600.0)
        assert watch.leaning(NAME, None) is None
        for seconds in (0.0, 60.0, 3000.0, 3601.0):
            clock[0] = NOW + seconds
            await watch.look(kept)
        assert watch.leaning(NAME, None) is not None
        assert watch.leaning("q" * 64, None) is None
        await kept.close()

    asyncio.run(check())
    said = [one for one in caplog.messages if "have left what planner pppppppppppp learned" in one]
    assert len(said) == 2
    assert "promises since 1970-03-" in said[0]
