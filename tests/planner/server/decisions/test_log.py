"""The recorder over a database keeps the protocol that the fake keeps."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from made import decision

from planner.server.decisions.log import DecisionLog
from planner.server.decisions.recorder import DecisionQuery, Feedback, MemoryRecorder, Recorder
from search.errors import DecisionLogError


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Recorder:
    if request.param == "memory":
        return MemoryRecorder()
    if request.param == "sqlite":
        return DecisionLog.open(tmp_path / "log.db")
    return DecisionLog.open(request.getfixturevalue("postgres_url"))


async def test_keeps_the_protocol(recorder: Recorder) -> None:
    for i in range(7):
        recorder.record(decision(f"d{i}", float(i)))
    found = await recorder.find("d3")  # perhaps not durable yet
    assert found is not None
    assert found.decision == decision("d3", 3.0)
    said = [Feedback("d3", 1.0, correct=True), Feedback("d3", 2.0, score=0.25)]
    for one in said:
        assert await recorder.feedback(one)
    assert not await recorder.feedback(Feedback("nobody", 1.0, correct=False))
    found = await recorder.find("d3")
    assert found is not None
    assert found.feedback == tuple(said)
    assert await recorder.find("nobody") is None
    for wanted, names in (
        (DecisionQuery(limit=3), ["d6", "d5", "d4"]),
        (DecisionQuery(limit=3, before="d4"), ["d3", "d2", "d1"]),
        (DecisionQuery(with_feedback=True), ["d3"]),
        (DecisionQuery(text="WHAT IS", since=5.0), ["d6", "d5"]),
    ):
        assert [r.decision.decision_id for r in await recorder.search(wanted)] == names
    state = recorder.state()
    assert (state["waiting"], state["lost"]) == (0, 0)
    await recorder.close()
    await recorder.close()


async def test_a_locked_log_answers_and_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = DecisionLog.open(path, patience=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log.record(decision("a"))
    with pytest.raises(DecisionLogError, match=r"within 0.05 s"):
        await log.feedback(Feedback("a", 0.0, correct=True))
    assert await log.find("a") is not None
    assert log.state()["waiting"] >= 1
    other.rollback()
    other.close()
    await log.close()
    again = DecisionLog.open(path)
    assert await again.find("a") is not None
    await again.close()


async def test_a_log_that_another_writes_to_is_read_by_new_connections(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = DecisionLog.open(path)
    log.record(decision("a"))
    assert await log.feedback(Feedback("a", 0.0, correct=True))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    log.store.engine.dispose()
    found = await log.find("a")
    assert found is not None
    assert len(found.feedback) == 1
    other.rollback()
    other.close()
    await log.close()


async def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    log = DecisionLog.open(tmp_path / "log.db")
    with log.store.engine.begin() as base:
        base.exec_driver_sql("ALTER TABLE decisions RENAME TO elsewhere")
    for read in (log.find("a"), log.search(DecisionQuery())):
        with pytest.raises(DecisionLogError, match="must be readable, got OperationalError"):
            await read
    await log.close()


async def test_feedback_of_many_at_once(recorder: Recorder) -> None:
    names = [f"d{i}" for i in range(50)]
    for name in names:
        recorder.record(decision(name))
    told = await asyncio.gather(*(recorder.feedback(Feedback(name, 0.0, score=1.0)) for name in names))
    assert told == [True] * 50
    await recorder.close()
